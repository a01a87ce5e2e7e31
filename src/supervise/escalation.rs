//! `--max-time` and `--then`: what is sent, and when, to a process that does not end.

use std::time::Duration;

use clap::Args;

use crate::args::timeout::Late;
use crate::args::{duration, signals};
use crate::exit::Cause;
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::Signal;

/// How long a step waits where it does not say.
const GRACE: Duration = Duration::from_secs(5);

/// How long a command may take.
#[derive(Debug, Clone, Default, Args)]
pub struct Limit {
    /// End CMD after DURATION: TERM, KILL 5s later (0: off)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_time: Option<Duration>,
    /// Send this instead when the time is over, then wait D (5s) before the next --then
    #[arg(long, value_name = "SIG[:D]", value_parser = step, requires = "max_time")]
    then: Vec<Step>,
    #[command(flatten)]
    late: Late,
}

impl Limit {
    /// How long it may take: 0 is no limit, as in timeout(1).
    pub fn time(&self) -> Option<Duration> {
        self.max_time.filter(|time| !time.is_zero())
    }

    /// Starts the clock, where there is a limit.
    pub fn start(&self) -> Option<Plan> {
        Some(Plan::start(self.time()?, self.steps()))
    }

    /// The same steps from now on, because of something else than the time.
    pub fn end_now(&self) -> Plan {
        Plan::start(Duration::ZERO, self.steps())
    }

    /// The failure that `what` did not happen in time.
    pub fn missed(&self, what: &str) -> Cause {
        self.late.cause(format!("{what} within {}", self.shown()))
    }

    /// The failure of `what` to exit in time: `sh timed out after 1s (killed by SIGTERM)`. `ends` is how its processes
    /// exited, as far as that is known.
    pub fn timed_out(&self, what: &str, ends: impl IntoIterator<Item = Ended>) -> Cause {
        let mut hows: Vec<String> = ends.into_iter().map(how).collect();
        hows.dedup();
        let hows = if hows.is_empty() { String::new() } else { format!(" ({})", hows.join(", ")) };
        self.late.cause(format!("{what} timed out after {}{hows}", self.shown()))
    }

    fn shown(&self) -> String {
        duration::show(self.max_time.unwrap_or_default())
    }

    /// Whether --then says what is sent.
    pub fn has_steps(&self) -> bool {
        !self.then.is_empty()
    }

    fn steps(&self) -> Vec<Step> {
        if self.then.is_empty() {
            [Signal::TERM, Signal::KILL].map(|signal| Step { signal, grace: GRACE }).into()
        } else {
            self.then.clone()
        }
    }
}

fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("exited with status {status}"),
        Ended::Killed(signal) => format!("killed by SIG{}", signals::name(signal)),
    }
}

/// A signal, and how long to wait after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is sent.
    pub signal: Signal,
    /// How long it gets.
    pub grace: Duration,
}

/// Reads `SIG` or `SIG:DURATION`.
///
/// # Errors
/// Words that say what is wrong.
pub fn step(text: &str) -> Result<Step, String> {
    let (signal, grace) = match text.split_once(':') {
        Some((signal, grace)) => (signal, duration::parse(grace)?),
        None => (text, GRACE),
    };
    Ok(Step { signal: signals::parse(signal)?, grace })
}

/// Steps, of which each waits for its time.
#[derive(Debug)]
pub struct Plan {
    /// Until the next step is due; for ever where there is none left.
    pub deadline: Deadline,
    steps: std::vec::IntoIter<Step>,
}

impl Plan {
    /// The first step is due after `first`.
    pub fn start(first: Duration, steps: Vec<Step>) -> Self {
        Self { deadline: Deadline::after(first), steps: steps.into_iter() }
    }

    /// The signal that is due now; `None` where all have had their time.
    pub fn due(&mut self) -> Option<Signal> {
        let step = self.steps.next();
        self.deadline = Deadline::within(step.map(|step| step.grace));
        step.map(|step| step.signal)
    }
}

#[cfg(test)]
#[path = "../../tests/units/supervise/escalation.rs"]
mod tests;
