//! Looking at what lies in a FIFO without taking it: whole lines are taken, the rest stays for the next reader.

use std::os::fd::{AsFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;

use super::lines::whole;
use crate::sys::{fds, pipe};

/// A pipe of our own, into which a FIFO is copied to be looked at.
#[derive(Debug)]
pub struct Peek {
    read: OwnedFd,
    write: OwnedFd,
    bytes: Vec<u8>,
    end: u8,
}

/// What may be taken from a FIFO now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// So many bytes.
    pub bytes: usize,
    /// In them so many records end.
    pub records: u64,
}

impl Peek {
    /// Room to look at FIFOs of at most this capacity; of one that holds more, where that cannot be had, a part is seen.
    pub fn new(capacity: usize, end: u8) -> Result<Self> {
        let (read, write) = pipe::new()?;
        // Refused above the user's limit.
        let _ = pipe::set_capacity(&write, capacity);
        Ok(Self { read, write, bytes: Vec::new(), end })
    }

    /// At most `most` whole records at the start of what lies in `fifo`. Where not even one is whole: all there is, if no
    /// more can come, since nobody is left to write or there is no room for the rest of it.
    ///
    /// # Errors
    /// `EAGAIN`: no whole record is there.
    pub fn piece(&mut self, fifo: impl AsFd, most: u64) -> Result<Option<Piece>> {
        // In this order: what was written before the last writer left is in the copy.
        let is_left = pipe::is_left(&fifo)?;
        let copied = match pipe::tee(&fifo, &self.write, usize::MAX >> 1) {
            Ok(0) => return Ok(None),
            copied => copied?,
        };
        let is_full = pipe::is_full(&self.write)?;
        self.bytes.resize(copied, 0);
        let mut read = 0;
        while read < copied {
            read += fds::read(&self.read, &mut self.bytes[read..])?;
        }
        match whole(&self.bytes, self.end, most) {
            (0, _) if is_left => Ok(Some(Piece { bytes: copied, records: 1 })),
            (0, _) if is_full => Ok(Some(Piece { bytes: copied, records: 0 })),
            (0, _) => Err(Errno::EAGAIN),
            (bytes, records) => Ok(Some(Piece { bytes, records })),
        }
    }
}
