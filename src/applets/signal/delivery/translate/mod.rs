//! `signal run` as the parent of CMD: translates signals, runs command lines for them, and kills descendants.

mod below;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::args::signals::{catchable, name, parse};
use crate::exit::{Cause, Exit};
use crate::objects::process::unopened;
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::tree::{self, own_pid};
use crate::supervise::{Event, Grouping, Supervisor, end_as};
use crate::sys::child;
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::process::{pidfd, procfs, signal_child};
use crate::sys::signal::{self, Arrival, Disposition, Set, Signal};
use crate::sys::wait::Want;

/// Options that concern arriving signals and descendants of CMD.
#[derive(Debug, Args)]
pub struct Rules {
    /// Translate signal A to B for CMD; A= drops A
    #[arg(long, value_name = "A=B", value_parser = pair, value_delimiter = ',')]
    pub map: Vec<Pair>,
    /// Run CMDLINE with /bin/sh when SIG arrives
    ///
    /// CMD still gets SIG, unless --map SIG= drops it. IPCBOX_SIGNAL contains SIG, and IPCBOX_PID contains the pid of
    /// CMD. A CMDLINE never runs twice at the same time. ipcbox exits only after every CMDLINE has finished.
    #[arg(long, value_name = "SIG=CMDLINE", value_parser = on)]
    pub on: Vec<On>,
    /// Forward signals to cmd, group or tree (default: cmd)
    ///
    /// The word group stands for the process group of CMD, and tree for CMD and all its descendants.
    #[arg(long, value_name = "TO", value_enum, default_value_t, hide_possible_values = true)]
    forward: Forward,
    /// Send SIG to CMD when the parent of ipcbox exits
    #[arg(long, value_name = "SIG", value_parser = parse)]
    pub parent_death: Option<Signal>,
    /// Reap orphaned descendants of CMD, as init does
    #[arg(long)]
    reap: bool,
    /// Kill all descendants of CMD when CMD exits
    ///
    /// The descendants are also killed after --max-time and the last --then have expired.
    #[arg(long)]
    kill_tree: bool,
    #[command(flatten)]
    limit: Limit,
}

impl Rules {
    /// Whether ipcbox has to stay as the parent of CMD.
    pub fn need_a_parent(&self) -> bool {
        let by_signal = !self.map.is_empty() || !self.on.is_empty() || self.forward != Forward::Cmd;
        by_signal || self.reap || self.kill_tree || self.limit.time().is_some()
    }
}

/// A signal and its translation; `None` drops it.
#[derive(Debug, Clone, Copy)]
pub struct Pair(pub Signal, pub Option<Signal>);

fn pair(text: &str) -> Result<Pair, String> {
    let (from, to) = text.split_once('=').ok_or("expected A=B (such as TERM=INT), or A= to drop signal A")?;
    let to = match to {
        "" => None,
        to => Some(parse(to)?),
    };
    if to == Some(Signal::KILL) {
        return Err("cannot translate a signal to KILL; to limit the run time of CMD, use --max-time".into());
    }
    Ok(Pair(catchable(from)?, to))
}

/// A signal, and the command line to run when it arrives.
#[derive(Debug, Clone)]
pub struct On(pub Signal, pub String);

fn on(text: &str) -> Result<On, String> {
    let (signal, line) = text.split_once('=').ok_or("expected SIG=CMDLINE")?;
    if line.trim().is_empty() {
        return Err("CMDLINE after '=' is empty".into());
    }
    Ok(On(catchable(signal)?, line.to_owned()))
}

/// The processes that get an arriving signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Forward {
    /// Only CMD
    #[default]
    Cmd,
    /// The process group of CMD
    Group,
    /// CMD and all its descendants
    Tree,
}

/// A running CMD.
pub struct Translator {
    command: Command,
    rules: Rules,
    supervisor: Supervisor,
    cmd: i32,
    ended: Option<Ended>,
    parent: Option<OwnedFd>,
    /// Children from before CMD, which `--kill-tree` does not touch.
    before: Vec<i32>,
    late: bool,
    /// CMD exited in time, and its descendants get the steps of `--then`.
    winding: bool,
    handlers: Vec<Handler>,
}

/// The command line for a signal. One runs at a time; `due` counts those still to run.
struct Handler {
    signal: Signal,
    shell: Command,
    pid: Option<i32>,
    due: u32,
}

impl Translator {
    pub fn start(command: Command, rules: Rules, dispositions: &[(Signal, Disposition)], blocked: Set) -> Result<Self> {
        let handler = |On(signal, line): &On| {
            let shell = Command::find(["/bin/sh".into(), "-c".into(), line.into()].into())?;
            anyhow::Ok(Handler { signal: *signal, shell, pid: None, due: 0 })
        };
        let handlers = rules.on.iter().map(handler).collect::<Result<_>>()?;
        let is_tree = rules.kill_tree || rules.forward == Forward::Tree;
        if is_tree && !procfs::knows_us().context("cannot read /proc")? {
            let option = if rules.kill_tree { "--kill-tree" } else { "--forward tree" };
            let words = format!("{option} needs the /proc of this pid namespace, including PID/task/TID/children");
            return Err(Cause::new(Exit::Failed, words).into());
        }
        if is_tree {
            let opened = pidfd(own_pid()).map_err(|errno| unopened(own_pid(), errno));
            opened.context("cannot signal the descendants of CMD")?;
        }
        let mut supervisor = Supervisor::new(Grouping::Own, &rules.limit)?;
        if rules.reap || is_tree {
            child::adopt_orphans()?;
        }
        let before = if is_tree { procfs::children(own_pid())? } else { Vec::new() };
        let parent = watch_parent(rules.parent_death)?;
        let cmd = supervisor.start(&command, &[], (blocked, dispositions), None)?;
        let (ended, late, winding) = (None, false, false);
        Ok(Self { command, rules, supervisor, cmd, ended, parent, before, late, winding, handlers })
    }

    /// Waits until CMD exits, and exits as it did.
    pub fn run(mut self) -> Result<Exit> {
        let outcome = self.until_the_end();
        let left = if self.rules.kill_tree { tree::kill(&self.before) } else { Ok(()) };
        self.supervisor.take_terminal();
        outcome?;
        left.context("cannot kill the descendants of CMD")?;
        self.end()
    }

    fn runs(&self) -> bool {
        self.ended.is_none() || self.handlers.iter().any(|handler| handler.pid.is_some())
    }

    fn until_the_end(&mut self) -> Result<()> {
        while self.runs() || self.winds_down() {
            let parent: Vec<_> = self.parent.iter().map(|parent| (parent.as_fd(), Want::Readable)).collect();
            match self.supervisor.next(&parent, Deadline::Forever)? {
                Event::Signal(arrival) => self.hear(&arrival)?,
                Event::Child => self.reap()?,
                Event::Due if self.is_over() => break,
                Event::Due => {}
                Event::Ready(_) => {
                    self.parent = None;
                    self.to_command(self.rules.parent_death.unwrap_or(Signal::KILL), None);
                }
            }
        }
        Ok(())
    }

    /// Takes the next step against CMD or handlers that run too long. Returns whether only killing the tree is left.
    fn is_over(&mut self) -> bool {
        self.late |= self.ended.is_none();
        let Some(signal) = self.supervisor.step() else { return self.rules.kill_tree };
        if self.rules.kill_tree {
            self.to_tree(signal, None);
        } else {
            self.to_group(signal);
        }
        if signal.needs_continuing() {
            self.to_group(Signal::CONT);
        }
        self.supervisor.report_unreached();
        false
    }

    fn end(self) -> Result<Exit> {
        if self.late {
            let ended = self.ended.or(self.rules.kill_tree.then_some(Ended::Killed(Signal::KILL)));
            return Err(self.rules.limit.timed_out(&self.command.to_string(), ended).into());
        }
        self.ended.map_or(Ok(Exit::Failed), end_as)
    }

    fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        if let Some(at) = self.handlers.iter().position(|handler| handler.signal == signal) {
            self.handlers[at].due += 1;
            self.handle(at);
        }
        let translation = self.rules.map.iter().find(|Pair(from, _)| *from == signal);
        let Some(to) = translation.map_or(Some(signal), |Pair(_, to)| *to) else {
            return Ok(());
        };
        let is_terminals = arrival.is_kernels() && self.supervisor.has_terminal();
        let value = arrival.has_value().then_some(arrival.value);
        if self.ended.is_some() {
            if !(is_terminals && to.stops()) {
                self.to_handlers(to);
            }
        } else if to == Signal::CONT || is_terminals {
            self.supervisor.hear(&Arrival { signal: to, ..*arrival })?;
        } else {
            match self.rules.forward {
                Forward::Tree => self.to_tree(to, value),
                Forward::Group => self.supervisor.forward(to, None),
                Forward::Cmd => self.to_command(to, value),
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        while let Some((pid, ended, _)) = self.supervisor.reap(None)? {
            if pid == self.cmd {
                self.ended = Some(ended);
            } else if let Some(at) = self.handlers.iter().position(|handler| handler.pid == Some(pid)) {
                self.handlers[at].pid = None;
                self.handle(at);
            }
        }
        Ok(())
    }

    /// Runs a handler if it is due and does not run.
    fn handle(&mut self, at: usize) {
        let handler = &mut self.handlers[at];
        if handler.due == 0 || handler.pid.is_some() {
            return;
        }
        handler.due -= 1;
        let added = [("IPCBOX_SIGNAL", name(handler.signal)), ("IPCBOX_PID", self.cmd.to_string())];
        let shell = &handler.shell;
        let started = child::start(&self.supervisor.how(), || shell.execute(&added));
        match started {
            Ok(pid) => {
                handler.pid = Some(pid);
                self.supervisor.attend(pid);
            }
            Err(why) => output::report(&shell.unstarted(why)),
        }
    }

    /// Sends a signal to CMD, or to the handlers if CMD has exited.
    fn to_command(&self, signal: Signal, value: Option<i32>) {
        if self.ended.is_some() {
            return self.to_handlers(signal);
        }
        signal_child(self.cmd, signal, value);
        if signal.is_termination() && procfs::stat(self.cmd).is_ok_and(|stat| stat.is_stopped()) {
            signal_child(self.cmd, Signal::CONT, None);
        }
    }

    fn to_handlers(&self, signal: Signal) {
        for pid in self.handlers.iter().filter_map(|handler| handler.pid) {
            let _ = signal::kill(-pid, signal);
            // A handler that read the terminal from the background is stopped.
            if signal.is_termination() {
                let _ = signal::kill(-pid, Signal::CONT);
            }
        }
    }

    /// Sends a signal to the process group of CMD, or to the handlers if CMD has exited.
    fn to_group(&self, signal: Signal) {
        if self.ended.is_some() {
            return self.to_handlers(signal);
        }
        self.supervisor.send(signal);
    }
}

/// Opens the parent of ipcbox for `--parent-death`. Init of a pid namespace cannot see it, and gets the signal itself.
fn watch_parent(signal: Option<Signal>) -> Result<Option<OwnedFd>> {
    let Some(signal) = signal else {
        return Ok(None);
    };
    let parent = parent_id().cast_signed();
    if parent == 0 {
        signal::on_parents_death(signal)?;
        return Ok(None);
    }
    let opened = pidfd(parent).map_err(|errno| unopened(parent, errno));
    Ok(Some(opened.context("cannot watch the parent process of ipcbox")?))
}
