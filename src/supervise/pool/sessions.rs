//! Commands that lead sessions of their own: the process group of each gets a signal, and each can have a time limit.

use super::{Pool, Receiver};
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::{Limit, Plan};
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Signal};

/// How they run, and how their server stops.
pub(super) struct Sessions {
    limit: Limit,
    /// Called at the first signal that stops the server.
    pub at_stop: Box<dyn FnMut()>,
}

impl Sessions {
    /// Starts the clock of a command.
    pub fn plan(&self) -> Option<Plan> {
        self.limit.start()
    }

    /// Reports a command that ran too long.
    pub fn report_late(&self, command: &Command, how: Ended) {
        output::report(&self.limit.timed_out(&command.to_string(), [how]).into());
    }
}

impl Pool {
    /// Makes each command from now on lead a session, within this limit. After a signal the server calls `at_stop`, and
    /// still takes what is wanted, until [`poll`](Self::poll) is called with `false`.
    pub fn lead_sessions(&mut self, limit: Limit, at_stop: Box<dyn FnMut()>) {
        self.sessions = Some(Sessions { limit, at_stop });
    }

    /// Whether a signal has stopped the server.
    pub const fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Returns the pid of each running command that has a receiver.
    pub fn receivers(&self) -> impl Iterator<Item = (i32, &Receiver)> {
        self.running.iter().filter_map(|job| Some((job.pid, job.from.taken.reply_to.as_ref()?)))
    }

    /// Sends a signal to a running command, and to its process group if it leads a session.
    pub fn signal(&self, pid: i32, signal: Signal) {
        let send = |signal| {
            let sent = self.sessions.is_some() && signal::kill(-pid, Some(signal)).is_ok();
            // A process that has just been created does not lead its session yet.
            let _ = if sent { Ok(()) } else { signal::kill(pid, Some(signal)) };
        };
        send(signal);
        if signal.is_termination() {
            // A stopped process acts on it only when continued.
            send(Signal::CONT);
        }
    }

    /// Returns when the next step against a command that runs too long is due.
    pub fn due(&self) -> Deadline {
        let plans = self.running.iter().filter_map(|job| job.plan.as_ref());
        plans.fold(Deadline::Forever, |earliest, plan| earliest.earlier(plan.deadline))
    }

    /// Takes the steps that are due.
    pub(super) fn end_late(&mut self) {
        let mut due = Vec::new();
        for job in &mut self.running {
            if let Some(plan) = job.plan.as_mut().filter(|plan| plan.deadline.is_over()) {
                job.is_late = true;
                due.extend(plan.due().map(|signal| (job.pid, signal)));
            }
        }
        for (pid, signal) in due {
            self.signal(pid, signal);
        }
    }
}
