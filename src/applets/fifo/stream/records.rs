//! The records that a reader counts, and its turn to take them.
//!
//! A reader has its turn from its first record to its last. While it waits for the first one it holds nothing, so it
//! can be stopped without keeping the other readers waiting.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::applets::fifo::stream::peek::Peeker;
use crate::args::timeout::Timeout;
use crate::sys::deadline::Deadline;
use crate::sys::fifo;

/// How many records are wanted, and what finds their ends.
pub struct Records {
    /// That many in all.
    pub wanted: u64,
    /// That many are still to be taken.
    pub left: u64,
    /// Finds them.
    pub peek: Peeker,
    /// It is this reader's turn.
    pub has_turn: bool,
}

impl Records {
    /// None has been taken, of FIFOs of at most this capacity.
    pub fn new(wanted: u64, end: u8, capacity: usize) -> Result<Self> {
        Ok(Self { wanted, left: wanted, peek: Peeker::new(capacity, end)?, has_turn: false })
    }

    /// Takes the turn at all of these FIFOs, unless a signal that is [caught](crate::sys::interrupt) comes; whether it
    /// did. Waits for one of them at a time, and holds none of the others while it does.
    ///
    /// # Errors
    /// Another reader kept its turn for too long.
    pub fn take_turn(&mut self, fds: &[&OwnedFd], timeout: &Timeout) -> Result<bool> {
        let mut next = 0;
        while let Some(fd) = fds.get(next) {
            match fifo::lock(fd, timeout.deadline()) {
                Err(Errno::EINTR) => return Ok(false),
                Err(Errno::EAGAIN) => bail!(timeout.missed("another reader did not end its turn")),
                locked => locked?,
            }
            let Some(busy) = busy(fds, next)? else { break };
            unlock(fds)?;
            next = busy;
        }
        self.has_turn = true;
        Ok(true)
    }

    /// Lets the other readers have their turn, since this one has taken nothing and waits.
    pub fn give_back(&mut self, fds: &[&OwnedFd]) -> Result<()> {
        (self.has_turn, self.left) = (false, self.wanted);
        unlock(fds)
    }
}

/// Locks the others as well, as long as that needs no waiting: the place of the one that does.
fn busy(fds: &[&OwnedFd], locked: usize) -> Result<Option<usize>> {
    for (n, fd) in fds.iter().enumerate().filter(|(n, _)| *n != locked) {
        match fifo::lock(fd, Deadline::Now) {
            Err(Errno::EAGAIN) => return Ok(Some(n)),
            locked => locked?,
        }
    }
    Ok(None)
}

fn unlock(fds: &[&OwnedFd]) -> Result<()> {
    fds.iter().try_for_each(|fd| Ok(fifo::unlock(fd)?))
}
