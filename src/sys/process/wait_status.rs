//! How a process ended, also one that is no child.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags};

use super::{is_in_pidfs, procfs};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{Ends, Wake, Want, poll};

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

/// Interval at which a zombie is checked if the kernel does not report that it was reaped.
const STEP: Duration = Duration::from_millis(10);

/// How far the process behind a pidfd is.
pub fn stage(process: BorrowedFd) -> Result<Stage> {
    Ok(after(&[(process, Stage::Runs)], Deadline::Now)?.map_or(Stage::Runs, |(_, stage)| stage))
}

/// Waits until one of these processes is past the stage given with it, and returns its place in the list and its stage.
/// `None` when the time is over.
pub fn after(processes: &[(BorrowedFd, Stage)], deadline: Deadline) -> Result<Option<(usize, Stage)>> {
    // A pidfd reports POLLHUP when its process is reaped, but not before Linux 6.9.
    let is_asked =
        |(_, (fd, stage)): &(usize, (BorrowedFd, Stage))| *stage == Stage::Zombie && !is_in_pidfs(fd).unwrap_or(false);
    let (asked, awaited): (Vec<_>, Vec<_>) = processes.iter().copied().enumerate().partition(is_asked);
    let want = |stage| if stage == Stage::Runs { Want::Readable } else { Want::PeerClosed };
    let mut polled: Vec<PollFd> = awaited.iter().map(|(_, (fd, stage))| want(*stage).of(*fd)).collect();
    loop {
        let is_last = deadline.is_over();
        if let Some((place, _)) = asked.iter().find(|(_, (fd, _))| is_reaped(*fd)) {
            return Ok(Some((*place, Stage::Reaped)));
        }
        let turn = if asked.is_empty() { deadline } else { deadline.earlier(Deadline::after(STEP)) };
        if poll(&mut polled, turn, Ends::ByTime)? != Wake::Late || asked.is_empty() || is_last {
            break;
        }
    }
    let found = polled.iter().zip(awaited).find(|(polled, _)| polled.any() == Some(true));
    Ok(found.map(|(polled, (place, (fd, _)))| {
        let hung_up = polled.revents().is_some_and(|found| found.contains(PollFlags::POLLHUP));
        (place, if hung_up || is_reaped(fd) { Stage::Reaped } else { Stage::Zombie })
    }))
}

/// Whether a process that has exited has also been reaped.
fn is_reaped(process: BorrowedFd) -> bool {
    match signal::send(process, None) {
        Ok(()) => false,
        Err(Errno::ESRCH) => true,
        // It is another user's, or a seccomp filter denies the call.
        Err(_) => std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", process.as_raw_fd()))
            .is_ok_and(|info| info.lines().any(|line| line == "Pid:\t-1")),
    }
}

/// How a zombie ended, from `/proc/PID/stat`. `None` where the kernel does not tell us, or where it was reaped
/// meanwhile.
pub fn of_zombie(pid: i32, process: BorrowedFd) -> Option<Ended> {
    // The status field reads as 0 for whom the kernel does not trust; the same trust lets this link be read.
    std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
    let stat = procfs::stat(pid).ok().filter(procfs::Stat::is_zombie)?;
    // As long as it has not been reaped nobody else has its number.
    let is_it = stage(process).is_ok_and(|stage| stage == Stage::Zombie);
    if is_it { Ended::from_wait(stat.exit_status) } else { None }
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
    let answer = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    match Errno::result(answer) {
        Ok(_) if info.mask & PIDFD_INFO_EXIT != 0 => Ended::from_wait(info.exit_status).ok_or(Errno::EPROTO),
        Ok(_) | Err(Errno::ENOTTY | Errno::EINVAL | Errno::ESRCH) => Err(Errno::ENOSYS),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
#[path = "../../../tests/units/sys/process/wait_status.rs"]
mod tests;
