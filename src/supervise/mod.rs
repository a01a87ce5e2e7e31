//! Floor 7: child processes: one loop over signals, exits and the time limit, and one policy for each of them.
//!
//! A verb takes events from [`Supervisor::next`], handles those it cares about, and passes the others to
//! [`Supervisor::hear`] (forwarding, job control), [`Supervisor::reap`] and [`Supervisor::escalate`].

pub mod command;
pub mod escalation;
pub mod pool;
pub mod report;
pub mod single;
mod terminal;
pub mod tree;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

use crate::exit::{Cause, Exit};
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::{Limit, Plan};
use crate::sys::child::{self, Change, Group, Reporter, Standard, Start, Unstarted, Usage};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt;
use crate::sys::process::signal_child;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Arrival, Arrivals, Disposition, Set, Signal, block, set_disposition};
use crate::sys::wait::{Want, any};
use crate::sys::{process, terminal as tty};

/// An event outside ipcbox.
#[derive(Debug)]
pub enum Event {
    /// A signal from another process, the kernel or the terminal.
    Signal(Arrival),
    /// A child may have exited or stopped; [`Supervisor::reap`] returns it.
    Child,
    /// The next step against children that run too long is due.
    Due,
    /// Whether each awaited descriptor is ready; all are false if the deadline has passed.
    Ready(Vec<bool>),
}

/// The process group of the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// A group of their own, which gets the terminal if the group of ipcbox has it.
    Own,
    /// The group of ipcbox if that is in the foreground of its terminal, else a group of their own.
    Shared,
    /// Like `Shared`, for a verb that reads the terminal itself: it stops alone and never hands the terminal on.
    Reader,
}

/// The children of one call.
#[derive(Debug)]
pub struct Supervisor {
    /// How long they may run.
    pub limit: Limit,
    /// The signal mask of ipcbox's caller, which the children get.
    pub mask: Set,
    /// Dispositions of the children that differ from those of ipcbox.
    pub given: Vec<(Signal, Disposition)>,
    arrivals: Arrivals,
    heard: VecDeque<Arrival>,
    /// Signals may be pending that were not read.
    unread: bool,
    /// A child may have changed.
    changed: bool,
    /// The children share the group of ipcbox, which has the terminal.
    together: bool,
    grouping: Grouping,
    terminal: Option<OwnedFd>,
    /// The process group of the children, if it is another one.
    leader: Option<i32>,
    running: Vec<i32>,
    /// Children that were not started by it, which get no signals from it.
    attended: Vec<i32>,
    plan: Option<Plan>,
    /// Children already reported as out of reach of signals.
    unreached: Vec<i32>,
}

impl Supervisor {
    /// Starts the clock and blocks all signals, which are read from now on.
    pub fn new(grouping: Grouping, limit: &Limit) -> nix::Result<Self> {
        interrupt::stop_timer()?;
        let mask = block(Set::ALL)?;
        let arrivals = Arrivals::open(Set::ALL)?;
        // A process that ignores SIGCHLD gets no status of its children.
        let before = set_disposition(Signal::CHLD, Disposition::Default)?;
        let ignored = before == Disposition::Ignore;
        let terminal = tty::controlling();
        let is_in_front = || terminal.as_ref().and_then(tty::foreground) == Some(getpgrp().as_raw());
        let together = grouping != Grouping::Own && is_in_front();
        Ok(Self {
            limit: limit.clone(),
            mask,
            given: ignored.then_some((Signal::CHLD, before)).into_iter().collect(),
            arrivals,
            heard: VecDeque::new(),
            unread: false,
            changed: false,
            together,
            grouping,
            terminal: terminal.filter(|_| together || grouping != Grouping::Reader),
            leader: None,
            running: Vec::new(),
            attended: Vec::new(),
            plan: limit.start(),
            unreached: Vec::new(),
        })
    }

    /// Whether ipcbox stops when a child does.
    fn stops_with(&self) -> bool {
        match self.grouping {
            Grouping::Own => true,
            // Without a terminal, no shell continues all of them together.
            Grouping::Shared => !self.together && self.terminal.is_some(),
            Grouping::Reader => false,
        }
    }

    /// Returns the settings of a child. It is killed when ipcbox exits.
    pub fn how(&self) -> Start<'_> {
        Start { mask: self.mask, dispositions: &self.given, parent_death: Some(Signal::KILL), terminal: None }
    }

    /// Starts CMD in a group of its own, with `added` in its environment, `blocked` in its mask and these dispositions. It gets the
    /// terminal if ipcbox has it. Returns its process id after exec, which waits until `is_ready`, if given, returns
    /// true.
    ///
    /// # Errors
    /// CMD could not be started.
    pub fn start(
        &mut self,
        command: &Command,
        added: &[(&str, String)],
        (blocked, dispositions): (Set, &[(Signal, Disposition)]),
        is_ready: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<i32> {
        self.start_by(command, (blocked, dispositions), is_ready, &|| command.execute(added))
    }

    /// Like `start`, but the child calls `execute`, which executes CMD after preparations of its own.
    fn start_by(
        &mut self,
        command: &Command,
        (blocked, dispositions): (Set, &[(Signal, Disposition)]),
        is_ready: Option<&mut dyn FnMut() -> bool>,
        execute: &dyn Fn() -> Unstarted,
    ) -> Result<i32> {
        let dispositions = [&self.given, dispositions].concat();
        let in_front = self.terminal.as_ref().filter(|terminal| tty::is_ours(terminal)).map(AsFd::as_fd);
        let how = Start { mask: self.mask | blocked, dispositions: &dispositions, terminal: in_front, ..self.how() };
        let started = match is_ready {
            Some(is_ready) => child::start_when(&how, is_ready, execute),
            None => child::start(&how, execute),
        };
        if started.is_err() && in_front.is_some() {
            self.give_terminal(getpgrp().as_raw());
        }
        let pid = started.map_err(|why| command.unstarted(why))?;
        self.leader = Some(pid);
        self.running.push(pid);
        Ok(pid)
    }

    /// Like `start`, for one of several commands, identified by the number in `reporter`, to which a failed exec is
    /// reported. Does not wait for exec.
    ///
    /// # Errors
    /// No process could be created.
    pub fn begin(&mut self, command: &Command, standard: Standard, reporter: (&Reporter, u32)) -> Result<i32> {
        let group = match self.leader {
            _ if self.together => Group::Same,
            None => Group::New,
            Some(leader) => Group::Of(leader),
        };
        let begun = child::begin(&self.how(), group, standard, reporter, || command.execute(&[]));
        let pid = begun.map_err(|errno| command.unstarted(errno.into()))?;
        if group == Group::New {
            self.leader = Some(pid);
        }
        self.running.push(pid);
        Ok(pid)
    }

    /// Also waits for a child that the caller has started and signals itself.
    pub fn attend(&mut self, pid: i32) {
        self.attended.push(pid);
    }

    /// Whether a child still runs.
    pub fn runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits for the next event, or until `also` is ready or `until` has passed. Signals come first; a step is due only
    /// if nothing else happened.
    pub fn next(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Event> {
        loop {
            while let Some(arrival) = self.heard.pop_front() {
                let signal = arrival.signal;
                self.changed |= signal == Signal::CHLD;
                // ipcbox signals its own group when it hands the terminal on, and a timer ends its own stop.
                let is_own = arrival.is_sent() && arrival.pid == getpid().as_raw();
                let is_own = is_own || signal == Signal::CONT && arrival.is_timers();
                let is_childs = signal == Signal::CHLD && !arrival.is_sent();
                if !is_own && !is_childs {
                    return Ok(Event::Signal(arrival));
                }
            }
            if self.unread {
                const MOST: usize = 64;
                self.heard.extend(self.arrivals.take(MOST)?);
                self.unread = self.heard.len() == MOST;
                if !self.heard.is_empty() {
                    continue;
                }
            }
            if self.changed {
                return Ok(Event::Child);
            }
            let mut awaited = vec![(self.arrivals.as_fd(), Want::Readable)];
            awaited.extend_from_slice(also);
            let mut came = any(&awaited, self.deadline().earlier(until))?;
            self.unread = came.remove(0);
            if self.unread {
                continue;
            }
            if self.deadline().is_over() {
                return Ok(Event::Due);
            }
            if came.contains(&true) || until.is_over() {
                return Ok(Event::Ready(came));
            }
        }
    }

    /// Returns when the next step is due.
    pub fn deadline(&self) -> Deadline {
        self.plan.as_ref().map_or(Deadline::Forever, |plan| plan.deadline)
    }

    /// Forwards a signal to the children, unless the terminal sent it to them too or it is about which group has the
    /// terminal.
    pub fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        // When a terminal is closed, the kernel signals only the leader of its session.
        let is_hangup = (signal == Signal::HUP || signal == Signal::CONT) && getsid(None) == Ok(getpid());
        let is_theirs = self.together && arrival.is_kernels() && !is_hangup;
        if self.stops_with() {
            if signal == Signal::CONT {
                self.go_on();
                return Ok(());
            }
            if arrival.is_kernels() && self.hands_terminal_on(signal) {
                return Ok(());
            }
        } else if signal.stops() {
            if !is_theirs {
                self.send(signal);
            }
            return Ok(self.pause(signal, false)?);
        }
        if !is_theirs {
            self.forward(signal, arrival.has_value().then_some(arrival.value));
        }
        Ok(())
    }

    /// Sends a signal to the children, and continues stopped ones if it asks them to exit.
    pub fn forward(&self, signal: Signal, value: Option<i32>) {
        match value {
            // A value cannot be sent to a group, but a request to exit has to reach all of the group.
            Some(_) if !signal.is_termination() => {
                self.running.iter().for_each(|pid| signal_child(*pid, signal, value));
            }
            _ => self.send(signal),
        }
        if signal.is_termination() {
            self.send(Signal::CONT);
        }
    }

    /// Sends a signal to the running children, and to the rest of their process group.
    pub fn send(&self, signal: Signal) {
        let leader = self.leader.filter(|leader| self.runs() && signal::kill(-leader, signal).is_ok());
        for pid in &self.running {
            // A child can have left the group.
            if leader.is_none() || getpgid(Some(Pid::from_raw(*pid))).map(Pid::as_raw).ok() != leader {
                signal_child(*pid, signal, None);
            }
        }
    }

    /// Reaps a child and returns its exit status and resource usage; `None` if there is no more to do now. If a child
    /// has stopped, ipcbox stops with it. `look` is called before a child is reaped, while its pid is still its own.
    ///
    /// # Errors
    /// The children cannot be waited for.
    pub fn reap(&mut self, mut look: Option<&mut dyn FnMut()>) -> nix::Result<Option<(i32, Ended, Usage)>> {
        loop {
            let change = match &mut look {
                None => child::changed(),
                Some(look) => child::waiting().and_then(|pid| {
                    pid.map_or(Ok(None), |pid| {
                        look();
                        child::change_of(pid)
                    })
                }),
            };
            match change {
                Ok(Some((pid, Change::Ended(ended), usage))) => {
                    self.running.retain(|child| *child != pid);
                    self.attended.retain(|child| *child != pid);
                    if self.running.is_empty() {
                        self.take_terminal();
                    }
                    return Ok(Some((pid, ended, usage)));
                }
                Ok(Some((pid, Change::Stopped(signal), _))) => {
                    if self.stops_with() && self.running.contains(&pid) {
                        // The signal that continued ipcbox is handled before the next child.
                        return self.stop(signal).map(|()| None);
                    }
                }
                // Waiting for the next SIGCHLD would hang.
                Err(errno) if errno != Errno::ECHILD || self.runs() || !self.attended.is_empty() => return Err(errno),
                Ok(None) | Err(_) => {
                    self.changed = false;
                    return Ok(None);
                }
            }
        }
    }

    /// Starts the steps against the children, as if the time limit had passed.
    pub fn end_now(&mut self) {
        self.plan = Some(self.limit.end_now());
    }

    /// Returns the signal of the step that is due; `None` if no step is left.
    pub fn step(&mut self) -> Option<Signal> {
        let signal = self.plan.as_mut().and_then(Plan::due);
        if signal.is_none() {
            self.plan = None;
        }
        signal
    }

    /// Whether a step is pending, or its grace period runs.
    pub const fn has_plan(&self) -> bool {
        self.plan.is_some()
    }

    /// Sends the signal of the step that is due.
    pub fn escalate(&mut self) {
        let Some(signal) = self.step() else { return };
        self.send(signal);
        if signal.needs_continuing() {
            self.send(Signal::CONT);
        }
        self.report_unreached();
    }

    /// Reports each child that may not be signalled, once.
    pub fn report_unreached(&mut self) {
        for pid in &self.running {
            if !self.unreached.contains(pid) && is_unreached(*pid) {
                self.unreached.push(*pid);
            }
        }
    }
}

/// Whether a child, such as a set-uid program, may not be signalled. Reports it.
fn is_unreached(pid: i32) -> bool {
    let is_unreached = !signal::is_permitted(pid);
    if is_unreached {
        let name = process::command(pid).map(|name| format!(" ({name})")).unwrap_or_default();
        output::warn(format!("cannot signal {pid}{name}: {}", Cause::plain(Errno::EPERM)));
    }
    is_unreached
}

/// Exits as CMD did. A signal that killed CMD kills ipcbox too, which ends the loop of a shell.
pub fn end_as(ended: Ended) -> Result<Exit> {
    if let Ended::Killed(signal) = ended {
        signal::die(signal)?;
    }
    Ok(Exit::Command(ended.status()))
}
