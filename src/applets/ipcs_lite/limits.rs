//! `-l` and `-u`: the limits, and how much of them is used.

use std::fmt::Write as _;

use anyhow::{Context, Error, Result};

use super::size::{Unit, human};
use super::tables::Table;
use crate::objects::posix;
use crate::output::{Cell, Column};
use crate::sys::mapping::page_size;
use crate::sys::posix::{mq, shm as posix_shm};
use crate::sys::sysv::{Kind, msg, sem, shm};

/// The limits, or their use, of a kind and family: JSON keys and values.
pub struct Figures {
    kind: Kind,
    family: &'static str,
    values: Vec<(&'static str, Option<u64>)>,
}

/// Pages in bytes or kilobytes; an overflow becomes the largest number of whole pages that fits.
const fn sum(pages: u64, per_page: u64) -> u64 {
    match pages.checked_mul(per_page) {
        Some(sum) => sum,
        None => u64::MAX / per_page * per_page,
    }
}

fn wide(count: usize) -> u64 {
    count as u64
}

/// The format of a figure in util-linux's `ipcs`.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// After `=`.
    Number,
    /// After a blank.
    Column,
    Bytes,
    /// Bytes, followed by "bytes" without a unit option.
    Space,
    /// Bytes, in kilobytes without a unit option.
    Large,
    /// Pages, in kilobytes without a unit option.
    Pages,
}

/// A figure of System V objects: its JSON key, its name in text, its format and its value.
struct Figure(&'static str, &'static str, Shown, u64);

impl Figure {
    fn line(&self, unit: Unit) -> String {
        let Self(_, name, shown, value) = *self;
        let page = page_size();
        let (kilobytes, bytes) = match shown {
            Shown::Pages => (sum(value, page / 1024), sum(value, page)),
            _ => (value / 1024, value),
        };
        match (shown, unit) {
            (Shown::Number, _) => format!("{name} = {value}\n"),
            (Shown::Column, _) => format!("{name} {value}\n"),
            (Shown::Space, Unit::Usual) => format!("{name} = {value} bytes\n"),
            (Shown::Large | Shown::Pages, Unit::Usual) => format!("{name} (kbytes) = {kilobytes}\n"),
            (_, Unit::Fitting) => format!("{name} = {}\n", human(bytes)),
            _ => format!("{name} (bytes) = {bytes}\n"),
        }
    }
}

/// Returns the text of a kind, as util-linux's `ipcs` prints it.
pub fn text(kind: Kind, table: Table, unit: Unit) -> Result<String> {
    let (heading, figures) = system_v(kind, table)?;
    let lines: String = figures.iter().map(|figure| figure.line(unit)).collect();
    let mut text = format!("\n------ {heading} --------\n{lines}");
    if (kind, table) == (Kind::Shm, Table::Summary) {
        let (attempts, successes) = shm::used()?.swap_attempts;
        let _ = writeln!(text, "Swap performance: {attempts} attempts\t {successes} successes");
    }
    Ok(text)
}

fn system_v(kind: Kind, table: Table) -> Result<(&'static str, Vec<Figure>)> {
    let read = if table == Table::Limits { limits(kind) } else { used(kind) };
    read.with_context(|| format!("cannot read the limits of {}s", kind.name()))
}

fn limits(kind: Kind) -> Result<(&'static str, Vec<Figure>)> {
    Ok(match kind {
        Kind::Msg => {
            let limits = msg::limits()?;
            let figures = vec![
                Figure("max_queues", "max queues system wide", Shown::Number, limits.queues),
                Figure("message_size", "max size of message", Shown::Bytes, wide(limits.message)),
                Figure("max_bytes", "default max size of queue", Shown::Bytes, limits.bytes),
            ];
            ("Messages Limits", figures)
        }
        Kind::Shm => {
            let limits = shm::limits()?;
            let figures = vec![
                Figure("max_segments", "max number of segments", Shown::Number, limits.segments),
                Figure("max_size", "max seg size", Shown::Large, limits.size),
                Figure("max_pages", "max total shared memory", Shown::Pages, limits.pages),
                Figure("min_size", "min seg size", Shown::Bytes, 1),
            ];
            ("Shared Memory Limits", figures)
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            let figures = vec![
                Figure("max_sets", "max number of arrays", Shown::Number, wide(limits.sets)),
                Figure("max_nsems", "max semaphores per array", Shown::Number, wide(limits.per_set)),
                Figure("max_semaphores", "max semaphores system wide", Shown::Number, wide(limits.in_all)),
                Figure("max_ops", "max ops per semop call", Shown::Number, wide(limits.ops)),
                Figure("max_value", "semaphore max value", Shown::Number, sem::MAX_VALUE.into()),
            ];
            ("Semaphore Limits", figures)
        }
    })
}

fn used(kind: Kind) -> Result<(&'static str, Vec<Figure>)> {
    Ok(match kind {
        Kind::Msg => {
            let (queues, messages, bytes) = msg::used()?;
            let figures = vec![
                Figure("queues", "allocated queues", Shown::Number, queues),
                Figure("messages", "used headers", Shown::Number, messages),
                Figure("bytes", "used space", Shown::Space, bytes),
            ];
            ("Messages Status", figures)
        }
        Kind::Shm => {
            let used = shm::used()?;
            let figures = vec![
                Figure("segments", "segments allocated", Shown::Column, used.segments),
                Figure("pages", "pages allocated", Shown::Column, used.pages),
                Figure("resident_pages", "pages resident ", Shown::Column, used.resident),
                Figure("swapped_pages", "pages swapped  ", Shown::Column, used.swapped),
            ];
            ("Shared Memory Status", figures)
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            let figures = vec![
                Figure("sets", "used arrays", Shown::Number, wide(limits.sets_used)),
                Figure("semaphores", "allocated semaphores", Shown::Number, wide(limits.used)),
            ];
            ("Semaphore Status", figures)
        }
    })
}

/// Returns the figures for records, with `posix` also those of POSIX objects.
pub fn figures(kinds: &[Kind], table: Table, posix: bool) -> Result<Vec<Figures>> {
    let mut found = Vec::new();
    for kind in kinds {
        let (_, figures) = system_v(*kind, table)?;
        let values = figures.into_iter().map(|Figure(key, _, _, value)| (key, Some(value))).collect();
        found.push(Figures { kind: *kind, family: "sysv", values });
        if posix {
            let values = posix_figures(*kind, table)?;
            found.push(Figures { kind: *kind, family: "posix", values });
        }
    }
    Ok(found)
}

fn posix_figures(kind: Kind, table: Table) -> Result<Vec<(&'static str, Option<u64>)>> {
    let is_limits = table == Table::Limits;
    let count = || Ok::<_, Error>(posix(kind)?.map(|all| wide(all.len())));
    Ok(match kind {
        Kind::Msg if is_limits => vec![
            ("max_queues", mq::setting("queues_max")),
            ("max_messages", mq::setting("msg_max")),
            ("message_size", mq::setting("msgsize_max")),
            ("max_user_bytes", mq::memory_limit()),
        ],
        Kind::Msg => vec![("queues", count()?)],
        Kind::Shm if is_limits => vec![("free_bytes", posix_shm::free().ok())],
        Kind::Shm => vec![("segments", count()?)],
        Kind::Sem if is_limits => {
            vec![("max_value", Some(crate::sys::posix::sem::MAX_VALUE.into()))]
        }
        Kind::Sem => vec![("semaphores", count()?)],
    })
}

pub const fn columns() -> [Column<Figures>; 26] {
    macro_rules! figure {
        ($key:literal) => {
            Column::new($key, |row: &Figures| row.get($key))
        };
    }
    [
        Column::new("kind", |row: &Figures| Cell::word(row.kind.word())),
        Column::new("family", |row: &Figures| Cell::word(row.family)),
        figure!("max_queues"),
        figure!("max_messages"),
        figure!("message_size"),
        figure!("max_bytes"),
        figure!("max_user_bytes"),
        figure!("max_segments"),
        figure!("max_size"),
        figure!("max_pages"),
        figure!("min_size"),
        figure!("free_bytes"),
        figure!("max_sets"),
        figure!("max_nsems"),
        figure!("max_semaphores"),
        figure!("max_ops"),
        figure!("max_value"),
        figure!("queues"),
        figure!("messages"),
        figure!("bytes"),
        figure!("segments"),
        figure!("pages"),
        figure!("resident_pages"),
        figure!("swapped_pages"),
        figure!("sets"),
        figure!("semaphores"),
    ]
}

impl Figures {
    /// Whether they concern POSIX objects.
    pub fn is_posix(&self) -> bool {
        self.family == "posix"
    }

    fn get(&self, key: &str) -> Cell {
        let found = self.values.iter().find(|(name, _)| *name == key);
        found.map_or(Cell::Absent, |(_, value)| Cell::known(*value, Cell::Large))
    }
}
