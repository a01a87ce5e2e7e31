//! CMDs for many records, at most N of them at once.
//!
//! A server takes records and calls [`Pool::next`], which returns the jobs that have ended and whether one more may
//! run. It never waits for what a CMD reads, since that lies in a file, nor for one CMD while it could start another.
//! What several print at the same time is spooled and not mixed. What the descendants of a CMD print after it has ended
//! is dropped.
//!
//! A server stops at a signal: it takes no more, lets what runs come to its end, and exits with status 0 if the signal
//! was SIGTERM, else dies by it. A second one goes on to the CMDs, and ends the server. A closed terminal hangs up the
//! CMDs at once.
//!
//! If there is no process or descriptor for one more CMD, its record waits for one that runs. If none runs the record
//! is lost, and the server takes no more and fails; so it does if CMD cannot be executed, or if what one printed cannot
//! be written.

mod delivery;
mod serving;

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::unistd::{Pid, getpgid, getpgrp};

pub use self::serving::Serving;
use crate::exit::Exit;
use crate::output;
use crate::supervise::command::{Command, NotStarted};
use crate::supervise::is_unreached;
use crate::supervise::report::{CommandRecord, Report};
use crate::sys::child::{self, Change};
use crate::sys::collect::{Collected, Leftover};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{self, Signal};
use crate::sys::{interrupt, terminal, wait};
use crate::text::counted;

/// The commands that run. `T` is whom the output of one of them is for.
pub struct Pool<T> {
    command: Command,
    most: usize,
    /// The terminal of the session that ipcbox leads, until it is closed.
    terminal: Option<OwnedFd>,
    /// A record that was taken, and whose command is yet to be started.
    taken: Option<Taken<T>>,
    running: Vec<Job<T>>,
    ended: VecDeque<Ended<T>>,
    unreported: VecDeque<CommandRecord>,
    leftovers: Vec<Leftover>,
    copiers: Vec<i32>,
    report: Option<Report>,
    /// How many records were taken.
    count: u64,
    /// One of them ended with another status than 0.
    failed: bool,
    /// There was no process or descriptor for a command, or it cannot be executed.
    unable: Option<Exit>,
    /// Why something else failed.
    failure: Option<Error>,
    stop: Option<Signal>,
}

/// A record, and what the command for it is started with.
pub struct Taken<T> {
    /// Its bytes.
    pub record: Vec<u8>,
    /// What is added to the environment.
    pub added: Vec<(&'static str, String)>,
    /// Whom what the command prints is for; `None` is standard output.
    pub reply_to: Option<T>,
}

struct Job<T> {
    pid: i32,
    collected: Option<Collected>,
    /// What is reported of it.
    record: CommandRecord,
    started: Instant,
    reply_to: Option<T>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended<T> {
    /// Whom what it printed is for.
    pub reply_to: Option<T>,
    /// Its status, as a shell has it; 126 if it could not be started, which has been reported.
    pub status: u8,
    /// What it printed, if a caller wants it.
    pub printed: Option<File>,
}

/// What is to be done next.
pub enum Next<T> {
    /// This one has ended.
    Ended(Ended<T>),
    /// A record can be taken. Taking it may wait in a call that a caught signal interrupts.
    Room,
    /// Nothing: none runs, and none is wanted.
    Over,
}

impl<T> Pool<T> {
    /// Runs `command`, at most `most` at once. From here on SIGCHLD, SIGIO, SIGTERM, SIGINT and SIGHUP are caught.
    fn new(command: Command, most: u16, report: Option<Report>) -> Result<Self> {
        output::require()?;
        interrupt::catch(&[Signal::CHLD, Signal::IO, Signal::TERM, Signal::INT, Signal::HUP])
            .context("cannot catch signals")?;
        Ok(Self {
            command,
            most: most.into(),
            terminal: terminal::of_leader(),
            taken: None,
            running: Vec::new(),
            ended: VecDeque::new(),
            unreported: VecDeque::new(),
            leftovers: Vec::new(),
            copiers: Vec::new(),
            report,
            count: 0,
            failed: false,
            unable: None,
            failure: None,
            stop: None,
        })
    }

    /// Whether none runs, and all that was to be [delivered](Self::deliver) has been.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.copiers.is_empty()
    }

    /// Waits until a command has ended, or one more can run. `is_wanted` is whether there may be more records.
    ///
    /// # Errors
    /// Signals cannot be taken, or children not waited for. A second signal to stop does not return.
    pub fn next(&mut self, is_wanted: bool) -> Result<Next<T>> {
        loop {
            self.reap()?;
            if let Some(ended) = self.ended.pop_front() {
                return Ok(Next::Ended(ended));
            }
            if let Some(record) = self.unreported.pop_front() {
                self.write_report(record)?;
                continue;
            }
            if let Some(taken) = self.taken.take() {
                self.start_taken(taken)?;
                continue;
            }
            let is_stopping = self.stop.is_some() || self.unable.is_some() || self.failure.is_some();
            match is_wanted && !is_stopping {
                true if self.running.len() < self.most => return Ok(Next::Room),
                false if self.is_idle() => return Ok(Next::Over),
                _ => Self::wait()?,
            }
        }
    }

    /// Has the command for a record started by [`next`](Self::next), which was [asked](Next::Room) for it.
    pub fn start(&mut self, taken: Taken<T>) {
        self.count += 1;
        self.taken = Some(taken);
    }

    /// Waits until a command may have released a descriptor or a process, and returns those that have exited. `None`:
    /// none runs.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn give_back(&mut self) -> Result<Option<VecDeque<Ended<T>>>> {
        if !self.frees_something()? {
            return Ok(None);
        }
        self.reap()?;
        Ok(Some(std::mem::take(&mut self.ended)))
    }

    fn frees_something(&mut self) -> Result<bool> {
        if !self.leftovers.is_empty() {
            self.leftovers.clear();
        } else if self.is_idle() {
            return Ok(false);
        } else {
            Self::wait()?;
        }
        Ok(true)
    }

    fn start_taken(&mut self, taken: Taken<T>) -> Result<()> {
        let (number, argv) = (self.count, self.reported(&taken.record));
        let mut record = CommandRecord { number, argv, ..CommandRecord::default() };
        // Its own time begins before it can run: starting it returns after exec, when it may have ended.
        let started = Instant::now();
        let error = match self.try_start(&taken) {
            Ok((pid, mut collected)) => {
                let begun = collected.as_mut().map_or(Ok(()), Collected::begin);
                record.pid = Some(pid);
                self.running.push(Job { pid, collected, record, started, reply_to: taken.reply_to });
                self.fail(begun.context("cannot collect what a command prints"));
                return Ok(());
            }
            Err(NotStarted::Want(error)) => {
                if self.frees_something()? {
                    self.taken = Some(taken);
                    return Ok(());
                }
                self.unable(Exit::Failed, &taken.record, error)
            }
            Err(NotStarted::Command(error)) => self.unable(Exit::NotExecutable, &taken.record, error),
            Err(NotStarted::Record(error)) => error,
        };
        output::report(&error);
        self.failed = true;
        let status = Exit::NotExecutable.code();
        self.unreported.push_back(CommandRecord { unrun: Some(status), ..record });
        self.ended.push_back(Ended { reply_to: taken.reply_to, status, printed: None });
        Ok(())
    }

    /// Has it take no more, and end so.
    fn unable(&mut self, exit: Exit, record: &[u8], error: Error) -> Error {
        self.unable = Some(exit);
        error.context(format!("a record of {} was taken and is lost", counted(record.len(), "byte")))
    }

    /// Has it take no more, and end with the first of such failures.
    fn fail(&mut self, outcome: Result<()>) {
        self.failure = self.failure.take().or(outcome.err());
    }

    fn try_start(&self, taken: &Taken<T>) -> Result<(i32, Option<Collected>), NotStarted> {
        let is_collected = taken.reply_to.is_some() || self.most > 1;
        let pipe = is_collected.then(Collected::new).transpose();
        let pipe = pipe.context("cannot collect what it prints");
        let pipe = pipe.with_context(|| format!("cannot run {}", self.command));
        let (collected, to) = pipe.map_err(NotStarted::Want)?.unzip();
        let pid = self.command.start(&taken.record, &taken.added, to.as_ref().map(AsFd::as_fd))?;
        Ok((pid, collected))
    }

    /// Waits until a command has exited or a signal comes that stops the server.
    fn wait() -> Result<()> {
        Ok(wait::ready_or_signal(&[], Deadline::Forever).map(drop)?)
    }

    /// Takes the signals that have come, and reaps the commands that have ended. What they passed has been written.
    fn reap(&mut self) -> Result<()> {
        loop {
            self.take_signals()?;
            while !self.is_idle() {
                let Some((pid, change, used)) = child::changed()? else { break };
                let Change::Ended(how) = change else { continue };
                self.copiers.retain(|copier| *copier != pid);
                // Others are children that ipcbox was given.
                let Some(at) = self.running.iter().position(|job| job.pid == pid) else { continue };
                let job = self.running.remove(at);
                let end = Some((how, job.started.elapsed(), used));
                let (status, printed) = self.printed(job.reply_to.is_some(), job.collected, how.status());
                self.failed |= status != 0;
                self.ended.push_back(Ended { reply_to: job.reply_to, status, printed });
                self.unreported.push_back(CommandRecord { end, ..job.record });
            }
            // One that a command sent before it ended counts before the next one is started.
            if !interrupt::any() {
                return Ok(());
            }
        }
    }

    fn take_signals(&mut self) -> Result<()> {
        for signal in interrupt::take()?.iter() {
            match signal {
                Signal::CHLD => continue,
                Signal::IO => {
                    self.running.iter_mut().filter_map(|job| job.collected.as_mut()).for_each(Collected::gather);
                    self.leftovers.retain(Leftover::is_open);
                    continue;
                }
                _ => {}
            }
            // The kernel sends the SIGHUP of a closed terminal to the leader of its session alone.
            let is_closed = |terminal: &mut OwnedFd| terminal::foreground(terminal).is_none();
            if signal == Signal::HUP && self.terminal.take_if(is_closed).is_some() {
                let _ = signal::kill(0, Some(signal));
                // Its own.
                interrupt::forget(signal)?;
                let own = getpgrp();
                self.pass(signal, |pid| getpgid(Some(Pid::from_raw(pid))) != Ok(own));
                let _ = signal::kill(0, Some(Signal::CONT));
            } else if self.stop.is_some() {
                self.pass(signal, |_| true);
            }
            if self.stop.is_some() {
                signal::die(signal)?;
            }
            self.stop = Some(signal);
        }
        Ok(())
    }

    /// Sends a signal to each command that `lacks` it, and reports one that no signal reaches.
    fn pass(&self, signal: Signal, lacks: impl Fn(i32) -> bool) {
        for pid in self.running.iter().map(|job| job.pid) {
            if lacks(pid) {
                // One that is stopped would not act on it.
                let _ = signal::kill(pid, Some(signal)).and_then(|()| signal::kill(pid, Some(Signal::CONT)));
            }
            is_unreached(pid);
        }
    }

    /// How the server ends when all is done: by the signal that stopped it, if that was not SIGTERM; with status 126 if
    /// the command cannot be executed, 1 if one could not be started for want of something, or one failed and the user
    /// asked for an end.
    ///
    /// # Errors
    /// What a command printed could not be written to standard output.
    pub fn end(self, asked: bool) -> Result<Exit> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        match self.stop {
            Some(Signal::TERM) => Ok(Exit::Done),
            Some(signal) => {
                signal::die(signal)?;
                Ok(Exit::Failed)
            }
            None if asked && self.failed => Ok(self.unable.unwrap_or(Exit::Failed)),
            None => Ok(self.unable.unwrap_or(Exit::Done)),
        }
    }
}
