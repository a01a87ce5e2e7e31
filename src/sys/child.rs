//! Children that the box minds: how they are started, and what becomes of them.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::BorrowedFd;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2, read, setpgid, write};

use super::process::ended::Ended;
use super::signals::{Disposition, Set, Signal, on_parents_death, set_disposition, set_mask};
use super::terminal;

/// What a child is started with.
#[derive(Debug)]
pub struct Start<'a> {
    /// Its signal mask.
    pub mask: Set,
    /// What it does about some signals; about the others what the box does.
    pub dispositions: &'a [(Signal, Disposition)],
    /// What it gets when the box ends.
    pub parent_death: Option<Signal>,
    /// The terminal whose foreground group it is to be.
    pub terminal: Option<BorrowedFd<'a>>,
}

/// Starts a child in a process group of its own, which calls `become_it`. Gives its process id, or the errno of `become_it`.
///
/// Every signal must be blocked, and the calling process must have one thread only, as the box has.
///
/// # Errors
/// It could not be started.
pub fn start(
    how: &Start,
    become_it: impl FnOnce() -> Errno,
) -> Result<std::result::Result<i32, Errno>> {
    let (report, report_there) = pipe2(OFlag::O_CLOEXEC)?;
    let parent = getpid();
    // SAFETY: the process has one thread, so that no lock can be held by another one in the copy.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let errno = prepare(how, parent).map_or_else(|errno| errno, |()| become_it());
            // A failure that could not be reported leaves the pipe at its end; the status tells too.
            let _ = write(&report_there, &(errno as c_int).to_ne_bytes());
            // SAFETY: ends the process without the parent's exit handlers.
            unsafe { libc::_exit(126) }
        }
        ForkResult::Parent { child } => {
            drop(report_there);
            let mut errno = [0; size_of::<c_int>()];
            let told = loop {
                match read(&report, &mut errno) {
                    Err(Errno::EINTR) => {}
                    told => break told?,
                }
            };
            if told < errno.len() {
                return Ok(Ok(child.as_raw()));
            }
            Ok(Err(Errno::from_raw(c_int::from_ne_bytes(errno))))
        }
    }
}

fn prepare(how: &Start, parent: Pid) -> Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    if let Some(terminal) = how.terminal {
        terminal::give(terminal, getpid().as_raw())?;
    }
    if let Some(signal) = how.parent_death {
        on_parents_death(signal)?;
        if getppid() != parent {
            return Err(Errno::ECHILD);
        }
    }
    for (signal, disposition) in how.dispositions {
        set_disposition(*signal, *disposition)?;
    }
    set_mask(how.mask).map(drop)
}

/// Makes this process the parent of all below it whose own parent ends, prctl(2).
pub fn adopt_orphans() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended, and has been reaped.
    Ended(Ended),
    /// It was stopped by this signal.
    Stopped(Signal),
}

/// What became of some child, waitpid(2): `None` while nothing has.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn changed() -> Result<Option<(i32, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: the status lives through the call, which writes it. (nix's waitpid refuses the real-time signals.)
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        match Errno::result(pid) {
            Ok(0) => return Ok(None),
            Ok(pid) => {
                if let Some(ended) = Ended::from_wait(status) {
                    return Ok(Some((pid, Change::Ended(ended))));
                }
                if let Some(signal) = Signal::new(libc::WSTOPSIG(status)) {
                    return Ok(Some((pid, Change::Stopped(signal))));
                }
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
