//! The terminal's rules for the box and CMD, which is a process group of its own: who has the terminal, who stops and goes on.

use super::Minder;
use crate::sys::signals::{self, Signal};
use crate::sys::terminal;

impl Minder {
    fn foreground(&self) -> Option<i32> {
        terminal::foreground(self.terminal.as_ref()?)
    }

    fn give_terminal(&self, group: i32) {
        if let Some(terminal) = &self.terminal {
            let _ = terminal::give(terminal, group);
        }
    }

    pub(super) fn take_terminal(&self) {
        if self.foreground() == Some(self.cmd) {
            self.give_terminal(self.group);
        }
    }

    /// The terminal sent a signal to the box's group.
    pub(super) fn of_terminal(&self, signal: Signal) {
        let asks = signal == Signal::TTIN || signal == Signal::TTOU;
        if asks && self.foreground() == Some(self.cmd) {
            // Another one of the job, as the pager behind a pipe, wants the terminal that CMD has.
            self.give_terminal(self.group);
            let _ = signals::kill(0, Signal::CONT);
        } else if self.ended.is_none() || !signal.stops() {
            self.to_group(signal);
        }
    }

    /// CMD was stopped: the box stops too, and with it the job that a shell knows.
    pub(super) fn stop(&mut self, signal: Signal) -> nix::Result<()> {
        let front = self.foreground();
        let asks = signal == Signal::TTIN || signal == Signal::TTOU;
        if asks && front == Some(self.group) {
            self.go_on();
            return Ok(());
        }
        let had = front == Some(self.cmd);
        if signal == Signal::STOP && !had {
            return Ok(());
        }
        let signal = if signal.stops() && signal != Signal::STOP { signal } else { Signal::TSTP };
        self.take_terminal();
        if had || (asks && self.terminal.is_some()) {
            signals::kill(0, signal)?;
        }
        signals::stop(signal)?;
        if !signals::is_pending(Signal::CONT)? {
            // Nobody stopped us, so nobody would continue CMD.
            self.go_on();
        }
        Ok(())
    }

    /// The job goes on: CMD's group has the terminal again where the job has it.
    pub(super) fn go_on(&self) {
        if self.ended.is_none() && self.foreground() == Some(self.group) {
            self.give_terminal(self.cmd);
        }
        self.to_group(Signal::CONT);
    }
}
