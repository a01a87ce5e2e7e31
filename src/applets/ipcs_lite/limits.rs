//! `-l` and `-u`: the limits, and what is used of them.

use std::fmt::Write as _;

use anyhow::{Context, Error, Result};

use super::size::{Unit, human};
use super::tables::Table;
use crate::objects::posix;
use crate::output::{Cell, Column};
use crate::sys::posix::{mq, shm as posix_shm};
use crate::sys::sysv::{Kind, msg, sem, shm};

/// Limits or use of a kind and a family: a name for each, in the words of util-linux, in JSON, and its value.
pub struct Figures {
    kind: Kind,
    family: &'static str,
    values: Vec<(&'static str, Option<u64>)>,
}

/// Pages in bytes or kilobytes; what does not fit is the most that does, in whole pages.
const fn sum(pages: u64, per_page: u64) -> u64 {
    match pages.checked_mul(per_page) {
        Some(sum) => sum,
        None => u64::MAX / per_page * per_page,
    }
}

fn wide(count: usize) -> u64 {
    count as u64
}

/// The text of a kind, as util-linux's `ipcs` has it.
pub fn text(kind: Kind, table: Table, unit: Unit) -> Result<String> {
    let text = if table == Table::Limits { limits(kind, unit) } else { summary(kind, unit) };
    text.with_context(|| unknown(kind))
}

fn unknown(kind: Kind) -> String {
    format!("cannot read the limits of {}s", kind.name())
}

fn limits(kind: Kind, unit: Unit) -> Result<String> {
    let bytes = |name: &str, bytes: u64| match unit {
        Unit::Fitting => format!("{name} = {}\n", human(bytes)),
        Unit::Usual | Unit::Bytes => format!("{name} (bytes) = {bytes}\n"),
    };
    // One that can be very large, which is told in kilobytes where no unit is asked for.
    let large = |name: &str, kilobytes: u64, of_bytes: u64| match unit {
        Unit::Usual => format!("{name} (kbytes) = {kilobytes}\n"),
        Unit::Fitting | Unit::Bytes => bytes(name, of_bytes),
    };
    Ok(match kind {
        Kind::Msg => {
            let limits = msg::limits()?;
            format!(
                "\n------ Messages Limits --------\nmax queues system wide = {}\n{}{}",
                limits.queues,
                bytes("max size of message", wide(limits.message)),
                bytes("default max size of queue", limits.bytes)
            )
        }
        Kind::Shm => {
            let limits = shm::limits()?;
            let (pages, page) = (limits.pages, page_size());
            format!(
                "\n------ Shared Memory Limits --------\nmax number of segments = {}\n{}{}{}",
                limits.segments,
                large("max seg size", limits.size / 1024, limits.size),
                large("max total shared memory", sum(pages, page / 1024), sum(pages, page)),
                bytes("min seg size", 1)
            )
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            format!(
                "\n------ Semaphore Limits --------\nmax number of arrays = {}\nmax semaphores per array = {}\nmax semaphores system wide = {}\nmax ops per semop call = {}\nsemaphore max value = {}\n",
                limits.sets,
                limits.per_set,
                limits.in_all,
                limits.ops,
                sem::MAX_VALUE
            )
        }
    })
}

fn page_size() -> u64 {
    crate::sys::mapping::page_size()
}

fn summary(kind: Kind, unit: Unit) -> Result<String> {
    let mut text = String::new();
    match kind {
        Kind::Msg => {
            let (queues, messages, bytes) = msg::used()?;
            let space = match unit {
                Unit::Usual => format!("used space = {bytes} bytes"),
                Unit::Bytes => format!("used space (bytes) = {bytes}"),
                Unit::Fitting => format!("used space = {}", human(bytes)),
            };
            let _ = write!(
                text,
                "\n------ Messages Status --------\nallocated queues = {queues}\nused headers = {messages}\n{space}\n"
            );
        }
        Kind::Shm => {
            let used = shm::used()?;
            let (attempts, successes) = used.swap_attempts;
            let _ = write!(
                text,
                "\n------ Shared Memory Status --------\nsegments allocated {}\npages allocated {}\npages resident  {}\npages swapped   {}\nSwap performance: {attempts} attempts\t {successes} successes\n",
                used.segments, used.pages, used.resident, used.swapped
            );
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            let _ = write!(
                text,
                "\n------ Semaphore Status --------\nused arrays = {}\nallocated semaphores = {}\n",
                limits.sets_used, limits.used
            );
        }
    }
    Ok(text)
}

/// The same for records, with those of POSIX objects where they are asked for.
pub fn figures(kinds: &[Kind], table: Table, posix: bool) -> Result<Vec<Figures>> {
    let mut found = Vec::new();
    for kind in kinds {
        let values = if table == Table::Limits { limit_figures(*kind) } else { used_figures(*kind) };
        let values = values.with_context(|| unknown(*kind))?;
        found.push(Figures { kind: *kind, family: "sysv", values });
        if posix {
            let values = posix_figures(*kind, table)?;
            found.push(Figures { kind: *kind, family: "posix", values });
        }
    }
    Ok(found)
}

fn limit_figures(kind: Kind) -> Result<Vec<(&'static str, Option<u64>)>> {
    Ok(match kind {
        Kind::Msg => {
            let limits = msg::limits()?;
            vec![
                ("max_queues", Some(limits.queues)),
                ("message_size", Some(wide(limits.message))),
                ("max_bytes", Some(limits.bytes)),
            ]
        }
        Kind::Shm => {
            let limits = shm::limits()?;
            vec![
                ("max_segments", Some(limits.segments)),
                ("max_size", Some(limits.size)),
                ("max_pages", Some(limits.pages)),
                ("min_size", Some(1)),
            ]
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            vec![
                ("max_sets", Some(wide(limits.sets))),
                ("max_nsems", Some(wide(limits.per_set))),
                ("max_semaphores", Some(wide(limits.in_all))),
                ("max_ops", Some(wide(limits.ops))),
                ("max_value", Some(sem::MAX_VALUE.into())),
            ]
        }
    })
}

fn used_figures(kind: Kind) -> Result<Vec<(&'static str, Option<u64>)>> {
    Ok(match kind {
        Kind::Msg => {
            let (queues, messages, bytes) = msg::used()?;
            vec![("queues", Some(queues)), ("messages", Some(messages)), ("bytes", Some(bytes))]
        }
        Kind::Shm => {
            let used = shm::used()?;
            vec![
                ("segments", Some(used.segments)),
                ("pages", Some(used.pages)),
                ("resident_pages", Some(used.resident)),
                ("swapped_pages", Some(used.swapped)),
            ]
        }
        Kind::Sem => {
            let limits = sem::limits()?;
            vec![("sets", Some(wide(limits.sets_used))), ("semaphores", Some(wide(limits.used)))]
        }
    })
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

/// The columns of limits, or of use.
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
    /// Whether they are those of POSIX objects.
    pub fn is_posix(&self) -> bool {
        self.family == "posix"
    }

    fn get(&self, key: &str) -> Cell {
        let found = self.values.iter().find(|(name, _)| *name == key);
        found.map_or(Cell::Absent, |(_, value)| Cell::known(*value, Cell::Large))
    }
}
