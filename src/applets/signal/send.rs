//! `signal send`: signals processes by pidfd, and reports their fate.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::delivery::outcome::{COLUMNS, Fate, Outcome, ended};
use super::delivery::target::{Aim, Reach, Signalled, again, below, obstacle, send};
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

/// How often the handlers of a process are read.
const INTERVAL: Duration = Duration::from_millis(1);

/// Sends SIG to each PID; SIG 0 only tests whether a signal could be sent. The signal never reaches a process that
/// reuses the pid during the call. If a script stores pids, use PID:INODE or PID@START instead, as printed by signal
/// stat. With --wait, prints one line per process: exited, killed, ended (status unknown) or alive. If one process
/// cannot be signalled, the others still get SIG.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Send {
    /// Signal: TERM, 15, RTMIN+3, or 0 (send nothing)
    #[arg(value_name = "SIG", value_parser = sent, allow_negative_numbers = true)]
    signal: Sent,
    /// PIDs, or PID:INODE or PID@START to resist pid reuse
    #[arg(value_name = "PID", value_parser = parse, required = true, allow_negative_numbers = true)]
    processes: Vec<Process>,
    /// Send the number N with SIG, as sigqueue(3) does
    #[arg(long, value_name = "N", value_parser = value)]
    value: Option<i32>,
    /// Send to the process group that PID leads
    #[arg(long, conflicts_with_all = ["tree", "below"])]
    group: bool,
    /// Send to PID and all its descendants
    #[arg(long)]
    tree: bool,
    /// Send to all descendants of PID, not to PID itself
    ///
    /// The ipcbox process itself is not signalled either, so PID can be the calling script ($$).
    #[arg(long, conflicts_with_all = ["tree", "when_caught"])]
    below: bool,
    /// Wait at most D until PID has a handler for SIG
    ///
    /// If PID has no handler after D, SIG is not sent.
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    when_caught: Option<Duration>,
    /// Wait at most D until the processes have exited
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// Send SIG if PID survives, then wait D (default: 5s)
    ///
    /// Repeat --then for more steps. Each step starts when the wait of the previous step is over.
    #[arg(long, value_name = "SIG[:D]", value_parser = step, requires = "wait")]
    then: Vec<Step>,
    /// Do not fail if a process does not exist
    #[arg(long)]
    missing_ok: bool,
    /// Show the processes, but do not signal them
    #[arg(long, conflicts_with_all = ["wait", "when_caught"])]
    dry_run: bool,
    #[command(flatten)]
    streaming: Streaming,
}

/// A signal; `None` is signal 0.
#[derive(Debug, Clone, Copy)]
struct Sent(Option<Signal>);

fn sent(text: &str) -> Result<Sent, String> {
    signals::or_none(text).map(Sent)
}

fn value(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("expected a number from {} to {}", i32::MIN, i32::MAX))
}

impl Verb for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Send a signal to processes, and wait until they exit";
    const EXAMPLES: &'static str = "
# Ask a process to exit; kill it if it is alive after ten seconds
sleep 100 & pid=$!
ipcbox signal send TERM $pid --wait 10s --then KILL
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::NotInTime(Exit::TIMED_OUT), "a process is still alive, or has no handler for SIG")];

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
                let name = self.name();
                let words = format!("cannot send {name} to the tree of {process}: ipcbox itself is in it");
                bail!(Cause::new(Exit::Usage, words).hint(format!("ipcbox signal send {name} {process} --below")));
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

    /// Sends to each process as soon as it is ready, and returns those to wait for.
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

    /// Whether the process has a handler, or has exited and will never have one.
    fn is_caught(&self, aim: &Aim) -> bool {
        let caught = status(aim.process.pid).map(|status| status.caught);
        self.signal.0.is_none_or(|signal| caught.is_ok_and(|caught| caught.has(signal))) || !aim.runs()
    }

    fn uncaught(&self, pid: i32) -> Error {
        let limit = self.when_caught.map(duration::show).unwrap_or_default();
        let state = match status(pid) {
            Ok(_) => "the process has no handler",
            Err(_) => "/proc does not show its handlers",
        };
        Cause::new(Exit::NotInTime(Exit::TIMED_OUT), format!("{state} after {limit}")).into()
    }

    fn send_one(&self, aim: Aim, watched: &mut Vec<Watched>) -> Result<()> {
        obstacle(&aim, self.signal.0)?;
        let mut signalled = Vec::new();
        let sent = send(aim, self.signal.0, self.value, self.wait.is_some(), &mut signalled);
        watched.extend(signalled.into_iter().map(Watched::new));
        sent
    }

    /// Waits for the processes, and sends the signals of `--then` to the survivors.
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
        let waited = self.then.iter().map(|step| step.grace).sum::<Duration>() + limit;
        for Watched { pid, command, .. } in left {
            let words = format!("still alive after {}", duration::show(waited));
            let cause = Cause::new(Exit::NotInTime(Exit::TIMED_OUT), words);
            let who = command.as_ref().map(|command| format!(" ({command})")).unwrap_or_default();
            failures.push(Error::from(cause).context(format!("cannot terminate {pid}{who}")));
            stream.print(&[Outcome { pid, command, fate: Fate::Alive }])?;
        }
        Ok(())
    }

    fn show(&self, aims: Vec<Aim>, failures: &mut Vec<Error>) -> Result<()> {
        let columns: [Column<(i32, String, Option<String>)>; 3] = [
            Column::new("pid", |r| r.0.into()),
            Column::new("signal", |r| Cell::Text(r.1.clone())),
            Column::new("command", |r| Cell::known(r.2.clone(), Cell::Text)),
        ];
        let stream = Stream::new(&columns, &self.streaming)?;
        for aim in aims {
            let process = aim.process;
            let mut found = Vec::new();
            let would = obstacle(&aim, self.signal.0).map_err(Error::from);
            let would = would.and_then(|()| send(aim, None, None, true, &mut found));
            stream
                .print(&found.into_iter().map(|(pid, _, command)| (pid, self.name(), command)).collect::<Vec<_>>())?;
            if let Err(error) = would {
                self.failed(error, process, failures);
            }
        }
        Ok(())
    }
}

struct Watched {
    pid: i32,
    fd: OwnedFd,
    command: Option<String>,
    stage: Stage,
}

impl Watched {
    fn new((pid, fd, command): Signalled) -> Self {
        Self { pid, fd, command, stage: Stage::Runs }
    }

    fn outcome(self, stage: Stage) -> Outcome {
        let known = ended(self.pid, self.fd.as_fd(), stage).or_else(|| {
            // It was reaped in between, or only its parent may read the status.
            let now = crate::sys::process::wait_status::stage(self.fd.as_fd()).ok()?;
            ended(self.pid, self.fd.as_fd(), now)
        });
        Outcome { pid: self.pid, command: self.command, fate: Fate::of(known.and_then(Result::ok)) }
    }
}
