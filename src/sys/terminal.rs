//! The controlling terminal and its foreground process group.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, getpid, getsid, read, tcgetpgrp, tcsetpgrp};

use super::signal::{self, Signal};

/// Opens the terminal that controls this process. `None`: it has none.
pub fn controlling() -> Option<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    open("/dev/tty", flags, Mode::empty()).ok()
}

/// Like [`controlling`], but only in the leader of the session, which alone gets SIGHUP when the terminal is closed.
pub fn of_leader() -> Option<OwnedFd> {
    if getsid(None) == Ok(getpid()) { controlling() } else { None }
}

/// Returns the foreground process group, or `None` if there is none.
pub fn foreground(terminal: impl AsFd) -> Option<i32> {
    tcgetpgrp(terminal).ok().map(Pid::as_raw)
}

/// Returns whether this process is in the foreground. SIGTTIN must be blocked. Group numbers do not show it, since
/// every group outside the pid namespace is 0, but a background process cannot even read 0 bytes.
pub fn is_ours(terminal: &OwnedFd) -> bool {
    read(terminal, &mut []) != Err(Errno::EIO)
}

/// Returns the width in columns, or `None` if it is unknown.
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    size(terminal).map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Returns the height in rows, or `None` if it is unknown.
pub fn rows(terminal: impl AsFd) -> Option<usize> {
    size(terminal).map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

/// `TIOCGWINSZ`.
fn size(terminal: impl AsFd) -> Option<libc::winsize> {
    // SAFETY: a winsize is plain integers, for which zeros are valid.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request writes one winsize, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) }).ok()?;
    Some(size)
}

/// If this process is about to read a terminal from the background, stops its group, as the kernel does if SIGTTIN is
/// not blocked. SIGCONT must be blocked. Returns whether the group was stopped and continued.
///
/// # Errors
/// `EIO`: no shell would continue it, or the signal is ignored.
pub fn stop_behind(input: impl AsFd) -> Result<bool> {
    if foreground(input).is_none_or(|front| front == getpgrp().as_raw()) {
        return Ok(false);
    }
    signal::kill(0, Signal::TTIN)?;
    signal::let_in(Signal::TTIN)?;
    if signal::is_pending(Signal::CONT)? { Ok(true) } else { Err(Errno::EIO) }
}

/// Puts a process group in the foreground. SIGTTOU must be blocked.
pub fn give(terminal: impl AsFd, group: i32) -> Result<()> {
    tcsetpgrp(terminal, Pid::from_raw(group))
}
