//! `--report`: one JSON object per command.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use crate::args::signals::name;
use crate::exit::Cause;
use crate::output::{self, Cell, Column};
use crate::supervise::escalation::Limit;
use crate::sys::child::Usage;
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::process::wait_status::Ended;
use crate::sys::written::{Before, opened};

/// The file of a report.
pub struct Report {
    to: Outlet,
    path: OsString,
    columns: Vec<Column<CommandRecord>>,
}

/// A command, whether it ran or not.
#[derive(Debug, Clone, Default)]
pub struct CommandRecord {
    /// Its number, counted from 1.
    pub number: u64,
    /// Its name and arguments.
    pub argv: Vec<OsString>,
    /// Its process id.
    pub pid: Option<i32>,
    /// Its status if it did not run.
    pub unrun: Option<u8>,
    /// How it exited, how long it ran and what it used.
    pub end: Option<(Ended, Duration, Usage)>,
    /// Whether its failure was forgiven; only for [`STAGE`].
    pub forgiven: Option<bool>,
}

/// The key of a command's number in `pipe run`.
pub const STAGE: &str = "stage";

impl Report {
    /// Opens FILE before any command runs; `key` names the number of a command. Waits for the reader of a FIFO, at most
    /// as long as `limit`.
    pub fn open(path: &OsStr, key: &'static str, limit: &Limit) -> Result<Self> {
        let opened = opened(path, Before::Goes, Deadline::within(limit.time()));
        let to = opened.and_then(Outlet::new).map_err(|errno| match errno {
            Errno::EAGAIN => limit.missed("no reader opened the file"),
            errno => unwritable(errno),
        });
        let to = to.with_context(|| unwritten(path))?;
        Ok(Self { to, path: path.to_owned(), columns: columns(key) })
    }

    /// Returns the open file.
    pub const fn outlet(&self) -> &Outlet {
        &self.to
    }

    /// Formats these records as JSON Lines.
    pub fn text(&self, records: &[CommandRecord]) -> String {
        output::json(&self.columns, records)
    }

    /// Adds context to the outcome of writing; `EAGAIN` means that the time limit passed.
    ///
    /// # Errors
    /// The report could not be written.
    pub fn written(&self, outcome: Result<(), Errno>, limit: &Limit) -> Result<()> {
        let cause = outcome.map_err(|errno| match errno {
            Errno::EAGAIN => limit.still("the pipe is still full"),
            errno => Cause::plain(errno),
        });
        cause.map_err(Error::from).with_context(|| unwritten(&self.path))
    }
}

fn unwritten(path: &OsStr) -> String {
    format!("cannot write the report to {}", shown(path))
}

/// Formats FILE for a message.
pub fn shown(path: &OsStr) -> String {
    if path.is_empty() { "''".to_owned() } else { path.display().to_string() }
}

/// Returns why FILE cannot be opened for writing.
pub fn unwritable(errno: Errno) -> Cause {
    match errno {
        Errno::ELOOP => Cause::from_errno(errno, "symbolic links are not followed"),
        errno => Cause::plain(errno),
    }
}

impl CommandRecord {
    fn end(&self, get: impl FnOnce(&(Ended, Duration, Usage)) -> Cell) -> Cell {
        Cell::known(self.end.as_ref(), get)
    }

    fn status(&self) -> Cell {
        let status = self.unrun.or(self.end.as_ref().map(|(ended, ..)| ended.status()));
        Cell::known(status, Cell::from)
    }

    fn signal(&self) -> Cell {
        self.end(|(ended, ..)| match ended {
            Ended::Killed(signal) => Cell::Text(name(*signal)),
            Ended::Exited(_) => Cell::Unknown,
        })
    }
}

fn columns(key: &'static str) -> Vec<Column<CommandRecord>> {
    let mut columns = vec![
        Column::new(key, |r: &CommandRecord| Cell::count(r.number)),
        Column::new("argv", |r| Cell::List(r.argv.iter().map(|word| Cell::name(word)).collect())),
        Column::new("pid", |r| Cell::known(r.pid, Cell::from)),
        Column::new("status", CommandRecord::status),
        Column::new("signal", CommandRecord::signal),
        Column::new("forgiven", |r| Cell::known(r.forgiven, Cell::Flag)),
        Column::new("wall_s", |r| r.end(|(_, wall, _)| Cell::Seconds(*wall))),
        Column::new("user_s", |r| r.end(|(.., used)| Cell::Seconds(used.user))),
        Column::new("system_s", |r| r.end(|(.., used)| Cell::Seconds(used.system))),
        Column::new("max_rss_bytes", |r| r.end(|(.., used)| Cell::count(used.max_rss))),
    ];
    columns.retain(|column| key == STAGE || column.key != "forgiven");
    columns
}
