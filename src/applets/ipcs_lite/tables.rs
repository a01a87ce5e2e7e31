//! The tables of util-linux's `ipcs`, byte for byte.

use std::fmt::Write as _;

use crate::objects::{Object, State};
use crate::output::Names;
use crate::sys::local::ctime;
use crate::sys::sysv::{Kind, msg, sem, shm};
use crate::text::{pad, width};

use super::size::human;

/// The table that an option selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Without an option.
    Objects,
    /// `-t`.
    Times,
    /// `-p`.
    Pids,
    /// `-c`.
    Creators,
    /// `-l`.
    Limits,
    /// `-u`.
    Summary,
}

/// Returns the head of the table of a kind.
pub fn title(kind: Kind, table: Table, in_units: bool) -> String {
    let of = |name: &str, columns: &str| format!("\n------ {name} --------\n{columns}\n");
    let size = |bytes: &str, width: usize| {
        let word = if in_units { "size" } else { bytes };
        format!("{word:<width$}")
    };
    match (kind, table) {
        (Kind::Msg, Table::Times) => of(
            "Message Queues Send/Recv/Change Times",
            "msqid    owner      send                 recv                 change              ",
        ),
        (Kind::Msg, Table::Pids) => of("Message Queues PIDs", "msqid      owner      lspid      lrpid     "),
        (Kind::Msg, Table::Creators) => {
            of("Message Queues Creators/Owners", "msqid      perms      cuid       cgid       uid        gid       ")
        }
        (Kind::Msg, _) => of(
            "Message Queues",
            &format!("key        msqid      owner      perms      {} messages    ", size("used-bytes", 12)),
        ),
        (Kind::Shm, Table::Times) => of(
            "Shared Memory Attach/Detach/Change Times",
            "shmid      owner      attached             detached             changed             ",
        ),
        (Kind::Shm, Table::Pids) => {
            of("Shared Memory Creator/Last-op PIDs", "shmid      owner      cpid       lpid      ")
        }
        (Kind::Shm, Table::Creators) => of(
            "Shared Memory Segment Creators/Owners",
            "shmid      perms      cuid       cgid       uid        gid       ",
        ),
        (Kind::Shm, _) => of(
            "Shared Memory Segments",
            &format!("key        shmid      owner      perms      {} nattch     status      ", size("bytes", 10)),
        ),
        (Kind::Sem, Table::Times) => of(
            "Semaphore Operation/Change Times",
            "semid    owner      last-op                    last-changed              ",
        ),
        // The kernel keeps no pids for a set.
        (Kind::Sem, Table::Pids) => "\n".into(),
        (Kind::Sem, Table::Creators) => {
            of("Semaphore Arrays Creators/Owners", "semid      perms      cuid       cgid       uid        gid       ")
        }
        (Kind::Sem, _) => of("Semaphore Arrays", "key        semid      owner      perms      nsems     "),
    }
}

pub fn line(object: &Object, table: Table, in_units: bool, names: &Names) -> String {
    if table == Table::Creators {
        return creators(object, names);
    }
    let owner = object.owned().map(|(uid, _, _)| names.user(uid).text(false));
    let owner = column(owner.unwrap_or_default());
    let mut line = String::with_capacity(96);
    let _ = match &object.state {
        State::Queue(stat) => queue(&mut line, stat, table, in_units, &owner),
        State::Segment(stat) => segment(&mut line, stat, table, in_units, &owner),
        State::Set(stat) => set(&mut line, stat, table, &owner),
        _ => Ok(()),
    };
    line
}

fn queue(line: &mut String, stat: &msg::Stat, table: Table, in_units: bool, owner: &str) -> std::fmt::Result {
    let (id, perm) = (stat.id, &stat.perm);
    match table {
        Table::Times => {
            let times = [stat.send_time, stat.receive_time, stat.change_time].map(short);
            writeln!(line, "{id:<8} {owner} {} {} {}", times[0], times[1], times[2])
        }
        Table::Pids => {
            writeln!(line, "{id:<8} {owner} {:>6}{:>10}", stat.last_send_pid, stat.last_receive_pid)
        }
        _ => {
            let bytes = sized(stat.bytes, in_units, 12);
            let (key, mode, messages) = (perm.key, perm.mode, stat.messages);
            writeln!(line, "{key:#010x} {id:<10} {owner} {mode:<10o} {bytes} {messages:<12}")
        }
    }
}

fn segment(line: &mut String, stat: &shm::Stat, table: Table, in_units: bool, owner: &str) -> std::fmt::Result {
    let (id, perm) = (stat.id, &stat.perm);
    match table {
        Table::Times => {
            let times = [stat.attach_time, stat.detach_time, stat.change_time].map(short);
            writeln!(line, "{id:<10} {owner} {} {} {}", times[0], times[1], times[2])
        }
        Table::Pids => {
            writeln!(line, "{id:<10} {owner} {:<10} {:<10}", stat.creator_pid, stat.last_pid)
        }
        _ => {
            let bytes = sized(stat.size, in_units, 10);
            let (key, mode, attached) = (perm.key, perm.mode, stat.attached);
            let removed = if stat.removed { "dest" } else { "" };
            let pinned = if stat.pinned { "locked" } else { "" };
            writeln!(line, "{key:#010x} {id:<10} {owner} {mode:<10o} {bytes} {attached:<10} {removed:<6} {pinned:<6}")
        }
    }
}

fn set(line: &mut String, stat: &sem::Stat, table: Table, owner: &str) -> std::fmt::Result {
    let (id, perm) = (stat.id, &stat.perm);
    match table {
        Table::Times => {
            let times = [stat.op_time, stat.change_time].map(long);
            writeln!(line, "{id:<8} {owner}  {} {}", times[0], times[1])
        }
        Table::Pids => Ok(()),
        _ => {
            let (key, mode, len) = (perm.key, perm.mode, stat.len);
            writeln!(line, "{key:#010x} {id:<10} {owner} {mode:<10o} {len:<10}")
        }
    }
}

fn creators(object: &Object, names: &Names) -> String {
    let (Some(perm), Some(id)) = (object.perm(), object.id()) else { return String::new() };
    let user = |uid| pad(&names.user(uid).text(false), 10);
    let group = |gid| pad(&names.group(gid).text(false), 10);
    format!(
        "{id:<10} {:<10o} {} {} {} {}\n",
        perm.mode,
        user(perm.creator_uid),
        group(perm.creator_gid),
        user(perm.uid),
        group(perm.gid)
    )
}

/// A name cut and padded to ten columns.
fn column(mut name: String) -> String {
    while width(&name) > 10 {
        name.pop();
    }
    pad(&name, 10)
}

/// A size in its column: a number to the left, or with its unit right-aligned to six letters.
fn sized(bytes: u64, in_units: bool, width: usize) -> String {
    if !in_units {
        return format!("{bytes:<width$}");
    }
    format!("{:>6}{:blank$}", human(bytes), "", blank = width - 6)
}

/// Month, day and time of day.
fn short(seconds: i64) -> String {
    let text = if seconds == 0 { "Not set".into() } else { ctime(seconds) };
    let text: String = if seconds == 0 { text } else { text.chars().skip(4).take(15).collect() };
    format!("{text:<20}")
}

/// Date and time with the year.
pub fn long(seconds: i64) -> String {
    let text = if seconds == 0 { "Not set".into() } else { ctime(seconds) };
    format!("{text:<26}")
}
