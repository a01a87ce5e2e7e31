//! `ipcs-lite`: lists IPC objects, their users and limits, and what a command leaks.
//!
//! With the options of util-linux's `ipcs`, the output is the same ([`tables`], [`limits`], [`detail`]). Its own
//! options show [records](crate::objects).

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

const NAME: &str = "ipcs-lite";
const SUMMARY: &str = "Show IPC objects, their users and limits, and leaks of CMD";
const EXAMPLES: &str = "
# Fail if a test suite leaves an object behind
ipcbox ipcs-lite --leaks --isolate -- true
# List every object as JSON
ipcbox ipcs-lite --posix --json
";

pub const APPLET: Applet = Applet {
    name: NAME,
    summary: SUMMARY,
    example: "ipcbox ipcs-lite --leaks -- make test",
    verbs: &[Entry::of::<Ipcs>()],
};

/// Lists message queues, shared memory and semaphore sets in the format of ipcs(1) from util-linux 2.38. With --name,
/// --json, --columns, --no-header or --holders, prints one record per line. --leaks runs CMD, then lists the caller's
/// new objects, and exits with status 1 if any of them leaked. A new object is no leak if it is held (in use), foreign
/// (of another process) or idle (unused slots, lock or barrier).
#[derive(Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Ipcs {
    /// List message queues
    #[arg(short = 'q', long)]
    queues: bool,
    /// List shared memory segments
    #[arg(short = 'm', long)]
    shmems: bool,
    /// List semaphore sets
    #[arg(short = 's', long)]
    semaphores: bool,
    /// List queues, segments and semaphore sets (default)
    #[arg(short = 'a', long)]
    all: bool,
    /// Show the object with this ID; needs -q, -m or -s
    #[arg(
        short = 'i', long, value_name = "ID", allow_hyphen_values = true, value_parser = id,
        conflicts_with_all = OF_OBJECTS
    )]
    id: Option<i32>,
    /// Show the times of last use and last change
    #[arg(short = 't', long, overrides_with_all = ["pid", "creator", "limits", "summary"])]
    time: bool,
    /// Show the pids of the creator and the last user
    #[arg(short = 'p', long, overrides_with_all = ["time", "creator", "limits", "summary"])]
    pid: bool,
    /// Show creators and owners
    #[arg(short = 'c', long, overrides_with_all = ["time", "pid", "limits", "summary"])]
    creator: bool,
    /// Show the limits
    #[arg(
        short = 'l', long, overrides_with_all = ["time", "pid", "creator", "summary"],
        conflicts_with_all = OF_OBJECTS
    )]
    limits: bool,
    /// Show how much of each limit is used
    #[arg(
        short = 'u', long, overrides_with_all = ["time", "pid", "creator", "limits"], conflicts_with_all = OF_OBJECTS
    )]
    summary: bool,
    /// Print sizes with a unit
    #[arg(long, overrides_with = "bytes")]
    human: bool,
    /// Print sizes in bytes
    #[arg(short = 'b', long, overrides_with = "human")]
    bytes: bool,
    /// Include POSIX objects
    #[arg(short = 'P', long)]
    posix: bool,
    /// Show the processes that use or wait for an object
    #[arg(long, conflicts_with = "watch")]
    holders: bool,
    /// Use the IPC namespace of process PID
    #[arg(long, value_name = "PID", value_parser = pid)]
    of: Option<i32>,
    /// Sort by COLUMN
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// Repeat every INTERVAL (default: 2s)
    ///
    /// On a terminal, the list is redrawn. Without a terminal, only new, changed and removed objects are printed.
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = duration::interval
    )]
    watch: Option<Duration>,
    /// Run CMD, and report the objects it leaves behind
    #[arg(long, requires = "command", conflicts_with_all = ["time", "pid", "creator", "holders", "watch"])]
    leaks: bool,
    /// Remove leaks that provably come from CMD
    #[arg(long, requires = "leaks")]
    clean: bool,
    /// Run CMD in a separate IPC namespace
    ///
    /// All objects left in the separate namespace count as leaks, and vanish with it. /dev/shm is not isolated.
    #[arg(long, requires = "leaks")]
    isolate: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    showing: Showing,
    /// Objects to show (default: all)
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, requires = "leaks")]
    command: Vec<OsString>,
}

/// Options that select or show objects, and make no sense for limits or `--id`.
const OF_OBJECTS: [&str; 12] = [
    "targets",
    "owner",
    "mine",
    "name",
    "older_than",
    "keep",
    "unused",
    "orphaned",
    "sort",
    "holders",
    "watch",
    "leaks",
];

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
        self.posix |= self.filters.is_posix();
        if let Some(pid) = self.of {
            enter(pid).with_context(|| format!("cannot enter the IPC namespace of process {pid}"))?;
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
            Errno::EPERM => Cause::from_errno(errno, "this needs CAP_SYS_ADMIN"),
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

    /// Whether to print records instead of the tables of util-linux.
    const fn in_records(&self) -> bool {
        let by_name = self.filters.name.is_some() && matches!(self.table(), Table::Objects);
        by_name || self.showing.json || self.showing.columns.is_some() || self.showing.no_header
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
            bail!(Cause::new(Exit::Usage, "--id needs -q, -m or -s"));
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
