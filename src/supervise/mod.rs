//! Floor 7: child processes, one loop over signals, children and the time limit, and one set of rules for what ipcbox does about
//! them.
//!
//! A verb takes its events from [`Supervisor::next`], handles those that it cares about, and leaves the others to
//! [`Supervisor::hear`] (forwarding, job control), [`Supervisor::reap`] and [`Supervisor::escalate`].

pub mod command;
pub mod escalation;
pub mod pool;
pub mod report;
mod terminal;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

use crate::exit::{Cause, Exit};
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::{Limit, Plan};
use crate::sys::child::{self, Change, Group, Reporter, Standard, Start, Usage};
use crate::sys::deadline::Deadline;
use crate::sys::process::signal_child;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Arrival, Arrivals, Disposition, Set, Signal, block, set_disposition};
use crate::sys::wait::{Want, any};
use crate::sys::{process, terminal as tty};

/// What happens beside ipcbox.
#[derive(Debug)]
pub enum Event {
    /// A signal came from outside.
    Signal(Arrival),
    /// A child may have exited or stopped: [`Supervisor::reap`] returns it.
    Child,
    /// The next step against children that take too long is due.
    Due,
    /// For each descriptor whether it has what is wanted of it; none has if the time is over.
    Ready(Vec<bool>),
}

/// The process group that children are started in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// A group of their own, which has the terminal when the group of ipcbox would have it.
    Own,
    /// The group of ipcbox if that is in the foreground of its terminal, else a group of their own.
    Shared,
    /// The same for a verb that reads the terminal itself: it stops by itself, and never gives the terminal to the children.
    Reader,
}

/// The children of one call, and what ipcbox knows of them.
#[derive(Debug)]
pub struct Supervisor {
    /// How long they may take.
    pub limit: Limit,
    /// The signal mask that ipcbox was given, which children get.
    pub mask: Set,
    /// What children do about signals for which ipcbox does something else.
    pub given: Vec<(Signal, Disposition)>,
    arrivals: Arrivals,
    heard: VecDeque<Arrival>,
    /// Signals may have come that were not read.
    unread: bool,
    /// A child may have changed.
    changed: bool,
    /// They are in the group of ipcbox, which has the terminal.
    together: bool,
    grouping: Grouping,
    terminal: Option<OwnedFd>,
    /// The group of ipcbox.
    group: i32,
    /// Their own group.
    leader: Option<i32>,
    running: Vec<i32>,
    plan: Option<Plan>,
    /// Those of which it was reported that they cannot be signalled.
    unreached: Vec<i32>,
}

impl Supervisor {
    /// No child yet. From now on signals are read, and the time runs.
    pub fn new(grouping: Grouping, limit: &Limit) -> nix::Result<Self> {
        let mask = block(Set::ALL)?;
        let arrivals = Arrivals::open(Set::ALL)?;
        // A process that ignores SIGCHLD gets no report of its children.
        let before = set_disposition(Signal::CHLD, Disposition::Default)?;
        let ignored = before == Disposition::Ignore;
        let group = getpgrp().as_raw();
        let terminal = tty::controlling();
        let together = grouping != Grouping::Own && terminal.as_ref().and_then(tty::foreground) == Some(group);
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
            group,
            leader: None,
            running: Vec::new(),
            plan: limit.start(),
            unreached: Vec::new(),
        })
    }

    /// Whether ipcbox stops when one of them does.
    fn stops_with(&self) -> bool {
        match self.grouping {
            Grouping::Own => true,
            // Without a terminal no shell continues all of them together.
            Grouping::Shared => !self.together && self.terminal.is_some(),
            Grouping::Reader => false,
        }
    }

    /// What a child is started with. It is killed when ipcbox exits.
    pub fn how(&self) -> Start<'_> {
        Start { mask: self.mask, dispositions: &self.given, parent_death: Some(Signal::KILL), terminal: None }
    }

    /// Starts CMD with these signals blocked besides, and these dispositions, in a group of its own. It has the terminal if ipcbox had
    /// it. Returns its process id once exec has succeeded, for which `is_ready`, if there is one, has to agree.
    ///
    /// # Errors
    /// It was not started.
    pub fn start(
        &mut self,
        command: &Command,
        blocked: Set,
        dispositions: &[(Signal, Disposition)],
        is_ready: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<i32> {
        let dispositions = [&self.given, dispositions].concat();
        let in_front = self.terminal.as_ref().filter(|terminal| tty::is_ours(terminal)).map(AsFd::as_fd);
        let how = Start { mask: self.mask | blocked, dispositions: &dispositions, terminal: in_front, ..self.how() };
        let run = || command.execute(&[]);
        let started = match is_ready {
            Some(is_ready) => child::start_when(&how, is_ready, run),
            None => child::start(&how, run),
        };
        if started.is_err() && in_front.is_some() {
            self.give_terminal(self.group);
        }
        let pid = started.map_err(|why| command.unstarted(why))?;
        self.leader = Some(pid);
        self.running.push(pid);
        Ok(pid)
    }

    /// Starts one of several commands with these descriptors. `reporter`: where it reports, by this number, that exec has failed.
    ///
    /// # Errors
    /// There could be no process.
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

    /// Whether one of them has not exited.
    pub fn runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits for the next event: `also` is what is awaited of other descriptors, at most until `until`. Signals come first, and a step
    /// only when nothing else has happened.
    pub fn next(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Event> {
        loop {
            while let Some(arrival) = self.heard.pop_front() {
                let signal = arrival.signal;
                self.changed |= signal == Signal::CHLD;
                // What ipcbox sent to its own group for the sake of the terminal, and what ended its own stop.
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

    /// When the next step is due.
    pub fn deadline(&self) -> Deadline {
        self.plan.as_ref().map_or(Deadline::Forever, |plan| plan.deadline)
    }

    /// Acts on a signal that came. The children get it, unless the terminal has sent it to them too, or it decides which process
    /// group has the terminal.
    pub fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        // If the terminal is closed, the kernel signals the leader of the session alone.
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

    /// Sends a signal that came to the children. Those that are stopped hear that they are to exit.
    pub fn forward(&self, signal: Signal, value: Option<i32>) {
        match value {
            // A process group gets no value, but has to hear all of it that it is to exit.
            Some(_) if !signal.is_termination() => {
                self.running.iter().for_each(|pid| signal_child(*pid, signal, value))
            }
            _ => self.send(signal),
        }
        if signal.is_termination() {
            self.send(Signal::CONT);
        }
    }

    /// Sends a signal to the children that run, and to what they have started in a group of their own.
    pub fn send(&self, signal: Signal) {
        let leader = self.leader.filter(|leader| self.runs() && signal::kill(-leader, signal).is_ok());
        for pid in &self.running {
            // One can have left the group.
            if leader.is_none() || getpgid(Some(Pid::from_raw(*pid))).map(Pid::as_raw).ok() != leader {
                signal_child(*pid, signal, None);
            }
        }
    }

    /// A child that has exited, how, and what it used; `None` when there is no more to do now. If one has stopped, ipcbox stops with it.
    /// `look` is called before a child is reaped, while it still has its process id.
    ///
    /// # Errors
    /// Children cannot be waited for.
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
                    if self.running.is_empty() {
                        self.take_terminal();
                    }
                    return Ok(Some((pid, ended, usage)));
                }
                Ok(Some((pid, Change::Stopped(signal), _))) => {
                    if self.stops_with() && self.running.contains(&pid) {
                        // What continued ipcbox is heard before the next child.
                        return self.stop(signal).map(|()| None);
                    }
                }
                Err(errno) if errno != Errno::ECHILD || self.runs() => return Err(errno),
                Ok(None) | Err(_) => {
                    self.changed = false;
                    return Ok(None);
                }
            }
        }
    }

    /// Begins to end the children, as if the time were over.
    pub fn end_now(&mut self) {
        self.plan = Some(self.limit.end_now());
    }

    /// The signal of the step that is due; `None` if there is none left.
    pub fn step(&mut self) -> Option<Signal> {
        let signal = self.plan.as_mut().and_then(Plan::due);
        if signal.is_none() {
            self.plan = None;
        }
        signal
    }

    /// Whether a step is still to come, or gets its time.
    pub const fn has_plan(&self) -> bool {
        self.plan.is_some()
    }

    /// Takes the step that is due against the children.
    pub fn escalate(&mut self) {
        let Some(signal) = self.step() else { return };
        self.send(signal);
        if signal.needs_continuing() {
            self.send(Signal::CONT);
        }
        self.report_unreached();
    }

    /// Reports once each child that is waited for though no signal reaches it.
    pub fn report_unreached(&mut self) {
        for pid in &self.running {
            if !self.unreached.contains(pid) && is_unreached(*pid) {
                self.unreached.push(*pid);
            }
        }
    }
}

/// Whether no signal reaches a child, such as a set-uid program, which is reported.
fn is_unreached(pid: i32) -> bool {
    let is_unreached = !signal::is_permitted(pid);
    if is_unreached {
        let name = process::command(pid).map(|name| format!(" ({name})")).unwrap_or_default();
        output::warn(format!("cannot signal {pid}{name}: {}", Cause::plain(Errno::EPERM)));
    }
    is_unreached
}

/// Ends ipcbox as its command ended: by the same signal, which ends the loop of a shell too.
pub fn end_as(ended: Ended) -> Result<Exit> {
    if let Ended::Killed(signal) = ended {
        signal::die(signal)?;
    }
    Ok(Exit::Command(ended.status()))
}
