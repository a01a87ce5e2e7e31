//! `--timeout`, `--nonblock` and `--timeout-status`: how long a verb waits, and what it says when that was too short.

use std::time::{Duration, Instant};

use clap::Args;

use super::duration;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;

/// How long to wait. The clock runs from the time when the arguments are parsed.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Waiting")]
pub struct Timeout {
    /// Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
    ///
    /// A bare number is seconds. It bounds the whole call's waiting, and never ends a CMD. Of this and --nonblock the
    /// later counts.
    #[arg(
        id = "timeout", hide_short_help = true, short = 'w', long, value_name = "DURATION", value_parser = timeout
    )]
    limit: Option<Timed>,
    /// Do not wait at all
    #[arg(hide_short_help = true, short, long, overrides_with = "timeout")]
    nonblock: bool,
    #[command(flatten)]
    late: Late,
    /// Whether the caller wants to read errors alone.
    #[command(flatten)]
    pub quiet: Quiet,
}

/// A limit, and the deadline that it became.
#[derive(Debug, Clone, Copy)]
struct Timed {
    limit: Duration,
    deadline: Deadline,
}

impl From<Duration> for Timed {
    fn from(limit: Duration) -> Self {
        Self { limit, deadline: Deadline::after(limit) }
    }
}

fn timeout(text: &str) -> Result<Timed, String> {
    duration::parse(text).map(Timed::from)
}

/// The exit status on timeout.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Waiting")]
pub struct Late {
    /// Exit with N on timeout (default: 124; 0 is silent)
    #[arg(
        hide_short_help = true, short = 'E', long, value_name = "N", value_parser = status,
        default_value_t = Exit::TIMED_OUT
    )]
    timeout_status: u8,
}

impl Default for Late {
    fn default() -> Self {
        Self { timeout_status: Exit::TIMED_OUT }
    }
}

impl Late {
    /// The failure to be in time.
    pub fn cause(self, words: impl Into<String>) -> Cause {
        let status = self.timeout_status;
        Cause::new(Exit::NotInTime(status), words).silent(status == 0)
    }
}

/// Whether the caller wants to read errors alone.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub struct Quiet {
    /// Suppress the waiting message, and the answer of create and hold
    #[arg(hide_short_help = true, short, long)]
    pub quiet: bool,
}

fn status(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| "a status is 0 to 255".into())
}

impl Timeout {
    /// Until when the call may wait.
    pub fn deadline(&self) -> Deadline {
        self.deadline_or(Deadline::Forever)
    }

    /// The same, with a deadline for where no limit was given.
    pub fn deadline_or(&self, default: Deadline) -> Deadline {
        if self.nonblock { Deadline::Now } else { self.limit.map_or(default, |timed| timed.deadline) }
    }

    /// The same without any time.
    pub const fn never(self) -> Self {
        Self { nonblock: true, ..self }
    }

    /// The same limit from now on, for a silence that something has broken.
    pub fn again(self) -> Self {
        Self { limit: self.limit.map(|timed| timed.limit.into()), ..self }
    }

    /// Does what takes time that does not count.
    pub fn uncounted<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = act();
        if let Some(timed) = &mut self.limit {
            timed.deadline = timed.deadline.later(start.elapsed());
        }
        done
    }

    /// The failure to be in time: `what` did not happen.
    pub fn missed(&self, what: &str) -> Cause {
        let words = match self.waited() {
            Some(limit) => format!("{what} within {}", duration::show(limit)),
            None => format!("{what} at once"),
        };
        self.expired(words)
    }

    /// The failure to be in time, in words that name the state.
    pub fn expired(&self, words: impl Into<String>) -> Cause {
        self.late.cause(words)
    }

    /// How long the call has waited, for such words: " after 2s", or nothing if it did not wait.
    pub fn after(&self) -> String {
        self.waited().map_or_else(String::new, |limit| format!(" after {}", duration::show(limit)))
    }

    fn waited(&self) -> Option<Duration> {
        let limit = self.limit.map(|timed| timed.limit).filter(|limit| !limit.is_zero());
        limit.filter(|_| self.deadline().is_over() && !self.nonblock)
    }

    /// Whether the waiting message is suppressed.
    pub const fn is_quiet(&self) -> bool {
        self.quiet.quiet
    }

    /// Whether a timeout is reported by the exit status alone.
    pub const fn is_silent(&self) -> bool {
        self.late.timeout_status == 0
    }
}
