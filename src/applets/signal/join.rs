//! `signal join`: waits for processes that need not be children.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::delivery::outcome::{COLUMNS, Fate, Outcome, ended};
use crate::applets::Verb;
use crate::args::format::Streaming;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, each, words};
use crate::objects::process::{Process, parse};
use crate::output::notice::Notice;
use crate::output::{self, Stream};
use crate::sys::deadline::Deadline;
use crate::sys::process::command;
use crate::sys::process::wait_status::{Ended, Stage, after};

/// Waits until the processes have exited; they need not be children. Prints a line for each process: its pid, whether
/// it exited or was killed, its exit status, and the signal that killed it. With one PID, signal join exits with the
/// status of that process. Before Linux 6.15, the exit status can be unknown; the line then shows "ended".
#[derive(Args)]
pub struct Join {
    /// PIDs, or PID:INODE or PID@START to resist pid reuse
    #[arg(value_name = "PID", value_parser = parse, required = true, allow_negative_numbers = true)]
    processes: Vec<Process>,
    /// Return after N processes have exited (default: all)
    #[arg(short, long, value_name = "N", value_parser = crate::args::numbers::count)]
    count: Option<u16>,
    #[command(flatten)]
    streaming: Streaming,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Join {
    const NAME: &'static str = "join";
    const SUMMARY: &'static str = "Wait until processes exit, and print how they exited";
    const EXAMPLES: &'static str = "
# Wait for a process, even if it is not a child
sleep 0.1 & ipcbox signal join $! -w 10s
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "with one PID, the exit status of that process")];

    fn run(self) -> Result<Exit> {
        let pids: HashSet<i32> = self.processes.iter().map(|process| process.pid).collect();
        if let Some(count) = self.count.filter(|count| usize::from(*count) > pids.len()) {
            let words = format!("--count {count} is more than the number of processes ({})", pids.len());
            bail!(Cause::new(Exit::Usage, words));
        }
        let timeout = &self.timeout;
        let stream = Stream::new(&COLUMNS, &self.streaming)?;
        let mut open = Vec::new();
        let mut left = pids.clone();
        let missing = each(&self.processes, |process| {
            let fd = process.open().with_context(|| format!("cannot join {process}"))?;
            // A process that is named twice counts once.
            if left.remove(&process.pid) {
                open.push(Open { process, fd, command: command(process.pid), stage: Stage::Runs });
            }
            Ok(())
        });
        let wanted = self.count.map_or(open.len(), |count| usize::from(count).min(open.len()));
        let last = wait(open, wanted, timeout, &stream)?;
        missing?;
        Ok(match (pids.len(), last) {
            (1, Some(ended)) => Exit::Command(ended.status()),
            (1, None) => Exit::Failed,
            _ => Exit::Done,
        })
    }
}

struct Open<'a> {
    process: &'a Process,
    fd: OwnedFd,
    command: Option<String>,
    stage: Stage,
}

/// Waits until `wanted` processes have exited, and returns how the last one did.
fn wait(mut open: Vec<Open>, wanted: usize, timeout: &Timeout, stream: &Stream<Outcome>) -> Result<Option<Ended>> {
    let mut last = None;
    let mut done = 0;
    let mut notice = Notice::verbose(timeout, || {
        let names: Vec<String> = open.iter().map(|one| one.process.to_string()).collect();
        let count = if wanted < open.len() { format!("{wanted} of ") } else { String::new() };
        format!("{count}{} to exit", names.join(", "))
    });
    while done < wanted {
        let polled: Vec<_> = open.iter().map(|one| (one.fd.as_fd(), one.stage)).collect();
        if notice.is_fresh() && after(&polled, Deadline::Now)?.is_none() {
            notice.begin(timeout.deadline());
        }
        let Some((place, stage)) = after(&polled, timeout.deadline())? else {
            break;
        };
        open[place].stage = stage;
        let one = &open[place];
        let Some(ended) = ended(one.process.pid, one.fd.as_fd(), stage) else { continue };
        let one = open.swap_remove(place);
        last = ended.ok();
        let (pid, command) = (one.process.pid, one.command);
        stream.print(&[Outcome { pid, command, fate: Fate::of(ended.ok()) }])?;
        if let Err(errno) = ended {
            output::warn(unknown(one.process, errno));
        }
        done += 1;
    }
    if done < wanted {
        let zombies: Vec<_> = open.iter().filter(|one| one.stage == Stage::Zombie).collect();
        let unread = "the process is a zombie, and only its parent may read its status";
        let after = timeout.after();
        let (what, state) = match (&open[..], done) {
            ([one], 0) if zombies.is_empty() => (one.process.to_string(), format!("still running{after}")),
            ([one], 0) => (one.process.to_string(), format!("{unread}; not reaped{after}")),
            (rest, _) => {
                for one in zombies.iter().filter(|_| !timeout.is_silent()) {
                    output::warn(format!("cannot report {}: {unread}", one.process));
                }
                let count = if done == 0 { "none".into() } else { format!("only {done}") };
                let reported = if zombies.is_empty() { "exited" } else { "could be reported" };
                let all = done + rest.len();
                (format!("{wanted} of {all} processes"), format!("{count} {reported}{after}"))
            }
        };
        return Err(anyhow::Error::from(timeout.expired(state)).context(format!("cannot join {what}")));
    }
    Ok(last)
}

fn unknown(process: &Process, errno: Errno) -> String {
    let why = match errno {
        Errno::ENOSYS => "the status of a reaped process needs Linux 6.15".into(),
        Errno::EPERM => "a seccomp filter forbids ioctl".into(),
        errno => words(errno),
    };
    format!("cannot report how {process} exited: {why} ({errno:?})")
}
