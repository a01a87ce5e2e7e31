//! Holders as other processes see them.
//!
//! A holder learns from its pidfd that the process it serves has exited. It releases only once it is scheduled, and
//! never while it is stopped. A process that needs what it holds kills it instead, and the kernel releases.
//!
//! A pid alone never identifies a process. A pidfd is opened first, and what is read from `/proc` counts only if that
//! process still runs afterwards. The process served is the one behind the holder's own pidfd. Its `fdinfo` shows -1
//! once that process has been reaped, even if the pid has been reused.

use std::ffi::c_int;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::{OF_FILE, name};
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::{Stage, stage};
use crate::sys::process::{self, knows_our_numbers, numbers, procfs, shares_ipc};
use crate::sys::signal::{self, Signal};
use crate::sys::wait::ready;

const DEATH: Duration = Duration::from_secs(1);

/// A holder that has been released by its caller.
#[derive(Debug)]
pub struct Seen {
    process: OwnedFd,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Exiting,
    /// It got a signal that terminates it, but which does not act while it is stopped.
    Signalled,
    /// It serves the process with this pid in its pidfd's `fdinfo`; -1 if that has been reaped.
    Serves(i32),
}

/// Returns those of `pids` that are holders of the semaphore set `id`, or none if `/proc` does not show them.
pub fn among(pids: Vec<i32>, id: c_int) -> Vec<Seen> {
    // Each IPC namespace has its own ids.
    named(pids, &name(id), shares_ipc)
}

/// Returns those of `pids`, which hold something of a file, that are holder processes.
pub fn among_holders_of_file(pids: Vec<i32>) -> Vec<Seen> {
    named(pids, OF_FILE, |_| true)
}

fn named(mut pids: Vec<i32>, name: &str, may_be: fn(i32) -> bool) -> Vec<Seen> {
    if !knows_our_numbers() {
        return Vec::new();
    }
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(|pid| Seen::look(pid, name, may_be)).collect()
}

impl Seen {
    fn look(pid: i32, name: &str, may_be: fn(i32) -> bool) -> Option<Self> {
        let named = || procfs::stat(pid).ok().filter(|stat| stat.name == name);
        // Most processes are not holders, and the name shows it without a descriptor.
        named()?;
        let process = process::pidfd(pid).ok()?;
        let state = if named()?.is_exiting() {
            State::Exiting
        } else if !may_be(pid) {
            return None;
        } else if is_signalled(pid) {
            State::Signalled
        } else {
            State::Serves(served(pid)?)
        };
        // A process that has exited holds nothing.
        (stage(process.as_fd()) == Ok(Stage::Runs)).then_some(Self { process, state })
    }

    /// Returns whether no process needs it: it got a termination signal, or the process it serves has exited.
    pub fn is_stale(&self) -> bool {
        match self.state {
            State::Exiting | State::Signalled | State::Serves(-1) => true,
            // 0 is a process of another pid namespace.
            State::Serves(0) => false,
            State::Serves(pid) => process::open(pid).err() == Some(Errno::ESRCH),
        }
    }

    /// Returns whether it serves the process `pid`.
    pub fn serves(&self, pid: i32) -> bool {
        self.state == State::Serves(pid)
    }

    /// Checks that the caller may kill it.
    ///
    /// # Errors
    /// `EPERM`: it belongs to another user, or a seccomp filter denies the call.
    pub fn may_be_killed(&self) -> Result<(), Errno> {
        match signal::send(self.process.as_fd(), None) {
            Err(Errno::ESRCH) => Ok(()),
            outcome => outcome,
        }
    }

    /// Kills it. Returns whether it exits; another user's holder cannot be killed.
    pub fn kill(&self) -> bool {
        let killed = signal::send(self.process.as_fd(), Signal::KILL);
        killed.is_ok() || self.state == State::Exiting
    }
}

fn is_signalled(pid: i32) -> bool {
    procfs::status(pid).is_ok_and(|status| {
        let mut pending = status.pending.iter().chain(status.shared_pending.iter());
        pending.any(|signal| signal == Signal::KILL || signal.is_termination())
    })
}

/// Returns the process that a holder serves, from its only pidfd. `None` if it cannot be read.
fn served(holder: i32) -> Option<i32> {
    let dir = format!("/proc/{holder}/fdinfo");
    numbers(&dir).ok()?.into_iter().find_map(|fd| {
        let info = fs::read_to_string(format!("{dir}/{fd}")).ok()?;
        info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
    })
}

/// Returns a process's name for messages, a holder with the process that it serves, if visible: `hold for 812 make`.
pub fn title(pid: i32) -> Result<String, Errno> {
    let name = procfs::stat(pid)?.name;
    let is_holder = name.starts_with("hold ") && knows_our_numbers();
    let served = is_holder.then(|| served(pid)).flatten().filter(|served| *served > 0);
    let served = served.and_then(|served| Some((served, procfs::stat(served).ok()?.name)));
    Ok(served.map_or(name, |(served, program)| format!("hold for {served} {program}")))
}

/// Kills these holders and waits up to a second until they have exited. Returns how many have: another user's holder
/// cannot be killed, and a frozen one does not exit.
pub fn kill(holders: Vec<Seen>) -> usize {
    let dying: Vec<Seen> = holders.into_iter().filter(Seen::kill).collect();
    let deadline = Deadline::after(DEATH);
    dying.iter().filter(|holder: &&Seen| ready(&[holder.process.as_fd()], deadline) == Ok(Some(0))).count()
}
