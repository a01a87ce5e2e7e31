//! `shm stat`: segments and POSIX objects, and who uses them.

use std::ffi::OsString;
use std::io::Result as IoResult;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::object::segment;
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::output::{self, Cell, Column, Names};
use crate::sys::holders::{self, User, Users};
use crate::sys::posix::shm as posix;
use crate::sys::process;
use crate::sys::sysv::shm as sysv;
use crate::target::Target;

/// A line for each; without TARGET every segment and every POSIX object is shown. Of a POSIX object the bytes that are resident include
/// those that are swapped out, which its file does not tell apart.
///
/// Who uses one is read from /proc, and needs the right to trace that process; that some could not be looked at is
/// told.
#[derive(Args)]
pub struct Stat {
    /// The segments and POSIX objects
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// The processes that map it now, or have a POSIX object open, instead
    #[arg(long)]
    holders: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show segments and POSIX objects, and who uses them";
    const EXAMPLES: &'static str = "
# Who has it attached now
ipcbox shm create board --size 64K
ipcbox shm stat board --holders
";

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, look(target))?);
            Ok(())
        });
        if self.targets.is_empty() {
            found = all()?;
        }
        let single = self.targets.len() == 1;
        if self.holders {
            let mut holders = Vec::new();
            for object in &found {
                let users = object.users()?;
                holders.extend(users.seen.into_iter().map(|user| Holder::new(object, user)));
            }
            output::show(&holder_columns(), &holders, &self.showing, single)?;
        } else {
            let names = Names::of(found.iter().map(|object| (object.uid(), object.gid())));
            let records: Vec<Record> = found.iter().map(|object| Record { object, names: &names }).collect();
            output::show(&record_columns(), &records, &self.showing, single)?;
        }
        exit
    }
}

/// A segment or a POSIX object, as it was when it was looked at.
struct Object {
    name: Option<OsString>,
    family: Family,
}

enum Family {
    SystemV(sysv::Stat),
    Posix(posix::Stat),
}

fn look(target: &Target) -> Result<Object> {
    let family = if is_posix(target) {
        Family::Posix(posix::look(target.typed())?)
    } else {
        Family::SystemV(segment(target)?.measured()?)
    };
    Ok(Object { name: target.name().map(OsString::from), family })
}

/// Everything there is; what vanishes meanwhile, and what is no regular file, is left out.
fn all() -> Result<Vec<Object>> {
    let why = "cannot list shared memory segments";
    let segment = |stat| Object { name: None, family: Family::SystemV(stat) };
    let mut found: Vec<Object> =
        sysv::all().context(why)?.map(|stat| stat.map(segment)).collect::<IoResult<_>>().context(why)?;
    let why = "cannot list POSIX objects";
    for name in posix::names().context(why)? {
        match posix::look(&name) {
            Err(Errno::ENOENT | Errno::EINVAL) => {}
            stat => {
                let family = Family::Posix(stat.context(why)?);
                found.push(Object { name: Some(name), family });
            }
        }
    }
    Ok(found)
}

impl Object {
    const fn stat(&self) -> Option<&sysv::Stat> {
        match &self.family {
            Family::SystemV(stat) => Some(stat),
            Family::Posix(_) => None,
        }
    }

    /// A field that both families have.
    fn both<T>(&self, system_v: fn(&sysv::Stat) -> T, posix: fn(&posix::Stat) -> T) -> T {
        match &self.family {
            Family::SystemV(stat) => system_v(stat),
            Family::Posix(stat) => posix(stat),
        }
    }

    fn uid(&self) -> u32 {
        self.both(|stat| stat.perm.uid, |stat| stat.uid)
    }

    fn gid(&self) -> u32 {
        self.both(|stat| stat.perm.gid, |stat| stat.gid)
    }

    /// A field that only a segment has.
    fn own(&self, get: fn(&sysv::Stat) -> Cell) -> Cell {
        self.stat().map_or(Cell::Absent, get)
    }

    fn family(&self) -> Cell {
        self.both(|_| Cell::word("sysv"), |_| Cell::word("posix"))
    }

    fn name(&self) -> Cell {
        Cell::known(self.name.as_ref(), |name| Cell::name(name))
    }

    /// Who uses it. That some could not be looked at is told.
    fn users(&self) -> Result<Users> {
        let users = holders::by(match &self.family {
            Family::SystemV(stat) => holders::Object::Segment(stat.id),
            Family::Posix(stat) => holders::Object::File { device: stat.device, inode: stat.inode },
        })?;
        let seen: usize = users.seen.iter().map(|user| user.mappings).sum();
        let name = self.name.as_ref().map(|name| name.display().to_string());
        // The kernel counts the mappings of a segment, which a process of another IPC namespace can have too.
        let unseen = match &self.family {
            Family::SystemV(stat) => stat.attached.saturating_sub(seen as u64),
            Family::Posix(_) => users.unseen as u64,
        };
        let id = self.stat().map(|stat| stat.id.to_string());
        if unseen > 0 {
            let what_of = self.both(|_| "mappings", |_| "processes");
            tell_unseen(&name.or(id).unwrap_or_default(), what_of, unseen);
        }
        Ok(users)
    }
}

/// Tells how many who may use an object could not be looked at.
pub fn tell_unseen(object: &str, what: &str, unseen: u64) {
    let why = "it needs the right to trace the process";
    output::warn(format!("cannot see all who use {object}: {what} not looked at: {unseen}; {why}"));
}

/// Who uses an object, in a message.
pub fn users_of(users: &[User], unseen: u64) -> Vec<String> {
    let shown = |user: &User| match process::command(user.pid) {
        Some(command) => format!("{} ({command})", user.pid),
        None => user.pid.to_string(),
    };
    let mut people: Vec<String> = users.iter().map(shown).collect();
    if unseen > 0 {
        people.push(format!("{unseen} unknown"));
    }
    people
}

fn size(bytes: u64) -> Cell {
    Cell::Number(i64::try_from(bytes).unwrap_or(i64::MAX))
}

struct Record<'a> {
    object: &'a Object,
    names: &'a Names,
}

const fn record_columns<'a>() -> [Column<Record<'a>>; 21] {
    [
        Column::detail("kind", |_| Cell::word("shm")),
        Column::detail("family", |r| r.object.family()),
        Column::new("id", |r| r.object.own(|stat| stat.id.into())),
        Column::new("key", |r| r.object.own(|stat| Cell::key(stat.perm.key))),
        Column::new("name", |r| r.object.name()),
        Column::new("size", |r| size(r.object.both(|stat| stat.size, |stat| stat.size))),
        Column::new("owner", |r| r.names.user(r.object.uid())),
        Column::detail("uid", |r| r.object.uid().into()),
        Column::detail("group", |r| r.names.group(r.object.gid())),
        Column::detail("gid", |r| r.object.gid().into()),
        Column::new("mode", |r| Cell::mode(r.object.both(|stat| stat.perm.mode, |stat| stat.mode))),
        Column::new("attached", |r| r.object.own(|stat| size(stat.attached))),
        Column::new("creator_pid", |r| r.object.own(|stat| Cell::pid(stat.creator_pid))),
        Column::new("last_pid", |r| r.object.own(|stat| Cell::pid(stat.last_pid))),
        Column::detail("attach_time", |r| r.object.own(|stat| Cell::time(stat.attach_time))),
        Column::detail("detach_time", |r| r.object.own(|stat| Cell::time(stat.detach_time))),
        Column::detail("change_time", |r| Cell::time(r.object.both(|stat| stat.change_time, |stat| stat.change_time))),
        Column::detail("resident", |r| {
            Cell::known(r.object.both(|stat| stat.resident, |stat| Some(stat.allocated)), size)
        }),
        Column::detail("swapped", |r| match r.object.stat() {
            Some(stat) => Cell::known(stat.swapped, size),
            None => Cell::Unknown,
        }),
        Column::detail("removed", |r| r.object.own(|stat| Cell::Flag(stat.removed))),
        Column::detail("pinned", |r| r.object.own(|stat| Cell::Flag(stat.pinned))),
    ]
}

struct Holder<'a> {
    object: &'a Object,
    user: User,
    command: Option<String>,
}

impl<'a> Holder<'a> {
    fn new(object: &'a Object, user: User) -> Self {
        let command = process::command(user.pid);
        Self { object, user, command }
    }

    /// The descriptors by which a POSIX object is open, as `3,7`.
    fn open(&self) -> Cell {
        let fds: Vec<String> = self.user.open.iter().map(|open| open.fd.to_string()).collect();
        if fds.is_empty() { Cell::Absent } else { Cell::Text(fds.join(",")) }
    }
}

const fn holder_columns<'a>() -> [Column<Holder<'a>>; 8] {
    [
        Column::detail("kind", |_| Cell::word("shm")),
        Column::detail("family", |holder| holder.object.family()),
        Column::new("id", |holder| holder.object.own(|stat| stat.id.into())),
        Column::new("name", |holder| holder.object.name()),
        Column::new("pid", |holder| holder.user.pid.into()),
        Column::new("command", |holder| Cell::known(holder.command.clone(), Cell::Text)),
        Column::new("mappings", |holder| size(holder.user.mappings as u64)),
        Column::new("descriptors", Holder::open),
    ]
}
