//! `-i ID`: everything of one object, and the values of a set.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::size::human;
use super::tables::long;
use crate::args::format::Showing;
use crate::exit::{Cause, Exit};
use crate::objects::Object;
use crate::objects::columns::{self, Record};
use crate::output::{self, Cell, Column};
use crate::sys::sysv::sem::Set;
use crate::sys::sysv::{Perm, msg, sem, shm};

/// One semaphore of a set.
struct Semaphore {
    index: u16,
    value: u16,
    waiters: u16,
    zero_waiters: u16,
    last_pid: i32,
}

/// Prints an object as util-linux's `ipcs -i` does.
pub fn print(object: &Object, in_units: bool) -> Result<Exit> {
    let text = match object {
        Object::Queue(stat) => queue(stat, in_units),
        Object::Segment(stat) => segment(stat, in_units),
        Object::Set(stat) => set(stat)?,
        Object::Posix(_) => String::new(),
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// A number as C writes it in octal: with a 0 before it.
fn octal(mode: u32) -> String {
    if mode == 0 { "0".into() } else { format!("0{mode:o}") }
}

fn owners(perm: &Perm, blank: &str) -> String {
    format!(
        "uid={}\t{blank}gid={}\t{blank}cuid={}\t{blank}cgid={}",
        perm.uid, perm.gid, perm.creator_uid, perm.creator_gid
    )
}

fn queue(stat: &msg::Stat, in_units: bool) -> String {
    let (word, bytes, most) = if in_units {
        ("size", human(stat.bytes), human(stat.max_bytes))
    } else {
        ("bytes", stat.bytes.to_string(), stat.max_bytes.to_string())
    };
    format!(
        "\nMessage Queue msqid={}\n{}\tmode={}\nc{word}={bytes}\tq{word}={most}\tqnum={}\tlspid={}\tlrpid={}\nsend_time={}\nrcv_time={}\nchange_time={}\n\n",
        stat.id,
        owners(&stat.perm, ""),
        octal(stat.perm.mode),
        stat.messages,
        stat.last_send_pid,
        stat.last_receive_pid,
        long(stat.send_time),
        long(stat.receive_time),
        long(stat.change_time)
    )
}

fn segment(stat: &shm::Stat, in_units: bool) -> String {
    let size = if in_units { format!("size={}", human(stat.size)) } else { format!("bytes={}", stat.size) };
    format!(
        "\nShared memory Segment shmid={}\n{}\nmode={}\taccess_perms={}\n{size}\tlpid={}\tcpid={}\tnattch={}\natt_time={}\ndet_time={}\nchange_time={}\n\n",
        stat.id,
        owners(&stat.perm, ""),
        octal(stat.marked_mode()),
        octal(stat.perm.mode),
        stat.last_pid,
        stat.creator_pid,
        stat.attached,
        long(stat.attach_time),
        long(stat.detach_time),
        long(stat.change_time)
    )
}

fn set(stat: &sem::Stat) -> Result<String> {
    let mut text = format!(
        "\nSemaphore Array semid={}\n{}\nmode={}, access_perms={}\nnsems = {}\notime = {}\nctime = {}\n{:<10} {:<10} {:<10} {:<10} {:<10}\n",
        stat.id,
        owners(&stat.perm, " "),
        octal(stat.perm.mode),
        octal(stat.perm.mode),
        stat.len,
        long(stat.op_time),
        long(stat.change_time),
        "semnum",
        "value",
        "ncount",
        "zcount",
        "pid"
    );
    for one in semaphores(stat)? {
        let Semaphore { index, value, waiters, zero_waiters, last_pid } = one;
        let _ = writeln!(text, "{index:<10} {value:<10} {waiters:<10} {zero_waiters:<10} {last_pid:<10}");
    }
    Ok(text + "\n")
}

fn semaphores(stat: &sem::Stat) -> Result<Vec<Semaphore>> {
    let set = Set::from_id(stat.id);
    let read = || {
        let (_, values) = set.values()?;
        let one = |(index, value): (u16, u16)| {
            Ok(Semaphore {
                index,
                value,
                waiters: set.waiters(index)?,
                zero_waiters: set.zero_waiters(index)?,
                last_pid: set.last_pid(index)?,
            })
        };
        (0..).zip(values).map(one).collect::<nix::Result<Vec<_>>>()
    };
    read().map_err(Cause::plain).with_context(|| format!("cannot read the values of {}", stat.id))
}

/// Shows an object as a record; a set as one for each of its semaphores.
pub fn records(object: &Object, how: &Showing) -> Result<Exit> {
    let names = columns::names(std::slice::from_ref(object));
    let record = Record { object, names: &names, verdict: None };
    if let Object::Set(stat) = object {
        let all: Vec<(Record, Semaphore)> = semaphores(stat)?.into_iter().map(|one| (record, one)).collect();
        output::show(&semaphore_columns(), &all, how, false)?;
    } else {
        output::show(&columns::columns(), &[record], how, true)?;
    }
    Ok(Exit::Done)
}

const fn semaphore_columns<'a>() -> [Column<(Record<'a>, Semaphore)>; 14] {
    macro_rules! of_set {
        ($key:literal, $set:ident, $get:expr) => {
            Column::detail($key, |(record, _)| match record.object {
                Object::Set($set) => $get,
                _ => Cell::Absent,
            })
        };
    }
    [
        of_set!("kind", _set, Cell::word("sem")),
        of_set!("family", _set, Cell::word("sysv")),
        of_set!("id", set, set.id.into()),
        of_set!("key", set, Cell::key(set.perm.key)),
        Column::detail("owner", |(record, _)| match record.object.owned() {
            Some((uid, _, _)) => record.names.user(uid),
            None => Cell::Unknown,
        }),
        of_set!("uid", set, set.perm.uid.into()),
        of_set!("gid", set, set.perm.gid.into()),
        of_set!("mode", set, Cell::mode(set.perm.mode)),
        of_set!("op_time", set, Cell::time(set.op_time)),
        Column::new("index", |(_, one)| one.index.into()),
        Column::new("value", |(_, one)| one.value.into()),
        Column::new("waiters", |(_, one)| one.waiters.into()),
        Column::new("zero_waiters", |(_, one)| one.zero_waiters.into()),
        Column::new("last_pid", |(_, one)| Cell::pid(one.last_pid)),
    ]
}
