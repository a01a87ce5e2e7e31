//! `sem stat`: every semaphore, what the box's own sets are for, and who has them or waits.

use std::cell::LazyCell;
use std::ffi::{OsStr, OsString};

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::semaphore::people::{Person, count, holders, stopped, waiters};
use super::{context, report_uninitialised, unless_gone};
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::output::{self, Cell, Column, Names};
use crate::semset::{self, Purpose};
use crate::sys::posix::{sem as posix, shm};
use crate::sys::process::{self, Blocked};
use crate::sys::sysv::sem::{self, Set};
use crate::target::{Form, Target};

/// A line for each semaphore; slots, a lock and a barrier are one line, with what they are for. Without TARGET every set and
/// every POSIX semaphore is shown.
///
/// The command of a holder is that of the process that last operated on its semaphore. Who waits is read from /proc, and
/// needs the right to trace that process; those that may not be looked at are counted. A waiter that was stopped is shown as
/// such: it is no longer in the queue, and goes to its end when it is continued.
#[derive(Args)]
pub struct Stat {
    /// The sets and POSIX semaphores
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// Who has a slot or the lock instead
    #[arg(long)]
    holders: bool,
    /// Who waits, and for which operations, instead
    #[arg(long)]
    waiters: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show semaphores, who holds them and who waits";
    const EXAMPLES: &'static str = "
# Who has a slot now
ipcbox sem create build --slots 4
ipcbox sem stat build --holders
# All sets, for a program
ipcbox sem stat --json
";

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, look(target, self.holders || self.waiters))?);
            Ok(())
        });
        if self.targets.is_empty() {
            found = all()?;
        }
        let single = self.targets.len() == 1;
        if self.holders || self.waiters {
            let mut people = Vec::new();
            for object in &found {
                let who = object.people(self.holders, self.waiters)?;
                people.extend(who.into_iter().map(|person| (object, person)));
            }
            output::show(&people_columns(), &people, &self.showing, single)?;
        } else {
            let names = Names::of(found.iter().map(|object| (object.uid, object.gid)));
            let blocked = &LazyCell::<Vec<_>>::new(|| process::blocked().unwrap_or_default());
            let mut records = Vec::new();
            for object in &found {
                let record = |what| Record { object, what, names: &names, blocked };
                records.extend(object.what()?.into_iter().map(record));
            }
            output::show(&record_columns(), &records, &self.showing, single)?;
        }
        exit
    }
}

/// A set or a POSIX semaphore, as it was when it was looked at.
struct Object {
    name: Option<OsString>,
    uid: u32,
    gid: u32,
    mode: u32,
    change_time: i64,
    family: Family,
}

enum Family {
    SystemV {
        stat: sem::Stat,
        /// `None` where they may not be read.
        values: Option<Vec<u16>>,
    },
    /// `None` where it may not be read.
    Posix(Option<posix::Stat>),
}

/// One of them. Where it may not be read there is something to show all the same, but nobody who has it or waits.
fn look(target: &Target, for_people: bool) -> Result<Object> {
    if *target.form() == Form::Posix {
        return Ok(look_at_posix(target.typed(), for_people)?);
    }
    let set = semset::find(target)?;
    let (stat, values) = match set.values() {
        Err(Errno::EACCES) if !for_people => (set.stat()?, None),
        read => read.map(|(stat, values)| (stat, Some(values)))?,
    };
    let is_zero = |values: &Vec<u16>| values.iter().all(|value| *value == 0);
    if stat.op_time == 0 && values.as_ref().is_some_and(is_zero) {
        report_uninitialised(target);
    }
    Ok(Object::system_v(target.name().map(OsString::from), stat, values))
}

fn look_at_posix(name: &OsStr, for_people: bool) -> nix::Result<Object> {
    let file = posix::file(name)?;
    let stat = match posix::look(name) {
        Err(Errno::EACCES) if !for_people => None,
        stat => Some(stat?),
    };
    Ok(Object::posix(name.to_owned(), file, stat))
}

/// Everything there is; what vanishes meanwhile, and what is no semaphore, is left out.
fn all() -> Result<Vec<Object>> {
    let mut found = Vec::new();
    let why = "cannot list semaphore sets";
    for stat in sem::all().context(why)? {
        let stat = stat.context(why)?;
        let values = match Set::from_id(stat.id).values() {
            Ok((_, values)) => Some(values),
            Err(Errno::EACCES) => None,
            Err(Errno::EINVAL | Errno::EIDRM) => continue,
            Err(errno) => return Err(errno).context(why),
        };
        found.push(Object::system_v(None, stat, values));
    }
    let why = "cannot list POSIX semaphores";
    for name in posix::names().context(why)? {
        match look_at_posix(&name, false) {
            // Another kind of file has the name.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ELOOP | Errno::ENXIO) => {}
            looked => found.push(looked.context(why)?),
        }
    }
    Ok(found)
}

impl Object {
    const fn system_v(name: Option<OsString>, stat: sem::Stat, values: Option<Vec<u16>>) -> Self {
        Self {
            name,
            uid: stat.perm.uid,
            gid: stat.perm.gid,
            mode: stat.perm.mode,
            change_time: stat.change_time,
            family: Family::SystemV { stat, values },
        }
    }

    const fn posix(name: OsString, file: shm::Stat, stat: Option<posix::Stat>) -> Self {
        Self {
            name: Some(name),
            uid: file.uid,
            gid: file.gid,
            mode: file.mode,
            change_time: file.change_time,
            family: Family::Posix(stat),
        }
    }

    fn stat(&self) -> Option<&sem::Stat> {
        match &self.family {
            Family::SystemV { stat, .. } => Some(stat),
            Family::Posix(_) => None,
        }
    }

    fn family(&self) -> Cell {
        Cell::word(if self.stat().is_some() { "sysv" } else { "posix" })
    }

    fn id(&self) -> Cell {
        self.stat().map_or(Cell::Absent, |stat| stat.id.into())
    }

    fn key(&self) -> Cell {
        self.stat().map_or(Cell::Absent, |stat| Cell::key(stat.perm.key))
    }

    fn name(&self) -> Cell {
        match (&self.name, &self.family) {
            (Some(name), _) => Cell::name(name),
            (None, _) => Cell::Unknown,
        }
    }

    fn purpose(&self) -> Option<Purpose> {
        match &self.family {
            Family::SystemV { values, .. } => Purpose::of(values.as_ref()?),
            Family::Posix(_) => None,
        }
    }

    /// A record for each semaphore, or one for the whole.
    fn what(&self) -> Result<Vec<What>> {
        let (stat, values) = match &self.family {
            Family::Posix(stat) => return Ok(vec![What::Posix(*stat)]),
            Family::SystemV { values: None, .. } => return Ok(vec![What::Unreadable]),
            Family::SystemV { stat, values: Some(values) } => (stat, values),
        };
        let set = Set::from_id(stat.id);
        if let Some(purpose) = self.purpose() {
            // The numbers of slots, which are many, are never waited for.
            let awaited = if matches!(purpose, Purpose::Slots { .. }) { 3 } else { values.len() };
            let waiters = unless_gone(count(set, awaited))?;
            return Ok(vec![What::Whole { purpose, waiters }]);
        }
        let one = |(index, value): (u16, &u16)| {
            Ok(What::Semaphore {
                index,
                value: *value,
                waiters: set.waiters(index)?,
                zero_waiters: set.zero_waiters(index)?,
                last_pid: set.last_pid(index)?,
            })
        };
        unless_gone((0..).zip(values).map(one).collect())
    }

    fn people(&self, with_holders: bool, with_waiters: bool) -> Result<Vec<Person>> {
        let mut people = Vec::new();
        match &self.family {
            Family::SystemV { stat, values: Some(values) } => {
                let set = Set::from_id(stat.id);
                if with_holders {
                    people.extend(unless_gone(holders(set, values))?);
                }
                if with_waiters {
                    people.extend(unless_gone(waiters(set, values))?);
                }
                if people.iter().any(|person| person.waits && person.who.is_err()) {
                    let why = "it needs the right to trace them";
                    let name = self.name.as_ref().map(|name| name.display().to_string());
                    let name = name.unwrap_or_else(|| stat.id.to_string());
                    output::warn(format!("cannot see all who wait on {name}: {why}"));
                }
            }
            Family::Posix(None) if with_waiters => {
                let name = self.name.as_deref().unwrap_or_default().display();
                output::warn(format!("cannot see who waits on {name}: permission denied (EACCES)"));
            }
            Family::Posix(Some(stat)) if with_waiters && stat.waiters > 0 => {
                people.push(Person::unknown(true, stat.waiters));
                output::warn("cannot see who waits on a POSIX semaphore: it only counts them");
            }
            _ => {}
        }
        Ok(people)
    }
}

/// What a record is about.
enum What {
    Semaphore { index: u16, value: u16, waiters: u16, zero_waiters: u16, last_pid: i32 },
    Whole { purpose: Purpose, waiters: u32 },
    Posix(Option<posix::Stat>),
    Unreadable,
}

impl What {
    fn value(&self) -> Cell {
        match self {
            Self::Semaphore { value, .. } => (*value).into(),
            Self::Posix(stat) => Cell::known(*stat, |stat| stat.value.into()),
            Self::Unreadable => Cell::Unknown,
            Self::Whole { .. } => Cell::Absent,
        }
    }

    fn waiters(&self) -> Cell {
        match self {
            Self::Semaphore { waiters, .. } => (*waiters).into(),
            Self::Posix(stat) => Cell::known(*stat, |stat| stat.waiters.into()),
            Self::Whole { waiters, .. } => (*waiters).into(),
            Self::Unreadable => Cell::Unknown,
        }
    }

    /// A field of a single System V semaphore.
    fn own(&self, get: impl Fn(u16, u16, i32) -> Cell) -> Cell {
        match self {
            Self::Semaphore { index, zero_waiters, last_pid, .. } => get(*index, *zero_waiters, *last_pid),
            Self::Unreadable => Cell::Unknown,
            Self::Whole { .. } | Self::Posix(_) => Cell::Absent,
        }
    }

    fn purpose(&self, get: impl Fn(Purpose) -> Cell) -> Cell {
        match self {
            Self::Whole { purpose, .. } => get(*purpose),
            Self::Unreadable => Cell::Unknown,
            Self::Semaphore { .. } | Self::Posix(_) => Cell::Absent,
        }
    }
}

struct Record<'a> {
    object: &'a Object,
    what: What,
    names: &'a Names,
    blocked: &'a LazyCell<Vec<Blocked>>,
}

impl Record<'_> {
    /// How many processes were stopped while they waited for the whole: the kernel counts them no more.
    fn stopped(&self) -> Cell {
        match (&self.what, self.object.stat()) {
            (What::Whole { .. }, Some(stat)) => stopped(Set::from_id(stat.id), self.blocked).into(),
            (What::Unreadable, _) => Cell::Unknown,
            _ => Cell::Absent,
        }
    }
}

const fn record_columns<'a>() -> [Column<Record<'a>>; 23] {
    [
        Column::detail("kind", |_| Cell::word("sem")),
        Column::detail("family", |r| r.object.family()),
        Column::new("id", |r| r.object.id()),
        Column::new("key", |r| r.object.key()),
        Column::new("name", |r| r.object.name()),
        Column::new("owner", |r| r.names.user(r.object.uid)),
        Column::detail("uid", |r| r.object.uid.into()),
        Column::detail("group", |r| r.names.group(r.object.gid)),
        Column::detail("gid", |r| r.object.gid.into()),
        Column::new("mode", |r| Cell::mode(r.object.mode)),
        Column::detail("nsems", |r| {
            r.object.stat().map_or(Cell::Absent, |s| Cell::from(u32::try_from(s.len).unwrap_or(u32::MAX)))
        }),
        Column::new("purpose", |r| r.what.purpose(|p| Cell::word(p.name()))),
        Column::new("free", |r| r.what.purpose(|p| p.free().into())),
        Column::new("capacity", |r| r.what.purpose(|p| p.capacity().into())),
        Column::new("held", |r| r.what.purpose(|p| p.held().into())),
        Column::new("index", |r| r.what.own(|index, _, _| index.into())),
        Column::new("value", |r| r.what.value()),
        Column::new("waiters", |r| r.what.waiters()),
        Column::detail("stopped", Record::stopped),
        Column::new("zero_waiters", |r| r.what.own(|_, zero, _| zero.into())),
        Column::new("last_pid", |r| r.what.own(|_, _, pid| Cell::pid(pid))),
        Column::detail("op_time", |r| r.object.stat().map_or(Cell::Absent, |s| Cell::time(s.op_time))),
        Column::detail("change_time", |r| Cell::time(r.object.change_time)),
    ]
}

const fn people_columns<'a>() -> [Column<(&'a Object, Person)>; 13] {
    [
        Column::detail("kind", |_| Cell::word("sem")),
        Column::detail("family", |(object, _)| object.family()),
        Column::new("id", |(object, _)| object.id()),
        Column::detail("key", |(object, _)| object.key()),
        Column::new("name", |(object, _)| object.name()),
        Column::new("purpose", |(object, _)| object.purpose().map_or(Cell::Absent, |p| Cell::word(p.name()))),
        Column::new("role", |(_, person)| Cell::word(if person.waits { "waiter" } else { "holder" })),
        Column::new("state", |(_, person)| match person {
            Person { waits: false, .. } => Cell::Absent,
            Person { who: Err(_), .. } => Cell::Unknown,
            Person { stopped, .. } => Cell::word(if *stopped { "stopped" } else { "asleep" }),
        }),
        Column::new("slot", |(_, person)| person.slot.map_or(Cell::Absent, Cell::from)),
        Column::new("count", |(_, person)| person.who.err().map_or(Cell::Absent, Cell::from)),
        Column::new("pid", |(_, person)| Cell::known(person.who.ok(), Cell::from)),
        Column::new("command", |(_, person)| Cell::known(person.command.clone(), Cell::Text)),
        Column::new("operations", |(_, person)| {
            let cell = Cell::known(person.operations.clone(), Cell::Text);
            if person.waits { cell } else { Cell::Absent }
        }),
    ]
}
