//! What a crew does when a signal comes, and when a stage has ended or stopped.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::unistd::getpid;

use super::{Crew, Work};
use crate::sys::child::{Change, changed};
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Arrival, Signal};

/// What comes so soon after the first of these is the same wish: timeout(1) sends one to its child and to the group.
const SAME: Duration = Duration::from_millis(100);

impl Crew {
    pub(in crate::applets::pipe) fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        // What a job tells its own group for the terminal's sake.
        if arrival.is_sent() && arrival.pid == getpid().as_raw() {
            return Ok(());
        }
        // Those of the terminal have reached the stages already.
        let is_theirs = self.together && arrival.is_kernels();
        let work = self.rules.work;
        match signal {
            Signal::CHLD => self.reap()?,
            // What the box's own output does.
            Signal::PIPE => {}
            _ if work != Work::Minds && !self.runs() => signal::act(signal)?,
            Signal::INT | Signal::QUIT if self.together && work != Work::Feeds => {}
            _ if self.job.is_some() => self.hear_of_job(signal, arrival.is_kernels()),
            _ if signal.stops() => {
                if !is_theirs {
                    self.send(signal);
                }
                signal::stop(signal, Deadline::Forever)?;
                if !signal::is_pending(Signal::CONT)? {
                    // Nobody stopped us, so nobody would continue them.
                    self.send(Signal::CONT);
                }
            }
            _ => {
                if !is_theirs {
                    self.pass(signal);
                }
                if work == Work::Feeds && signal.asks_to_end() {
                    self.ask(signal)?;
                }
            }
        }
        Ok(())
    }

    fn hear_of_job(&self, signal: Signal, is_terminals: bool) {
        match &self.job {
            Some(job) if signal == Signal::CONT => job.go_on(),
            Some(job) if is_terminals && job.yields(signal) => {}
            // The box stops when one of them has.
            _ => self.pass(signal),
        }
    }

    /// A signal came that would end the box.
    fn ask(&mut self, signal: Signal) -> Result<()> {
        match self.asked {
            _ if signal::is_ignored(signal)? => {}
            None => self.asked = Some((signal, Instant::now())),
            Some((_, first)) if first.elapsed() < SAME => {}
            Some(_) => signal::act(signal)?,
        }
        Ok(())
    }

    pub(in crate::applets::pipe) fn reap(&mut self) -> Result<()> {
        while self.runs() {
            let Some((pid, change, usage)) = changed()? else { break };
            let ended = match (change, &self.job) {
                (Change::Ended(ended), _) => ended,
                (Change::Stopped(signal), Some(job)) => {
                    job.stop(signal, Deadline::Forever)?;
                    // Now, since the same signal has stopped others, who are yet to be heard of.
                    if signal::is_pending(Signal::CONT)? {
                        job.go_on();
                    }
                    continue;
                }
                (Change::Stopped(_), None) => continue,
            };
            // One that has a status of its own may have ended by itself, and be the cause.
            let answers = || self.late || self.has_failed();
            let by_box = self.ending && (matches!(ended, Ended::Killed(_)) || answers());
            if let Some(stage) = self.stages.iter_mut().find(|stage| stage.pid == pid) {
                stage.finish(ended, usage, by_box);
            }
        }
        if self.rules.fail_fast && self.has_failed() {
            self.end();
        }
        if let Some(job) = self.job.as_ref().filter(|_| !self.runs()) {
            job.take_terminal();
        }
        Ok(())
    }
}
