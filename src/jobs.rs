//! Floor 2: a CMD for each of many records, some of them at once.
//!
//! The server that starts them never waits for what they read, since it lies in a file, nor for one of them while it could
//! start another. What several print at the same time is spooled and not mixed.
//!
//! A server stops at a signal: it takes no more, lets what runs come to its end, and ends with status 0 where the
//! signal was SIGTERM, else by the signal. A second one goes on to the commands, and ends the server.
//!
//! Where there is no process or descriptor for one more command it waits for one that runs. Where none runs it takes no more, and
//! fails, since what it took would be lost; so it does where what a command printed cannot be written. However it fails, it waits for what runs.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::args::command::Command;
use crate::exit::{self, Exit};
use crate::output;
use crate::sys::caught::{self, Wake};
use crate::sys::wait::Patience;
use crate::sys::{fds, mailbox, process, spawn};

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
    running: Vec<Job<T>>,
    postmen: Vec<i32>,
    failed: bool,
    /// There was no process or descriptor for a command.
    starved: bool,
    /// Why what one printed could not be written.
    unwritten: Option<Error>,
    stop: Option<Signal>,
}

struct Job<T> {
    pid: i32,
    printed: Printed,
    spool: Option<File>,
    what: T,
}

/// Whether what kept a command from being started is a want of the box, not a fault of the command.
fn is_want(error: &Error) -> bool {
    Exit::of(error) != Exit::NotExecutable
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
    /// Runs `command`, at most `most` at once, for the applet `who`. From here on SIGCHLD, SIGTERM, SIGINT and SIGHUP are caught:
    /// the caller waits by [`wait`](caught::wait) or [`interruptible`](crate::sys::wait::interruptible), and calls
    /// [`ended`](Self::ended) when that was interrupted.
    pub fn new(command: Command, most: u16, who: &'static str) -> Result<Self> {
        caught::catch(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP])
            .context("cannot catch signals")?;
        let most = usize::from(most.max(1));
        let (running, postmen) = (Vec::new(), Vec::new());
        Ok(Self {
            command,
            most,
            who,
            running,
            postmen,
            failed: false,
            starved: false,
            unwritten: None,
            stop: None,
        })
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
        self.stop.is_some() || self.starved || self.unwritten.is_some()
    }

    /// Starts the command for a record, with `added` in its environment; gives those that have ended meanwhile. Where there is no
    /// process or descriptor for it, it waits until one that runs gives its own back. One that cannot be started even
    /// so is told, and has ended at once.
    ///
    /// # Errors
    /// As of [`ended`](Self::ended).
    pub fn start(
        &mut self,
        record: &[u8],
        added: &[(&str, String)],
        printed: Printed,
        what: T,
    ) -> Result<Vec<Ended<T>>> {
        let mut ended = Vec::new();
        let error = loop {
            match self.try_start(record, added, printed) {
                Ok((pid, spool)) => {
                    self.running.push(Job { pid, printed, spool, what });
                    return Ok(ended);
                }
                Err(error) if is_want(&error) && !self.is_idle() => {
                    self.wait()?;
                    ended.extend(self.ended()?);
                }
                Err(error) if is_want(&error) => {
                    self.starved = true;
                    let words = format!("a record of {} bytes was taken and is lost", record.len());
                    break error.context(words);
                }
                Err(error) => break error,
            }
        };
        output::tell(&exit::lines(self.who, &error));
        self.failed = true;
        ended.push(Ended { what, status: Exit::NotExecutable.code(), printed: None });
        Ok(ended)
    }

    fn try_start(
        &self,
        record: &[u8],
        added: &[(&str, String)],
        printed: Printed,
    ) -> Result<(i32, Option<File>)> {
        let spooled = printed == Printed::Kept || self.most > 1;
        let spool = spooled.then(fds::spool).transpose().context("cannot spool what it prints");
        let spool = spool.with_context(|| format!("cannot run {}", self.command))?;
        let pid = self.command.start(record, added, spool.as_ref().map(AsFd::as_fd))?;
        Ok((pid, spool))
    }

    /// The commands that have ended since the last call. What they passed has been written.
    ///
    /// # Errors
    /// Signals cannot be taken, or children not waited for. A second signal to stop does not return.
    pub fn ended(&mut self) -> Result<Vec<Ended<T>>> {
        let mut ended = Vec::new();
        loop {
            for signal in caught::take()? {
                self.heed(signal)?;
            }
            self.reap(&mut ended)?;
            // One that a command sent before it ended counts before the next one is started.
            if !caught::any() {
                return Ok(ended);
            }
        }
    }

    /// Adds those that have ended.
    fn reap(&mut self, ended: &mut Vec<Ended<T>>) -> Result<()> {
        while !self.is_idle() {
            let Some((pid, status)) = spawn::reap()? else { break };
            self.postmen.retain(|postman| *postman != pid);
            // Others are children that the box was given.
            let Some(at) = self.running.iter().position(|job| job.pid == pid) else { continue };
            let job = self.running.remove(at);
            self.failed |= status != 0;
            let printed = match (job.printed, job.spool) {
                (Printed::Passed, Some(spool)) => {
                    let written = self.pass(&spool).context("cannot write to standard output");
                    self.unwritten = self.unwritten.take().or(written.err());
                    None
                }
                (_, spool) => spool,
            };
            ended.push(Ended { what: job.what, status, printed });
        }
        Ok(())
    }

    /// Writes what one printed, and heeds signals meanwhile.
    fn pass(&mut self, spool: &File) -> Result<()> {
        let mut at = 0;
        loop {
            match fds::copy(spool, &mut at, fds::stdout()) {
                Err(Errno::EINTR) => {
                    for signal in caught::take()? {
                        self.heed(signal)?;
                    }
                }
                written => return Ok(written?),
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
            let put = match mailbox::put(to, &block[..read]) {
                Err(Errno::EPIPE) => return Ok(()),
                put => put?,
            };
            at += put as u64;
            if read == 0 {
                return Ok(());
            }
            if put < read {
                self.postmen.push(spawn::postman(from, at, to)?);
                return Ok(());
            }
        }
    }

    /// Waits until a command has ended or a signal says to stop; [`ended`](Self::ended) tells.
    pub fn wait(&self) -> Result<()> {
        let woken = caught::wait(&[], Patience::Forever)?;
        debug_assert_eq!(woken, Wake::Signal);
        Ok(())
    }

    /// What a server's loop has come to. Where it has failed, what runs comes to its end first, and `settle` deals with each.
    pub fn finish(
        &mut self,
        outcome: Result<()>,
        settle: impl Fn(&mut Self, Ended<T>) -> Result<()>,
    ) -> Result<()> {
        let mut rest = || loop {
            for ended in self.ended()? {
                settle(self, ended)?;
            }
            if self.is_idle() {
                return Ok(());
            }
            self.wait()?;
        };
        // The first failure is the one that counts.
        outcome.or_else(|error| rest().and(Err(error)))
    }

    fn heed(&mut self, signal: Signal) -> Result<()> {
        if signal == Signal::SIGCHLD {
            return Ok(());
        }
        if self.stop.is_some() {
            for job in &self.running {
                process::signal(job.pid, signal);
            }
            caught::die_by(signal)?;
        }
        self.stop = Some(signal);
        Ok(())
    }

    /// How the server ends when all is done: by the signal that stopped it, where that was not SIGTERM; with status 1 where one
    /// could not be started for want of something, or a command failed and the user asked for an end.
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
                caught::die_by(signal)?;
                Ok(Exit::Failed)
            }
            None if self.starved || asked && self.failed => Ok(Exit::Failed),
            None => Ok(Exit::Done),
        }
    }
}
