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
//! A server of connections waits for them itself, see [`Pool::poll`] and [`Pool::lead_sessions`].
//!
//! If no process or descriptor is left for a CMD, its record waits until a running CMD exits. If none runs, the record
//! is lost and the server fails, as it does if CMD cannot be executed or its output cannot be written.

mod delivery;
mod serving;
mod sessions;
mod starting;

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::unistd::{Pid, getpgid, getpgrp};

pub use self::serving::Serving;
use self::sessions::Sessions;
pub use self::starting::{Receiver, Taken, Task};
use self::starting::{Starts, Waiting};
use crate::exit::Exit;
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::Plan;
use crate::supervise::is_unreached;
use crate::supervise::report::{CommandRecord, Report};
use crate::sys::child::{self, Change};
use crate::sys::collect::{Collected, Leftover};
use crate::sys::signal::{self, Signal};
use crate::sys::{interrupt, terminal, wait};

/// The running commands.
pub struct Pool {
    command: Command,
    most: usize,
    /// The terminal of the session that ipcbox leads, until it is closed.
    terminal: Option<OwnedFd>,
    starts: Starts,
    running: Vec<Job>,
    ended: VecDeque<Ended>,
    unreported: VecDeque<CommandRecord>,
    leftovers: Vec<Leftover>,
    copiers: Vec<i32>,
    report: Option<Report>,
    /// A child may have changed.
    is_changed: bool,
    /// Number of commands that were started, or cannot be.
    count: u64,
    /// A command exited with a status other than 0.
    failed: bool,
    /// The status if no command can be started any more.
    unable: Option<Exit>,
    /// The first other failure.
    failure: Option<Error>,
    stop: Option<Signal>,
    /// How commands run that lead sessions of their own.
    sessions: Option<Sessions>,
}

struct Job {
    pid: i32,
    /// The number of its start.
    launch: u32,
    /// The record, and its number. The command has the files.
    from: Waiting,
    /// How many files that is.
    files: usize,
    collected: Option<Collected>,
    record: CommandRecord,
    started: Instant,
    /// The steps against a command that runs too long.
    plan: Option<Plan>,
    is_late: bool,
}

/// A command that has exited.
#[derive(Debug)]
pub struct Ended {
    /// The receiver of the output; `None` if it has gone before the command was started.
    pub reply_to: Option<Receiver>,
    /// Its status as in a shell; 126 if it could not be started, which has been reported.
    pub status: u8,
    /// Its output, if there is a receiver.
    pub printed: Option<File>,
}

/// The next thing to do for a server.
pub enum Next {
    /// Handle a command that has exited.
    Ended(Ended),
    /// Take a record. A call that waits for one is interrupted by a caught signal.
    Room,
    /// Exit: none runs, and none is wanted.
    Over,
}

impl Pool {
    /// Runs `command`, at most `most` at once. Catches SIGCHLD, SIGIO, SIGTERM, SIGINT and SIGHUP from now on.
    fn new(command: Command, most: u16, report: Option<Report>) -> Result<Self> {
        output::require()?;
        interrupt::catch(&[Signal::CHLD, Signal::IO, Signal::TERM, Signal::INT, Signal::HUP])
            .context("cannot catch signals")?;
        Ok(Self {
            command,
            most: most.into(),
            terminal: terminal::of_leader(),
            starts: Starts::new()?,
            running: Vec::new(),
            ended: VecDeque::new(),
            unreported: VecDeque::new(),
            leftovers: Vec::new(),
            copiers: Vec::new(),
            report,
            is_changed: false,
            count: 0,
            failed: false,
            unable: None,
            failure: None,
            stop: None,
            sessions: None,
        })
    }

    /// Whether no command runs or waits, and everything is [delivered](Self::deliver).
    pub fn is_idle(&self) -> bool {
        self.starts.waiting.is_empty() && !self.has_children()
    }

    fn has_children(&self) -> bool {
        !self.running.is_empty() || !self.copiers.is_empty()
    }

    /// Returns how many commands were started, or cannot be.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Waits until a command has exited, or one more can run. `is_wanted` is whether there may be more records.
    ///
    /// # Errors
    /// Signals cannot be read, or children not waited for. Does not return on a second signal.
    pub fn next(&mut self, is_wanted: bool) -> Result<Next> {
        loop {
            match self.poll(is_wanted)? {
                Some(next) => return Ok(next),
                None => self.wait()?,
            }
        }
    }

    /// Like [`next`](Self::next), without waiting. `None`: there is nothing to do before a caught signal comes, or
    /// before [`due`](Self::due).
    pub fn poll(&mut self, is_wanted: bool) -> Result<Option<Next>> {
        loop {
            self.reap()?;
            self.end_late();
            if let Some(ended) = self.ended.pop_front() {
                return Ok(Some(Next::Ended(ended)));
            }
            if let Some(record) = self.unreported.pop_front() {
                self.write_report(record)?;
                continue;
            }
            if !self.starts.is_short && !self.starts.waiting.is_empty() {
                self.start_waiting();
                continue;
            }
            let is_stopped = self.stop.is_some() && self.sessions.is_none();
            let is_stopping = is_stopped || self.unable.is_some() || self.failure.is_some();
            return Ok(match is_wanted && !is_stopping {
                true if self.starts.waiting.is_empty() && self.running.len() < self.most => Some(Next::Room),
                false if self.is_idle() => Some(Next::Over),
                _ => None,
            });
        }
    }

    /// Waits until a command may have released a descriptor or a process, and returns those that have exited; `None` if
    /// none runs.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn reclaim(&mut self) -> Result<Option<VecDeque<Ended>>> {
        if !self.frees_something()? {
            return Ok(None);
        }
        self.reap()?;
        Ok(Some(std::mem::take(&mut self.ended)))
    }

    fn frees_something(&mut self) -> Result<bool> {
        if !self.leftovers.is_empty() {
            self.leftovers.clear();
        } else if !self.has_children() {
            return Ok(false);
        } else {
            self.wait()?;
        }
        Ok(true)
    }

    /// Takes no more records after a failure; the first one is reported in the end.
    fn fail(&mut self, outcome: Result<()>) {
        self.failure = self.failure.take().or(outcome.err());
    }

    fn wait(&self) -> Result<()> {
        Ok(wait::ready_or_signal(&[], self.due()).map(drop)?)
    }

    /// Handles pending signals, reaps the commands that have exited, and writes their output.
    fn reap(&mut self) -> Result<()> {
        loop {
            self.take_signals()?;
            while self.is_changed {
                let changed = if self.has_children() { child::changed()? } else { None };
                self.is_changed = changed.is_some();
                let Some((pid, change, used)) = changed else { break };
                let Change::Ended(how) = change else { continue };
                self.starts.is_short = false;
                self.copiers.retain(|copier| *copier != pid);
                // Other children were inherited across exec.
                let Some(at) = self.running.iter().position(|job| job.pid == pid) else { continue };
                let job = self.running.remove(at);
                if how.status() != 0
                    && let Some(failure) = self.failure_of(job.launch)?
                {
                    self.take_back(job, failure);
                    continue;
                }
                let end = Some((how, job.started.elapsed(), used));
                let status = if job.is_late { Exit::TIMED_OUT } else { how.status() };
                if let Some(sessions) = self.sessions.as_ref().filter(|_| job.is_late) {
                    sessions.report_late(&self.command, how);
                }
                let reply_to = job.from.taken.reply_to;
                let (status, printed) = self.printed(reply_to.is_some(), job.collected, status);
                self.failed |= status != 0;
                self.ended.push_back(Ended { reply_to, status, printed });
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
                Signal::CHLD => {
                    self.is_changed = true;
                    continue;
                }
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
            if let Some(sessions) = &mut self.sessions {
                (sessions.at_stop)();
            }
        }
        Ok(())
    }

    /// Sends a signal to each command that `lacks` it, and reports those that may not be signalled.
    fn pass(&self, signal: Signal, lacks: impl Fn(i32) -> bool) {
        for pid in self.running.iter().map(|job| job.pid) {
            if lacks(pid) {
                self.signal(pid, signal);
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
