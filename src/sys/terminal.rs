//! The controlling terminal, and which process group has it.

use std::os::fd::{AsFd, OwnedFd};

use nix::Result;
use nix::fcntl::{OFlag, open};
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

/// Puts a process group in the foreground. SIGTTOU has to be blocked.
pub fn give(terminal: impl AsFd, group: i32) -> Result<()> {
    tcsetpgrp(terminal, Pid::from_raw(group))
}
