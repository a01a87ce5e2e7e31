//! `--timeout`, `--nonblock` and `--timeout-status`: how long a verb waits, and what it says when that was too short.

use std::time::{Duration, Instant};

use clap::Args;

use super::duration;
use crate::exit::{Cause, Exit};
use crate::sys::wait::Patience;

/// How long to wait.
#[derive(Debug, Clone, Args)]
pub struct Waiting {
    /// Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
    ///
    /// A bare number is seconds. It bounds the whole call's waiting, and never ends a CMD. Of this and --nonblock the
    /// later counts.
    #[arg(hide_short_help = true, short = 'w', long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Do not wait at all
    #[arg(hide_short_help = true, short, long, overrides_with = "timeout")]
    nonblock: bool,
    #[command(flatten)]
    late: Late,
    /// Whether the caller wants to read errors alone.
    #[command(flatten)]
    pub quiet: Quiet,
}

/// The exit status on timeout.
#[derive(Debug, Clone, Copy, Args)]
pub struct Late {
    /// Exit with N on timeout (default: 124; 0 is silent)
    #[arg(hide_short_help = true, short = 'E', long, value_name = "N", value_parser = status, default_value_t = Exit::TIMED_OUT)]
    timeout_status: u8,
}

impl Default for Late {
    fn default() -> Self {
        Self { timeout_status: Exit::TIMED_OUT }
    }
}

impl Late {
    /// The failure to be in time.
    #[must_use]
    pub fn cause(self, words: impl Into<String>) -> Cause {
        let status = self.timeout_status;
        Cause::new(Exit::NotInTime(status), words).silent(status == 0)
    }
}

/// Whether the caller wants to read errors alone.
#[derive(Debug, Clone, Copy, Args)]
pub struct Quiet {
    /// Suppress the waiting message, and the answer of create and hold
    #[arg(hide_short_help = true, short, long)]
    pub quiet: bool,
}

fn status(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| "a status is 0 to 255".into())
}

/// A deadline, fixed when the arguments had been read.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// How long the system calls may wait.
    pub patience: Patience,
    limit: Option<Duration>,
    late: Late,
    quiet: Quiet,
}

impl Waiting {
    /// Starts the clock.
    #[must_use]
    pub fn start(&self) -> Deadline {
        self.start_or(None)
    }

    /// The same, with a limit for where none was given.
    #[must_use]
    pub fn start_or(&self, default: Option<Duration>) -> Deadline {
        let limit = if self.nonblock { Some(Duration::ZERO) } else { self.timeout.or(default) };
        Deadline { patience: Patience::within(limit), limit, late: self.late, quiet: self.quiet }
    }
}

impl Deadline {
    /// The same without any time.
    #[must_use]
    pub const fn never(self) -> Self {
        Self { patience: Patience::Never, ..self }
    }

    /// Whether the waiting message is suppressed.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.quiet.quiet
    }

    /// Whether being late is told by the exit status alone.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.late.timeout_status == 0
    }

    /// The same limit from now on, for a silence that something has broken.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { patience: Patience::within(self.limit), ..*self }
    }

    /// Does what takes time that does not count.
    pub fn uncounted<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = act();
        self.patience = self.patience.later(start.elapsed());
        done
    }

    /// The failure to be in time: `what` did not happen.
    #[must_use]
    pub fn missed(&self, what: &str) -> Cause {
        let words = match self.limit {
            Some(limit) if !limit.is_zero() && self.patience.is_over() => {
                format!("{what} within {}", duration::show(limit))
            }
            _ => format!("{what} at once"),
        };
        self.late.cause(words)
    }
}
