//! `-i ID`: all fields of one object, and the values of a set.

use std::fmt::Write as _;

use anyhow::{Error, Result};
use nix::errno::Errno;

use super::size::human;
use super::tables::long;
use crate::args::format::Showing;
use crate::exit::{Cause, Exit};
use crate::objects::columns::{self, Part, Record};
use crate::objects::{Object, State};
use crate::output;
use crate::sys::sysv::sem::Set;
use crate::sys::sysv::{Perm, msg, sem, shm};

const SEMAPHORES: &str = "-kind -family -id -key -name -owner -uid -group -gid -creator -creator_uid -creator_gid -mode \
                          -nsems index value waiters zero_waiters last_pid -op_time -change_time";

/// Prints an object as util-linux's `ipcs -i` does.
pub fn print(object: &Object, in_units: bool) -> Result<Exit> {
    let text = match &object.state {
        State::Queue(stat) => queue(stat, in_units),
        State::Segment(stat) => segment(stat, in_units),
        State::Set(stat) => set(stat)?,
        _ => String::new(),
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Formats a number as C's `%#o`.
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
    let set = Set::from_id(stat.id);
    for (index, value) in values(stat.id)? {
        let one = || Ok((set.waiters(index)?, set.zero_waiters(index)?, set.last_pid(index)?));
        let (waiters, zero_waiters, last_pid) = one().map_err(|errno| unread(errno, stat.id))?;
        let _ = writeln!(text, "{index:<10} {value:<10} {waiters:<10} {zero_waiters:<10} {last_pid:<10}");
    }
    Ok(text + "\n")
}

fn unread(errno: Errno, id: i32) -> Error {
    Error::from(Cause::plain(errno)).context(format!("cannot read the values of {id}"))
}

fn values(id: i32) -> Result<impl Iterator<Item = (u16, u16)>> {
    let (_, values) = Set::from_id(id).values().map_err(|errno| unread(errno, id))?;
    Ok((0..).zip(values))
}

/// Prints an object as a record; a set as one record per semaphore.
pub fn records(object: &Object, how: &Showing) -> Result<Exit> {
    let names = columns::names([object]);
    let record = Record::of(object, &names);
    if let State::Set(stat) = &object.state {
        let part = |(index, value)| Record { part: Part::Semaphore(index, value), ..record };
        let records: Vec<Record> = values(stat.id)?.map(part).collect();
        output::show(&columns::pick(SEMAPHORES), &records, how, false)?;
    } else {
        output::show(&columns::pick(columns::OBJECT), &[record], how, true)?;
    }
    Ok(Exit::Done)
}
