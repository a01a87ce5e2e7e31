//! Floor 2: a CMD for each of many records, some of them at once.
//!
//! The server that starts them never waits for what they read, since it lies in a file, nor for one of them while it could
//! start another. What several print at the same time is spooled and not mixed. What the descendants of a command print after it has
//! ended is dropped.
//!
//! A server stops at a signal: it takes no more, lets what runs come to its end, and ends with status 0 where the
//! signal was SIGTERM, else by the signal. A second one goes on to the commands, and ends the server.
//!
//! Where there is no process or descriptor for one more command it waits for one that runs. Where none runs it takes no more, and
//! fails, since what it took would be lost; so it does where the command cannot be executed, and where what one printed cannot be
//! written. However it fails, it waits for what runs.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::exit::{self, Exit};
use crate::output;
use crate::supervise::command::{Command, NotStarted, fill};
use crate::supervise::escalation::Limit;
use crate::supervise::report::{Record, Report};
use crate::sys::child::{self, Change};
use crate::sys::collect::{Collected, Leftover};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt;
use crate::sys::wait::{self, Wake};
use crate::sys::{fds, pipe, process, reply_pipe};
use crate::text::counted;

/// What becomes of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// It goes to the box's standard output, each command's whole.
    Passed,
    /// It is kept, and given back with the status.
    Kept,
}

/// The commands that run. `T` is what belongs to one of them.
pub struct Jobs<T> {
    command: Command,
    most: usize,
    who: &'static str,
    on_exit: OnExit<T>,
    running: Vec<Job<T>>,
    leftovers: Vec<Leftover>,
    postmen: Vec<i32>,
    report: Option<Report>,
    /// How many records were taken.
    taken: u64,
    failed: bool,
    /// There was no process or descriptor for a command, or it cannot be executed.
    unable: Option<Exit>,
    /// Why what one printed could not be written.
    unwritten: Option<Error>,
    stop: Option<Signal>,
}

/// Deals with one that has ended.
pub type OnExit<T> = fn(&mut Jobs<T>, Ended<T>) -> Result<()>;

struct Job<T> {
    pid: i32,
    printed: Printed,
    collected: Option<Collected>,
    /// What is reported of it.
    record: Record,
    started: Instant,
    what: T,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended<T> {
    /// What belongs to it.
    pub what: T,
    /// Its status, as a shell has it; 126 where it could not be started, which has been told.
    pub status: u8,
    /// What it printed, where that is [kept](Printed::Kept).
    pub printed: Option<File>,
}

impl<T> Jobs<T> {
    /// Runs `command`, at most `most` at once, for the applet `who`. From here on SIGCHLD, SIGIO, SIGTERM, SIGINT and SIGHUP are caught:
    /// the caller waits by [`ready_or_signal`](wait::ready_or_signal) or [`interruptible`](crate::sys::wait::interruptible), and calls
    /// [`reap`](Self::reap) when that was interrupted.
    pub fn new(command: Command, most: u16, who: &'static str, on_exit: OnExit<T>) -> Result<Self> {
        use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGTERM};
        output::require()?;
        interrupt::catch(&[SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGHUP]).context("cannot catch signals")?;
        let most = usize::from(most.max(1));
        let (running, leftovers, postmen) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            command,
            most,
            who,
            on_exit,
            running,
            leftovers,
            postmen,
            report: None,
            taken: 0,
            failed: false,
            unable: None,
            unwritten: None,
            stop: None,
        })
    }

    /// Reports each command when it has ended.
    #[must_use]
    pub fn reporting(self, report: Option<Report>) -> Self {
        Self { report, ..self }
    }

    /// Whether one more may run now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.running.len() < self.most
    }

    /// Whether none runs, and all that was [handed over](Self::deliver) has been delivered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.postmen.is_empty()
    }

    /// Whether no more is to be started, because a signal said so, the last one could not be, or what one printed could not be
    /// written.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stop.is_some() || self.unable.is_some() || self.unwritten.is_some()
    }

    /// Starts the command for a record, with `added` in its environment. Where there is no process or descriptor for it, it waits
    /// until one that runs gives its own back. One that cannot be started even so is told, and has ended at once.
    ///
    /// # Errors
    /// As of [`reap`](Self::reap).
    pub fn start(&mut self, record: &[u8], added: &[(&str, String)], printed: Printed, what: T) -> Result<()> {
        self.taken += 1;
        let (number, argv) = (self.taken, self.reported(record));
        let mut report = Record { number, argv, ..Record::default() };
        let error = loop {
            // Its own time begins before it can run: starting it returns after exec, when it may have ended.
            let started = Instant::now();
            match self.try_start(record, added, printed) {
                Ok((pid, mut collected)) => {
                    let begun = collected.as_mut().map_or(Ok(()), Collected::begin);
                    report.pid = Some(pid);
                    self.running.push(Job { pid, printed, collected, record: report, started, what });
                    return Ok(begun?);
                }
                Err(NotStarted::Want(_)) if self.is_given_back()? => {}
                Err(NotStarted::Record(error)) => break error,
                Err(NotStarted::Want(error)) => break self.unable(Exit::Failed, record, error),
                Err(NotStarted::Command(error)) => {
                    break self.unable(Exit::NotExecutable, record, error);
                }
            }
        };
        output::tell(&exit::lines(self.who, &error));
        self.failed = true;
        let status = Exit::NotExecutable.code();
        report.unrun = Some(status);
        self.tell(report)?;
        let ended = Ended { what, status, printed: None };
        (self.on_exit)(self, ended)
    }

    /// Where there is no descriptor: waits until one that runs may have given its own back. `false`: none runs.
    ///
    /// # Errors
    /// As of [`reap`](Self::reap).
    pub fn is_given_back(&mut self) -> Result<bool> {
        if !self.leftovers.is_empty() {
            self.leftovers.clear();
            return Ok(true);
        }
        if self.is_idle() {
            return Ok(false);
        }
        self.wait()?;
        self.reap()?;
        Ok(true)
    }

    /// Has it take no more, and end so.
    fn unable(&mut self, exit: Exit, record: &[u8], error: Error) -> Error {
        self.unable = Some(exit);
        let length = counted(record.len(), "byte");
        error.context(format!("a record of {length} was taken and is lost"))
    }

    fn try_start(
        &self,
        record: &[u8],
        added: &[(&str, String)],
        printed: Printed,
    ) -> Result<(i32, Option<Collected>), NotStarted> {
        let is_collected = printed == Printed::Kept || self.most > 1;
        let pipe = is_collected.then(Collected::new).transpose();
        let pipe = pipe.context("cannot collect what it prints");
        let pipe = pipe.with_context(|| format!("cannot run {}", self.command));
        let (collected, to) = pipe.map_err(NotStarted::Want)?.unzip();
        let pid = self.command.start(record, added, to.as_ref().map(AsFd::as_fd))?;
        Ok((pid, collected))
    }

    /// Heeds the signals that have come, and settles the commands that have ended. What they passed has been written.
    ///
    /// # Errors
    /// Signals cannot be taken, or children not waited for; those of settling. A second signal to stop does not return.
    pub fn reap(&mut self) -> Result<()> {
        loop {
            self.take_signals()?;
            self.reap_ended()?;
            // One that a command sent before it ended counts before the next one is started.
            if !interrupt::any() {
                return Ok(());
            }
        }
    }

    fn reap_ended(&mut self) -> Result<()> {
        while !self.is_idle() {
            let Some((pid, change, used)) = child::changed()? else { break };
            let Change::Ended(how) = change else { continue };
            self.postmen.retain(|postman| *postman != pid);
            // Others are children that the box was given.
            let Some(at) = self.running.iter().position(|job| job.pid == pid) else { continue };
            let job = self.running.remove(at);
            let wall = job.started.elapsed();
            let (status, printed) = self.printed(job.printed, job.collected, how.status());
            self.failed |= status != 0;
            (self.on_exit)(self, Ended { what: job.what, status, printed })?;
            self.tell(Record { end: Some((how, wall, used)), ..job.record })?;
        }
        Ok(())
    }

    /// Passes on what one printed, or returns it where it is to be kept; and its status, which is not 0 where a part was lost.
    fn printed(&mut self, fate: Printed, collected: Option<Collected>, status: u8) -> (u8, Option<File>) {
        let Some(collected) = collected else { return (status, None) };
        let (spool, whole, leftover) = collected.finish();
        self.leftovers.extend(leftover);
        let whole = whole.context("cannot keep what a command prints");
        if fate == Printed::Kept {
            let Err(error) = whole else { return (status, Some(spool)) };
            output::tell(&exit::lines(self.who, &error));
            return (status.max(Exit::Failed.code()), Some(spool));
        }
        let passed = self.pass(&spool).and(whole);
        self.unwritten = self.unwritten.take().or(passed.err());
        (status, None)
    }

    /// The words of a command for a record, where they are reported.
    fn reported(&self, record: &[u8]) -> Vec<OsString> {
        let mut words = self.report.as_ref().map_or(Vec::new(), |_| self.command.words().to_vec());
        if let [_, rest @ ..] = &mut words[..] {
            // What cannot be an argument is not in it.
            let _ = fill(rest, record);
        }
        words
    }

    /// Writes what is reported of a command, and heeds signals meanwhile.
    fn tell(&mut self, record: Record) -> Result<()> {
        let Some(report) = self.report.take() else { return Ok(()) };
        let text = report.text(&[record]);
        let mut bytes = text.as_bytes();
        let outcome = loop {
            if bytes.is_empty() {
                break Ok(());
            }
            match wait::room(report.outlet().as_fd(), Deadline::Forever) {
                Ok(None) => self.take_signals()?,
                Ok(Some(())) => {
                    // So much can be written without waiting where there is room at all.
                    match reply_pipe::put(report.outlet(), &bytes[..bytes.len().min(pipe::ATOMIC)]) {
                        Ok(count) => bytes = &bytes[count..],
                        Err(errno) => break Err(errno),
                    }
                }
                Err(errno) => break Err(errno),
            }
        };
        let written = report.written(outcome, &Limit::default());
        self.report = Some(report).filter(|_| written.is_ok());
        self.unwritten = self.unwritten.take().or(written.err());
        Ok(())
    }

    /// Writes what one printed, and heeds signals meanwhile.
    fn pass(&mut self, spool: &File) -> Result<()> {
        let mut at = 0;
        loop {
            match fds::copy(spool, &mut at, fds::stdout()) {
                Err(Errno::EINTR) => self.take_signals()?,
                written => return written.context("cannot write to standard output"),
            }
        }
    }

    /// Writes all of `from` to `to`, a pipe that is not to be waited for: at once what there is room for, the rest beside
    /// everything else. That nobody reads is no failure.
    pub fn deliver(&mut self, from: &File, to: &OwnedFd) -> Result<(), Errno> {
        let mut block = vec![0; 64 << 10];
        let mut at = 0;
        loop {
            let read = fds::read_at(from, &mut block, at)?;
            let put = match reply_pipe::put(to, &block[..read]) {
                Err(Errno::EPIPE) => return Ok(()),
                put => put?,
            };
            at += put as u64;
            if read == 0 {
                return Ok(());
            }
            if put < read {
                self.postmen.push(child::start_copier(from, at, to)?);
                return Ok(());
            }
        }
    }

    /// Waits until a command has ended or a signal says to stop; [`reap`](Self::reap) tells.
    pub fn wait(&self) -> Result<()> {
        let woken = wait::ready_or_signal(&[], Deadline::Forever)?;
        debug_assert_eq!(woken, Wake::Signal);
        Ok(())
    }

    /// What a server's loop has come to. Where it has failed, what runs comes to its end first.
    pub fn finish(&mut self, outcome: Result<()>) -> Result<()> {
        let mut rest = || {
            self.reap()?;
            while self.is_given_back()? {}
            Ok(())
        };
        // The first failure is the one that counts.
        outcome.or_else(|error| rest().and(Err(error)))
    }

    fn take_signals(&mut self) -> Result<()> {
        for signal in interrupt::take()? {
            match signal {
                Signal::SIGCHLD => continue,
                Signal::SIGIO => {
                    self.gather();
                    continue;
                }
                _ => {}
            }
            if self.stop.is_some() {
                for job in &self.running {
                    process::signal(job.pid, signal);
                }
                interrupt::die_by(signal)?;
            }
            self.stop = Some(signal);
        }
        Ok(())
    }

    fn gather(&mut self) {
        self.running.iter_mut().filter_map(|job| job.collected.as_mut()).for_each(Collected::gather);
        self.leftovers.retain(Leftover::goes_on);
    }

    /// How the server ends when all is done: by the signal that stopped it, where that was not SIGTERM; with status 126 where the
    /// command cannot be executed, 1 where one could not be started for want of something, or one failed and the user asked for an end.
    ///
    /// # Errors
    /// What a command printed could not be written to standard output.
    pub fn end(self, asked: bool) -> Result<Exit> {
        if let Some(error) = self.unwritten {
            return Err(error);
        }
        match self.stop {
            Some(Signal::SIGTERM) => Ok(Exit::Done),
            Some(signal) => {
                interrupt::die_by(signal)?;
                Ok(Exit::Failed)
            }
            None if asked && self.failed => Ok(self.unable.unwrap_or(Exit::Failed)),
            None => Ok(self.unable.unwrap_or(Exit::Done)),
        }
    }
}
