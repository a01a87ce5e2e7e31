//! The turn of a reader that counts records.
//!
//! A reader has its turn from its first record to its last. While it waits for the first one it holds nothing, so it can be
//! stopped without keeping the other readers waiting.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::applets::fifo::stream::source::Source;
use crate::args::timeout::Timeout;
use crate::sys::deadline::Deadline;
use crate::sys::fifo;

/// Takes the turn at all of these FIFOs, unless a signal that is [caught](crate::sys::interrupt) comes; whether it did. Waits for one
/// of them at a time, and holds none of the others while it does.
///
/// # Errors
/// Another reader kept its turn for too long.
pub fn take(sources: &[Source], timeout: &Timeout) -> Result<bool> {
    let fds: Vec<&OwnedFd> = open(sources).collect();
    let mut next = 0;
    while let Some(fd) = fds.get(next) {
        match fifo::lock(fd, timeout.deadline()) {
            Err(Errno::EINTR) => return Ok(false),
            Err(Errno::EAGAIN) => bail!(timeout.missed("another reader did not end its turn")),
            locked => locked?,
        }
        let Some(busy) = busy(&fds, next)? else { break };
        give_back(sources)?;
        next = busy;
    }
    Ok(true)
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

/// Lets the next reader have its turn.
pub fn give_back(sources: &[Source]) -> Result<()> {
    open(sources).try_for_each(|fd| Ok(fifo::unlock(fd)?))
}

fn open<'a>(sources: &'a [Source]) -> impl Iterator<Item = &'a OwnedFd> {
    sources.iter().filter_map(|source| source.fd.as_ref())
}
