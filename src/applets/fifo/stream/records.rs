//! Counting records, and the lock that lets readers take turns.
//!
//! A reader holds the lock from its first record to its last, so one that is stopped before the first blocks no other.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::applets::fifo::still;
use crate::applets::fifo::stream::peek::Peeker;
use crate::args::timeout::Timeout;
use crate::sys::deadline::Deadline;
use crate::sys::fifo;

/// The records that a call takes.
pub struct Records {
    pub wanted: u64,
    pub left: u64,
    /// Finds their ends.
    pub peek: Peeker,
    /// Whether this reader holds the lock.
    pub has_turn: bool,
}

impl Records {
    /// Prepares taking `wanted` records from FIFOs of at most this capacity.
    pub fn new(wanted: u64, end: u8, capacity: usize) -> Result<Self> {
        Ok(Self { wanted, left: wanted, peek: Peeker::new(capacity, end)?, has_turn: false })
    }

    /// Locks all these FIFOs. Returns `false` if a [caught](crate::sys::interrupt) signal arrives. Waits for one lock
    /// at a time without holding another, so that two readers cannot block each other.
    ///
    /// # Errors
    /// The timeout has expired.
    pub fn take_turn(&mut self, fds: &[&OwnedFd], timeout: &Timeout) -> Result<bool> {
        let mut next = 0;
        while let Some(fd) = fds.get(next) {
            match fifo::lock(fd, timeout.deadline()) {
                Err(Errno::EINTR) => return Ok(false),
                Err(Errno::EAGAIN) => bail!(still("locked by another reader", timeout)),
                locked => locked?,
            }
            let Some(busy) = busy(fds, next)? else { break };
            unlock(fds)?;
            next = busy;
        }
        self.has_turn = true;
        Ok(true)
    }

    /// Unlocks the FIFOs: this reader has taken nothing and waits.
    pub fn return_turn(&mut self, fds: &[&OwnedFd]) -> Result<()> {
        (self.has_turn, self.left) = (false, self.wanted);
        unlock(fds)
    }
}

/// Locks the other FIFOs without waiting. Returns the index of one that is locked by another process.
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
