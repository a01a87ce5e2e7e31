//! Looking at the content of a FIFO without taking it, so that only whole lines are taken.

use std::os::fd::{AsFd, OwnedFd};

use clap::Args;
use nix::Result;
use nix::errno::Errno;

use crate::sys::{fds, pipe};
use crate::text::whole;

/// The byte that ends a line.
#[derive(Debug, Clone, Copy, Args)]
pub struct Ending {
    /// Treat NUL, not newline, as the end of a line
    #[arg(short = '0', long)]
    null: bool,
}

impl Ending {
    pub const fn byte(self) -> u8 {
        if self.null { 0 } else { b'\n' }
    }
}

/// A pipe into which the content of a FIFO is duplicated.
#[derive(Debug)]
pub struct Peeker {
    read: OwnedFd,
    write: OwnedFd,
    bytes: Vec<u8>,
    end: u8,
}

/// The content of a FIFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This many bytes may be taken, and this many records end in them.
    Piece(usize, u64),
    /// The beginning of a record. While one write(2) goes on, more of it causes no event.
    Part,
    Nothing,
    /// Nothing, and no writer.
    End,
}

impl Peeker {
    /// Creates a pipe for FIFOs of at most this capacity.
    pub fn new(capacity: usize, end: u8) -> Result<Self> {
        let (read, write) = pipe::new()?;
        // Refused above the limit of the user. Then only a part of the content is seen.
        let _ = pipe::set_capacity(&write, capacity);
        Ok(Self { read, write, bytes: Vec::new(), end })
    }

    /// Finds at most `most` whole records at the start of `fifo`. If the first one is not whole, all bytes may be taken
    /// if no more can be added: no writer is left, or the FIFO is full.
    pub fn look(&mut self, fifo: impl AsFd, most: u64) -> Result<Found> {
        // Before tee(2), so that the copy has everything written before the last writer closed.
        let is_left = pipe::is_left(&fifo)?;
        let copied = match pipe::tee(&fifo, &self.write, usize::MAX >> 1) {
            Ok(0) => return Ok(Found::End),
            Err(Errno::EAGAIN) => return Ok(Found::Nothing),
            copied => copied?,
        };
        let is_full = pipe::is_full(&self.write)?;
        self.bytes.resize(copied, 0);
        let mut read = 0;
        while read < copied {
            read += fds::read(&self.read, &mut self.bytes[read..])?;
        }
        Ok(match whole(&self.bytes, self.end, most) {
            (0, _) if is_left => Found::Piece(copied, 1),
            (0, _) if is_full => Found::Piece(copied, 0),
            (0, _) => Found::Part,
            (bytes, records) => Found::Piece(bytes, records),
        })
    }
}
