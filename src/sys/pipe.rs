//! Pipes and FIFOs, and what they hold. Nothing here waits.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg, OFlag, SpliceFFlags, fcntl};
use nix::libc;
use nix::poll::PollFlags;
use nix::unistd::{getpid, pipe2};

use super::deadline::Deadline;
use super::fds::{self, flags};
use super::interrupt::retry;
use super::process::setting;
use super::signal::{Set, Signal, block};
use super::wait::{Ends, Want, has, poll};

/// The most bytes that one write(2) puts into a pipe whole, whoever else writes: PIPE_BUF of pipe(7).
pub const ATOMIC: usize = libc::PIPE_BUF;
/// What a pipe holds as the kernel makes it, pipe(7).
const BORN: usize = 64 << 10;
/// What one for bulk data is to hold: as much as anybody may have where nobody has changed the limit.
const WIDE: usize = 1 << 20;

/// A pipe, its read end first, closed on exec; neither end waits.
pub fn new() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// A pipe between two commands, its read end first, closed on exec; both ends wait.
pub fn for_commands() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC)
}

/// Whether it is one end of a pipe or a FIFO.
pub fn is_pipe(fd: impl AsFd) -> bool {
    capacity(fd).is_ok()
}

/// Lets calls on a descriptor that was opened for not waiting wait from now on, `F_SETFL` of fcntl(2).
pub fn set_blocking(fd: impl AsFd) -> Result<()> {
    fcntl(&fd, FcntlArg::F_SETFL(flags(&fd)? - OFlag::O_NONBLOCK)).map(drop)
}

/// Whether calls on a descriptor wait.
pub fn waits(fd: impl AsFd) -> Result<bool> {
    Ok(!flags(fd)?.contains(OFlag::O_NONBLOCK))
}

/// Has SIGIO sent to this process whenever something is written to the pipe of this read end, or its last writer
/// leaves, fcntl(2).
pub fn signal_when_readable(read_end: impl AsFd) -> Result<()> {
    let fd = read_end.as_fd().as_raw_fd();
    // SAFETY: plain integers.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETOWN, getpid().as_raw()) })?;
    fcntl(&read_end, FcntlArg::F_SETFL(flags(&read_end)? | OFlag::O_ASYNC)).map(drop)
}

/// Takes all that lies in a pipe whose read end does not wait, by one read: no pipe holds more than its capacity.
/// `None`: nothing does, and no writer is left.
pub fn take_all(read_end: impl AsFd) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; capacity(&read_end)? + 1];
    match fds::read(read_end, &mut bytes) {
        Ok(0) => return Ok(None),
        Err(Errno::EAGAIN) => bytes.clear(),
        count => bytes.truncate(count?),
    }
    Ok(Some(bytes))
}

/// Copies at most `len` bytes from one pipe to another, tee(2), and leaves them in the first. 0: `from` is at its end.
///
/// # Errors
/// `EAGAIN`: there is nothing, or no room. `EINVAL`: they are not two pipes.
pub fn tee(from: impl AsFd, to: impl AsFd, len: usize) -> Result<usize> {
    retry(|| fcntl::tee(&from, &to, len, SpliceFFlags::SPLICE_F_NONBLOCK))
}

/// How many bytes a pipe can hold, `F_GETPIPE_SZ` of fcntl(2).
pub fn capacity(pipe: impl AsFd) -> Result<usize> {
    fcntl(pipe, FcntlArg::F_GETPIPE_SZ).map(size)
}

/// Makes a pipe hold at least `bytes`, `F_SETPIPE_SZ` of fcntl(2), and gives what it holds now.
///
/// # Errors
/// `EPERM`: more than `/proc/sys/fs/pipe-max-size`, or than the user's pipes may have together. `EBUSY`: it holds more
/// than that already. `EBADF`: it is no pipe.
pub fn set_capacity(pipe: impl AsFd, bytes: usize) -> Result<usize> {
    let bytes = c_int::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes)).map(size)
}

/// Lets a pipe that nobody has resized hold 1 MiB, if the user may: fewer turns between the processes at its ends.
pub fn widen(pipe: impl AsFd) {
    if capacity(&pipe) == Ok(BORN) {
        let _ = set_capacity(&pipe, WIDE);
    }
}

/// What the system allows pipes, `/proc/sys/fs/pipe-*`; unknown where `/proc` is not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The largest capacity for whom has no privilege.
    pub max_size: Option<u64>,
    /// The pages that a user's pipes may have before new ones are small; 0 is no limit.
    pub user_pages_soft: Option<u64>,
    /// The pages that a user's pipes may have; 0 is no limit.
    pub user_pages_hard: Option<u64>,
}

/// The limits that hold now.
pub fn limits() -> Limits {
    Limits {
        max_size: setting("fs/pipe-max-size"),
        user_pages_soft: setting("fs/pipe-user-pages-soft"),
        user_pages_hard: setting("fs/pipe-user-pages-hard"),
    }
}

/// How many bytes lie unread in a pipe, `FIONREAD`; either end tells.
pub fn unread(pipe: impl AsFd) -> Result<usize> {
    let mut count: c_int = 0;
    let fd = pipe.as_fd().as_raw_fd();
    // SAFETY: the request writes one int, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) })?;
    Ok(size(count))
}

/// Whether the pipe of this write end takes no more.
pub fn is_full(write_end: impl AsFd) -> Result<bool> {
    Ok(!has(write_end.as_fd(), Want::Writable)?)
}

/// Whether nobody is left to write to the pipe of this read end; a FIFO to which nobody has come yet is not left.
pub fn is_left(read_end: impl AsFd) -> Result<bool> {
    has(read_end.as_fd(), Want::PeerClosed)
}

/// Whether there is something to read, of a pipe or of anything else; the end of a pipe is not.
pub fn has_bytes(from: impl AsFd) -> Result<bool> {
    let mut polled = [Want::Readable.of(from.as_fd())];
    poll(&mut polled, Deadline::Now, Ends::ByTime)?;
    Ok(polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
}

/// Lets a write to what nobody reads fail with `EPIPE` alone: SIGPIPE is blocked from now on.
pub fn block_sigpipe() -> Result<()> {
    block(Set::of(Signal::PIPE)).map(drop)
}

fn size(count: c_int) -> usize {
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
#[path = "../../tests/units/sys/pipe.rs"]
mod tests;
