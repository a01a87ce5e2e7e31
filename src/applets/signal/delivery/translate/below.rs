//! Signals to the descendants of CMD.

use std::os::fd::AsFd;

use super::Translator;
use crate::supervise::tree::{self, own_pid};
use crate::sys::process::tree::Tree;
use crate::sys::signal::{self, Signal, To};

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
        (self.late || self.winding) && self.supervisor.has_plan() && tree::is_left(&self.before)
    }
}
