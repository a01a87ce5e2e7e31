//! Standard output. Data moves to it inside the kernel if the kernel supports the pair of files.

use std::os::fd::BorrowedFd;

use anyhow::{Error, Result};
use nix::errno::Errno;

use crate::output::{self, Lines};
use crate::sys::deadline::Deadline;
use crate::sys::fds::{self, Kind, Outlet};
use crate::sys::pipe;
use crate::sys::transfer::{BUFFER, Failure, Flow, Mover};
use crate::sys::wait;

/// Standard output, and data not yet written: a socket or terminal may take less than it has reported room for.
#[derive(Debug)]
pub struct Sink(Mover);

impl Sink {
    pub fn new() -> Result<Self> {
        Ok(Self(Mover::new(Outlet::new(fds::copy_of(1)?)?)))
    }

    /// Whether a call that writes may block.
    pub fn may_wait(&self) -> bool {
        self.0.to().kind == Kind::Plain
    }

    /// Number of bytes that were read but not yet written.
    pub fn held(&self) -> usize {
        self.0.held().len()
    }

    /// Drops them.
    pub fn give_up(&mut self) {
        self.0.forget();
    }

    /// Writes these bytes, and keeps those that would block.
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

    /// Writes kept bytes, as far as that does not block.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn deliver(&mut self) -> Result<()> {
        while self.held() > 0 && self.0.drain(usize::MAX, Deadline::Now).map_err(cause)? != Flow::Full {}
        Ok(())
    }

    /// Moves at most `most` bytes once. Waits for both until `deadline`, if they are [blocking](pipe::set_blocking).
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
            // The bytes were read, and are kept.
            Flow::Full => Ok(Flow::Moved(0)),
            flow => Ok(flow),
        }
    }

    /// Reads as much as standard output has room for, and passes on whole lines. What is read must be delivered before
    /// a signal or the deadline.
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

/// Returns how many bytes standard output takes without blocking, at most [`BUFFER`]; `None` if it takes none.
fn room_now() -> Result<Option<usize>> {
    if room(Deadline::Now) == Err(Errno::EAGAIN) {
        return Ok(None);
    }
    let stdout = fds::stdout();
    let Ok(capacity) = pipe::capacity(stdout) else { return Ok(Some(BUFFER)) };
    Ok(Some(capacity.saturating_sub(pipe::unread(stdout)?).clamp(1, BUFFER)))
}

/// Waits for room in standard output. Returns `None` on a caught signal.
///
/// # Errors
/// `EAGAIN`: the deadline has passed.
pub fn room(deadline: Deadline) -> Result<Option<()>, Errno> {
    wait::room(fds::stdout(), deadline)
}

fn cause(failure: Failure) -> Error {
    match failure {
        Failure::Read(errno) => errno.into(),
        Failure::Write(errno) => Error::from(errno).context("cannot write to standard output"),
    }
}
