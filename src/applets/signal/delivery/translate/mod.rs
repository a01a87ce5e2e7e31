//! The box beside CMD: it forwards and translates signals, keeps the terminal's rules, reaps, and ends what is left.

mod below;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;

use anyhow::{Context, Error, Result};
use clap::ValueEnum;
use nix::errno::Errno;

use crate::applets::signal::plain;
use crate::args::signals::name;
use crate::exit::{Cause, Exit};
use crate::objects::process::unopened;
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::{Limit, Plan};
use crate::supervise::terminal::Job;
use crate::sys::child::{self, Change, Start, changed};
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::process::{pidfd, procfs};
use crate::sys::signal::{self, Arrival, Arrivals, Disposition, Set, Signal, block, set_disposition};
use crate::sys::wait::ready;

/// What is asked of the box.
pub struct Rules {
    /// What CMD does about some signals.
    pub dispositions: Vec<(Signal, Disposition)>,
    /// What CMD has blocked besides.
    pub block: Set,
    /// What a signal is translated to; nothing where it is dropped.
    pub map: Vec<(Signal, Option<Signal>)>,
    /// What is run when a signal comes.
    pub on: Vec<(Signal, Command)>,
    /// What CMD gets when the box's parent ends.
    pub parent_death: Option<Signal>,
    /// Which processes get what arrives.
    pub forward: Forward,
    /// Orphans are adopted.
    pub reap: bool,
    /// No descendant is left.
    pub kill_tree: bool,
    /// How long CMD may take.
    pub limit: Limit,
}

/// Which processes get a signal that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Forward {
    /// CMD alone
    #[default]
    Cmd,
    /// The process group of CMD
    Group,
    /// CMD and all below it
    Tree,
}

/// The box beside a CMD that runs.
pub struct Minder {
    command: Command,
    rules: Rules,
    arrivals: Arrivals,
    /// The mask that the box was given.
    mask: Set,
    /// What the box itself had to change, to be undone in children.
    given: Vec<(Signal, Disposition)>,
    job: Job,
    /// CMD's, until its tree is ended.
    fd: Option<OwnedFd>,
    parent: Option<OwnedFd>,
    /// Children from before CMD, which --kill-tree leaves alone.
    before: Vec<i32>,
    plan: Option<Plan>,
    late: bool,
    /// CMD has ended by itself, and what it has left gets the steps of --then.
    winding: bool,
    handlers: Vec<Handler>,
}

/// A command line that is run when a signal comes, one after the other.
struct Handler {
    signal: Signal,
    shell: Command,
    pid: Option<i32>,
    due: u32,
}

impl Minder {
    /// Starts CMD.
    pub fn start(command: Command, mut rules: Rules) -> Result<Self> {
        let is_tree = rules.kill_tree || rules.forward == Forward::Tree;
        if is_tree && !procfs::knows_us().context("cannot read /proc")? {
            let option = if rules.kill_tree { "--kill-tree" } else { "--forward tree" };
            let words = format!(
                "{option} needs /proc: the one that is mounted is not that of this pid namespace, or does not tell of children"
            );
            return Err(Cause::new(Exit::Failed, words).into());
        }
        let mask = block(Set::ALL).map_err(plain)?;
        let arrivals = Arrivals::open(Set::ALL).map_err(plain)?;
        // Who ignores SIGCHLD is not told of children.
        let before = set_disposition(Signal::CHLD, Disposition::Default).map_err(plain)?;
        let given = if before == Disposition::Ignore { vec![(Signal::CHLD, before)] } else { Vec::new() };
        if rules.reap || is_tree {
            child::adopt_orphans().map_err(plain)?;
        }
        let before = if is_tree { procfs::children(own_pid()).map_err(plain)? } else { Vec::new() };
        let parent = watch_parent(rules.parent_death)?;
        let dispositions: Vec<_> = given.iter().chain(&rules.dispositions).copied().collect();
        let started = Job::start(mask | rules.block, &dispositions, || command.execute(&[]));
        let job = started.map_err(|why| command.unstarted(why))?;
        let handlers = std::mem::take(&mut rules.on);
        let handler = |(signal, shell)| Handler { signal, shell, pid: None, due: 0 };
        let handlers = handlers.into_iter().map(handler).collect();
        let plan = rules.limit.start();
        let cmd = job.cmd;
        let mut minder = Self {
            command,
            rules,
            arrivals,
            mask,
            given,
            job,
            fd: None,
            parent,
            before,
            plan,
            late: false,
            winding: false,
            handlers,
        };
        match pidfd(cmd) {
            Ok(fd) => {
                minder.fd = Some(fd);
                Ok(minder)
            }
            Err(errno) => {
                minder.leave()?;
                Err(unopened(cmd, errno).into())
            }
        }
    }

    /// Minds CMD until it ends, and ends as it did.
    pub fn mind(mut self) -> Result<Exit> {
        let minded = self.until_the_end();
        let left = self.leave();
        minded.and(left)?;
        self.end()
    }

    fn leave(&mut self) -> Result<()> {
        let left = if self.rules.kill_tree { self.end_tree() } else { Ok(()) };
        self.job.take_terminal();
        left.map_err(plain).context("cannot end what is below CMD")
    }

    /// Whether CMD runs, or something for a signal.
    fn runs(&self) -> bool {
        self.job.ended.is_none() || self.handlers.iter().any(|handler| handler.pid.is_some())
    }

    /// Until the next step against a CMD that takes too long.
    fn deadline(&self) -> Deadline {
        self.plan.as_ref().map_or(Deadline::Forever, |plan| plan.deadline)
    }

    fn until_the_end(&mut self) -> Result<()> {
        while self.runs() || self.winds_down() {
            let mut watched = vec![self.arrivals.as_fd()];
            watched.extend(self.parent.as_ref().map(AsFd::as_fd));
            match ready(&watched, self.deadline()).map_err(plain)? {
                Some(0) => {
                    for arrival in self.arrivals.take(64).map_err(plain)? {
                        self.hear(&arrival)?;
                    }
                }
                Some(_) => {
                    self.parent = None;
                    let signal = self.rules.parent_death.unwrap_or(Signal::KILL);
                    self.to_command(signal, None);
                }
                None if !self.is_over() => {}
                None => break,
            }
        }
        Ok(())
    }

    /// The next step against a CMD, or what is still run for a signal, that takes too long; whether there is nothing left but to
    /// end the tree.
    fn is_over(&mut self) -> bool {
        self.late |= self.job.ended.is_none();
        let Some(signal) = self.plan.as_mut().and_then(Plan::due) else {
            self.plan = None;
            return self.rules.kill_tree;
        };
        if self.rules.kill_tree {
            self.to_tree(signal, None);
        } else {
            self.to_group(signal);
        }
        // One that is stopped would not hear it.
        if !signal.stops() && signal != Signal::CONT {
            self.to_group(Signal::CONT);
        }
        false
    }

    fn end(self) -> Result<Exit> {
        if self.late {
            let cause = self.rules.limit.missed("it did not end");
            return Err(Error::from(cause)).context(format!("cannot finish {}", self.command));
        }
        match self.job.ended {
            Some(Ended::Killed(signal)) => {
                signal::die(signal).map_err(plain)?;
                Ok(Exit::Command(Ended::Killed(signal).status()))
            }
            Some(ended) => Ok(Exit::Command(ended.status())),
            None => Ok(Exit::Failed),
        }
    }

    /// A signal came.
    fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        if signal == Signal::CHLD {
            self.look_at_children()?;
            if !arrival.is_sent() {
                return Ok(());
            }
        }
        // What the box told its own group for the terminal's sake, and what ended its own stop.
        let is_own = arrival.is_sent() && arrival.pid == own_pid();
        if is_own || (signal == Signal::CONT && arrival.is_timers()) {
            return Ok(());
        }
        if let Some(at) = self.handlers.iter().position(|handler| handler.signal == signal) {
            self.handlers[at].due += 1;
            self.handle(at);
        }
        let translation = self.rules.map.iter().find(|(from, _)| *from == signal);
        let Some(to) = translation.map_or(Some(signal), |(_, to)| *to) else {
            return Ok(());
        };
        if to == Signal::CONT {
            self.job.go_on();
            if self.job.ended.is_some() {
                self.to_handlers(to);
            }
        } else if arrival.is_kernels() && self.job.has_terminal() {
            if !self.job.yields(to) && (self.job.ended.is_none() || !to.stops()) {
                self.to_group(to);
            }
        } else {
            self.forward(to, arrival.has_value().then_some(arrival.value));
        }
        Ok(())
    }

    fn forward(&self, signal: Signal, value: Option<i32>) {
        match self.rules.forward {
            // After CMD it goes to what is still run for a signal.
            Forward::Tree if self.job.ended.is_none() => self.to_tree(signal, value),
            Forward::Group => {
                self.to_group(signal);
                if signal.asks_to_end() {
                    self.to_group(Signal::CONT);
                }
            }
            Forward::Cmd | Forward::Tree => self.to_command(signal, value),
        }
    }

    /// Children ended or were stopped.
    fn look_at_children(&mut self) -> Result<()> {
        loop {
            let (pid, change, _) = match changed() {
                Ok(Some(changed)) => changed,
                Ok(None) => break,
                Err(Errno::ECHILD) if self.job.ended.is_some() => break,
                Err(errno) => return Err(plain(errno).into()),
            };
            match change {
                Change::Ended(ended) if pid == self.job.cmd => {
                    self.job.ended = Some(ended);
                    self.job.take_terminal();
                }
                Change::Stopped(signal) if pid == self.job.cmd => {
                    self.job.stop(signal, self.deadline()).map_err(plain)?;
                }
                Change::Ended(_) => {
                    if let Some(at) = self.handlers.iter().position(|handler| handler.pid == Some(pid)) {
                        self.handlers[at].pid = None;
                        self.handle(at);
                    }
                }
                Change::Stopped(_) => {}
            }
        }
        Ok(())
    }

    /// Runs a handler's command line where one is due and none runs.
    fn handle(&mut self, at: usize) {
        let handler = &mut self.handlers[at];
        if handler.due == 0 || handler.pid.is_some() {
            return;
        }
        handler.due -= 1;
        let how =
            Start { mask: self.mask, dispositions: &self.given, parent_death: Some(Signal::KILL), ..Start::default() };
        let added = [("IPCBOX_SIGNAL", name(handler.signal)), ("IPCBOX_PID", self.job.cmd.to_string())];
        let shell = &handler.shell;
        let started = child::start(&how, || shell.execute(&added));
        match started {
            Ok(pid) => handler.pid = Some(pid),
            Err(why) => output::report(&shell.unstarted(why)),
        }
    }

    /// To CMD alone; when it has ended, to what is still run for a signal.
    fn to_command(&self, signal: Signal, value: Option<i32>) {
        let Some(fd) = self.fd.as_ref().filter(|_| self.job.ended.is_none()) else {
            return self.to_handlers(signal);
        };
        let sent = signal::send(fd.as_fd(), Some(signal), value, false);
        // A full queue takes no value, but the signal itself. A child that has not been reaped keeps its number, so that kill(2) is as
        // good where the call is missing or forbidden.
        if matches!(sent, Err(Errno::EAGAIN | Errno::ENOSYS | Errno::EPERM)) {
            let _ = signal::kill(self.job.cmd, signal);
        }
        if signal.asks_to_end() && procfs::stat(self.job.cmd).is_ok_and(|stat| stat.is_stopped()) {
            let _ = signal::kill(self.job.cmd, Signal::CONT);
        }
    }

    fn to_handlers(&self, signal: Signal) {
        for pid in self.handlers.iter().filter_map(|handler| handler.pid) {
            let _ = signal::kill(-pid, signal);
            // One can have stopped, as a reader of the terminal that it does not have.
            if signal.asks_to_end() {
                let _ = signal::kill(-pid, Signal::CONT);
            }
        }
    }

    /// To CMD's process group; when it has ended, to what is still run for a signal.
    fn to_group(&self, signal: Signal) {
        if self.job.ended.is_some() {
            return self.to_handlers(signal);
        }
        self.job.to_group(signal);
    }
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// A descriptor for the box's parent, where CMD is to hear of its end. As init of a pid namespace the box has a parent
/// outside of it; there the box gets the signal itself.
fn watch_parent(signal: Option<Signal>) -> Result<Option<OwnedFd>> {
    let Some(signal) = signal else {
        return Ok(None);
    };
    let parent = parent_id().cast_signed();
    if parent == 0 {
        signal::on_parents_death(signal).map_err(plain)?;
        return Ok(None);
    }
    let opened = pidfd(parent).map_err(|errno| unopened(parent, errno));
    Ok(Some(opened.context("cannot watch the box's parent")?))
}
