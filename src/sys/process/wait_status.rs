//! Exit statuses, also of processes that are not children.
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

/// The way a process terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(Signal),
}

impl Ended {
    /// Decodes a status of wait(2). `None`: the process has not terminated.
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

    /// Returns the exit status as a shell reports it.
    pub const fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal.number().cast_unsigned() as u8,
        }
    }
}

/// The stages of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not exited.
    Runs,
    /// It has exited but has not been reaped.
    Zombie,
    /// It has been reaped.
    Reaped,
}

/// The interval at which a zombie is checked if the kernel does not report that it was reaped.
const STEP: Duration = Duration::from_millis(10);

/// Returns the stage of the process behind a pidfd.
pub fn stage(process: BorrowedFd) -> Result<Stage> {
    Ok(after(&[(process, Stage::Runs)], Deadline::Now)?.map_or(Stage::Runs, |(_, stage)| stage))
}

/// Waits until a process is past the stage given with it, and returns its index and stage. `None`: not in time.
pub fn after(processes: &[(BorrowedFd, Stage)], deadline: Deadline) -> Result<Option<(usize, Stage)>> {
    // A pidfd reports POLLHUP when its process is reaped, but only from Linux 6.9 on.
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

fn is_reaped(process: BorrowedFd) -> bool {
    match signal::send(process, None) {
        Ok(()) => false,
        Err(Errno::ESRCH) => true,
        // It belongs to another user, or a seccomp filter denies the call.
        Err(_) => std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", process.as_raw_fd()))
            .is_ok_and(|info| info.lines().any(|line| line == "Pid:\t-1")),
    }
}

/// Returns how a zombie terminated, from `/proc/PID/stat`. `None`: it is not shown, or has been reaped.
pub fn of_zombie(pid: i32, process: BorrowedFd) -> Option<Ended> {
    // Without the permission to trace the process, the status reads as 0 and this link cannot be read.
    std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
    let stat = procfs::stat(pid).ok().filter(procfs::Stat::is_zombie)?;
    // Until a zombie is reaped its pid is not reused.
    let is_it = stage(process).is_ok_and(|stage| stage == Stage::Zombie);
    if is_it { Ended::from_wait(stat.exit_status) } else { None }
}

/// Returns how a reaped process terminated, `PIDFD_GET_INFO` of ioctl(2). Needs no privilege.
///
/// # Errors
/// `ENOSYS`: the kernel is older than 6.15, or does not know.
pub fn of_reaped(process: BorrowedFd) -> Result<Ended> {
    /// The first version of `struct pidfd_info`, `<linux/pidfd.h>`.
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
