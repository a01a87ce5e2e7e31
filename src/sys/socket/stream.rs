//! Bytes of a stream, read and looked at without blocking, and the lock of readers that share a connection.

use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{MsgFlags, recv};

use crate::sys::deadline::Deadline;
use crate::sys::interrupt::retry;
use crate::sys::wait::interruptible;

/// Reads once, and returns the number of bytes; 0 at EOF.
///
/// # Errors
/// `EAGAIN`: nothing has come.
pub fn take(socket: impl AsFd, bytes: &mut [u8]) -> Result<usize> {
    retry(|| recv(socket.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT))
}

/// Like [`take`], but leaves the bytes in the socket.
pub fn peek(socket: impl AsFd, bytes: &mut [u8]) -> Result<usize> {
    retry(|| recv(socket.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK))
}

/// Locks a socket for this process, F_SETLKW of fcntl(2). The lock is released when the process exits or closes a
/// descriptor of the socket. Processes that have inherited one descriptor share the lock of flock(2), but not this one.
///
/// # Errors
/// `EAGAIN`: still locked at the deadline. `EINTR`: a [caught](crate::sys::interrupt) signal came.
pub fn lock(socket: impl AsFd, deadline: Deadline) -> Result<()> {
    let lock = of_all(libc::F_WRLCK);
    let how = || if deadline == Deadline::Now { FcntlArg::F_SETLK(&lock) } else { FcntlArg::F_SETLKW(&lock) };
    match interruptible(deadline, || fcntl(&socket, how())) {
        Err(Errno::EACCES) => Err(Errno::EAGAIN),
        locked => locked?.map(drop).ok_or(Errno::EINTR),
    }
}

/// Releases the lock.
pub fn unlock(socket: impl AsFd) -> Result<()> {
    fcntl(&socket, FcntlArg::F_SETLK(&of_all(libc::F_UNLCK))).map(drop)
}

/// Returns a lock of the whole file.
const fn of_all(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
