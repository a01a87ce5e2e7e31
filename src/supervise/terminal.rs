//! A child that is a process group of its own, and the terminal that it shares with the box: who has the terminal, who stops and
//! goes on.

use std::os::fd::{AsFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::unistd::{getpgrp, getpid};

use crate::sys::child::{self, Change, Group, Standard, Start, Unstarted, reports};
use crate::sys::deadline::Deadline;
use crate::sys::process::procfs;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Disposition, Set, Signal};
use crate::sys::terminal;

/// The child, and the box beside it.
#[derive(Debug)]
pub struct Job {
    terminal: Option<OwnedFd>,
    /// The box's group.
    group: i32,
    /// The child, which leads its group.
    pub cmd: i32,
    /// How it ended, once that is known.
    pub ended: Option<Ended>,
}

impl Job {
    /// Starts a child, which calls `run` and is killed when the box ends. It has the terminal where the box had it. Every
    /// signal must be blocked.
    ///
    /// # Errors
    /// It could not be started, or `run` failed.
    pub fn start(
        mask: Set,
        dispositions: &[(Signal, Disposition)],
        run: impl FnOnce() -> Unstarted,
    ) -> std::result::Result<Self, Unstarted> {
        Self::begin(mask, dispositions, |how| child::start(how, run))
    }

    /// The same, where `is_ready` is asked as soon as the child has its number, as in [`child::start_when`].
    pub fn start_when(
        mask: Set,
        dispositions: &[(Signal, Disposition)],
        is_ready: impl FnOnce() -> bool,
        run: impl FnOnce() -> Unstarted,
    ) -> std::result::Result<Self, Unstarted> {
        Self::begin(mask, dispositions, |how| child::start_when(how, is_ready, run))
    }

    fn begin(
        mask: Set,
        dispositions: &[(Signal, Disposition)],
        start: impl FnOnce(&Start) -> std::result::Result<i32, Unstarted>,
    ) -> std::result::Result<Self, Unstarted> {
        let terminal = terminal::controlling();
        let group = getpgrp().as_raw();
        let in_front = terminal.as_ref().filter(|tty| terminal::is_ours(tty));
        let how = Start { mask, dispositions, parent_death: Some(Signal::KILL), terminal: in_front.map(AsFd::as_fd) };
        let started = start(&how);
        if let (Some(tty), Err(_)) = (in_front, started) {
            let _ = terminal::give(tty, group);
        }
        Ok(Self { cmd: started?, terminal, group, ended: None })
    }

    /// That of a child which was started otherwise, in the background of this terminal.
    #[must_use]
    pub fn behind(terminal: OwnedFd, cmd: i32) -> Self {
        Self { terminal: Some(terminal), group: getpgrp().as_raw(), cmd, ended: None }
    }

    fn foreground(&self) -> Option<i32> {
        terminal::foreground(self.terminal.as_ref()?)
    }

    fn is_in_front(&self) -> bool {
        self.terminal.as_ref().is_some_and(terminal::is_ours)
    }

    fn give_terminal(&self, group: i32) {
        if let Some(terminal) = &self.terminal {
            let _ = terminal::give(terminal, group);
        }
    }

    /// The box's group has the terminal again where the child's had it.
    pub fn take_terminal(&self) {
        if self.foreground() == Some(self.cmd) {
            self.give_terminal(self.group);
        }
    }

    /// Whether a signal that the kernel sent is the terminal's.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// The terminal sent a signal to the box's group: whether that was for another one of the job, as the pager behind a pipe, which
    /// asks for the terminal that the child has, and now gets it.
    #[must_use]
    pub fn yields(&self, signal: Signal) -> bool {
        let yields = asks(signal) && self.foreground() == Some(self.cmd);
        if yields {
            self.give_terminal(self.group);
            let _ = signal::kill(0, Signal::CONT);
        }
        yields
    }

    /// The child was stopped: the box stops too, and with it the job that a shell knows, but not beyond `deadline`.
    pub fn stop(&self, signal: Signal, deadline: Deadline) -> Result<()> {
        if asks(signal) && self.is_in_front() {
            self.go_on();
            return Ok(());
        }
        let had = self.foreground() == Some(self.cmd);
        if signal == Signal::STOP && !had {
            return Ok(());
        }
        let by = if signal.stops() && signal != Signal::STOP { signal } else { Signal::TSTP };
        self.take_terminal();
        let is_job = had || (asks(by) && self.terminal.is_some());
        if is_job {
            signal::kill(0, by)?;
        }
        signal::stop(by, deadline)?;
        let was_stopped = signal::is_pending(Signal::CONT)? || (is_job && stops_but_for_init(by)?);
        if !was_stopped {
            // Nobody stopped us, so nobody would continue the child.
            self.go_on();
        }
        Ok(())
    }

    /// The job goes on: the child's group has the terminal again where the job has it.
    pub fn go_on(&self) {
        if self.ended.is_none() && self.is_in_front() {
            self.give_terminal(self.cmd);
        }
        self.to_group(Signal::CONT);
    }

    /// To the child's group, and to the child where it has left that; to nobody when it has ended.
    pub fn to_group(&self, signal: Signal) {
        if self.ended.is_some() {
            return;
        }
        let sent = signal::kill(-self.cmd, signal);
        if sent.is_err() || procfs::stat(self.cmd).is_ok_and(|stat| stat.group != self.cmd) {
            let _ = signal::kill(self.cmd, signal);
        }
    }
}

/// Whether the box cannot stop, as init of a pid namespace, but the rest of its group has: for a shell outside, which continues it.
/// A child in the group tells; the kernel stops it only where somebody would continue it.
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

/// Whether a signal says that a group in the background wants the terminal.
fn asks(signal: Signal) -> bool {
    signal == Signal::TTIN || signal == Signal::TTOU
}
