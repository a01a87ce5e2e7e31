//! The controlling terminal, and which process group has it.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, tcgetpgrp, tcsetpgrp};

/// The terminal that controls this process; `None` where it has none.
#[must_use]
pub fn controlling() -> Option<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    open("/dev/tty", flags, Mode::empty()).ok()
}

/// The process group in the foreground; `None` where there is none any more.
#[must_use]
pub fn foreground(terminal: impl AsFd) -> Option<i32> {
    tcgetpgrp(terminal).ok().map(Pid::as_raw)
}

/// How many columns it has, `TIOCGWINSZ`; `None` where it does not know.
#[must_use]
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    // SAFETY: a winsize is plain integers, for which zeros are values.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request writes one winsize, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) }).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Puts a process group in the foreground. SIGTTOU has to be blocked.
pub fn give(terminal: impl AsFd, group: i32) -> Result<()> {
    tcsetpgrp(terminal, Pid::from_raw(group))
}
