//! The process beside CMD: it forwards signals, and waits for CMD and for the orphans below it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use super::witness::{Witness, own_pid};
use crate::exit::Cause;
use crate::supervise::command::Command;
use crate::supervise::terminal::Job;
use crate::sys::child::{self, Change, change_of};
use crate::sys::deadline::Deadline;
use crate::sys::process::procfs;
use crate::sys::signal::{Arrival, Arrivals, Disposition, Set, Signal, block, set_disposition, set_mask};
use crate::sys::wait::ready;

/// How often the processes below CMD are looked at, at most.
const LOOK: Duration = Duration::from_millis(5);
/// A look takes at most one part of so many of the time.
const SHARE: u32 = 10;

/// The box beside CMD.
pub(super) struct Minder {
    job: Job,
    arrivals: Arrivals,
    /// The mask that the box was given.
    mask: Set,
    pub(super) witness: Witness,
    /// How long to wait until the next look; `None` where none is needed before CMD has ended.
    pause: Option<Duration>,
}

impl Minder {
    /// Starts CMD when it has its number and `witness` has listed what is there before it.
    pub(super) fn start(command: &Command, witness: impl FnOnce(Vec<i32>) -> Result<Witness>) -> Result<Self> {
        let plain = |errno| Error::from(Cause::plain(errno));
        let mask = block(Set::ALL).map_err(plain)?;
        let arrivals = Arrivals::open(Set::ALL).map_err(plain)?;
        // Who ignores SIGCHLD is not told of children.
        let given = set_disposition(Signal::CHLD, Disposition::Default).map_err(plain)?;
        let given = [(Signal::CHLD, given)];
        let changed = given[0].1 == Disposition::Ignore;
        child::adopt_orphans().map_err(plain)?;
        let before = procfs::children(own_pid()).unwrap_or_default();
        let mut listed = None;
        let is_ready = || listed.insert(witness(before)).is_ok();
        let dispositions = if changed { &given[..] } else { &[] };
        let started = Job::start_when(mask, dispositions, is_ready, || command.execute(&[]));
        let witness = listed.transpose()?;
        let job = started.map_err(|why| command.unstarted(why))?;
        let witness = witness.context("CMD was started before anything was listed")?;
        let pause = witness.is_wanted().then_some(LOOK);
        Ok(Self { job, arrivals, mask, witness, pause })
    }

    /// Forwards what comes, and looks who is below, until CMD has ended; gives its status.
    pub(super) fn mind(&mut self) -> Result<u8> {
        loop {
            if let Some(ended) = self.job.ended {
                self.witness.look();
                self.job.take_terminal();
                // A signal acts again as it did: nothing is left to deliver it to.
                set_mask(self.mask).map_err(Cause::plain)?;
                return Ok(ended.status());
            }
            if let Some(pause) = &mut self.pause {
                let began = Instant::now();
                self.witness.look();
                *pause = LOOK.max(began.elapsed() * SHARE);
            }
            ready(&[self.arrivals.as_fd()], Deadline::within(self.pause)).map_err(Cause::plain)?;
            for arrival in self.arrivals.take(64).map_err(Cause::plain)? {
                self.hear(&arrival);
            }
            self.reap().map_err(unwaited).context("cannot wait for CMD")?;
        }
    }

    /// Hears what became of CMD and of the orphans below it.
    fn reap(&mut self) -> nix::Result<()> {
        loop {
            let pid = match child::waiting() {
                Ok(Some(pid)) => pid,
                Ok(None) => return Ok(()),
                Err(Errno::ECHILD) if self.job.ended.is_some() => return Ok(()),
                Err(errno) => return Err(errno),
            };
            // What has ended keeps its number until it is reaped.
            if self.pause.is_some() {
                self.witness.look();
            }
            match change_of(pid)? {
                Some((pid, Change::Stopped(signal), _)) if pid == self.job.cmd => {
                    self.job.stop(signal, Deadline::Forever)?;
                }
                Some((pid, Change::Ended(ended), _)) if pid == self.job.cmd => {
                    self.job.ended = Some(ended);
                }
                _ => {}
            }
        }
    }

    /// Ends a CMD that cannot be minded.
    pub(super) fn end(&self) {
        self.job.to_group(Signal::KILL);
        let _ = child::reap(self.job.cmd);
        self.job.take_terminal();
    }

    /// A signal came: CMD gets it, unless it is about who has the terminal.
    fn hear(&self, arrival: &Arrival) {
        let signal = arrival.signal;
        // Of a child, and what the box told its own group for the terminal's sake.
        let is_own = arrival.is_sent() && arrival.pid == own_pid();
        if is_own || signal == Signal::CHLD {
            return;
        }
        if signal == Signal::CONT {
            return self.job.go_on();
        }
        if arrival.is_kernels() && self.job.has_terminal() && self.job.yields(signal) {
            return;
        }
        self.job.to_group(signal);
        if signal.asks_to_end() {
            self.job.to_group(Signal::CONT);
        }
    }
}

fn unwaited(errno: Errno) -> Cause {
    match errno {
        Errno::ENOSYS | Errno::EPERM => Cause::from_errno(errno, "wait4 or waitid is forbidden, perhaps by seccomp"),
        errno => Cause::plain(errno),
    }
}
