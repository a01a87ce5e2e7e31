//! `msgq stat`: every queue, and who waits on it.

use std::ffi::OsString;
use std::io::Result as IoResult;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::queue::find;
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::objects::find::report_no_queues;
use crate::output::{self, Cell, Column, Names};
use crate::sys::message::{Waits, Which};
use crate::sys::posix::mq;
use crate::sys::process;
use crate::sys::sysv::msg;
use crate::target::{Form, Target};

/// Without TARGET every System V and POSIX queue is shown. The bytes of a POSIX queue are known where it may be received
/// from. POSIX queues are listed by their file system, which has to be mounted on /dev/mqueue where the caller may not mount it.
///
/// Who waits is read from /proc, and needs the right to trace that process; the kernel does not count those that may
/// not be looked at.
#[derive(Args)]
pub struct Stat {
    /// The queues
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// Who waits, to send or for which type, instead
    #[arg(long)]
    waiters: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show queues, and who waits on them";
    const EXAMPLES: &'static str = "
# How many messages there are
ipcbox msgq send jobs 'first job' --create
ipcbox msgq stat jobs --columns messages,bytes
";

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, Object::look(target))?);
            Ok(())
        });
        if self.targets.is_empty() {
            found = all()?;
        }
        let single = self.targets.len() == 1;
        if self.waiters {
            let blocked = process::blocked().unwrap_or_default();
            let of = |object| waiters(object, &blocked).into_iter().map(move |who| (object, who));
            let people: Vec<(&Object, Waiter)> = found.iter().flat_map(of).collect();
            output::show(&waiter_columns(), &people, &self.showing, single)?;
        } else {
            let names = Names::of(found.iter().filter_map(Object::ids));
            let records: Vec<Record> = found.iter().map(|object| Record { object, names: &names }).collect();
            output::show(&record_columns(), &records, &self.showing, single)?;
        }
        exit
    }
}

/// A queue, as it was when it was looked at.
pub struct Object {
    name: Option<OsString>,
    family: Family,
}

enum Family {
    SystemV(msg::Stat),
    Posix(mq::Stat),
    /// A POSIX queue that may not be opened.
    Unreadable,
}

impl Object {
    /// The queue behind `target`.
    pub fn look(target: &Target) -> Result<Self> {
        let name = target.name().map(OsString::from);
        let family = match target.form() {
            Form::Posix => Family::Posix(mq::look(target.typed())?.stat()?),
            _ => Family::SystemV(find(target)?.stat()?),
        };
        Ok(Self { name, family })
    }

    /// Owner and group, where they are known.
    const fn ids(&self) -> Option<(u32, u32)> {
        match &self.family {
            Family::SystemV(stat) => Some((stat.perm.uid, stat.perm.gid)),
            Family::Posix(stat) => Some((stat.file.uid, stat.file.gid)),
            Family::Unreadable => None,
        }
    }

    /// A field that both families have.
    fn both(&self, system_v: impl FnOnce(&msg::Stat) -> Cell, posix: impl FnOnce(&mq::Stat) -> Cell) -> Cell {
        match &self.family {
            Family::SystemV(stat) => system_v(stat),
            Family::Posix(stat) => posix(stat),
            Family::Unreadable => Cell::Unknown,
        }
    }

    /// A field of System V queues.
    fn system_v(&self, get: impl FnOnce(&msg::Stat) -> Cell) -> Cell {
        match &self.family {
            Family::SystemV(stat) => get(stat),
            _ => Cell::Absent,
        }
    }

    /// A field of POSIX queues.
    fn posix(&self, get: impl FnOnce(&mq::Stat) -> Cell) -> Cell {
        match &self.family {
            Family::SystemV(_) => Cell::Absent,
            Family::Posix(stat) => get(stat),
            Family::Unreadable => Cell::Unknown,
        }
    }

    fn family(&self) -> Cell {
        Cell::word(if matches!(self.family, Family::SystemV(_)) { "sysv" } else { "posix" })
    }

    fn name(&self) -> Cell {
        Cell::known(self.name.as_deref(), Cell::name)
    }
}

/// Everything there is; what vanishes meanwhile is left out, and POSIX queues that cannot be listed are told.
fn all() -> Result<Vec<Object>> {
    let why = "cannot list message queues";
    let system_v = |stat| Object { name: None, family: Family::SystemV(stat) };
    let mut found: Vec<Object> =
        msg::all().context(why)?.map(|stat| stat.map(system_v)).collect::<IoResult<_>>().context(why)?;
    let why = "cannot list POSIX queues";
    let names = mq::names().context(why)?;
    if names.is_none() {
        report_no_queues();
    }
    for name in names.unwrap_or_default() {
        let family = match mq::look(&name).and_then(|queue| queue.stat()) {
            Err(Errno::EACCES) => Family::Unreadable,
            Err(Errno::ENOENT) => continue,
            stat => Family::Posix(stat.context(why)?),
        };
        found.push(Object { name: Some(name), family });
    }
    Ok(found)
}

/// One who waits on a queue.
pub struct Waiter {
    pid: i32,
    command: Option<String>,
    waits: Waits,
}

/// As in a message: `4711 (make all)`.
impl std::fmt::Display for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{} ({command})", self.pid),
            None => write!(f, "{}", self.pid),
        }
    }
}

/// Who of these waits on a queue.
pub fn waiters(object: &Object, blocked: &[process::Blocked]) -> Vec<Waiter> {
    let waits = |thread: &process::Blocked| match &object.family {
        Family::SystemV(stat) => msg::waits(thread, stat.id),
        Family::Posix(stat) => mq::waits(thread, stat.file.inode),
        Family::Unreadable => None,
    };
    let waiter = |thread: &process::Blocked| {
        let (pid, waits) = (thread.pid, waits(thread)?);
        Some(Waiter { pid, command: process::command(pid), waits })
    };
    blocked.iter().filter_map(waiter).collect()
}

struct Record<'a> {
    object: &'a Object,
    names: &'a Names,
}

impl Record<'_> {
    fn known(&self, get: impl FnOnce(u32, u32) -> Cell) -> Cell {
        self.object.ids().map_or(Cell::Unknown, |(uid, gid)| get(uid, gid))
    }
}

/// A number of the kernel's as a cell has it.
fn number(n: u64) -> Cell {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

const fn record_columns<'a>() -> [Column<Record<'a>>; 20] {
    [
        Column::detail("kind", |_| Cell::word("msg")),
        Column::detail("family", |r| r.object.family()),
        Column::new("id", |r| r.object.system_v(|s| s.id.into())),
        Column::new("key", |r| r.object.system_v(|s| Cell::key(s.perm.key))),
        Column::new("name", |r| r.object.name()),
        Column::new("owner", |r| r.known(|uid, _| r.names.user(uid))),
        Column::detail("uid", |r| r.known(|uid, _| uid.into())),
        Column::detail("group", |r| r.known(|_, gid| r.names.group(gid))),
        Column::detail("gid", |r| r.known(|_, gid| gid.into())),
        Column::new("mode", |r| r.object.both(|s| Cell::mode(s.perm.mode), |s| Cell::mode(s.file.mode))),
        Column::new("messages", |r| r.object.both(|s| number(s.messages), |s| number(s.messages))),
        Column::new("bytes", |r| r.object.both(|s| number(s.bytes), |s| Cell::known(s.bytes, number))),
        Column::new("max_bytes", |r| r.object.system_v(|s| number(s.max_bytes))),
        Column::new("max_messages", |r| r.object.posix(|s| number(s.limits.messages))),
        Column::new("message_size", |r| r.object.posix(|s| number(s.limits.size))),
        Column::new("last_send_pid", |r| r.object.system_v(|s| Cell::pid(s.last_send_pid))),
        Column::new("last_receive_pid", |r| r.object.system_v(|s| Cell::pid(s.last_receive_pid))),
        Column::new("send_time", |r| r.object.system_v(|s| Cell::time(s.send_time))),
        Column::new("receive_time", |r| r.object.system_v(|s| Cell::time(s.receive_time))),
        Column::new("change_time", |r| {
            r.object.both(|s| Cell::time(s.change_time), |s| Cell::time(s.file.change_time))
        }),
    ]
}

const fn waiter_columns<'a>() -> [Column<(&'a Object, Waiter)>; 10] {
    [
        Column::detail("kind", |_| Cell::word("msg")),
        Column::detail("family", |(object, _)| object.family()),
        Column::new("id", |(object, _)| object.system_v(|s| s.id.into())),
        Column::detail("key", |(object, _)| object.system_v(|s| Cell::key(s.perm.key))),
        Column::new("name", |(object, _)| object.name()),
        Column::new("role", |(_, waiter)| {
            Cell::word(if waiter.waits == Waits::ToSend { "sender" } else { "receiver" })
        }),
        Column::new("pid", |(_, waiter)| waiter.pid.into()),
        Column::new("command", |(_, waiter)| Cell::known(waiter.command.clone(), Cell::Text)),
        Column::new("type", |(object, waiter)| match waiter.waits {
            Waits::ToReceive(Which::Type(kind)) => object.system_v(|_| kind.into()),
            _ => Cell::Absent,
        }),
        Column::new("except", |(_, waiter)| match waiter.waits {
            Waits::ToReceive(Which::Except(kind)) => kind.into(),
            _ => Cell::Absent,
        }),
    ]
}
