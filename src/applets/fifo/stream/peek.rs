//! Looking at what lies in a FIFO without taking it: whole lines are taken, the rest stays for the next reader.

use std::os::fd::{AsFd, OwnedFd};

use clap::Args;
use nix::Result;
use nix::errno::Errno;

use crate::sys::{fds, pipe};

/// What lines end in.
#[derive(Debug, Clone, Copy, Args)]
pub struct Ending {
    /// Lines end in NUL instead of newline
    #[arg(short = '0', long)]
    null: bool,
}

impl Ending {
    /// That byte.
    pub const fn byte(self) -> u8 {
        if self.null { 0 } else { b'\n' }
    }
}

/// A pipe of our own, into which a FIFO is copied to be looked at.
#[derive(Debug)]
pub struct Peeker {
    read: OwnedFd,
    write: OwnedFd,
    bytes: Vec<u8>,
    end: u8,
}

/// What lies in a FIFO now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// So many bytes may be taken, in which so many records end.
    Piece(usize, u64),
    /// The beginning of a record. That more has come is not told by an event while one write(2) goes on.
    Part,
    /// Nothing now.
    Nothing,
    /// Nothing, and nobody to write more.
    End,
}

impl Peeker {
    /// Room to look at FIFOs of at most this capacity; of one that holds more, where that cannot be had, a part is
    /// seen.
    pub fn new(capacity: usize, end: u8) -> Result<Self> {
        let (read, write) = pipe::new()?;
        // Refused above the user's limit.
        let _ = pipe::set_capacity(&write, capacity);
        Ok(Self { read, write, bytes: Vec::new(), end })
    }

    /// At most `most` whole records at the start of what lies in `fifo`. Where not even one is whole: all there is, if
    /// no more can come, since nobody is left to write or there is no room for the rest of it.
    pub fn look(&mut self, fifo: impl AsFd, most: u64) -> Result<Found> {
        // In this order: what was written before the last writer left is in the copy.
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

/// How many bytes the whole lines at the start of `bytes` are, at most `most` of them, and how many lines these are.
fn whole(bytes: &[u8], end: u8, most: u64) -> (usize, u64) {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == end);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    ends.take(most).fold((0, 0), |(_, lines), (at, _)| (at + 1, lines + 1))
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/fifo/stream/peek.rs"]
mod tests;
