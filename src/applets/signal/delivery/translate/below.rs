//! The descendants of CMD: signals to them, and how all of them are killed.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;

use super::{Translator, own_pid};
use crate::exit::Cause;
use crate::output;
use crate::sys::child::changed;
use crate::sys::process::tree::Tree;
use crate::sys::process::{self, procfs};
use crate::sys::signal::{self, Signal, To};

/// Attempts to kill descendants after a failure, a millisecond apart.
const TRIES: u32 = 50;

impl Translator {
    /// Sends a signal to all descendants, except handlers and children from before CMD.
    pub(in crate::applets::signal) fn to_tree(&self, signal: Signal, value: Option<i32>) {
        let handlers = self.handlers.iter().filter_map(|handler| handler.pid);
        let except: Vec<i32> = self.before.iter().copied().chain(handlers).collect();
        // With too few descriptors only a part is reached, but CMD in any case.
        let (tree, _) = Tree::below(own_pid(), &except, true);
        if tree.members.iter().all(|member| member.pid != self.cmd) {
            self.to_command(signal, value);
        }
        for member in tree.members.iter().rev() {
            let _ = signal::send_to(member.fd.as_fd(), To::Process, Some(signal), value);
            // A process that was stopped before acts on it only when continued.
            if signal.is_termination() {
                let _ = signal::send(member.fd.as_fd(), Signal::CONT);
            }
        }
        tree.resume(|_| !signal.stops());
    }

    /// Whether CMD has exited, and its descendants still have time for the steps of `--then`.
    pub(in crate::applets::signal) fn winds_down(&mut self) -> bool {
        if !self.rules.kill_tree || self.ended.is_none() {
            return false;
        }
        if !self.late && !self.winding && self.rules.limit.has_steps() {
            self.supervisor.end_now();
            self.winding = true;
        }
        let is_left = || {
            let left = procfs::children(own_pid()).unwrap_or_default();
            left.iter().any(|pid| !self.before.contains(pid))
        };
        (self.late || self.winding) && self.supervisor.has_plan() && is_left()
    }

    /// Kills all descendants, except children from before CMD.
    pub(in crate::applets::signal) fn end_tree(&self) -> nix::Result<()> {
        let mut tries = TRIES;
        loop {
            match self.end_some() {
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
    fn end_some(&self) -> nix::Result<bool> {
        let is_none = loop {
            match changed() {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(Errno::ECHILD) => break true,
                Err(errno) => return Err(errno),
            }
        };
        let left = procfs::children(own_pid())?;
        if (is_none || !self.before.is_empty()) && left.iter().all(|pid| self.before.contains(pid)) {
            return Ok(true);
        }
        let (tree, walked) = Tree::below(own_pid(), &self.before, true);
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
        if found == 0 || !left.iter().all(|pid: &i32| self.before.contains(pid) || kept.contains(pid)) {
            return Ok(false);
        }
        for pid in &kept {
            let who = process::command(*pid).map(|who| format!(" ({who})")).unwrap_or_default();
            let cause = Cause::plain(Errno::EPERM);
            output::warn(format!("cannot kill {pid}{who}: {cause}"));
        }
        Ok(true)
    }
}
