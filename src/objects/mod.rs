//! Floor 2: every IPC object, of both families, one record of which is the same to all who list or remove.

pub mod columns;
pub mod errors;
pub mod filter;
pub mod find;
pub mod process;
pub mod remove;
pub mod usage;

use std::ffi::{OsStr, OsString};
use std::io::Result as IoResult;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::sys::posix::{mq, sem as psem, shm as pshm};
use crate::sys::sysv::{Kind, Perm, msg, sem, shm};

/// The kinds in the order in which they are listed.
pub const KINDS: [Kind; 3] = [Kind::Msg, Kind::Shm, Kind::Sem];

/// An object, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A System V message queue.
    Queue(msg::Stat),
    /// A System V semaphore set.
    Set(sem::Stat),
    /// A System V segment.
    Segment(shm::Stat),
    /// A POSIX object.
    Posix(Box<Posix>),
}

/// A POSIX object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posix {
    /// Its kind.
    pub kind: Kind,
    /// Its name, with the slash.
    pub name: OsString,
    /// What its file tells; `None` for a queue that may not be opened.
    pub file: Option<File>,
    /// What only its kind has, as far as it may be looked at.
    pub detail: Detail,
}

/// What the file of a POSIX object tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The nine permission bits.
    pub mode: u32,
    /// Last change of its attributes or, for a queue, last use; seconds since 1970.
    pub change_time: i64,
}

/// What only one kind of POSIX object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// It may not be looked at.
    Unknown,
    /// Shared memory.
    Memory {
        /// Size in bytes.
        size: u64,
        /// Bytes that it takes.
        allocated: u64,
    },
    /// A semaphore.
    Semaphore {
        /// Its value.
        value: u32,
        /// How many wait for it.
        waiters: u32,
    },
    /// A queue.
    Queue(mq::Stat),
}

impl From<pshm::Stat> for File {
    fn from(stat: pshm::Stat) -> Self {
        Self {
            device: stat.device,
            inode: stat.inode,
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode,
            change_time: stat.change_time,
        }
    }
}

impl From<mq::Owned> for File {
    fn from(file: mq::Owned) -> Self {
        Self {
            device: file.inode.1,
            inode: file.inode.0,
            uid: file.uid,
            gid: file.gid,
            mode: file.mode,
            change_time: file.change_time,
        }
    }
}

/// The System V objects of a kind.
///
/// # Errors
/// `/proc/sysvipc` cannot be read, or has a line that cannot.
pub fn system_v(kind: Kind) -> Result<Vec<Object>> {
    let listed = || -> IoResult<Vec<Object>> {
        match kind {
            Kind::Msg => msg::all()?.map(|queue| queue.map(Object::Queue)).collect(),
            Kind::Sem => sem::all()?.map(|set| set.map(Object::Set)).collect(),
            Kind::Shm => shm::all()?.map(|segment| segment.map(Object::Segment)).collect(),
        }
    };
    listed().with_context(|| format!("cannot list {}s", kind.name()))
}

/// The POSIX objects of a kind; what vanishes meanwhile is left out. `None`: the queues cannot be listed, since nobody has
/// mounted their file system, and the caller may not.
///
/// # Errors
/// Those of reading `/dev/shm` and the queues' file system, and of looking at what is there.
pub fn posix(kind: Kind) -> Result<Option<Vec<Object>>> {
    let why = "cannot list POSIX objects";
    let names = match kind {
        Kind::Msg => match mq::names().context(why)? {
            None => return Ok(None),
            Some(names) => names,
        },
        Kind::Sem => psem::names().context(why)?,
        Kind::Shm => pshm::names().context(why)?,
    };
    let mut found = Vec::new();
    for name in names {
        match Posix::look(kind, &name) {
            // It has gone, or is no such object.
            Err(Errno::ENOENT | Errno::EINVAL) => {}
            looked => found.push(looked.context(why)?.into()),
        }
    }
    Ok(Some(found))
}

impl From<Posix> for Object {
    fn from(posix: Posix) -> Self {
        // Larger than the others, of which there can be very many.
        Self::Posix(Box::new(posix))
    }
}

impl Posix {
    /// The one called `name`, which begins with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EINVAL`: it is no regular file.
    pub fn look(kind: Kind, name: &OsStr) -> nix::Result<Self> {
        let (file, detail) = match kind {
            Kind::Shm => {
                let stat = pshm::look(name)?;
                let detail = Detail::Memory { size: stat.size, allocated: stat.allocated };
                (Some(stat.into()), detail)
            }
            Kind::Sem => {
                let file = psem::file(name)?;
                let detail = psem::look(name)
                    .map_or(Detail::Unknown, |stat| Detail::Semaphore { value: stat.value, waiters: stat.waiters });
                (Some(file.into()), detail)
            }
            Kind::Msg => match mq::look(name).and_then(|queue| queue.stat()) {
                Ok(stat) => (Some(stat.file.into()), Detail::Queue(stat)),
                Err(Errno::EACCES) => (None, Detail::Unknown),
                Err(errno) => return Err(errno),
            },
        };
        Ok(Self { kind, name: name.to_owned(), file, detail })
    }
}

impl Object {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Queue(_) => Kind::Msg,
            Self::Set(_) => Kind::Sem,
            Self::Segment(_) => Kind::Shm,
            Self::Posix(posix) => posix.kind,
        }
    }

    /// Its id, where it is a System V object.
    #[must_use]
    pub const fn id(&self) -> Option<i32> {
        match self {
            Self::Queue(stat) => Some(stat.id),
            Self::Set(stat) => Some(stat.id),
            Self::Segment(stat) => Some(stat.id),
            Self::Posix(_) => None,
        }
    }

    /// Key, owner and permission bits, where it is a System V object.
    #[must_use]
    pub const fn perm(&self) -> Option<&Perm> {
        match self {
            Self::Queue(stat) => Some(&stat.perm),
            Self::Set(stat) => Some(&stat.perm),
            Self::Segment(stat) => Some(&stat.perm),
            Self::Posix(_) => None,
        }
    }

    /// It, where it is a POSIX object.
    #[must_use]
    pub fn as_posix(&self) -> Option<&Posix> {
        match self {
            Self::Posix(posix) => Some(posix),
            _ => None,
        }
    }

    /// Owner, group and permission bits, where they may be seen.
    #[must_use]
    pub fn owned(&self) -> Option<(u32, u32, u32)> {
        match self {
            Self::Posix(posix) => posix.file.map(|file| (file.uid, file.gid, file.mode)),
            _ => self.perm().map(|perm| (perm.uid, perm.gid, perm.mode)),
        }
    }

    /// Whether it belongs to this user, as its owner or as who created it.
    #[must_use]
    pub fn is_of(&self, uid: u32) -> bool {
        let created = self.perm().is_some_and(|perm| perm.creator_uid == uid);
        created || self.owned().is_some_and(|(owner, _, _)| owner == uid)
    }

    /// Its last use or change, the later, in seconds since 1970; 0 is unknown.
    #[must_use]
    pub fn last_time(&self) -> i64 {
        match self {
            Self::Queue(stat) => stat.send_time.max(stat.receive_time).max(stat.change_time),
            Self::Set(stat) => stat.op_time.max(stat.change_time),
            Self::Segment(stat) => stat.attach_time.max(stat.detach_time).max(stat.change_time),
            Self::Posix(posix) => posix.file.map_or(0, |file| file.change_time),
        }
    }

    /// Where it is, which stays so whatever is changed of it.
    #[must_use]
    pub fn place(&self) -> Place {
        let posix = self.as_posix();
        let file = posix.and_then(|posix| posix.file);
        Place {
            kind: self.kind(),
            id: self.id(),
            name: posix.map(|posix| posix.name.clone()),
            inode: file.map(|file| (file.device, file.inode)),
        }
    }

    /// Whether it is this object and no other that has its id or name after it, and was not changed since.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |object: &Self| object.perm().map(|perm| perm.key);
        let created = |object: &Self| match object {
            Self::Queue(stat) => stat.change_time,
            Self::Set(stat) => stat.change_time,
            Self::Segment(stat) => stat.change_time,
            Self::Posix(_) => 0,
        };
        let all = |object: &Self| (object.place(), key(object), created(object));
        all(self) == all(other)
    }
}

/// Where an object is: its id or its name, and the file behind that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    kind: Kind,
    id: Option<i32>,
    name: Option<OsString>,
    inode: Option<(u64, u64)>,
}

/// As in a message: `semaphore set 5`, `POSIX queue /jobs`.
impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Posix(posix) => {
                let kind = match posix.kind {
                    Kind::Msg => "queue",
                    Kind::Sem => "semaphore",
                    Kind::Shm => "shared memory",
                };
                write!(f, "POSIX {kind} {}", posix.name.display())
            }
            _ => write!(f, "{} {}", self.kind().name(), self.id().unwrap_or_default()),
        }
    }
}
