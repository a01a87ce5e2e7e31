//! Bytes on their way into a FIFO.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::fifo::{self, Kind};
use crate::sys::wait;
use crate::sys::{fds, pipe};

/// The most that is read at once where it passes through this process.
const BUFFER: usize = 64 << 10;
/// The most that is asked of the kernel at once; no pipe holds more.
const ALL: usize = 1 << 30;

/// A FIFO that is written to.
pub struct Outflow {
    fd: OwnedFd,
    /// The time that standard input takes is added to its deadline.
    timeout: Timeout,
    written: u64,
}

/// Whether a line can be written in one piece.
///
/// # Errors
/// It is too long; its number is told.
pub fn fits(length: usize, number: u64) -> Result<()> {
    if length <= pipe::ATOMIC {
        return Ok(());
    }
    let most = pipe::ATOMIC;
    let words = format!("line {number} is {length} bytes long with its newline, and at most {most} stay in one piece");
    bail!(Cause::new(Exit::Failed, words))
}

impl Outflow {
    /// Nothing has been written yet.
    pub const fn new(fd: OwnedFd, timeout: Timeout) -> Self {
        Self { fd, timeout, written: 0 }
    }

    /// Writes all of `bytes`; at most [`pipe::ATOMIC`] of them stay in one piece.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match fds::write(&self.fd, bytes) {
                Ok(count) => {
                    self.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(Errno::EAGAIN) => self.wait_for_room()?,
                Err(errno) => return Err(self.failed(errno)),
            }
        }
        Ok(())
    }

    /// Copies standard input, through the kernel where that can.
    pub fn copy_input(&mut self) -> Result<()> {
        // A file never makes one wait, so that the FIFO alone is waited for, in splice(2) itself.
        let is_file = fifo::behind(fds::stdin()).is_ok_and(|input| input.kind == Kind::Regular);
        let mut waits = false;
        loop {
            let moved = if waits {
                pipe::splice_in_time(fds::stdin(), &self.fd, ALL, self.timeout.deadline())
            } else {
                pipe::splice(fds::stdin(), &self.fd, ALL).map(Some)
            };
            match moved.map(Option::unwrap_or_default) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.written += count as u64;
                    if is_file && !waits && self.timeout.deadline() != Deadline::Now {
                        pipe::let_wait(&self.fd)?;
                        waits = true;
                    }
                }
                Err(Errno::EAGAIN) if pipe::is_full(&self.fd)? => self.wait_for_room()?,
                Err(Errno::EAGAIN) => self.wait_for_input()?,
                Err(Errno::EINVAL) => break,
                Err(Errno::EPIPE) => return Err(self.failed(Errno::EPIPE)),
                Err(errno) => return Err(unread(errno)),
            }
        }
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.read_input(&mut buffer)? {
                0 => return Ok(()),
                count => self.write(&buffer[..count])?,
            }
        }
    }

    /// Copies standard input, every line in one piece.
    pub fn copy_lines(&mut self) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut line = Vec::new();
        let (mut number, mut length) = (1, 0);
        loop {
            let count = self.read_input(&mut buffer)?;
            if count == 0 {
                break;
            }
            for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
                length += piece.len();
                // What is too long is counted and not kept.
                if length <= pipe::ATOMIC {
                    line.extend(piece);
                }
                if piece.ends_with(b"\n") {
                    fits(length, number)?;
                    self.write(&line)?;
                    line.clear();
                    (number, length) = (number + 1, 0);
                }
            }
        }
        if length == 0 {
            return Ok(());
        }
        fits(length + 1, number)?;
        line.push(b'\n');
        self.write(&line)
    }

    fn read_input(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.wait_for_input()?;
            match fds::read(fds::stdin(), buffer) {
                // Somebody else reads it too.
                Err(Errno::EAGAIN) => {}
                answer => return answer.map_err(unread),
            }
        }
    }

    /// Waits until there is input, which no time limit bounds.
    ///
    /// # Errors
    /// The last reader went away.
    fn wait_for_input(&mut self) -> Result<()> {
        // A write end is never readable: it is told only when nobody reads any more.
        let fds = [fds::stdin(), self.fd.as_fd()];
        let first = self.timeout.uncounted(|| wait::ready(&fds, Deadline::Forever))?;
        if first == Some(1) { Err(self.failed(Errno::EPIPE)) } else { Ok(()) }
    }

    fn wait_for_room(&mut self) -> Result<()> {
        match wait::room(self.fd.as_fd(), self.timeout.deadline()) {
            Err(Errno::EAGAIN) => {
                let words = format!("after {} bytes there was no more room", self.written);
                bail!(self.timeout.missed(&words))
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// A write that failed. What lies in the FIFO when the last reader goes is lost.
    fn failed(&self, errno: Errno) -> anyhow::Error {
        if errno != Errno::EPIPE {
            return errno.into();
        }
        let lost = pipe::unread(&self.fd).unwrap_or(0) as u64;
        let read = self.written.saturating_sub(lost);
        let words = format!("the reader went away after {read} bytes");
        let cause = Cause::from_errno(errno, words).exit(Exit::Missing);
        match lost {
            0 => cause.into(),
            lost => cause.hint(format!("{lost} bytes more were written and not read")).into(),
        }
    }
}

fn unread(errno: Errno) -> anyhow::Error {
    anyhow::Error::from(errno).context("cannot read standard input")
}
