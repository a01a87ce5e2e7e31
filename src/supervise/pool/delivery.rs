//! The output of commands, and their report.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::Pool;
use crate::exit::Exit;
use crate::output;
use crate::supervise::command::fill;
use crate::supervise::escalation::Limit;
use crate::supervise::report::CommandRecord;
use crate::sys::collect::Collected;
use crate::sys::deadline::Deadline;
use crate::sys::{child, fds, pipe, reply_pipe, transfer, wait};

impl Pool {
    /// Copies the output of a command to standard output, or returns it if `is_kept`. Also returns its status, which is
    /// not 0 if output was lost.
    pub(super) fn printed(&mut self, is_kept: bool, collected: Option<Collected>, status: u8) -> (u8, Option<File>) {
        let Some(collected) = collected else { return (status, None) };
        let (spool, whole, leftover) = collected.finish();
        self.leftovers.extend(leftover);
        let whole = whole.context("cannot buffer the output of a command");
        if is_kept {
            let Err(error) = whole else { return (status, Some(spool)) };
            output::report(&error);
            return (status.max(Exit::Failed.code()), Some(spool));
        }
        let passed = self.pass_on(&spool).and(whole);
        self.fail(passed);
        (status, None)
    }

    /// Writes the output of a command, and handles signals while it waits.
    fn pass_on(&mut self, spool: &File) -> Result<()> {
        let mut at = 0;
        loop {
            match transfer::copy(spool, &mut at, fds::stdout(), u64::MAX) {
                Err(Errno::EINTR) => self.take_signals()?,
                written => return written.context("cannot write to standard output"),
            }
        }
    }

    /// Returns the words of the command for a payload, if there is a report.
    pub(super) fn reported(&self, payload: Option<&[u8]>) -> Vec<OsString> {
        let mut words = self.report.as_ref().map_or(Vec::new(), |_| self.command.words().to_vec());
        if let ([_, rest @ ..], Some(payload)) = (&mut words[..], payload) {
            // A record that cannot be an argument is left out.
            let _ = fill(rest, payload);
        }
        words
    }

    /// Writes the report of a command, and handles signals while it waits.
    pub(super) fn write_report(&mut self, record: CommandRecord) -> Result<()> {
        let Some(report) = self.report.take() else { return Ok(()) };
        let text = report.text(&[record]);
        let mut bytes = text.as_bytes();
        let outcome = loop {
            if bytes.is_empty() {
                break Ok(());
            }
            match wait::room(report.outlet().as_fd(), Deadline::Forever) {
                Ok(None) => self.take_signals()?,
                // A writable pipe takes this many bytes without waiting.
                Ok(Some(())) => match reply_pipe::put(report.outlet(), &bytes[..bytes.len().min(pipe::ATOMIC)]) {
                    Ok(count) => bytes = &bytes[count..],
                    Err(errno) => break Err(errno),
                },
                Err(errno) => break Err(errno),
            }
        };
        let written = report.written(outcome, &Limit::default());
        self.report = Some(report).filter(|_| written.is_ok());
        self.fail(written);
        Ok(())
    }

    /// Writes all of `from` to `to`, a pipe, without waiting: a child writes the rest if the pipe is full. A reader
    /// that is gone is no failure.
    pub fn deliver(&mut self, from: &File, to: &OwnedFd) -> Result<(), Errno> {
        let mut block = vec![0; 64 << 10];
        let mut at = 0;
        loop {
            let read = transfer::read_at(from.as_fd(), at, &mut block)?;
            let put = match reply_pipe::put(to, &block[..read]) {
                Err(Errno::EPIPE) => return Ok(()),
                put => put?,
            };
            at += put as u64;
            if read == 0 {
                return Ok(());
            }
            if put < read {
                self.copiers.push(child::start_copier(from, at, to)?);
                return Ok(());
            }
        }
    }
}
