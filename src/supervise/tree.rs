//! The descendants of ipcbox: all of them are asked to exit, or killed. ipcbox must adopt orphans, and its `/proc` must
//! list children.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;

use crate::exit::Cause;
use crate::output;
use crate::sys::child::changed;
use crate::sys::process::tree::Tree;
use crate::sys::process::{self, procfs};
use crate::sys::signal::{self, Signal};

/// Attempts to signal descendants after a failure, a millisecond apart.
const TRIES: u32 = 50;

/// The pid of ipcbox.
pub fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// Whether a descendant is left, or a zombie, apart from the children `before`.
pub fn is_left(before: &[i32]) -> bool {
    let left = procfs::children(own_pid()).unwrap_or_default();
    left.iter().any(|pid| !before.contains(pid))
}

/// Sends SIGTERM once to all descendants, except the children `before`, and continues them.
pub fn terminate(before: &[i32]) {
    let mut asked = Vec::new();
    for _ in 0..TRIES {
        let (tree, walked) = Tree::below(own_pid(), before, true);
        let mut is_done = walked.is_ok();
        for member in tree.members.iter().rev() {
            if !asked.contains(&member.pid) {
                match signal::send(member.fd.as_fd(), Signal::TERM) {
                    Ok(()) => asked.push(member.pid),
                    Err(_) => is_done = false,
                }
            }
            // A process that was stopped before acts on it only when continued.
            is_done &= signal::send(member.fd.as_fd(), Signal::CONT).is_ok();
        }
        // A child that seemed to be gone is still there.
        if is_done && !(tree.members.is_empty() && is_left(before)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills all descendants, except the children `before`.
pub fn kill(before: &[i32]) -> nix::Result<()> {
    let mut tries = TRIES;
    loop {
        match kill_some(before) {
            Ok(false) => tries = TRIES,
            Ok(true) => return Ok(()),
            Err(errno) if tries == 0 => return Err(errno),
            Err(_) => {
                tries -= 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Kills the descendants that exist now, and returns whether none is left that can be killed.
fn kill_some(before: &[i32]) -> nix::Result<bool> {
    let is_none = loop {
        match changed() {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(Errno::ECHILD) => break true,
            Err(errno) => return Err(errno),
        }
    };
    let left = procfs::children(own_pid())?;
    if (is_none || !before.is_empty()) && left.iter().all(|pid| before.contains(pid)) {
        return Ok(true);
    }
    let (tree, walked) = Tree::below(own_pid(), before, true);
    let found = tree.members.len();
    let kept = tree.kill()?;
    if kept.len() < found {
        return Ok(false);
    }
    walked?;
    if found == 0 {
        // Zombies that a debugger has not released.
        std::thread::sleep(Duration::from_millis(1));
    }
    if found == 0 || !left.iter().all(|pid: &i32| before.contains(pid) || kept.contains(pid)) {
        return Ok(false);
    }
    for pid in &kept {
        let who = process::command(*pid).map(|who| format!(" ({who})")).unwrap_or_default();
        let cause = Cause::plain(Errno::EPERM);
        output::warn(format!("cannot kill {pid}{who}: {cause}"));
    }
    Ok(true)
}
