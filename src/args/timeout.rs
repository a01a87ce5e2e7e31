//! `--timeout`, `--nonblock`, `--timeout-status`, `--quiet`, `--verbose`: how long a verb waits, and what it prints.

use std::time::{Duration, Instant};

use clap::Args;

use super::duration;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;

/// How long to wait. The clock starts when the arguments are parsed.
///
/// No option has a default value, which would cost each call some 3,000 instructions. A flag is therefore not a `bool`,
/// whose default is false, but an option without an argument.
#[derive(Debug, Clone, Copy, Args)]
pub struct Timeout {
    /// Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
    ///
    /// A number without a unit is in seconds. The limit covers all waiting in one call, but not the run time of CMD. If
    /// both --timeout and --nonblock are given, the one given last applies.
    #[arg(id = "timeout", short = 'w', long, value_name = "DURATION", value_parser = timeout, help_heading = "Waiting")]
    limit: Option<Timed>,
    /// Do not wait (same as --timeout 0)
    #[arg(
        short,
        long,
        num_args = 0,
        default_missing_value = "true",
        overrides_with = "timeout",
        help_heading = "Waiting"
    )]
    nonblock: Option<bool>,
    #[command(flatten)]
    late: Late,
    /// Show the object and the process that block the call
    #[arg(
        short,
        long,
        num_args = 0,
        default_missing_value = "true",
        overrides_with = "quiet",
        help_heading = "Waiting"
    )]
    verbose: Option<bool>,
    /// Whether only errors are printed.
    #[command(flatten)]
    pub quiet: Quiet,
}

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
#[derive(Debug, Default, Clone, Copy, Args)]
pub struct Late {
    /// Exit with status N on timeout (default: 124)
    ///
    /// If N is 0, a timeout prints no message.
    #[arg(short = 'E', long, value_name = "N", value_parser = status, help_heading = "Waiting")]
    timeout_status: Option<u8>,
}

impl Late {
    /// Returns the failure on timeout.
    pub fn cause(self, words: impl Into<String>) -> Cause {
        let status = self.timeout_status.unwrap_or(Exit::TIMED_OUT);
        Cause::new(Exit::NotInTime(status), words).silent(status == 0)
    }
}

/// Whether only errors are printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Quiet {
    /// Do not print ids, pids or messages about waiting
    ///
    /// The create verbs of sem, msgq and shm print an id or a name; sem hold prints a pid.
    #[arg(short, long, num_args = 0, default_missing_value = "true", help_heading = "Output")]
    pub quiet: Option<bool>,
}

fn status(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| "expected an exit status from 0 to 255".into())
}

impl Timeout {
    /// Returns until when the call may wait.
    pub fn deadline(&self) -> Deadline {
        self.deadline_or(Deadline::Forever)
    }

    /// Returns until when the call may wait, which is `default` without a limit.
    pub fn deadline_or(&self, default: Deadline) -> Deadline {
        if self.nonblock.is_some() { Deadline::Now } else { self.limit.map_or(default, |timed| timed.deadline) }
    }

    /// Returns the same options with `--nonblock`.
    pub const fn never(self) -> Self {
        Self { nonblock: Some(true), ..self }
    }

    /// Restarts the limit, after something has ended the silence that it is for.
    pub fn again(self) -> Self {
        Self { limit: self.limit.map(|timed| timed.limit.into()), ..self }
    }

    /// Calls `act`, and moves the deadline by the time that takes.
    pub fn uncounted<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = act();
        if let Some(timed) = &mut self.limit {
            timed.deadline = timed.deadline.later(start.elapsed());
        }
        done
    }

    /// Returns the failure on timeout: `what` did not happen within the limit, or at once.
    pub fn missed(&self, what: &str) -> Cause {
        self.expired(self.within(what))
    }

    /// Returns that `what` did not happen within the limit, or at once.
    pub fn within(&self, what: &str) -> String {
        match self.waited() {
            Some(limit) => format!("{what} within {}", duration::show(limit)),
            None => format!("{what} at once"),
        }
    }

    /// Returns the failure on timeout, in words that name the state.
    pub fn expired(&self, words: impl Into<String>) -> Cause {
        self.late.cause(words)
    }

    /// Returns how long the call has waited, for such words: " after 2s", or nothing if it did not wait.
    pub fn after(&self) -> String {
        self.waited().map_or_else(String::new, |limit| format!(" after {}", duration::show(limit)))
    }

    /// Returns " still" if the call has waited, for such words.
    pub fn still(&self) -> &'static str {
        if self.waited().is_some() { " still" } else { "" }
    }

    fn waited(&self) -> Option<Duration> {
        let limit = self.limit.map(|timed| timed.limit).filter(|limit| !limit.is_zero());
        limit.filter(|_| self.deadline().is_over() && self.nonblock.is_none())
    }

    /// Whether the waiting message is suppressed.
    pub const fn is_quiet(&self) -> bool {
        self.quiet.quiet.is_some()
    }

    /// Whether the waiting message is printed as soon as a wait begins.
    pub const fn is_verbose(&self) -> bool {
        self.verbose.is_some()
    }

    /// Whether a timeout is reported by the exit status alone.
    pub fn is_silent(&self) -> bool {
        self.late.timeout_status == Some(0)
    }
}
