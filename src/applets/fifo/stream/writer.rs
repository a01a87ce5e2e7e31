//! Writing to a FIFO.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::applets::fifo::still;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::fifo::{self, Kind};
use crate::sys::input::{Input, Record};
use crate::sys::transfer::{ALL, Failure, Flow, Mover};
use crate::sys::wait;
use crate::sys::{fds, pipe};

pub struct Writer {
    mover: Mover,
    /// Its deadline is moved by the time spent reading standard input.
    timeout: Timeout,
    notice: Notice,
    written: u64,
}

/// Checks that line `number` of `length` bytes can be written in one piece.
///
/// # Errors
/// The line is too long.
pub fn fits(length: u64, number: u64) -> Result<()> {
    if length <= pipe::ATOMIC as u64 {
        return Ok(());
    }
    let most = pipe::ATOMIC;
    let words = format!("line {number} has {length} bytes including the newline; --lines allows at most {most}");
    bail!(Cause::new(Exit::Failed, words))
}

impl Writer {
    pub const fn new(fifo: OwnedFd, timeout: Timeout, notice: Notice) -> Self {
        Self { mover: Mover::new(Outlet::plain(fifo)), timeout, notice, written: 0 }
    }

    /// Writes all of `bytes`; at most [`pipe::ATOMIC`] of them stay in one piece.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match fds::write(self.mover.to(), bytes) {
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

    /// Copies standard input, inside the kernel if possible.
    pub fn copy_input(&mut self) -> Result<()> {
        // A regular file never blocks, so that splice(2) can wait for the FIFO.
        let is_file = fifo::behind(fds::stdin()).is_ok_and(|input| input.kind == Kind::Regular);
        let mut waits = false;
        loop {
            if self.mover.reads_next() {
                self.wait_for_input()?;
            }
            let deadline = if waits { self.timeout.deadline() } else { Deadline::Now };
            match self.mover.turn(fds::stdin(), ALL, deadline) {
                Ok(Flow::End) => return Ok(()),
                Ok(Flow::Moved(count)) => {
                    self.written += count as u64;
                    if is_file && !waits && self.timeout.deadline() != Deadline::Now {
                        pipe::set_blocking(self.mover.to())?;
                        waits = true;
                    }
                }
                Ok(Flow::Full) => self.wait_for_room()?,
                Ok(Flow::Empty) => self.wait_for_input()?,
                Ok(Flow::Signal) => {}
                // splice(2) fails before it looks at the input, which can be at EOF. The buffer is filled first.
                Err(Failure::Write(Errno::EPIPE)) if !self.mover.copies() && self.lost() == 0 => {
                    self.mover.copy_from_now_on()?;
                }
                Err(Failure::Write(errno)) => return Err(self.failed(errno)),
                Err(Failure::Read(errno)) => return Err(unread(errno)),
            }
        }
    }

    /// Copies standard input, each line in one piece.
    pub fn copy_lines(&mut self) -> Result<()> {
        let mut input = Input::records(b'\n', pipe::ATOMIC - 1);
        let mut line = Vec::new();
        for number in 1.. {
            match input.next(|block| self.read_input(block))? {
                None => break,
                Some(Record::TooLong(length)) => fits(length + 1, number)?,
                Some(Record::Whole(bytes)) => {
                    line.clear();
                    line.extend_from_slice(bytes);
                    line.push(b'\n');
                    self.write(&line)?;
                }
            }
        }
        Ok(())
    }

    fn read_input(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.wait_for_input()?;
            match fds::read(fds::stdin(), buffer) {
                // Another process reads it too.
                Err(Errno::EAGAIN) => {}
                answer => return answer.map_err(unread),
            }
        }
    }

    /// Waits for input. --timeout does not limit that.
    ///
    /// # Errors
    /// The last reader has closed the FIFO before it read all that was written, or before anything was written.
    fn wait_for_input(&mut self) -> Result<()> {
        let Self { mover, timeout, .. } = self;
        // A write end is never readable: it is ready only when the last reader has closed it.
        let first = timeout.uncounted(|| wait::ready(&[fds::stdin(), mover.to().as_fd()], Deadline::Forever))?;
        if first != Some(1) {
            return Ok(());
        }
        if self.written == 0 || self.lost() > 0 {
            return Err(self.failed(Errno::EPIPE));
        }
        // At EOF nothing is lost; more input fails when it is written.
        self.timeout.uncounted(|| wait::ready(&[fds::stdin()], Deadline::Forever))?;
        Ok(())
    }

    fn wait_for_room(&mut self) -> Result<()> {
        self.notice.begin(self.timeout.deadline());
        match wait::room(self.mover.to().as_fd(), self.timeout.deadline()) {
            Err(Errno::EAGAIN) => {
                bail!(still("no room", &self.timeout).note(&format!("{} bytes were written", self.written)))
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Returns how many bytes are in the FIFO. They are lost when the last reader closes it.
    fn lost(&self) -> u64 {
        pipe::unread(self.mover.to()).unwrap_or(0) as u64
    }

    fn failed(&self, errno: Errno) -> anyhow::Error {
        if errno != Errno::EPIPE {
            return errno.into();
        }
        let lost = self.lost();
        let read = self.written.saturating_sub(lost);
        let cause =
            Cause::from_errno(errno, format!("the last reader closed the FIFO after {read} bytes")).exit(Exit::Missing);
        match lost {
            0 => cause.into(),
            lost => cause.note(&format!("{lost} more bytes were written but not read")).into(),
        }
    }
}

fn unread(errno: Errno) -> anyhow::Error {
    anyhow::Error::from(errno).context("cannot read standard input")
}
