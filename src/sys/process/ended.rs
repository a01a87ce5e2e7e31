//! How a process ended, also one that is no child.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::told;
use crate::sys::signals::Signal;
use crate::sys::wait::Patience;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(Signal),
}

impl Ended {
    /// What a status of wait(2) says, where it says that the process ended.
    #[must_use]
    pub const fn from_wait(status: c_int) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return Some(Self::Exited(libc::WEXITSTATUS(status).cast_unsigned() as u8));
        }
        if !libc::WIFSIGNALED(status) {
            return None;
        }
        match Signal::new(libc::WTERMSIG(status)) {
            Some(signal) => Some(Self::Killed(signal)),
            None => None,
        }
    }

    /// The status as a shell has it.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal.number().cast_unsigned() as u8,
        }
    }
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not ended.
    Runs,
    /// It has ended, and its parent has not asked for its status yet.
    Zombie,
    /// It is gone.
    Reaped,
}

/// How far the process behind a pidfd is.
pub fn stage(process: BorrowedFd) -> Result<Stage> {
    Ok(after(&[(process, Stage::Runs)], Patience::Never)?.map_or(Stage::Runs, |(_, stage)| stage))
}

/// Waits until one of these processes is further than the stage that is given with it: its place in the list, and how far it is.
/// `None` when the time is over. Linux before 6.9 does not tell of reaping.
pub fn after(
    processes: &[(BorrowedFd, Stage)],
    patience: Patience,
) -> Result<Option<(usize, Stage)>> {
    let mut polled: Vec<PollFd> = processes
        .iter()
        .map(|(fd, stage)| {
            let events = if *stage == Stage::Runs { PollFlags::POLLIN } else { PollFlags::empty() };
            PollFd::new(*fd, events)
        })
        .collect();
    loop {
        match ppoll(&mut polled, patience.left().map(TimeSpec::from), None) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(polled.iter().enumerate().find_map(|(place, fd)| {
        let found = fd.revents().unwrap_or(PollFlags::empty());
        if found.contains(PollFlags::POLLHUP) {
            return Some((place, Stage::Reaped));
        }
        (!found.is_empty()).then_some((place, Stage::Zombie))
    }))
}

/// How a zombie ended, from `/proc/PID/stat`. `None` where the kernel does not tell us, or where it was reaped meanwhile.
pub fn of_zombie(pid: i32, process: BorrowedFd) -> Option<Ended> {
    // The status field reads as 0 for whom the kernel does not trust; the same trust lets this link be read.
    std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
    let told = told::stat(pid).ok().filter(told::Stat::is_zombie)?;
    // As long as it has not been reaped nobody else has its number.
    let is_it = stage(process).is_ok_and(|stage| stage == Stage::Zombie);
    if is_it { Ended::from_wait(told.exit_status) } else { None }
}

/// How a process ended that was reaped, `PIDFD_GET_INFO` of ioctl(2), which needs no privilege.
///
/// # Errors
/// `ENOSYS`: the kernel is older than 6.15 and does not know.
pub fn of_reaped(process: BorrowedFd) -> Result<Ended> {
    /// `struct pidfd_info` of `<linux/pidfd.h>`, in its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_status: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    const PIDFD_GET_INFO: libc::Ioctl = libc::_IOWR::<Info>(0xFF, 11);
    let mut info = Info { mask: PIDFD_INFO_EXIT, ..Info::default() };
    // SAFETY: the structure lives through the call, and its size is part of the request.
    let told = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    match Errno::result(told) {
        Ok(_) if info.mask & PIDFD_INFO_EXIT != 0 => {
            Ended::from_wait(info.exit_status).ok_or(Errno::EPROTO)
        }
        Ok(_) | Err(Errno::ENOTTY | Errno::EINVAL | Errno::ESRCH) => Err(Errno::ENOSYS),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_wait() {
        assert_eq!(Ended::from_wait(42 << 8), Some(Ended::Exited(42)));
        assert_eq!(Ended::from_wait(9), Some(Ended::Killed(Signal::KILL)));
        assert_eq!(Ended::from_wait(0x80 | 15).map(Ended::status), Some(143));
        assert_eq!(Ended::from_wait(0x137f), None);
    }
}
