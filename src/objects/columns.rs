//! The columns of an object's record. Each verb picks the ones it shows, and their order.

use std::cell::LazyCell;

use anyhow::Result;

use super::users::{self, How, User};
use super::{Object, State};
use crate::args::format::Showing;
use crate::output::{self, Cell, Column, Names};
use crate::semset::Purpose;
use crate::sys::message::{Waits, Which};
use crate::sys::posix::{File, mq};
use crate::sys::process::Blocked;
use crate::sys::sysv::sem::Set;
use crate::sys::sysv::{msg, shm};

/// An object, and what a record shows of it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The object.
    pub object: &'a Object,
    /// The names of owners, groups and objects.
    pub names: &'a Names,
    /// The verdict on it, such as `leaked`.
    pub verdict: Option<&'static str>,
    /// The part of it that the record describes.
    pub part: Part<'a>,
    /// The process that uses it, if the record describes one.
    pub user: Option<&'a User>,
}

/// The part of an object that a record describes.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// The object.
    Whole,
    /// A set whose values may not be read.
    Unreadable,
    /// The semaphore of a set with this index and value.
    Semaphore(u16, u16),
    /// Slots, a lock or a barrier, and the blocked processes of the system.
    Purpose(Purpose, &'a LazyCell<Vec<Blocked>>),
}

/// Looks up the names of the owners, groups and creators of these objects.
pub fn names<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Names {
    let pairs = objects.into_iter().flat_map(|object| {
        let created = object.perm().map(|perm| (perm.creator_uid, perm.creator_gid));
        let owned = object.owned().map(|(uid, gid, _)| (uid, gid));
        created.into_iter().chain(owned)
    });
    Names::of(pairs)
}

impl<'a> Record<'a> {
    /// Returns the record of a whole object.
    pub const fn of(object: &'a Object, names: &'a Names) -> Self {
        Self { object, names, verdict: None, part: Part::Whole, user: None }
    }

    fn queue(&self, get: fn(&msg::Stat) -> Cell) -> Cell {
        if let State::Queue(stat) = &self.object.state { get(stat) } else { Cell::Absent }
    }

    fn posix_queue(&self, get: fn(&mq::Stat) -> Cell) -> Cell {
        match &self.object.state {
            State::PosixQueue(stat) => Cell::known(stat.as_ref().ok(), get),
            _ => Cell::Absent,
        }
    }

    fn any_queue(&self, system_v: fn(&msg::Stat) -> Cell, posix: fn(&mq::Stat) -> Cell) -> Cell {
        if self.object.is_posix() { self.posix_queue(posix) } else { self.queue(system_v) }
    }

    fn segment(&self, get: fn(&shm::Stat) -> Cell) -> Cell {
        if let State::Segment(stat) = &self.object.state { get(stat) } else { Cell::Absent }
    }

    /// A field of a file that holds slots or a lock.
    fn slot_file(&self, get: impl FnOnce(&File) -> Cell) -> Cell {
        if let State::SlotFile(state) = &self.object.state { get(&state.file) } else { Cell::Absent }
    }

    fn owned(&self, get: impl FnOnce(u32, u32, u32) -> Cell) -> Cell {
        Cell::known(self.object.owned(), |(uid, gid, mode)| get(uid, gid, mode))
    }

    fn creator(&self, get: impl FnOnce(u32, u32) -> Cell) -> Cell {
        self.object.perm().map_or(Cell::Absent, |perm| get(perm.creator_uid, perm.creator_gid))
    }

    /// A field of slots, a lock or a barrier.
    fn purpose(&self, get: fn(Purpose) -> Cell) -> Cell {
        match self.part {
            Part::Purpose(purpose, _) => get(purpose),
            Part::Unreadable => Cell::Unknown,
            Part::Whole | Part::Semaphore(..) => Cell::Absent,
        }
    }

    /// A field of one semaphore of a set, read by a system call of its own.
    fn semaphore<N: Into<Cell>>(&self, get: fn(Set, u16) -> nix::Result<N>) -> Cell {
        match (self.part, self.object.id()) {
            (Part::Semaphore(index, _), Some(id)) => Cell::known(get(Set::from_id(id), index).ok(), N::into),
            (Part::Unreadable, _) => Cell::Unknown,
            _ => Cell::Absent,
        }
    }

    fn is_semaphore(&self) -> bool {
        matches!(self.object.state, State::Set(_) | State::PosixSemaphore(..))
    }

    /// A field that the kernel does not know for a plain semaphore.
    fn unless_plain(&self, get: impl FnOnce(Purpose) -> Cell) -> Cell {
        match self.part {
            Part::Purpose(purpose, _) => get(purpose),
            _ if self.is_semaphore() => Cell::Unknown,
            _ => Cell::Absent,
        }
    }

    fn purpose_name(&self) -> Cell {
        match self.part {
            Part::Whole | Part::Semaphore(..) if self.is_semaphore() => Cell::word("plain"),
            _ => self.purpose(|purpose| Cell::word(purpose.name())),
        }
    }

    /// The processes that have slots or the lock: by program name in a table, by command line in JSON.
    fn holders(&self) -> Cell {
        if let State::SlotFile(state) = &self.object.state {
            let holders = &state.holders;
            return Cell::Short(users::brief(holders), Box::new(Cell::Records(holding(holders))));
        }
        self.unless_plain(|purpose| {
            let set = Set::from_id(self.object.id().unwrap_or_default());
            match set.values().and_then(|(_, values)| users::holders(set, &values)) {
                Ok(_) if matches!(purpose, Purpose::Barrier { .. }) => Cell::Unknown,
                Ok(holders) => Cell::Short(users::brief(&holders), Box::new(Cell::Records(holding(&holders)))),
                Err(_) => Cell::Unknown,
            }
        })
    }

    /// How many processes wait, until a value rises or is 0.
    fn waiting(&self) -> Cell {
        match self.part {
            Part::Semaphore(..) => self.semaphore(|set, index| Ok(set.waiters(index)? + set.zero_waiters(index)?)),
            _ => self.waiters(),
        }
    }

    fn value(&self) -> Cell {
        match (&self.object.state, self.part) {
            (State::PosixSemaphore(_, stat), _) => Cell::known(stat.ok(), |stat| stat.value.into()),
            (_, Part::Semaphore(_, value)) => value.into(),
            (_, Part::Unreadable) => Cell::Unknown,
            _ => Cell::Absent,
        }
    }

    fn waiters(&self) -> Cell {
        match (&self.object.state, self.part) {
            (State::PosixSemaphore(_, stat), _) => Cell::known(stat.ok(), |stat| stat.waiters.into()),
            (State::SlotFile(state), _) => Cell::known(state.waiters, Cell::from),
            (State::Set(stat), Part::Purpose(purpose, _)) => {
                // No process waits for the semaphores that number the slots, and there are many.
                let awaited = if matches!(purpose, Purpose::Slots { .. }) { 3 } else { stat.len };
                Cell::known(users::count(Set::from_id(stat.id), awaited).ok(), Cell::from)
            }
            _ => self.semaphore(Set::waiters),
        }
    }

    /// Number of waiters that were stopped by a signal; the kernel no longer counts them.
    fn stopped(&self) -> Cell {
        if let (State::SlotFile(state), Part::Purpose(_, blocked)) = (&self.object.state, self.part) {
            let waiters = users::file_waiters(state, blocked);
            let stopped = waiters.iter().filter(|user| matches!(user.how, How::Operates { stopped: true, .. }));
            return Cell::count(stopped.count() as u64);
        }
        match (self.part, self.object.id()) {
            (Part::Purpose(_, blocked), Some(id)) => users::stopped(Set::from_id(id), blocked).into(),
            (Part::Unreadable, _) => Cell::Unknown,
            _ => Cell::Absent,
        }
    }

    fn last_pid(&self) -> Cell {
        match &self.object.state {
            State::Segment(stat) => Cell::pid(stat.last_pid),
            _ => match self.semaphore(Set::last_pid) {
                Cell::Number(0) => Cell::Unknown,
                cell => cell,
            },
        }
    }

    fn op_time(&self) -> Cell {
        if let State::Set(stat) = &self.object.state { Cell::time(stat.op_time) } else { Cell::Absent }
    }

    fn size(&self) -> Cell {
        match &self.object.state {
            State::Segment(stat) => Cell::count(stat.size),
            State::Memory(stat) => Cell::count(stat.size),
            _ => Cell::Absent,
        }
    }

    fn resident(&self) -> Cell {
        match &self.object.state {
            State::Segment(stat) => Cell::known(stat.resident, Cell::count),
            State::Memory(stat) => Cell::count(stat.allocated),
            _ => Cell::Absent,
        }
    }

    fn swapped(&self) -> Cell {
        match &self.object.state {
            State::Segment(stat) => Cell::known(stat.swapped, Cell::count),
            // The kernel does not count it for one file.
            State::Memory(_) => Cell::Unknown,
            _ => Cell::Absent,
        }
    }

    fn user(&self, get: fn(&User) -> Cell) -> Cell {
        self.user.map_or(Cell::Absent, get)
    }

    fn how(&self, get: fn(&How) -> Cell) -> Cell {
        self.user.map_or(Cell::Absent, |user| get(&user.how))
    }

    fn state(&self) -> Cell {
        match self.user.map(|user| (&user.how, user.pid())) {
            Some((How::Operates { .. }, None)) => Cell::Unknown,
            Some((How::Operates { stopped, .. }, _)) => Cell::word(if *stopped { "stopped" } else { "asleep" }),
            _ => Cell::Absent,
        }
    }
}

/// Holders as records inside another one, with the keys that they have by themselves.
fn holding(users: &[User]) -> Vec<Vec<(&'static str, Cell)>> {
    let slot = |user: &User| if let How::Holds { slot, .. } = user.how { slot } else { None };
    let record = |user: &User| {
        vec![
            ("slot", Cell::known(slot(user), Cell::from)),
            ("count", Cell::known(user.count(), Cell::from)),
            ("pid", Cell::known(user.pid(), Cell::from)),
            ("command", Cell::known(user.command.clone(), Cell::Text)),
        ]
    };
    users.iter().map(record).collect()
}

fn role(how: &How) -> Cell {
    Cell::word(match how {
        How::Operates { .. } => "waiter",
        How::Waits(Waits::ToSend) => "sender",
        How::Waits(Waits::ToReceive(_)) => "receiver",
        How::Holds { .. } | How::Maps { .. } | How::Opens { .. } | How::Completes => "holder",
    })
}

const fn all<'a>() -> [Column<Record<'a>>; 63] {
    [
        Column::new("verdict", |r| r.verdict.map_or(Cell::Absent, Cell::word)),
        Column::new("kind", |r| Cell::word(r.object.kind().word())),
        Column::new("family", |r| Cell::word(r.object.family())),
        Column::new("id", |r| r.object.id().map_or(Cell::Absent, Cell::from)),
        Column::new("key", |r| r.object.perm().map_or(Cell::Absent, |perm| Cell::key(perm.key))),
        Column::new("path", |r| r.slot_file(|_| Cell::known(r.object.name.as_deref(), Cell::name))),
        Column::new("device", |r| r.slot_file(|file| Cell::Large(file.device))),
        Column::new("inode", |r| r.slot_file(|file| Cell::Large(file.inode))),
        Column::new("name", |r| Cell::known(r.object.known_name(&r.names.objects).as_deref(), Cell::name)),
        Column::new("owner", |r| r.owned(|uid, _, _| r.names.user(uid))),
        Column::new("uid", |r| r.owned(|uid, _, _| uid.into())),
        Column::new("group", |r| r.owned(|_, gid, _| r.names.group(gid))),
        Column::new("gid", |r| r.owned(|_, gid, _| gid.into())),
        Column::new("creator", |r| r.creator(|uid, _| r.names.user(uid))),
        Column::new("creator_uid", |r| r.creator(|uid, _| uid.into())),
        Column::new("creator_gid", |r| r.creator(|_, gid| gid.into())),
        Column::new("mode", |r| r.owned(|_, _, mode| Cell::mode(mode))),
        Column::new("size", Record::size),
        Column::new("attached", |r| r.segment(|s| Cell::count(s.attached))),
        Column::new("creator_pid", |r| r.segment(|s| Cell::pid(s.creator_pid))),
        Column::new("messages", |r| r.any_queue(|s| Cell::count(s.messages), |s| Cell::count(s.messages))),
        Column::new("bytes", |r| r.any_queue(|s| Cell::count(s.bytes), |s| Cell::known(s.bytes, Cell::count))),
        Column::new("max_bytes", |r| r.queue(|s| Cell::count(s.max_bytes))),
        Column::new("max_messages", |r| r.posix_queue(|s| Cell::count(s.limits.messages))),
        Column::new("message_size", |r| r.posix_queue(|s| Cell::count(s.limits.size))),
        Column::new("last_send_pid", |r| r.queue(|s| Cell::pid(s.last_send_pid))),
        Column::new("last_receive_pid", |r| r.queue(|s| Cell::pid(s.last_receive_pid))),
        Column::new("nsems", |r| {
            if let State::Set(s) = &r.object.state { Cell::count(s.len as u64) } else { Cell::Absent }
        }),
        Column::new("purpose", Record::purpose_name),
        Column::new("free", |r| r.purpose(|purpose| purpose.free().into())),
        Column::new("capacity", |r| r.purpose(|purpose| purpose.capacity().into())),
        Column::new("held", |r| r.purpose(|purpose| purpose.held().into())),
        Column::new("used", |r| r.unless_plain(|purpose| Cell::Short(purpose.used(), Box::new(purpose.held().into())))),
        Column::new("holders", Record::holders),
        Column::new("waiting", Record::waiting),
        Column::new("index", |r| r.semaphore(|_, index| Ok(index))),
        Column::new("value", Record::value),
        Column::new("waiters", Record::waiters),
        Column::new("stopped", Record::stopped),
        Column::new("zero_waiters", |r| r.semaphore(Set::zero_waiters)),
        Column::new("last_pid", Record::last_pid),
        Column::new("op_time", Record::op_time),
        Column::new("attach_time", |r| r.segment(|s| Cell::time(s.attach_time))),
        Column::new("detach_time", |r| r.segment(|s| Cell::time(s.detach_time))),
        Column::new("send_time", |r| r.queue(|s| Cell::time(s.send_time))),
        Column::new("receive_time", |r| r.queue(|s| Cell::time(s.receive_time))),
        Column::new("change_time", |r| Cell::known(r.object.change_time(), Cell::time)),
        Column::new("resident", Record::resident),
        Column::new("swapped", Record::swapped),
        Column::new("removed", |r| r.segment(|s| Cell::Flag(s.removed))),
        Column::new("pinned", |r| r.segment(|s| Cell::Flag(s.pinned))),
        // Fields of a process that uses it.
        Column::new("role", |r| r.how(role)),
        Column::new("state", Record::state),
        Column::new("slot", |r| {
            r.how(|how| if let How::Holds { slot: Some(slot), .. } = how { (*slot).into() } else { Cell::Absent })
        }),
        Column::new("count", |r| r.user(|user| user.count().map_or(Cell::Absent, Cell::from))),
        Column::new("pid", |r| r.user(|user| Cell::known(user.pid(), Cell::from))),
        Column::new("command", |r| r.user(|user| Cell::known(user.command.clone(), Cell::Text))),
        Column::new("operations", |r| {
            r.how(|how| match how {
                How::Operates { operations, .. } => Cell::known(operations.clone(), Cell::Text),
                _ => Cell::Absent,
            })
        }),
        Column::new("type", |r| match r.user.map(|user| &user.how) {
            Some(How::Waits(Waits::ToReceive(Which::Type(kind)))) if !r.object.is_posix() => (*kind).into(),
            _ => Cell::Absent,
        }),
        Column::new("except", |r| {
            r.how(|how| match how {
                How::Waits(Waits::ToReceive(Which::Except(kind))) => (*kind).into(),
                _ => Cell::Absent,
            })
        }),
        Column::new("mappings", |r| {
            r.how(|how| if let How::Maps { mappings, .. } = how { Cell::count(*mappings as u64) } else { Cell::Absent })
        }),
        Column::new("descriptors", |r| {
            r.user(|user| match user.open() {
                [] => Cell::Absent,
                open => Cell::Text(open.iter().map(|open| open.fd.to_string()).collect::<Vec<_>>().join(",")),
            })
        }),
        Column::new("how", |r| r.user.map_or(Cell::Absent, |user| Cell::Text(user.how(r.object)))),
    ]
}

/// The columns of a whole object. None needs a system call of its own.
pub const OBJECT: &str = "verdict kind family id key name owner -uid -group -gid -creator -creator_uid -creator_gid mode size attached \
     -creator_pid -last_pid messages -bytes -max_bytes -max_messages -message_size -last_send_pid -last_receive_pid \
     nsems -value -waiters -op_time -attach_time -detach_time -send_time -receive_time -change_time -resident -swapped \
     -removed -pinned";

/// Returns the columns with these keys, in this order. A table shows one with `-` before its key only if it is named.
pub fn pick<'a>(keys: &str) -> Vec<Column<Record<'a>>> {
    let all = all();
    let column = |word: &str| {
        let key = word.trim_start_matches('-');
        let column = all.iter().find(|column| column.key == key)?;
        Some(Column { key: column.key, in_table: key == word, get: column.get })
    };
    keys.split(' ').filter_map(column).collect()
}

/// Shows objects. `single` is whether the user asked for one.
///
/// # Errors
/// As for [`output::show`].
pub fn show(keys: &str, objects: &[Object], how: &Showing, single: bool) -> Result<()> {
    let names = names(objects);
    let records: Vec<Record> = objects.iter().map(|object| Record::of(object, &names)).collect();
    output::show(&pick(keys), &records, how, single)
}

/// Shows processes with the object that each of them uses.
///
/// # Errors
/// As for [`output::show`].
pub fn show_users(keys: &str, users: &[(&Object, User)], how: &Showing, single: bool) -> Result<()> {
    let names = names([]);
    let records: Vec<Record> =
        users.iter().map(|(object, user)| Record { user: Some(user), ..Record::of(object, &names) }).collect();
    output::show(&pick(keys), &records, how, single)
}
