//! `pipe stat`.

use anyhow::{Context, Result};
use clap::Args;

use super::pipeline::target::{OpenPipe, PipeTarget};
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::output::{self, Cell, Column};
use crate::sys::holders::{Holder, Open};
use crate::sys::pipe::{self, ATOMIC, Limits};
use crate::sys::process;

/// Shows the capacity of each pipe, the number of bytes in it, the processes that have its ends open, and the system
/// limits. Without PIPE, shows standard input, output and error if they are pipes.
///
/// Opens and changes nothing. Processes of other users are visible only with privilege. The column UNSEEN counts the
/// processes that could not be inspected.
#[derive(Args)]
pub struct Stat {
    /// Pipes: FD, PID:FD, the path of a FIFO or /proc/PID/fd/N
    #[arg(value_name = "PIPE")]
    ends: Vec<PipeTarget>,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show the fill level, users and limits of pipes";
    const EXAMPLES: &'static str = "
# Show what standard input holds
seq 10 | ipcbox pipe stat 0
";

    fn run(self) -> Result<Exit> {
        let named = !self.ends.is_empty();
        let ends = if named { self.ends } else { PipeTarget::standard(0..3) };
        let limits = pipe::limits();
        let mut records = Vec::new();
        let exit = each(&ends, |end| {
            let found = end.find().with_context(|| format!("cannot show {end}"))?;
            records.push(PipeRecord { pipe: Some(PipeState::of(end, &found)), limits });
            Ok(())
        });
        if !named && records.is_empty() {
            records.push(PipeRecord { pipe: None, limits });
        }
        output::show(&COLUMNS, &records, &self.showing, ends.len() <= 1)?;
        exit
    }
}

struct PipeRecord {
    pipe: Option<PipeState>,
    limits: Limits,
}

struct PipeState {
    name: String,
    kind: &'static str,
    capacity: Option<usize>,
    bytes: Option<usize>,
    packets: Option<bool>,
    readers: Vec<Fields>,
    writers: Vec<Fields>,
    unseen: usize,
}

type Fields = Vec<(&'static str, Cell)>;

/// Returns the fields of a process, unless it has no descriptor that `has` accepts.
fn holds(holder: &Holder, has: impl Fn(&Open) -> bool) -> Option<Fields> {
    let fds: Vec<Cell> = holder.open.iter().filter(|open| has(open)).map(|open| open.fd.into()).collect();
    let command = || Cell::known(process::command(holder.pid), Cell::Text);
    (!fds.is_empty()).then(|| vec![("pid", Cell::pid(holder.pid)), ("fds", Cell::List(fds)), ("command", command())])
}

impl PipeState {
    fn of(end: &PipeTarget, found: &OpenPipe) -> Self {
        let own = std::process::id().cast_signed();
        // Not a user of the pipe: the copy of a descriptor that is used to inspect it.
        let copy = found.fd.as_ref().map(std::os::fd::AsRawFd::as_raw_fd);
        let holders = |has: fn(&Open) -> bool| {
            let is_meant = |pid, open: &Open| has(open) && (pid != own || Some(open.fd) != copy);
            let seen = found.holders.seen.iter();
            seen.filter_map(|holder| holds(holder, |open| is_meant(holder.pid, open))).collect()
        };
        let opens = || found.holders.seen.iter().flat_map(|holder| &holder.open);
        let is_idle = found.fd.is_none() && found.holders.unseen == 0;
        Self {
            name: end.to_string(),
            kind: if found.is_fifo { "fifo" } else { "pipe" },
            capacity: found.fd.as_ref().and_then(|fd| pipe::capacity(fd).ok()),
            bytes: match &found.fd {
                Some(fd) => pipe::unread(fd).ok(),
                None => is_idle.then_some(0),
            },
            packets: opens().any(|o| o.writes).then(|| opens().any(|open| open.writes && open.direct)),
            readers: holders(|open| open.reads),
            writers: holders(|open| open.writes),
            unseen: found.holders.unseen,
        }
    }
}

fn of(record: &PipeRecord, get: impl Fn(&PipeState) -> Cell) -> Cell {
    record.pipe.as_ref().map_or(Cell::Absent, get)
}

const COLUMNS: [Column<PipeRecord>; 14] = [
    Column::detail("kind", |r| of(r, |pipe| Cell::word(pipe.kind))),
    Column::new("name", |r| of(r, |pipe| Cell::Text(pipe.name.clone()))),
    Column::new("capacity", |r| of(r, |pipe| Cell::known(pipe.capacity, Cell::count))),
    Column::new("bytes", |r| of(r, |pipe| Cell::known(pipe.bytes, Cell::count))),
    Column::new("packet_mode", |r| of(r, |pipe| Cell::known(pipe.packets, Cell::Flag))),
    Column::detail("readers", |r| of(r, |pipe| Cell::count(pipe.readers.len()))),
    Column::detail("writers", |r| of(r, |pipe| Cell::count(pipe.writers.len()))),
    Column::new("reading", |r| of(r, |pipe| Cell::Records(pipe.readers.clone()))),
    Column::new("writing", |r| of(r, |pipe| Cell::Records(pipe.writers.clone()))),
    Column::detail("unseen", |r| of(r, |pipe| if pipe.unseen == 0 { Cell::Absent } else { Cell::count(pipe.unseen) })),
    Column::detail("pipe_buf", |_| Cell::count(ATOMIC)),
    Column::detail("pipe_max_size", |r| Cell::known(r.limits.max_size, Cell::count)),
    Column::detail("user_pages_soft", |r| Cell::known(r.limits.user_pages_soft, Cell::count)),
    Column::detail("user_pages_hard", |r| Cell::known(r.limits.user_pages_hard, Cell::count)),
];
