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

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::unistd::{Pid, getpgid, getpgrp};

pub use self::serving::Serving;
use self::sessions::Sessions;
use crate::exit::Exit;
use crate::output;
use crate::supervise::command::{Command, NotStarted};
use crate::supervise::escalation::Plan;
use crate::supervise::is_unreached;
use crate::supervise::report::{CommandRecord, Report};
use crate::sys::child::{self, Change, Group, Standard};
use crate::sys::collect::{Collected, Leftover};
use crate::sys::signal::{self, Signal};
use crate::sys::socket::datagram::Sender;
use crate::sys::{interrupt, terminal, wait};
use crate::text::counted;

/// The running commands.
pub struct Pool {
    command: Command,
    most: usize,
    /// The terminal of the session that ipcbox leads, until it is closed.
    terminal: Option<OwnedFd>,
    /// A record whose command is not started yet.
    taken: Option<Taken>,
    running: Vec<Job>,
    ended: VecDeque<Ended>,
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
    /// How commands run that lead sessions of their own.
    sessions: Option<Sessions>,
}

/// The receiver of a command's output, or of its exit status.
#[derive(Debug)]
pub struct Receiver {
    /// A pipe or a socket to it.
    pub to: OwnedFd,
    /// Where to send to, if the socket is not connected to it.
    pub sender: Option<Sender>,
}

/// What a command works on.
pub enum Task {
    /// A record: its standard input, and each argument `{}`.
    Record(Vec<u8>),
    /// Files in place of its standard ones.
    Files {
        /// Standard input.
        input: OwnedFd,
        /// Standard output; `None` is the same file as standard input.
        output: Option<OwnedFd>,
        /// Standard error; `None` is that of ipcbox.
        error: Option<OwnedFd>,
        /// Replaces each argument `{}`.
        payload: Option<Vec<u8>>,
    },
}

impl Task {
    fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Record(record) => Some(record),
            Self::Files { payload, .. } => payload.as_deref(),
        }
    }
}

/// A record or a connection, and how its command is started.
pub struct Taken {
    /// What the command works on.
    pub task: Task,
    /// Variables added to the environment.
    pub added: Vec<(&'static str, String)>,
    /// The receiver of the output of a record, or of the status; `None` is standard output.
    pub reply_to: Option<Receiver>,
}

struct Job {
    pid: i32,
    collected: Option<Collected>,
    record: CommandRecord,
    started: Instant,
    reply_to: Option<Receiver>,
    /// The steps against a command that runs too long.
    plan: Option<Plan>,
    is_late: bool,
}

/// A command that has exited.
#[derive(Debug)]
pub struct Ended {
    /// The receiver of the output.
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
            sessions: None,
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
            if let Some(taken) = self.taken.take() {
                self.start_taken(taken)?;
                continue;
            }
            let is_stopped = self.stop.is_some() && self.sessions.is_none();
            let is_stopping = is_stopped || self.unable.is_some() || self.failure.is_some();
            return Ok(match is_wanted && !is_stopping {
                true if self.running.len() < self.most => Some(Next::Room),
                false if self.is_idle() => Some(Next::Over),
                _ => None,
            });
        }
    }

    /// Queues a record, taken after [`Next::Room`], for the following call of [`next`](Self::next).
    pub fn start(&mut self, taken: Taken) {
        self.count += 1;
        self.taken = Some(taken);
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
        } else if self.is_idle() {
            return Ok(false);
        } else {
            self.wait()?;
        }
        Ok(true)
    }

    fn start_taken(&mut self, taken: Taken) -> Result<()> {
        let (number, argv) = (self.count, self.reported(taken.task.payload()));
        let mut record = CommandRecord { number, argv, ..CommandRecord::default() };
        // Starting it returns after exec, when it may have exited already.
        let started = Instant::now();
        let error = match self.try_start(&taken) {
            Ok((pid, mut collected)) => {
                let begun = collected.as_mut().map_or(Ok(()), Collected::begin);
                record.pid = Some(pid);
                let plan = self.sessions.as_ref().and_then(Sessions::plan);
                let reply_to = taken.reply_to;
                self.running.push(Job { pid, collected, record, started, reply_to, plan, is_late: false });
                self.fail(begun.context("cannot collect the output of a command"));
                return Ok(());
            }
            Err(NotStarted::Want(error)) => {
                if self.frees_something()? {
                    self.taken = Some(taken);
                    return Ok(());
                }
                self.unable(Exit::Failed, &taken.task, error)
            }
            Err(NotStarted::Command(error)) => self.unable(Exit::NotExecutable, &taken.task, error),
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
    fn unable(&mut self, exit: Exit, task: &Task, error: Error) -> Error {
        self.unable = Some(exit);
        error.context(match task {
            Task::Record(record) => {
                format!("a record of {} was received, but is lost", counted(record.len(), "byte"))
            }
            Task::Files { .. } => "a client was accepted, but is lost".to_owned(),
        })
    }

    /// Takes no more records after a failure; the first one is reported in the end.
    fn fail(&mut self, outcome: Result<()>) {
        self.failure = self.failure.take().or(outcome.err());
    }

    fn try_start(&self, taken: &Taken) -> Result<(i32, Option<Collected>), NotStarted> {
        let group = if self.sessions.is_some() { Group::Session } else { Group::Same };
        let start = |standard| self.command.start(taken.task.payload(), &taken.added, standard, group);
        let record = match &taken.task {
            Task::Record(record) => record,
            Task::Files { input, output, error, .. } => {
                let output = Some(output.as_ref().unwrap_or(input).as_fd());
                let standard = Standard { input: Some(input.as_fd()), output, error: error.as_ref().map(AsFd::as_fd) };
                return Ok((start(standard)?, None));
            }
        };
        let is_collected = taken.reply_to.is_some() || self.most > 1;
        let pipe = is_collected.then(Collected::new).transpose();
        let pipe = pipe.context("cannot collect the output");
        let pipe = pipe.with_context(|| format!("cannot run {}", self.command));
        let (collected, to) = pipe.map_err(NotStarted::Want)?.unzip();
        let input = self.command.input(record)?;
        let standard = Standard { input: Some(input.as_fd()), output: to.as_ref().map(AsFd::as_fd), error: None };
        Ok((start(standard)?, collected))
    }

    fn wait(&self) -> Result<()> {
        Ok(wait::ready_or_signal(&[], self.due()).map(drop)?)
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
                let status = if job.is_late { Exit::TIMED_OUT } else { how.status() };
                if let Some(sessions) = self.sessions.as_ref().filter(|_| job.is_late) {
                    sessions.report_late(&self.command, how);
                }
                let (status, printed) = self.printed(job.reply_to.is_some(), job.collected, status);
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
