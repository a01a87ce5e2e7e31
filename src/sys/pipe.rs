//! Pipes and FIFOs, and their content. Nothing here blocks.
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

/// The most bytes that one write(2) puts into a pipe atomically: PIPE_BUF, pipe(7).
pub const ATOMIC: usize = libc::PIPE_BUF;
/// The default capacity of a pipe in bytes, pipe(7).
const BORN: usize = 64 << 10;
/// The capacity for bulk data, in bytes: the default limit for users without privilege.
const WIDE: usize = 1 << 20;

/// Creates a pipe, read end first, close-on-exec and non-blocking.
pub fn new() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// Creates a pipe between two commands, read end first, close-on-exec and blocking.
pub fn for_commands() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC)
}

/// Returns whether `fd` is an end of a pipe or a FIFO.
pub fn is_pipe(fd: impl AsFd) -> bool {
    capacity(fd).is_ok()
}

/// Makes a non-blocking descriptor block, `F_SETFL` of fcntl(2).
pub fn set_blocking(fd: impl AsFd) -> Result<()> {
    fcntl(&fd, FcntlArg::F_SETFL(flags(&fd)? - OFlag::O_NONBLOCK)).map(drop)
}

/// Returns whether calls on a descriptor block.
pub fn waits(fd: impl AsFd) -> Result<bool> {
    Ok(!flags(fd)?.contains(OFlag::O_NONBLOCK))
}

/// Requests SIGIO for this process whenever the pipe of this read end is written to or loses its last writer, fcntl(2).
pub fn signal_when_readable(read_end: impl AsFd) -> Result<()> {
    let fd = read_end.as_fd().as_raw_fd();
    // SAFETY: plain integers.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETOWN, getpid().as_raw()) })?;
    fcntl(&read_end, FcntlArg::F_SETFL(flags(&read_end)? | OFlag::O_ASYNC)).map(drop)
}

/// Empties the pipe of a non-blocking read end, in one read, as it holds its capacity at most. `None`: it is at EOF.
pub fn take_all(read_end: impl AsFd) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; capacity(&read_end)? + 1];
    match fds::read(read_end, &mut bytes) {
        Ok(0) => return Ok(None),
        Err(Errno::EAGAIN) => bytes.clear(),
        count => bytes.truncate(count?),
    }
    Ok(Some(bytes))
}

/// Copies up to `len` bytes from one pipe to another, tee(2), without consuming them. 0: `from` is at EOF.
///
/// # Errors
/// `EAGAIN`: no data, or no room. `EINVAL`: they are not two different pipes.
pub fn tee(from: impl AsFd, to: impl AsFd, len: usize) -> Result<usize> {
    retry(|| fcntl::tee(&from, &to, len, SpliceFFlags::SPLICE_F_NONBLOCK))
}

/// Returns the capacity of a pipe in bytes, `F_GETPIPE_SZ` of fcntl(2).
pub fn capacity(pipe: impl AsFd) -> Result<usize> {
    fcntl(pipe, FcntlArg::F_GETPIPE_SZ).map(size)
}

/// Sets the capacity of a pipe to at least `bytes`, `F_SETPIPE_SZ` of fcntl(2), and returns the new capacity.
///
/// # Errors
/// `EPERM`: above `/proc/sys/fs/pipe-max-size` or the user's limit. `EBUSY`: it holds more data. `EBADF`: not a pipe.
pub fn set_capacity(pipe: impl AsFd, bytes: usize) -> Result<usize> {
    let bytes = c_int::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes)).map(size)
}

/// Raises the capacity of a pipe that still has the default to 1 MiB, if the user may: fewer context switches.
pub fn widen(pipe: impl AsFd) {
    if capacity(&pipe) == Ok(BORN) {
        let _ = set_capacity(&pipe, WIDE);
    }
}

/// The system's limits on pipes, `/proc/sys/fs/pipe-*`. `None`: `/proc` is not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The largest capacity without privilege, in bytes.
    pub max_size: Option<u64>,
    /// The number of pages of a user's pipes above which new ones are small; 0 is no limit.
    pub user_pages_soft: Option<u64>,
    /// The maximum number of pages of a user's pipes; 0 is no limit.
    pub user_pages_hard: Option<u64>,
}

/// Returns the current limits.
pub fn limits() -> Limits {
    Limits {
        max_size: setting("fs/pipe-max-size"),
        user_pages_soft: setting("fs/pipe-user-pages-soft"),
        user_pages_hard: setting("fs/pipe-user-pages-hard"),
    }
}

/// Returns the number of unread bytes in a pipe, `FIONREAD`. Works on either end.
pub fn unread(pipe: impl AsFd) -> Result<usize> {
    let mut count: c_int = 0;
    let fd = pipe.as_fd().as_raw_fd();
    // SAFETY: the request writes one int, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) })?;
    Ok(size(count))
}

/// Returns whether the pipe of this write end is full.
pub fn is_full(write_end: impl AsFd) -> Result<bool> {
    Ok(!has(write_end.as_fd(), Want::Writable)?)
}

/// Returns whether the pipe of this read end has lost its last writer. A FIFO that no writer has opened yet has not.
pub fn is_left(read_end: impl AsFd) -> Result<bool> {
    has(read_end.as_fd(), Want::PeerClosed)
}

/// Returns whether there is input. EOF of a pipe is not input.
pub fn has_bytes(from: impl AsFd) -> Result<bool> {
    let mut polled = [Want::Readable.of(from.as_fd())];
    poll(&mut polled, Deadline::Now, Ends::ByTime)?;
    Ok(polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
}

/// Blocks SIGPIPE, so that a write without a reader fails only with `EPIPE`.
pub fn block_sigpipe() -> Result<()> {
    block(Set::of(Signal::PIPE)).map(drop)
}

fn size(count: c_int) -> usize {
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
#[path = "../../tests/units/sys/pipe.rs"]
mod tests;
