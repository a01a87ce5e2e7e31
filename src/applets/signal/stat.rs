//! `signal stat`: the signal masks of a process.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use clap::Args;

use super::inode_cell;
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::args::signals::names;
use crate::exit::{Exit, each};
use crate::objects::process::{Process, parse, unopened};
use crate::output::{self, Cell, Column};
use crate::sys::process::procfs::{self, Status};
use crate::sys::process::wait_status::{Stage, stage};
use crate::sys::process::{self, inode};
use crate::sys::signal::Set;

/// Shows signals by name. The column shared_pending lists signals pending for the process; the column pending lists
/// those for its first thread. Also shows which signals the first thread blocks, and which signals the process ignores
/// or catches. The columns inode and start identify a process even if its pid is reused later. Every signal verb also
/// accepts PID:INODE or PID@START instead of PID.
#[derive(Args)]
pub struct Stat {
    /// PIDs, or PID:INODE or PID@START to resist pid reuse
    #[arg(value_name = "PID", value_parser = parse, required = true, allow_negative_numbers = true)]
    processes: Vec<Process>,
    /// Show one line per thread
    #[arg(long)]
    threads: bool,
    /// Show only signals that are both pending and blocked
    ///
    /// A signal that is pending for the whole process is shown only if all threads block it. Processes without blocked
    /// pending signals are omitted.
    #[arg(long)]
    stuck: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show pending, blocked, ignored and caught signals";
    const EXAMPLES: &'static str = "
# Show which signals this shell ignores and catches
ipcbox signal stat $$
";

    fn run(self) -> Result<Exit> {
        let mut records = Vec::new();
        let exit = each(&self.processes, |process| {
            let found = self.look(process).with_context(|| format!("cannot show {process}"))?;
            records.extend(found);
            Ok(())
        });
        let single = self.processes.len() == 1 && !self.threads;
        if self.stuck {
            records.retain(|record| record.stuck != Set::EMPTY);
            output::show(&STUCK, &records, &self.showing, single)?;
        } else {
            output::show(&COLUMNS, &records, &self.showing, single)?;
        }
        exit
    }
}

impl Stat {
    fn look(&self, process: &Process) -> Result<Vec<ThreadRecord>> {
        let fd = process.open()?;
        let pid = process.pid;
        let gone = |errno| unopened(pid, errno);
        let inode = inode(&fd)?;
        let start = procfs::stat(pid).map_err(gone)?.start;
        let command = process::command(pid);
        let whole = procfs::status(pid).map_err(gone)?;
        let threads: Vec<(i32, Status)> = procfs::threads(pid)
            .map_err(gone)?
            .into_iter()
            .filter_map(|thread| Some((thread, procfs::thread_status(pid, thread).ok()?)))
            .collect();
        // All of this is from one process only if it is not reaped by now.
        if stage(fd.as_fd())? == Stage::Reaped {
            return Err(gone(nix::errno::Errno::ESRCH).into());
        }
        let record = |thread, status: Status, stuck| ThreadRecord {
            pid,
            thread,
            inode,
            start,
            command: command.clone(),
            status,
            stuck,
        };
        if self.threads {
            let of = |(thread, status): (i32, Status)| {
                let waits = status.pending | status.shared_pending;
                record(Some(thread), status, waits & status.blocked)
            };
            return Ok(threads.into_iter().map(of).collect());
        }
        let by_all = threads.iter().fold(Set::ALL, |set, (_, status)| set & status.blocked);
        let own = threads.iter().fold(Set::EMPTY, |set, (_, s)| set | (s.pending & s.blocked));
        Ok(vec![record(None, whole, own | (whole.shared_pending & by_all))])
    }
}

struct ThreadRecord {
    pid: i32,
    thread: Option<i32>,
    inode: Option<u64>,
    start: u64,
    command: Option<String>,
    status: Status,
    stuck: Set,
}

fn set(set: Set) -> Cell {
    Cell::Text(names(set))
}

const PID: Column<ThreadRecord> = Column::new("pid", |r| r.pid.into());
const THREAD: Column<ThreadRecord> = Column::new("thread", |r| r.thread.map_or(Cell::Absent, Cell::from));
const INODE: Column<ThreadRecord> = Column::new("inode", |r| inode_cell(r.inode));
const START: Column<ThreadRecord> = Column::new("start", |r| Cell::known(i64::try_from(r.start).ok(), Cell::from));
const COMMAND: Column<ThreadRecord> = Column::new("command", |r| Cell::known(r.command.clone(), Cell::Text));

const COLUMNS: [Column<ThreadRecord>; 10] = [
    PID,
    THREAD,
    INODE,
    START,
    Column::new("pending", |r| set(r.status.pending)),
    Column::new("shared_pending", |r| set(r.status.shared_pending)),
    Column::new("blocked", |r| set(r.status.blocked)),
    Column::new("ignored", |r| set(r.status.ignored)),
    Column::new("caught", |r| set(r.status.caught)),
    COMMAND,
];

const STUCK: [Column<ThreadRecord>; 6] = [PID, THREAD, INODE, START, Column::new("stuck", |r| set(r.stuck)), COMMAND];
