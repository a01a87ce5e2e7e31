//! One CMD per record, at most N at once.
//!
//! A server calls [`Pool::next`], which returns finished jobs and whether one more may run. The pool never blocks on
//! the input of a CMD, which is a file in memory, nor on one CMD while it could start another. With several CMDs, the
//! output of each is spooled, so that it is not mixed. Output of its descendants after it has exited is dropped.
//!
//! The first signal stops the server: it takes no more records, waits for the running CMDs, then exits with status 0 on
//! SIGTERM or dies by the signal. The second is passed to the CMDs and kills the server. If the terminal is
//! closed, the CMDs get SIGHUP at once.
//!
//! If no process or descriptor is left for a CMD, its record waits until a running CMD exits. If none runs, the record
//! is lost and the server fails, as it does if CMD cannot be executed or its output cannot be written.

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

/// The running commands. `T` identifies the receiver of a command's output.
pub struct Pool<T> {
    command: Command,
    most: usize,
    /// The terminal of the session that ipcbox leads, until it is closed.
    terminal: Option<OwnedFd>,
    /// A record whose command is not started yet.
    taken: Option<Taken<T>>,
    running: Vec<Job<T>>,
    ended: VecDeque<Ended<T>>,
    unreported: VecDeque<CommandRecord>,
    leftovers: Vec<Leftover>,
    copiers: Vec<i32>,
    report: Option<Report>,
    /// Number of records taken.
    count: u64,
    /// A command exited with a status other than 0.
    failed: bool,
    /// The status if no command can be started any more.
    unable: Option<Exit>,
    /// The first other failure.
    failure: Option<Error>,
    stop: Option<Signal>,
}

/// A record, and how its command is started.
pub struct Taken<T> {
    /// Its bytes.
    pub record: Vec<u8>,
    /// Variables added to the environment.
    pub added: Vec<(&'static str, String)>,
    /// The receiver of the output; `None` is standard output.
    pub reply_to: Option<T>,
}

struct Job<T> {
    pid: i32,
    collected: Option<Collected>,
    record: CommandRecord,
    started: Instant,
    reply_to: Option<T>,
}

/// A command that has exited.
#[derive(Debug)]
pub struct Ended<T> {
    /// The receiver of the output.
    pub reply_to: Option<T>,
    /// Its status as in a shell; 126 if it could not be started, which has been reported.
    pub status: u8,
    /// Its output, if there is a receiver.
    pub printed: Option<File>,
}

/// The next thing to do for a server.
pub enum Next<T> {
    /// Handle a command that has exited.
    Ended(Ended<T>),
    /// Take a record. A call that waits for one is interrupted by a caught signal.
    Room,
    /// Exit: none runs, and none is wanted.
    Over,
}

impl<T> Pool<T> {
    /// Runs `command`, at most `most` at once. Catches SIGCHLD, SIGIO, SIGTERM, SIGINT and SIGHUP from now on.
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

    /// Whether no command runs and everything is [delivered](Self::deliver).
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.copiers.is_empty()
    }

    /// Waits until a command has exited, or one more can run. `is_wanted` is whether there may be more records.
    ///
    /// # Errors
    /// Signals cannot be read, or children not waited for. Does not return on a second signal.
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

    /// Queues a record, taken after [`Next::Room`], for the following call of [`next`](Self::next).
    pub fn start(&mut self, taken: Taken<T>) {
        self.count += 1;
        self.taken = Some(taken);
    }

    /// Waits until a command may have released a descriptor or a process, and returns those that have exited; `None` if
    /// none runs.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn reclaim(&mut self) -> Result<Option<VecDeque<Ended<T>>>> {
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
        // Starting it returns after exec, when it may have exited already.
        let started = Instant::now();
        let error = match self.try_start(&taken) {
            Ok((pid, mut collected)) => {
                let begun = collected.as_mut().map_or(Ok(()), Collected::begin);
                record.pid = Some(pid);
                self.running.push(Job { pid, collected, record, started, reply_to: taken.reply_to });
                self.fail(begun.context("cannot collect the output of a command"));
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

    /// Takes no more records, and exits with this status in the end.
    fn unable(&mut self, exit: Exit, record: &[u8], error: Error) -> Error {
        self.unable = Some(exit);
        error.context(format!("a record of {} was received, but is lost", counted(record.len(), "byte")))
    }

    /// Takes no more records after a failure; the first one is reported in the end.
    fn fail(&mut self, outcome: Result<()>) {
        self.failure = self.failure.take().or(outcome.err());
    }

    fn try_start(&self, taken: &Taken<T>) -> Result<(i32, Option<Collected>), NotStarted> {
        let is_collected = taken.reply_to.is_some() || self.most > 1;
        let pipe = is_collected.then(Collected::new).transpose();
        let pipe = pipe.context("cannot collect the output");
        let pipe = pipe.with_context(|| format!("cannot run {}", self.command));
        let (collected, to) = pipe.map_err(NotStarted::Want)?.unzip();
        let pid = self.command.start(&taken.record, &taken.added, to.as_ref().map(AsFd::as_fd))?;
        Ok((pid, collected))
    }

    fn wait() -> Result<()> {
        Ok(wait::ready_or_signal(&[], Deadline::Forever).map(drop)?)
    }

    /// Handles pending signals, reaps the commands that have exited, and writes their output.
    fn reap(&mut self) -> Result<()> {
        loop {
            self.take_signals()?;
            while !self.is_idle() {
                let Some((pid, change, used)) = child::changed()? else { break };
                let Change::Ended(how) = change else { continue };
                self.copiers.retain(|copier| *copier != pid);
                // Other children were inherited across exec.
                let Some(at) = self.running.iter().position(|job| job.pid == pid) else { continue };
                let job = self.running.remove(at);
                let end = Some((how, job.started.elapsed(), used));
                let (status, printed) = self.printed(job.reply_to.is_some(), job.collected, how.status());
                self.failed |= status != 0;
                self.ended.push_back(Ended { reply_to: job.reply_to, status, printed });
                self.unreported.push_back(CommandRecord { end, ..job.record });
            }
            // A signal that a command sent before it exited is handled before the next one starts.
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
            // When a terminal is closed, the kernel sends SIGHUP only to the leader of its session.
            let is_closed = |terminal: &mut OwnedFd| terminal::foreground(terminal).is_none();
            if signal == Signal::HUP && self.terminal.take_if(is_closed).is_some() {
                let _ = signal::kill(0, Some(signal));
                // ipcbox is in that group too.
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

    /// Sends a signal to each command that `lacks` it, and reports those that may not be signalled.
    fn pass(&self, signal: Signal, lacks: impl Fn(i32) -> bool) {
        for pid in self.running.iter().map(|job| job.pid) {
            if lacks(pid) {
                // A stopped process acts on it only when continued.
                let _ = signal::kill(pid, Some(signal)).and_then(|()| signal::kill(pid, Some(Signal::CONT)));
            }
            is_unreached(pid);
        }
    }

    /// Exits: by the signal that stopped it, unless that was SIGTERM; with status 126 if CMD cannot be executed; with 1
    /// if no process or descriptor was left, or if a CMD failed and the user limited the run (`asked`).
    ///
    /// # Errors
    /// Output of a command could not be written.
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
