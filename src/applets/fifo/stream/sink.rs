//! Standard output: what lies in a FIFO goes there without passing through this process where the kernel can move it.

use std::os::fd::BorrowedFd;

use anyhow::{Error, Result};
use nix::errno::Errno;

use crate::output::{self, Lines};
use crate::sys::deadline::Deadline;
use crate::sys::fds::{self, Kind, Outlet};
use crate::sys::pipe;
use crate::sys::transfer::{BUFFER, Failure, Flow, Mover};
use crate::sys::wait;

/// Standard output, and what was read for it and is still to be written: a socket or a terminal may take less than it
/// promised.
#[derive(Debug)]
pub struct Sink(Mover);

impl Sink {
    /// Standard output as it is.
    pub fn new() -> Result<Self> {
        Ok(Self(Mover::new(Outlet::new(fds::copy_of(1)?)?)))
    }

    /// Whether calls that move bytes there may wait themselves.
    pub fn may_wait(&self) -> bool {
        self.0.to().kind == Kind::Plain
    }

    /// How many bytes were taken and are still to be written.
    pub fn held(&self) -> usize {
        self.0.held().len()
    }

    /// Forgets what is held.
    pub fn give_up(&mut self) {
        self.0.forget();
    }

    /// Writes these bytes; holds what cannot be written without waiting.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.may_wait() {
            return output::print(bytes);
        }
        self.0.hold(bytes);
        self.deliver()
    }

    /// Writes what is held, as far as it can be written without waiting.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn deliver(&mut self) -> Result<()> {
        while self.held() > 0 && self.0.drain(usize::MAX, Deadline::Now).map_err(cause)? != Flow::Full {}
        Ok(())
    }

    /// Passes on what lies in `fifo`, at most `most` bytes, once. Unless `deadline` is [`Deadline::Now`] both are
    /// waited for, where [they wait](pipe::set_blocking).
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn pass(&mut self, fifo: BorrowedFd, most: usize, deadline: Deadline) -> Result<Flow> {
        if self.may_wait() {
            return self.0.turn(fifo, most, deadline).map_err(cause);
        }
        if room_now()?.is_none() {
            return Ok(Flow::Full);
        }
        match self.0.turn(fifo, most.min(pipe::ATOMIC), Deadline::Now).map_err(cause)? {
            // They were taken all the same.
            Flow::Full => Ok(Flow::Moved(0)),
            flow => Ok(flow),
        }
    }

    /// Passes on the lines that are whole, as far as standard output has room for what is read: what was taken has to
    /// be delivered, before a signal or the deadline ends the call.
    ///
    /// # Errors
    /// As for [`pass`](Self::pass).
    pub fn pass_lines(&mut self, fifo: BorrowedFd, most: usize, lines: &mut Lines) -> Result<Flow> {
        let Some(room) = room_now()? else { return Ok(Flow::Full) };
        let mut bytes = vec![0; most.min(room)];
        match fds::read(fifo, &mut bytes) {
            Ok(0) => Ok(Flow::End),
            Ok(count) => {
                self.put(&lines.add(&bytes[..count]))?;
                Ok(Flow::Moved(count))
            }
            Err(Errno::EAGAIN) => Ok(Flow::Empty),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// How many bytes standard output takes now without waiting, at least one and at most [`BUFFER`]; `None`: none.
fn room_now() -> Result<Option<usize>> {
    if room(Deadline::Now) == Err(Errno::EAGAIN) {
        return Ok(None);
    }
    let stdout = fds::stdout();
    let Ok(capacity) = pipe::capacity(stdout) else { return Ok(Some(BUFFER)) };
    Ok(Some(capacity.saturating_sub(pipe::unread(stdout)?).clamp(1, BUFFER)))
}

/// Waits until standard output takes more. `None`: a signal that is caught has come.
///
/// # Errors
/// `EAGAIN`: it did not in time.
pub fn room(deadline: Deadline) -> Result<Option<()>, Errno> {
    wait::room(fds::stdout(), deadline)
}

fn cause(failure: Failure) -> Error {
    match failure {
        Failure::Read(errno) => errno.into(),
        Failure::Write(errno) => Error::from(errno).context("cannot write to standard output"),
    }
}
