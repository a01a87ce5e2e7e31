//! `--max-time` and `--then`: which signals a process that runs too long gets, and when.

use std::time::Duration;

use clap::Args;

use crate::args::timeout::Late;
use crate::args::{duration, signals};
use crate::exit::Cause;
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::Signal;

/// The grace period of a step that names none.
const GRACE: Duration = Duration::from_secs(5);

/// How long a command may run, and what ends it.
#[derive(Debug, Clone, Default, Args)]
pub struct Steps {
    /// Send TERM after DURATION, and KILL 5s later
    ///
    /// On timeout, the exit status is 124. DURATION 0 means no limit, as in timeout(1).
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_time: Option<Duration>,
    /// Send SIG instead of TERM, then wait D (default: 5s)
    ///
    /// Repeat --then for more steps. Each step starts when the wait of the previous step is over.
    #[arg(long, value_name = "SIG[:D]", value_parser = step, requires = "max_time")]
    then: Vec<Step>,
}

/// How long a command may run, and the status if it runs longer.
#[derive(Debug, Clone, Default, Args)]
pub struct Limit {
    #[command(flatten)]
    steps: Steps,
    #[command(flatten)]
    late: Late,
}

impl From<Steps> for Limit {
    fn from(steps: Steps) -> Self {
        Self { steps, late: Late::default() }
    }
}

impl Limit {
    /// Returns the limit; 0 is none, as in timeout(1).
    pub fn time(&self) -> Option<Duration> {
        self.steps.max_time.filter(|time| !time.is_zero())
    }

    /// Starts the clock if there is a limit.
    pub fn start(&self) -> Option<Plan> {
        Some(Plan::start(self.time()?, self.steps()))
    }

    /// Returns the same steps, of which the first is due now.
    pub fn end_now(&self) -> Plan {
        Plan::start(Duration::ZERO, self.steps())
    }

    /// The cause that `what` did not happen in time.
    pub fn missed(&self, what: &str) -> Cause {
        self.late.cause(format!("{what} within {}", self.shown()))
    }

    /// The cause that a state has not changed in time: `the pipe is still full after 1s`.
    pub fn still(&self, state: &str) -> Cause {
        self.late.cause(format!("{state} after {}", self.shown()))
    }

    /// The cause that `what` did not exit in time: `sh timed out after 1s (killed by SIGTERM)`. `ends` is how its
    /// processes exited, as far as that is known.
    pub fn timed_out(&self, what: &str, ends: impl IntoIterator<Item = Ended>) -> Cause {
        let mut hows: Vec<String> = ends.into_iter().map(how).collect();
        hows.dedup();
        let hows = if hows.is_empty() { String::new() } else { format!(" ({})", hows.join(", ")) };
        self.late.cause(format!("{what} timed out after {}{hows}", self.shown()))
    }

    fn shown(&self) -> String {
        duration::show(self.steps.max_time.unwrap_or_default())
    }

    /// Whether `--then` was given.
    pub fn has_steps(&self) -> bool {
        !self.steps.then.is_empty()
    }

    fn steps(&self) -> Vec<Step> {
        if self.steps.then.is_empty() {
            [Signal::TERM, Signal::KILL].map(|signal| Step { signal, grace: GRACE }).into()
        } else {
            self.steps.then.clone()
        }
    }
}

fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("exited with status {status}"),
        Ended::Killed(signal) => format!("killed by SIG{}", signals::name(signal)),
    }
}

/// A signal and the grace period after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The signal to send.
    pub signal: Signal,
    /// How long to wait after it.
    pub grace: Duration,
}

/// Parses `SIG` or `SIG:DURATION`.
///
/// # Errors
/// The reason, as text for the user.
pub fn step(text: &str) -> Result<Step, String> {
    let (signal, grace) = match text.split_once(':') {
        Some((signal, grace)) => {
            let grace = duration::parse(grace).map_err(|words| match duration::parse(signal) {
                Ok(_) if signals::parse(grace).is_ok() => format!("the signal comes first, as in {grace}:{signal}"),
                _ => words,
            });
            (signal, grace?)
        }
        None => (text, GRACE),
    };
    Ok(Step { signal: signals::parse(signal)?, grace })
}

/// Steps, each due when the grace period of the one before is over.
#[derive(Debug)]
pub struct Plan {
    /// When the next step is due; never if none is left.
    pub deadline: Deadline,
    steps: std::vec::IntoIter<Step>,
}

impl Plan {
    /// Starts a plan whose first step is due after `first`.
    pub fn start(first: Duration, steps: Vec<Step>) -> Self {
        Self { deadline: Deadline::after(first), steps: steps.into_iter() }
    }

    /// Takes the step that is due and returns its signal; `None` if none is left.
    pub fn due(&mut self) -> Option<Signal> {
        let step = self.steps.next();
        self.deadline = Deadline::within(step.map(|step| step.grace));
        step.map(|step| step.signal)
    }
}

#[cfg(test)]
#[path = "../../tests/units/supervise/escalation.rs"]
mod tests;
