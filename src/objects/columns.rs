//! The columns of an object's record: every field that the kernel has.

use super::{Detail, Object, Posix};
use crate::output::{Cell, Column, Names};
use crate::sys::sysv::{msg, sem, shm};

/// An object as it is shown.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The object.
    pub object: &'a Object,
    /// The names of owners and groups.
    pub names: &'a Names,
    /// What is said of it besides, such as `leaked`.
    pub verdict: Option<&'static str>,
}

/// The names of all owners and groups, creators included, that these objects have.
#[must_use]
pub fn names(objects: &[Object]) -> Names {
    let pairs = objects.iter().flat_map(|object| {
        let created = object.perm().map(|perm| (perm.creator_uid, perm.creator_gid));
        let owned = object.owned().map(|(uid, gid, _)| (uid, gid));
        created.into_iter().chain(owned)
    });
    Names::of(pairs)
}

fn number(n: u64) -> Cell {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

impl Record<'_> {
    fn queue(&self, get: impl FnOnce(&msg::Stat) -> Cell) -> Cell {
        if let Object::Queue(stat) = self.object { get(stat) } else { Cell::Absent }
    }

    fn set(&self, get: impl FnOnce(&sem::Stat) -> Cell) -> Cell {
        if let Object::Set(stat) = self.object { get(stat) } else { Cell::Absent }
    }

    fn segment(&self, get: impl FnOnce(&shm::Stat) -> Cell) -> Cell {
        if let Object::Segment(stat) = self.object { get(stat) } else { Cell::Absent }
    }

    fn posix(&self, get: impl FnOnce(&Posix) -> Cell) -> Cell {
        self.object.as_posix().map_or(Cell::Absent, get)
    }

    fn owned(&self, get: impl FnOnce(u32, u32, u32) -> Cell) -> Cell {
        Cell::known(self.object.owned(), |(uid, gid, mode)| get(uid, gid, mode))
    }

    fn detail(&self) -> Option<Detail> {
        self.object.as_posix().map(|posix| posix.detail)
    }

    fn size(&self) -> Cell {
        match (self.object, self.detail()) {
            (Object::Segment(stat), _) => number(stat.size),
            (_, Some(Detail::Memory { size, .. })) => number(size),
            _ => Cell::Absent,
        }
    }

    fn messages(&self) -> Cell {
        match (self.object, self.detail()) {
            (Object::Queue(stat), _) => number(stat.messages),
            (_, Some(Detail::Queue(stat))) => number(stat.messages),
            _ => Cell::Absent,
        }
    }

    fn bytes(&self) -> Cell {
        match (self.object, self.detail()) {
            (Object::Queue(stat), _) => number(stat.bytes),
            (_, Some(Detail::Queue(stat))) => Cell::known(stat.bytes, number),
            _ => Cell::Absent,
        }
    }

    fn limits(&self, get: fn(&crate::sys::posix::mq::Limits) -> u64) -> Cell {
        match self.detail() {
            Some(Detail::Queue(stat)) => number(get(&stat.limits)),
            _ => Cell::Absent,
        }
    }

    fn semaphore(&self, get: fn(u32, u32) -> u32) -> Cell {
        match self.detail() {
            Some(Detail::Semaphore { value, waiters }) => get(value, waiters).into(),
            _ => Cell::Absent,
        }
    }

    fn change_time(&self) -> Cell {
        match self.object {
            Object::Queue(stat) => Cell::time(stat.change_time),
            Object::Set(stat) => Cell::time(stat.change_time),
            Object::Segment(stat) => Cell::time(stat.change_time),
            Object::Posix(posix) => Cell::known(posix.file, |file| Cell::time(file.change_time)),
        }
    }

    fn resident(&self) -> Cell {
        match (self.object, self.detail()) {
            (Object::Segment(stat), _) => Cell::known(stat.resident, number),
            (_, Some(Detail::Memory { allocated, .. })) => number(allocated),
            _ => Cell::Absent,
        }
    }
}

/// The columns of objects.
#[must_use]
pub const fn columns<'a>() -> [Column<Record<'a>>; 38] {
    [
        Column::new("verdict", |r| r.verdict.map_or(Cell::Absent, Cell::word)),
        Column::new("kind", |r| Cell::word(r.object.kind().word())),
        Column::new("family", |r| Cell::word(if r.object.as_posix().is_some() { "posix" } else { "sysv" })),
        Column::new("id", |r| r.object.id().map_or(Cell::Absent, Cell::from)),
        Column::new("key", |r| r.object.perm().map_or(Cell::Absent, |perm| Cell::key(perm.key))),
        Column::new("name", |r| r.posix(|posix| Cell::name(&posix.name))),
        Column::new("owner", |r| r.owned(|uid, _, _| r.names.user(uid))),
        Column::detail("uid", |r| r.owned(|uid, _, _| uid.into())),
        Column::detail("group", |r| r.owned(|_, gid, _| r.names.group(gid))),
        Column::detail("gid", |r| r.owned(|_, gid, _| gid.into())),
        Column::detail("creator", |r| r.object.perm().map_or(Cell::Absent, |perm| r.names.user(perm.creator_uid))),
        Column::detail("creator_uid", |r| r.object.perm().map_or(Cell::Absent, |perm| perm.creator_uid.into())),
        Column::detail("creator_gid", |r| r.object.perm().map_or(Cell::Absent, |perm| perm.creator_gid.into())),
        Column::new("mode", |r| r.owned(|_, _, mode| Cell::mode(mode))),
        Column::new("size", Record::size),
        Column::new("attached", |r| r.segment(|s| number(s.attached))),
        Column::detail("creator_pid", |r| r.segment(|s| Cell::pid(s.creator_pid))),
        Column::detail("last_pid", |r| r.segment(|s| Cell::pid(s.last_pid))),
        Column::new("messages", Record::messages),
        Column::detail("bytes", Record::bytes),
        Column::detail("max_bytes", |r| r.queue(|s| number(s.max_bytes))),
        Column::detail("max_messages", |r| r.limits(|limits| limits.messages)),
        Column::detail("message_size", |r| r.limits(|limits| limits.size)),
        Column::detail("last_send_pid", |r| r.queue(|s| Cell::pid(s.last_send_pid))),
        Column::detail("last_receive_pid", |r| r.queue(|s| Cell::pid(s.last_receive_pid))),
        Column::new("nsems", |r| r.set(|s| number(s.len as u64))),
        Column::detail("value", |r| r.semaphore(|value, _| value)),
        Column::detail("waiters", |r| r.semaphore(|_, waiters| waiters)),
        Column::detail("op_time", |r| r.set(|s| Cell::time(s.op_time))),
        Column::detail("attach_time", |r| r.segment(|s| Cell::time(s.attach_time))),
        Column::detail("detach_time", |r| r.segment(|s| Cell::time(s.detach_time))),
        Column::detail("send_time", |r| r.queue(|s| Cell::time(s.send_time))),
        Column::detail("receive_time", |r| r.queue(|s| Cell::time(s.receive_time))),
        Column::detail("change_time", Record::change_time),
        Column::detail("resident", Record::resident),
        Column::detail("swapped", |r| r.segment(|s| Cell::known(s.swapped, number))),
        Column::detail("removed", |r| r.segment(|s| Cell::Flag(s.removed))),
        Column::detail("pinned", |r| r.segment(|s| Cell::Flag(s.pinned))),
    ]
}
