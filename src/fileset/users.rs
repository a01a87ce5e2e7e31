//! Holders and waiters, as far as the kernel shows it to the caller.

use nix::Result;

use super::bytes::{LOCKS, TURN, of_command, of_ipcbox, slot};
use super::{Kept, SlotFile};
use crate::sys::lock_watcher;
use crate::sys::process::{Blocked, procfs};
use crate::sys::record_lock::{Listed, Mode, conflict, listed};

/// A slot that is taken, or a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The number of the slot.
    pub number: u16,
    /// How it is held. Only a lock can be shared.
    pub mode: Mode,
    /// CMD, or the holder process. `None`: it is in another pid namespace, is about to start or has closed the file.
    pub pid: Option<i32>,
}

/// A process that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// The process.
    pub pid: i32,
    /// Whether it is stopped.
    pub stopped: bool,
    /// Whether the kernel still has its request, and counts it.
    pub is_queued: bool,
    /// What it waits for.
    pub what: &'static str,
}

impl SlotFile {
    /// Returns what is held. A lock that is shared is returned once for each sharer, if they can be counted.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn holders(&self) -> Result<Vec<Held>> {
        let mut found = Vec::new();
        if !self.is_used()? {
            return Ok(found);
        }
        for number in 1..=self.kept.capacity() {
            let of_cmd = conflict(&self.file, of_command(number), Mode::Exclusive)?;
            let other = if of_cmd.is_some() { None } else { conflict(&self.file, of_ipcbox(number), Mode::Exclusive)? };
            found.extend(of_cmd.or(other).map(|it| Held { number, mode: it.mode, pid: it.pid }));
        }
        match (found.first(), listed(&self.file)) {
            (Some(Held { mode: Mode::Shared, .. }), Some(lines)) => Ok(sharers(&lines)),
            _ => Ok(found),
        }
    }

    /// Counts the waiters. `None`: `/proc/locks` does not show them.
    pub fn waiters(&self) -> Option<u32> {
        let lines = listed(&self.file)?;
        // A waiter has one request for each slot, or one for its turn.
        let count = |firsts: &[i64]| lines.iter().filter(|line| line.waits && firsts.contains(&line.first)).count();
        let firsts = |number| slot(number).map(|bytes| bytes.first);
        let most = (1..=self.kept.capacity()).map(|number| count(&firsts(number))).max().unwrap_or(0);
        u32::try_from(most + count(&[TURN.first])).ok()
    }

    /// Whether a process holds or waits for anything.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn is_used(&self) -> Result<bool> {
        conflict(&self.file, LOCKS, Mode::Exclusive).map(|found| found.is_some())
    }
}

/// Returns those of the `blocked` threads that wait for something of a file, each process once.
pub fn waiters_among(blocked: &[Blocked], (device, inode): (u64, u64), kept: Kept) -> Vec<Waiter> {
    let mut found: Vec<Waiter> = Vec::new();
    for thread in blocked {
        let Some(mode) = thread.awaited_lock(device, inode) else { continue };
        let Ok(process) = procfs::stat(thread.pid) else { continue };
        let is_watcher = process.name == lock_watcher::NAME;
        let pid = if is_watcher { process.parent } else { thread.pid };
        if found.iter().any(|waiter| waiter.pid == pid) {
            continue;
        }
        let what = match (kept, mode) {
            (Kept::Slots(_), _) => "slot",
            (Kept::Lock, Mode::Exclusive) if !is_watcher => "exclusive lock",
            (Kept::Lock, _) => "shared lock",
        };
        let stopped = procfs::stat(pid).is_ok_and(|process| process.is_stopped());
        // A child that waits for it is not stopped.
        found.push(Waiter { pid, stopped, is_queued: is_watcher || !stopped, what });
    }
    found
}

/// Returns the sharers of a lock. Each has its first byte by an open file, and most have the second by a process.
fn sharers(lines: &[Listed]) -> Vec<Held> {
    let held = |pid| Held { number: 1, mode: Mode::Shared, pid };
    let at = |first: i64| lines.iter().filter(move |line| !line.waits && line.first == first);
    let seen: Vec<Held> = at(of_command(1).first).map(|line| held(line.pid)).collect();
    let others = at(of_ipcbox(1).first).count().saturating_sub(seen.len());
    seen.into_iter().chain((0..others).map(|_| held(None))).collect()
}
