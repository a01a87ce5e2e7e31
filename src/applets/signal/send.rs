//! `signal send`: signals to processes that are held by a descriptor, and what becomes of them.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::delivery::outcome::{COLUMNS, Fate, Outcome, ended};
use super::delivery::target::{Aim, Reach, Told, again, below, obstacle, send};
use crate::applets::Verb;
use crate::args::format::Streaming;
use crate::args::{duration, signals};
use crate::exit::{Cause, Exit, Failures};
use crate::objects::process::{Process, parse};
use crate::output::{Cell, Column, Stream};
use crate::supervise::escalation::{Plan, Step, step};
use crate::sys::deadline::Deadline;
use crate::sys::process::procfs::status;
use crate::sys::process::wait_status::{Stage, after};
use crate::sys::signal::Signal;

/// How often a process is looked at for a handler.
const INTERVAL: Duration = Duration::from_millis(1);

/// Sends SIG to each PID; 0 is no signal and only tests whether one could be sent. The process is held by a descriptor
/// from the start, so that the signal never goes to another one that was given the same number, and PID:INODE or
/// PID@START, with what signal stat shows, keeps that true since then. A failure with one PID does not keep the others
/// from being signalled.
///
/// --tree sends to PID and all below it, the leaves first. They are stopped while the tree is walked, until a walk
/// finds nobody new, and those that were stopped for it are continued afterwards; where the box is killed in between
/// they stay stopped. For 0 and --dry-run nobody is stopped. The box holds a descriptor for each: a tree that
/// RLIMIT_NOFILE has no room for is not signalled at all.
///
/// --below sends to all below PID and leaves PID alone, which can be the script that calls: `trap 'ipcbox signal send
/// TERM $$ --below' EXIT` ends what a script has left behind. PID is then not stopped either, and what it forks during
/// the call can be missed.
///
/// --when-caught D first waits until the process has a handler for SIG, at most D, and does not send it where it has
/// none then. The kernel tells nobody of a new handler: it is looked for every millisecond.
///
/// --wait D waits until all have ended, at most D, then sends the first --then to those that have not, waits as long as
/// that says (5 s), and so on. A line for each tells what became of it: exited, killed, ended (how is not known) or
/// alive.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Send {
    /// The signal: TERM, 15, RTMIN+3, or 0
    #[arg(value_name = "SIG", value_parser = sent, allow_negative_numbers = true)]
    signal: Sent,
    /// The processes: PID, PID:INODE or PID@START
    #[arg(value_name = "PID", value_parser = parse, required = true, allow_negative_numbers = true)]
    processes: Vec<Process>,
    /// Send this number along, as sigqueue does
    #[arg(long, value_name = "N", value_parser = value)]
    value: Option<i32>,
    /// Send to the process group that PID leads
    #[arg(long, conflicts_with_all = ["tree", "below"])]
    group: bool,
    /// Send to PID and all below it
    #[arg(long)]
    tree: bool,
    /// Send to all below PID, but neither to PID nor to ipcbox
    #[arg(long, conflicts_with_all = ["tree", "when_caught"])]
    below: bool,
    /// First wait until PID has a handler for SIG, at most D
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    when_caught: Option<Duration>,
    /// Wait until they have ended, at most D
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// Then send this to those that have not, and wait for D (5s)
    #[arg(long, value_name = "SIG[:D]", value_parser = step, requires = "wait")]
    then: Vec<Step>,
    /// It is no failure that a process is gone already
    #[arg(long)]
    missing_ok: bool,
    /// Only show what would be signalled
    #[arg(long, conflicts_with_all = ["wait", "when_caught"])]
    dry_run: bool,
    #[command(flatten)]
    streaming: Streaming,
    /// Not here: --wait is meant
    #[arg(short = 'w', hide = true, num_args = 0..=1, default_missing_value = "", value_parser = not_here)]
    timeout: Option<String>,
}

/// A signal, or none.
#[derive(Debug, Clone, Copy)]
struct Sent(Option<Signal>);

fn sent(text: &str) -> Result<Sent, String> {
    signals::or_none(text).map(Sent)
}

fn value(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("expected a number from {} to {}", i32::MIN, i32::MAX))
}

fn not_here(_: &str) -> Result<String, String> {
    Err("send waits for the end of processes with --wait D".into())
}

impl Verb for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Send a signal to processes, and wait for their end";
    const EXAMPLES: &'static str = "
# Please end; after ten seconds it must
sleep 100 & pid=$!
ipcbox signal send TERM $pid --wait 10s --then KILL
";

    fn run(self) -> Result<Exit> {
        let stream = Stream::new(&COLUMNS, &self.streaming)?;
        if self.tree {
            self.refuse_own_tree()?;
        }
        let mut failures = Vec::new();
        let mut aims = Vec::new();
        for process in &self.processes {
            match self.aim(process) {
                Ok(aim) => aims.push(aim),
                Err(error) => self.failed(error, process, &mut failures),
            }
        }
        if self.dry_run {
            self.show(aims, &mut failures)?;
        } else {
            let watched = self.send_all(aims, &mut failures)?;
            self.wait_for(watched, &stream, &mut failures)?;
        }
        if failures.is_empty() {
            return Ok(Exit::Done);
        }
        Err(Failures(failures).into())
    }
}

impl Send {
    fn name(&self) -> String {
        self.signal.0.map_or_else(|| "0".into(), signals::name)
    }

    fn failed(&self, error: Error, process: &Process, failures: &mut Vec<Error>) {
        if !(self.missing_ok && Exit::of(&error) == Exit::Missing) {
            failures.push(error.context(format!("cannot send {} to {process}", self.name())));
        }
    }

    fn refuse_own_tree(&self) -> Result<()> {
        for process in &self.processes {
            if below(process.pid) {
                let words = format!("cannot send {} to the tree of {process}: the box itself is in it", self.name());
                bail!(Cause::new(Exit::Usage, words).hint(format!("signal send {} {process} --below", self.name())));
            }
        }
        Ok(())
    }

    fn aim<'a>(&self, process: &'a Process) -> Result<Aim<'a>> {
        let fd = process.open()?;
        let reach = match (self.group, self.tree, self.below) {
            (true, ..) => Reach::Group,
            (_, true, _) => Reach::Tree,
            (.., true) => Reach::Below,
            _ => Reach::Alone,
        };
        Ok(Aim { process, fd, reach })
    }

    /// Sends to each, as soon as it is ready for it; gives those whose end is to be waited for.
    fn send_all(&self, aims: Vec<Aim>, failures: &mut Vec<Error>) -> Result<Vec<Watched>> {
        let deadline = self.when_caught.map(Deadline::after);
        let mut watched = Vec::new();
        let mut left = aims;
        loop {
            let mut not_yet = Vec::new();
            let is_over = deadline.is_none_or(Deadline::is_over);
            for aim in left {
                let is_ready = deadline.is_none() || self.is_caught(&aim);
                if !is_ready && !is_over {
                    not_yet.push(aim);
                    continue;
                }
                let process = aim.process;
                let sent = if is_ready { self.send_one(aim, &mut watched) } else { Err(self.uncaught(process.pid)) };
                if let Err(error) = sent {
                    self.failed(error, process, failures);
                }
            }
            if not_yet.is_empty() {
                return Ok(watched);
            }
            std::thread::sleep(INTERVAL);
            left = not_yet;
        }
    }

    /// Whether it has a handler; one that has ended will not have one, and is as ready as it can be.
    fn is_caught(&self, aim: &Aim) -> bool {
        let caught = status(aim.process.pid).map(|status| status.caught);
        self.signal.0.is_none_or(|signal| caught.is_ok_and(|caught| caught.has(signal))) || !aim.runs()
    }

    fn uncaught(&self, pid: i32) -> Error {
        let limit = self.when_caught.map(duration::show).unwrap_or_default();
        let saw = match status(pid) {
            Ok(_) => "it had no handler for it",
            Err(_) => "/proc did not tell of a handler for it",
        };
        Cause::new(Exit::NotInTime(Exit::TIMED_OUT), format!("{saw} within {limit}; it was not sent")).into()
    }

    fn send_one(&self, aim: Aim, watched: &mut Vec<Watched>) -> Result<()> {
        obstacle(&aim, self.signal.0)?;
        let mut told = Vec::new();
        let sent = send(aim, self.signal.0, self.value, self.wait.is_some(), &mut told);
        watched.extend(told.into_iter().map(Watched::new));
        sent
    }

    /// Waits for them, and sends the next signals to those that do not end.
    fn wait_for(&self, mut left: Vec<Watched>, stream: &Stream<Outcome>, failures: &mut Vec<Error>) -> Result<()> {
        let Some(limit) = self.wait else {
            return Ok(());
        };
        let mut plan = Plan::start(limit, self.then.clone());
        while !left.is_empty() {
            let polled: Vec<_> = left.iter().map(|one| (one.fd.as_fd(), one.stage)).collect();
            if let Some((place, stage)) = after(&polled, plan.deadline)? {
                let one = left.swap_remove(place);
                stream.print(&[one.outcome(stage)])?;
                continue;
            }
            let Some(signal) = plan.due() else { break };
            let what = |pid| format!("cannot send {} to {pid}", signals::name(signal));
            if self.tree || self.below {
                let first = left[0].pid;
                let mut rest = left.drain(..).map(|one| (one.pid, one.fd, one.command)).collect();
                if let Err(error) = again(&mut rest, signal) {
                    failures.push(error.context(what(first)));
                }
                left.extend(rest.into_iter().map(Watched::new));
                continue;
            }
            for one in &left {
                match crate::sys::signal::send(one.fd.as_fd(), signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => failures.push(Error::from(errno).context(what(one.pid))),
                }
            }
        }
        for one in left {
            let cause = Cause::new(Exit::NotInTime(Exit::TIMED_OUT), "it did not end in time");
            failures.push(Error::from(cause).context(format!("cannot end {}", one.pid)));
            let Watched { pid, command, .. } = one;
            stream.print(&[Outcome { pid, command, fate: Fate::Alive }])?;
        }
        Ok(())
    }

    /// What would be signalled, a line each.
    fn show(&self, aims: Vec<Aim>, failures: &mut Vec<Error>) -> Result<()> {
        let columns: [Column<(i32, String, Option<String>)>; 3] = [
            Column::new("pid", |r| r.0.into()),
            Column::new("signal", |r| Cell::Text(r.1.clone())),
            Column::new("command", |r| Cell::known(r.2.clone(), Cell::Text)),
        ];
        let stream = Stream::new(&columns, &self.streaming)?;
        for aim in aims {
            let process = aim.process;
            let mut told = Vec::new();
            let would = obstacle(&aim, self.signal.0).map_err(Error::from);
            let would = would.and_then(|()| send(aim, None, None, true, &mut told));
            stream.print(&told.into_iter().map(|(pid, _, command)| (pid, self.name(), command)).collect::<Vec<_>>())?;
            if let Err(error) = would {
                self.failed(error, process, failures);
            }
        }
        Ok(())
    }
}

/// A process that was signalled.
struct Watched {
    pid: i32,
    fd: OwnedFd,
    command: Option<String>,
    stage: Stage,
}

impl Watched {
    fn new((pid, fd, command): Told) -> Self {
        Self { pid, fd, command, stage: Stage::Runs }
    }

    fn outcome(self, stage: Stage) -> Outcome {
        let known = ended(self.pid, self.fd.as_fd(), stage).or_else(|| {
            // Reaped between the two looks, or its status is for its parent alone.
            let now = crate::sys::process::wait_status::stage(self.fd.as_fd()).ok()?;
            ended(self.pid, self.fd.as_fd(), now)
        });
        Outcome { pid: self.pid, command: self.command, fate: Fate::of(known.and_then(Result::ok)) }
    }
}
