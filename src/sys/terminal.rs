//! The controlling terminal, and which process group has it.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, getpid, getsid, read, tcgetpgrp, tcsetpgrp};

use super::signal::{self, Signal};

/// The terminal that controls this process; `None` where it has none.
pub fn controlling() -> Option<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    open("/dev/tty", flags, Mode::empty()).ok()
}

/// The same if this process leads its session, so that the kernel sends it alone the SIGHUP of a terminal that is
/// closed.
pub fn of_leader() -> Option<OwnedFd> {
    if getsid(None) == Ok(getpid()) { controlling() } else { None }
}

/// The process group in the foreground; `None` where there is none any more.
pub fn foreground(terminal: impl AsFd) -> Option<i32> {
    tcgetpgrp(terminal).ok().map(Pid::as_raw)
}

/// Whether the process's own group is in the foreground; SIGTTIN has to be blocked. Numbers do not tell: in a pid
/// namespace that of every group from outside is 0. But in the background nobody may read, be it nothing.
pub fn is_ours(terminal: &OwnedFd) -> bool {
    read(terminal, &mut []) != Err(Errno::EIO)
}

/// How many columns it has, `TIOCGWINSZ`; `None` where it does not know.
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    // SAFETY: a winsize is plain integers, for which zeros are values.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request writes one winsize, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) }).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Where the process is in the background of what it is about to read, stops its group as the kernel does that of a
/// reader which does not block SIGTTIN; CONT has to be blocked. Whether it was stopped, and goes on.
///
/// # Errors
/// `EIO`: nobody would continue it, or the signal is ignored.
pub fn stop_behind(input: impl AsFd) -> Result<bool> {
    if foreground(input).is_none_or(|front| front == getpgrp().as_raw()) {
        return Ok(false);
    }
    signal::kill(0, Signal::TTIN)?;
    signal::let_in(Signal::TTIN)?;
    if signal::is_pending(Signal::CONT)? { Ok(true) } else { Err(Errno::EIO) }
}

/// Puts a process group in the foreground. SIGTTOU has to be blocked.
pub fn give(terminal: impl AsFd, group: i32) -> Result<()> {
    tcsetpgrp(terminal, Pid::from_raw(group))
}
