//! `ipcs-lite`: every IPC object, the limits, who uses what, and what a command leaves behind.
//!
//! Without its own options its output is that of util-linux's `ipcs` ([`tables`], [`limits`], [`detail`]). With them
//! the records of the [inventory](crate::objects) are shown.

mod detail;
mod leaks;
mod limits;
mod list;
mod size;
mod tables;
mod watch;

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use self::limits::Figures;
use self::size::Unit;
use self::tables::Table;
use super::{Applet, Entry, Runs, Verb};
use crate::args::duration;
use crate::args::format::Showing;
use crate::args::numbers::pid;
use crate::exit::{Cause, Exit};
use crate::objects::filter::Filters;
use crate::objects::find;
use crate::objects::usage::chosen;
use crate::output;
use crate::sys::namespace;
use crate::sys::sysv::Kind;
use crate::target::Target;

/// Its name.
const NAME: &str = "ipcs-lite";
const SUMMARY: &str = "Show every IPC object, the limits, and what a command leaks";
const EXAMPLES: &str = "
# What a test suite leaves behind
ipcbox ipcs-lite --leaks --isolate -- true
# Every object, for a program
ipcbox ipcs-lite --posix --json
";

/// The applet.
pub const APPLET: Applet = Applet {
    name: NAME,
    summary: SUMMARY,
    example: "ipcbox ipcs-lite --leaks -- make test",
    verbs: &[Entry::of::<Ipcs>()],
};

/// The letters, and the output without the options that are new, are those of util-linux's ipcs 2.38, whose long
/// options may be abbreviated. --json, --columns, --no-header and --holders show records instead, a line each, with
/// every field that the kernel has; times in JSON are in UTC.
///
/// Objects are those of this IPC namespace, or of that of the process --of. POSIX queues are listed by their file
/// system, which has to be mounted where the caller may not mount it. How much of a segment is in memory is told by
/// /proc alone.
///
/// --watch looks again after each INTERVAL, 2s where it is left out: the kernel tells nobody of new objects.
///
/// --leaks runs CMD, lists what is the caller's, exists then and did not before, and ends with 1 where something
/// leaked; CMD's own status wins where it is not 0. What live processes still use is listed as held; where a process
/// that the object remembers (a segment's creator, the last user of a queue or set) lives and is no descendant of
/// ipcbox, as foreign. Slots, locks and barriers that are free are idle, which is no leak. The rest are leaks. --clean
/// removes those that a process below CMD was seen to make or to use last, and leaves the others, as unproven. An
/// object remembers processes by number, and a number can belong to several processes within a second. So it has to
/// appear between two looks, while the same process below CMD has the number, or be a segment that this process maps.
/// Looks come every 5 ms, for which the kernel has no event, and before CMD or an orphan below it is reaped. What
/// vanishes within a tenth of a second after CMD has ended and has no such process was somebody else's, and is not
/// told.
///
/// --isolate runs CMD in an IPC namespace of its own, with a user namespace where there is no privilege: all that is
/// left there is CMD's, is told, and is gone by itself. CMD gets whatever signal the box gets, and is killed where the
/// box is. /dev/shm, where POSIX shared memory and semaphores are, stays common.
#[derive(Args)]
// One for each option that is there or not.
#[allow(clippy::struct_excessive_bools)]
pub struct Ipcs {
    /// Message queues
    #[arg(short = 'q', long)]
    queues: bool,
    /// Shared memory segments
    #[arg(short = 'm', long)]
    shmems: bool,
    /// Semaphore sets
    #[arg(short = 's', long)]
    semaphores: bool,
    /// All three, as without any of them
    #[arg(hide_short_help = true, short = 'a', long)]
    all: bool,
    /// The details of this one, of one kind
    #[arg(
        short = 'i', long, value_name = "ID", allow_hyphen_values = true, value_parser = id,
        conflicts_with_all = OF_OBJECTS
    )]
    id: Option<i32>,
    /// Times of use and change
    #[arg(short = 't', long, overrides_with_all = ["pid", "creator", "limits", "summary"])]
    time: bool,
    /// Processes: creator and last user
    #[arg(hide_short_help = true, short = 'p', long, overrides_with_all = ["time", "creator", "limits", "summary"])]
    pid: bool,
    /// Creators and owners
    #[arg(hide_short_help = true, short = 'c', long, overrides_with_all = ["time", "pid", "limits", "summary"])]
    creator: bool,
    /// The limits
    #[arg(
        short = 'l', long, overrides_with_all = ["time", "pid", "creator", "summary"],
        conflicts_with_all = OF_OBJECTS
    )]
    limits: bool,
    /// What is used of them
    #[arg(
        short = 'u', long, overrides_with_all = ["time", "pid", "creator", "limits"], conflicts_with_all = OF_OBJECTS
    )]
    summary: bool,
    /// Sizes with a unit
    #[arg(hide_short_help = true, long, overrides_with = "bytes")]
    human: bool,
    /// Sizes in bytes
    #[arg(hide_short_help = true, short = 'b', long, overrides_with = "human")]
    bytes: bool,
    /// Also POSIX objects
    #[arg(short = 'P', long)]
    posix: bool,
    /// Who maps a segment, and who waits in which operation
    #[arg(long, conflicts_with = "watch")]
    holders: bool,
    /// Those of the IPC namespace of this process
    #[arg(hide_short_help = true, long, value_name = "PID", value_parser = pid)]
    of: Option<i32>,
    /// In the order of this column
    #[arg(hide_short_help = true, long, value_name = "COLUMN")]
    sort: Option<String>,
    /// Again and again; where it is no terminal, the changes
    #[arg(
        hide_short_help = true,
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = duration::interval
    )]
    watch: Option<Duration>,
    /// Run CMD, and tell what it leaves behind
    #[arg(long, requires = "command", conflicts_with_all = ["time", "pid", "creator", "holders", "watch"])]
    leaks: bool,
    /// Remove what it leaves behind
    #[arg(hide_short_help = true, long, requires = "leaks")]
    clean: bool,
    /// Run it in an IPC namespace of its own
    #[arg(hide_short_help = true, long, requires = "leaks")]
    isolate: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    showing: Showing,
    /// Only these
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, requires = "leaks")]
    command: Vec<OsString>,
}

/// What chooses among objects or shows them: not for limits, nor for one object that an id names.
const OF_OBJECTS: [&str; 11] =
    ["targets", "owner", "mine", "older_than", "keep", "unused", "orphaned", "sort", "holders", "watch", "leaks"];

fn id(text: &str) -> Result<i32, String> {
    text.trim_start().parse().map_err(|_| "expected an id from 0 to 2147483647".into())
}

impl Verb for Ipcs {
    const NAME: &'static str = NAME;
    const ALIASES: &'static [&'static str] = &["ipcs"];
    const SUMMARY: &'static str = SUMMARY;
    const EXAMPLES: &'static str = EXAMPLES;
    const RUNS: Runs = Runs::With("--leaks");
    const ABBREVIABLE: &'static [&'static str] = &[
        "id",
        "help",
        "version",
        "shmems",
        "queues",
        "semaphores",
        "all",
        "time",
        "pid",
        "creator",
        "limits",
        "summary",
        "human",
        "bytes",
    ];
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Failed, "--leaks found a leak, or any other failure")];

    fn run(mut self) -> Result<Exit> {
        if let Some(pid) = self.of {
            enter(pid).with_context(|| format!("cannot look at the objects of process {pid}"))?;
        }
        if self.leaks {
            let command = std::mem::take(&mut self.command);
            return leaks::run(&self, command);
        }
        let table = self.table();
        if matches!(table, Table::Limits | Table::Summary) && self.id.is_none() {
            return self.figures(table);
        }
        if let Some(id) = self.id {
            return self.detail(id);
        }
        match self.watch {
            Some(interval) => watch::run(&self, interval),
            None => self.list(),
        }
    }
}

fn enter(pid: i32) -> Result<()> {
    namespace::enter(pid).map_err(|errno| {
        match errno {
            Errno::ESRCH | Errno::EINVAL => Cause::from_errno(errno, "no such process").exit(Exit::Missing),
            Errno::EPERM => Cause::from_errno(errno, "entering its IPC namespace needs CAP_SYS_ADMIN"),
            errno => Cause::plain(errno),
        }
        .into()
    })
}

impl Ipcs {
    const fn table(&self) -> Table {
        match self {
            Self { time: true, .. } => Table::Times,
            Self { pid: true, .. } => Table::Pids,
            Self { creator: true, .. } => Table::Creators,
            Self { limits: true, .. } => Table::Limits,
            Self { summary: true, .. } => Table::Summary,
            _ => Table::Objects,
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        let all = self.all;
        chosen(self.queues || all, self.shmems || all, self.semaphores || all)
    }

    /// Whether records are wanted, and not the tables of util-linux.
    const fn in_records(&self) -> bool {
        self.showing.json || self.showing.columns.is_some() || self.showing.no_header
    }

    fn figures(&self, table: Table) -> Result<Exit> {
        let records = |figures: &[Figures]| output::show(&limits::columns(), figures, &self.showing, false);
        let mut figures = if self.in_records() || self.posix {
            limits::figures(&self.kinds(), table, self.posix)?
        } else {
            Vec::new()
        };
        if self.in_records() {
            records(&figures)?;
            return Ok(Exit::Done);
        }
        let kinds = self.kinds();
        let unit = match self {
            Self { human: true, .. } => Unit::Fitting,
            Self { bytes: true, .. } => Unit::Bytes,
            _ => Unit::Usual,
        };
        let text = kinds.iter().map(|kind| limits::text(*kind, table, unit));
        let text = text.collect::<Result<Vec<_>>>()?;
        output::print(format!("{}\n", text.join("")).as_bytes())?;
        figures.retain(Figures::is_posix);
        records(&figures)?;
        Ok(Exit::Done)
    }

    fn detail(&self, id: i32) -> Result<Exit> {
        let kinds = self.kinds();
        let [kind] = kinds[..] else {
            bail!(Cause::new(Exit::Usage, "with --id one kind is to be chosen: -q, -m or -s"));
        };
        let found = find::by_id(kind, id).map_err(|errno| match errno {
            Errno::EINVAL | Errno::EIDRM => {
                Cause::from_errno(errno, format!("no such {}", kind.name())).exit(Exit::Missing)
            }
            errno => Cause::plain(errno),
        });
        let object = found.with_context(|| format!("cannot show {id}"))?;
        if self.in_records() {
            return detail::records(&object, &self.showing);
        }
        detail::print(&object, self.human)
    }
}
