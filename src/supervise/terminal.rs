//! Job control: which process group has the terminal, and which processes stop and continue together.

use nix::Result;
use nix::errno::Errno;
use nix::unistd::{getpgrp, getpid};

use super::Supervisor;
use crate::sys::child::{self, Change, Group, Standard, Start, Unstarted, reports};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{self, Set, Signal};
use crate::sys::terminal;

impl Supervisor {
    fn foreground(&self) -> Option<i32> {
        terminal::foreground(self.terminal.as_ref()?)
    }

    /// Whether the children are in the foreground.
    fn have_terminal(&self) -> bool {
        self.leader.is_some() && self.foreground() == self.leader
    }

    fn is_in_front(&self) -> bool {
        self.terminal.as_ref().is_some_and(terminal::is_ours)
    }

    pub(super) fn give_terminal(&self, group: i32) {
        if let Some(terminal) = &self.terminal {
            let _ = terminal::give(terminal, group);
        }
    }

    /// Moves the group of ipcbox to the foreground if the children were there.
    pub fn take_terminal(&self) {
        if self.have_terminal() {
            self.give_terminal(getpgrp().as_raw());
        }
    }

    /// Whether signals from the kernel are the terminal's.
    pub const fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Whether the terminal's signal means that another process in the group of ipcbox, such as a pager behind a pipe,
    /// wants the terminal that the children have. It then gets the terminal.
    pub(super) fn hands_terminal_on(&self, signal: Signal) -> bool {
        let hands_on = asks(signal) && self.have_terminal();
        if hands_on {
            self.give_terminal(getpgrp().as_raw());
            let _ = signal::kill(0, Signal::CONT);
        }
        hands_on
    }

    /// Stops ipcbox after a child, and with it the job that the shell knows.
    pub(super) fn stop(&mut self, signal: Signal) -> Result<()> {
        if asks(signal) && self.is_in_front() {
            self.go_on();
            return Ok(());
        }
        let had = self.have_terminal();
        if signal == Signal::STOP && !had {
            return Ok(());
        }
        let by = if signal.stops() && signal != Signal::STOP { signal } else { Signal::TSTP };
        self.take_terminal();
        let is_job = had || (asks(by) && self.has_terminal());
        if is_job {
            signal::kill(0, by)?;
        }
        self.pause(by, is_job)
    }

    /// Stops ipcbox, with the rest of its group if that `is_job`, until it is continued or the next step is due.
    pub(super) fn pause(&mut self, by: Signal, is_job: bool) -> Result<()> {
        signal::stop(by, self.deadline())?;
        self.unread = true;
        let was_stopped = signal::is_pending(Signal::CONT)? || (is_job && stops_but_for_init(by)?);
        if !was_stopped {
            // No other process would continue the children.
            self.go_on();
        }
        Ok(())
    }

    /// Continues the children, and returns the terminal to them if ipcbox is in the foreground.
    pub fn go_on(&self) {
        if let Some(leader) = self.leader.filter(|_| self.runs() && self.is_in_front()) {
            self.give_terminal(leader);
        }
        self.send(Signal::CONT);
    }
}

/// Whether ipcbox, as init of a pid namespace, cannot stop but the rest of its group has, for a shell outside that will
/// continue it. Tested with a child in the group: the kernel stops it only if another process would continue it.
fn stops_but_for_init(by: Signal) -> Result<bool> {
    if getpid().as_raw() != 1 {
        return Ok(false);
    }
    let how = Start { mask: Set::ALL, parent_death: Some(Signal::KILL), ..Start::default() };
    let (_reports, reporter) = reports()?;
    let stop = || Unstarted::Run(signal::stop(by, Deadline::Forever).err().unwrap_or(Errno::EINTR));
    let child = child::begin(&how, Group::Same, Standard::default(), (&reporter, 0), stop)?;
    let has_stopped = matches!(child::await_change(child)?, Change::Stopped(_));
    if has_stopped {
        signal::kill(child, Signal::KILL)?;
        child::reap(child)?;
    }
    Ok(has_stopped)
}

/// Whether the signal means that a background group wants the terminal.
fn asks(signal: Signal) -> bool {
    signal == Signal::TTIN || signal == Signal::TTOU
}
