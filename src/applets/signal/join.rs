//! `signal join`: waits for processes that need not be children, and tells how they ended.

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

/// Waits for processes, which need not be children, and prints a line for each as it ends: pid, exited or killed, the
/// status as a shell has it, and the signal. For one PID the exit status is that process's, as a shell's wait has it.
///
/// How it ended is read from /proc while its parent has not asked for its status, if the kernel lets us (the same user,
/// or the right to trace); else the kernel is asked when the process has been reaped, which needs no privilege, but
/// Linux 6.15. On an older one the line says ended, without a status. Linux before 6.9 does not report that a process
/// was reaped: join then checks a process that has exited every 10 milliseconds.
#[derive(Args)]
pub struct Join {
    /// The processes: PID, PID:INODE or PID@START; one that is named twice is one
    #[arg(value_name = "PID", value_parser = parse, required = true, allow_negative_numbers = true)]
    processes: Vec<Process>,
    /// Return when N of them have ended
    #[arg(short, long, value_name = "N", value_parser = crate::args::numbers::count)]
    count: Option<u16>,
    #[command(flatten)]
    streaming: Streaming,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Join {
    const NAME: &'static str = "join";
    const SUMMARY: &'static str = "Wait for any process, and tell how it ended";
    const EXAMPLES: &'static str = "
# Wait for a process, whoever started it
sleep 0.1 & ipcbox signal join $! -w 10s
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "with one PID, the exit status of that process")];

    fn run(self) -> Result<Exit> {
        let pids: HashSet<i32> = self.processes.iter().map(|process| process.pid).collect();
        if self.count.is_some_and(|count| usize::from(count) > pids.len()) {
            bail!(Cause::new(Exit::Usage, "--count is more than there are processes"));
        }
        let timeout = &self.timeout;
        let stream = Stream::new(&COLUMNS, &self.streaming)?;
        let mut open = Vec::new();
        let mut left = pids.clone();
        let missing = each(&self.processes, |process| {
            let fd = process.open().with_context(|| format!("cannot join {process}"))?;
            // One that is named twice is one process.
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

/// A process that is waited for.
struct Open<'a> {
    process: &'a Process,
    fd: OwnedFd,
    command: Option<String>,
    stage: Stage,
}

/// Waits until `wanted` of them have ended, and gives how the last one did.
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
        // One that has ended, but whose status is for its parent alone.
        let zombies: Vec<_> = open.iter().filter(|one| one.stage == Stage::Zombie).collect();
        let secret = "it has ended, and its parent alone may know how until it has reaped it";
        let (what, missed) = match (&open[..], done) {
            ([one], 0) if zombies.is_empty() => (format!("cannot join {}", one.process), "it did not end".into()),
            ([one], 0) => (format!("cannot join {}", one.process), format!("{secret}, which it did not")),
            (rest, _) => {
                for one in &zombies {
                    output::warn(format!("cannot tell of {}: {secret}", one.process));
                }
                let told = if done == 0 { "none".into() } else { format!("only {done}") };
                let end = if zombies.is_empty() { "ended" } else { "could be told of" };
                let all = done + rest.len();
                (format!("cannot join {wanted} of {all} processes"), format!("{told} {end}"))
            }
        };
        return Err(anyhow::Error::from(timeout.missed(&missed)).context(what));
    }
    Ok(last)
}

fn unknown(process: &Process, errno: Errno) -> String {
    let why = match errno {
        Errno::ENOSYS => "the kernel does not tell of reaped processes; Linux 6.15 does".into(),
        Errno::EPERM => "a seccomp filter forbids ioctl".into(),
        errno => words(errno),
    };
    format!("cannot tell how {process} ended: {why} ({errno:?})")
}
