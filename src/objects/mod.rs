//! Floor 6: IPC objects of all families; every verb that lists or removes uses the same record.

pub mod columns;
pub mod errors;
pub mod filter;
pub mod find;
pub mod process;
pub mod remove;
pub mod sockets;
pub mod usage;
pub mod users;

use std::ffi::{OsStr, OsString};
use std::io::Result as IoResult;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;

use self::users::User;
use crate::fileset::{Kept, SlotFile};
use crate::semset::Purpose;
use crate::sys::posix::{File, mq, sem as psem, shm as pshm};
use crate::sys::sysv::{Kind, Perm, msg, sem, shm};
use crate::target::remembered::Remembered;

/// The kinds in listing order.
pub const KINDS: [Kind; 3] = [Kind::Msg, Kind::Shm, Kind::Sem];

/// A snapshot of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name of a POSIX object, with the slash, or the name in the TARGET of a System V object.
    pub name: Option<OsString>,
    /// The kernel's data about it.
    pub state: State,
}

/// The kernel's data about an object, by kind and family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A System V message queue.
    Queue(msg::Stat),
    /// A System V semaphore set.
    Set(sem::Stat),
    /// A System V segment.
    Segment(shm::Stat),
    /// A POSIX queue, or why it cannot be opened.
    PosixQueue(nix::Result<mq::Stat>),
    /// The file of a POSIX semaphore, and its content or why that is unknown.
    PosixSemaphore(pshm::Stat, nix::Result<psem::Stat>),
    /// POSIX shared memory.
    Memory(pshm::Stat),
    /// Slots or a lock in a file.
    SlotFile(FileState),
}

/// What is known of a file that holds slots or a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// The file.
    pub file: File,
    /// What it holds.
    pub kept: Kept,
    /// Who holds that.
    pub holders: Vec<User>,
    /// The number of waiters, if the kernel shows it.
    pub waiters: Option<u32>,
}

impl FileState {
    /// Returns what it holds as that of a set.
    pub fn purpose(&self) -> Purpose {
        let held = u16::try_from(self.holders.iter().map(|user| user.count().unwrap_or(1)).sum::<u32>());
        let held = held.unwrap_or(u16::MAX);
        match self.kept {
            Kept::Slots(capacity) => Purpose::Slots { capacity, free: capacity.saturating_sub(held) },
            Kept::Lock if self.holders.iter().any(User::is_sharer) => Purpose::Lock { readers: held, exclusive: false },
            Kept::Lock => Purpose::Lock { readers: 0, exclusive: held > 0 },
        }
    }
}

impl From<State> for Object {
    fn from(state: State) -> Self {
        Self { name: None, state }
    }
}

/// Returns the System V objects of a kind.
///
/// # Errors
/// `/proc/sysvipc` or a line in it cannot be read.
pub fn system_v(kind: Kind) -> Result<Vec<Object>> {
    let listed = || -> IoResult<Vec<Object>> {
        match kind {
            Kind::Msg => msg::all()?.map(|queue| queue.map(|stat| State::Queue(stat).into())).collect(),
            Kind::Sem => sem::all()?.map(|set| set.map(|stat| State::Set(stat).into())).collect(),
            Kind::Shm => shm::all()?.map(|segment| segment.map(|stat| State::Segment(stat).into())).collect(),
        }
    };
    listed().with_context(|| format!("cannot list {}s", kind.name()))
}

/// Returns the POSIX objects of a kind, without those that vanish while they are listed; `None` if the file system of
/// queues is not mounted and the caller may not mount it.
///
/// # Errors
/// `/dev/shm`, the file system of queues or a file in them cannot be read.
pub fn posix(kind: Kind) -> Result<Option<Vec<Object>>> {
    let why = match kind {
        Kind::Msg => "cannot list POSIX queues",
        Kind::Sem => "cannot list POSIX semaphores",
        Kind::Shm => "cannot list POSIX shared memory objects",
    };
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
        match Object::posix(kind, name) {
            Err(Errno::ENOENT | Errno::EINVAL) => {}
            looked => found.push(looked.context(why)?),
        }
    }
    Ok(Some(found))
}

impl Object {
    /// Returns the POSIX object of this name, which starts with a slash.
    ///
    /// # Errors
    /// `ENOENT`: it does not exist. `EINVAL`: it is not a regular file.
    pub fn posix(kind: Kind, name: OsString) -> nix::Result<Self> {
        let state = match kind {
            Kind::Shm => State::Memory(pshm::look(&name)?),
            Kind::Sem => State::PosixSemaphore(psem::file(&name)?, psem::look(&name)),
            Kind::Msg => match mq::look(&name).and_then(|queue| queue.stat()) {
                Err(errno) if errno != Errno::EACCES => return Err(errno),
                looked => State::PosixQueue(looked),
            },
        };
        Ok(Self { name: Some(name), state })
    }

    /// Returns the file at this path, which holds slots or a lock.
    ///
    /// # Errors
    /// Those of [`SlotFile::look`].
    pub fn slot_file(path: &Path) -> Result<Self> {
        let opened = SlotFile::look(path)?;
        let (file, kept) = (opened.file()?, opened.kept);
        let state = FileState { file, kept, holders: users::file_holders(&opened), waiters: opened.waiters() };
        Ok(Self { name: Some(path.into()), state: State::SlotFile(state) })
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self.state {
            State::Queue(_) | State::PosixQueue(_) => Kind::Msg,
            State::Set(_) | State::PosixSemaphore(..) | State::SlotFile(_) => Kind::Sem,
            State::Segment(_) | State::Memory(_) => Kind::Shm,
        }
    }

    /// Whether it is a POSIX object.
    pub const fn is_posix(&self) -> bool {
        matches!(self.state, State::PosixQueue(_) | State::PosixSemaphore(..) | State::Memory(_))
    }

    /// The family that it belongs to.
    pub const fn family(&self) -> &'static str {
        match self.state {
            State::SlotFile(_) => "file",
            _ if self.is_posix() => "posix",
            _ => "sysv",
        }
    }

    /// Whether it belongs to an IPC namespace: all objects except files.
    pub const fn is_of_namespace(&self) -> bool {
        !matches!(self.state, State::PosixSemaphore(..) | State::Memory(_) | State::SlotFile(_))
    }

    /// The id of a System V object.
    pub const fn id(&self) -> Option<i32> {
        match &self.state {
            State::Queue(stat) => Some(stat.id),
            State::Set(stat) => Some(stat.id),
            State::Segment(stat) => Some(stat.id),
            _ => None,
        }
    }

    /// Key, owner and permission bits of a System V object.
    pub const fn perm(&self) -> Option<&Perm> {
        match &self.state {
            State::Queue(stat) => Some(&stat.perm),
            State::Set(stat) => Some(&stat.perm),
            State::Segment(stat) => Some(&stat.perm),
            _ => None,
        }
    }

    const fn posix_file(&self) -> Option<&File> {
        match &self.state {
            State::PosixSemaphore(file, _) | State::Memory(file) => Some(file),
            State::PosixQueue(Ok(stat)) => Some(&stat.file),
            State::SlotFile(state) => Some(&state.file),
            _ => None,
        }
    }

    /// Device and inode of an object that is a file, if it may be read.
    pub fn file(&self) -> Option<(u64, u64)> {
        self.posix_file().map(|file| (file.device, file.inode))
    }

    /// Owner, group and permission bits, if they may be read.
    pub fn owned(&self) -> Option<(u32, u32, u32)> {
        let posix = self.posix_file().map(|file| (file.uid, file.gid, file.mode));
        posix.or_else(|| self.perm().map(|perm| (perm.uid, perm.gid, perm.mode)))
    }

    /// Whether this user is its owner or creator.
    pub fn is_of(&self, uid: u32) -> bool {
        let created = self.perm().is_some_and(|perm| perm.creator_uid == uid);
        created || self.owned().is_some_and(|(owner, _, _)| owner == uid)
    }

    /// Time of creation or last change, in seconds since 1970.
    pub fn change_time(&self) -> Option<i64> {
        match &self.state {
            State::Queue(stat) => Some(stat.change_time),
            State::Set(stat) => Some(stat.change_time),
            State::Segment(stat) => Some(stat.change_time),
            _ => self.posix_file().map(|file| file.change_time),
        }
    }

    /// Time of last use or change, whichever is later, in seconds since 1970; 0 is unknown.
    pub fn last_time(&self) -> i64 {
        let used = match &self.state {
            State::Queue(stat) => stat.send_time.max(stat.receive_time),
            State::Set(stat) => stat.op_time,
            State::Segment(stat) => stat.attach_time.max(stat.detach_time),
            _ => 0,
        };
        used.max(self.change_time().unwrap_or(0))
    }

    /// Returns its names: the one in the TARGET, else those that were remembered. Most objects have one or none.
    pub fn names(&self, remembered: &Remembered) -> Vec<OsString> {
        match (&self.name, self.perm()) {
            (Some(name), _) => vec![name.clone()],
            (None, Some(perm)) => remembered.names(perm.key, perm.owners()),
            (None, None) => Vec::new(),
        }
    }

    /// Returns its names as one text, separated by commas.
    pub fn known_name(&self, remembered: &Remembered) -> Option<OsString> {
        let names = self.names(remembered);
        (!names.is_empty()).then(|| names.join(OsStr::new(",")))
    }

    /// Returns its name for a message, or the id if no name is known.
    pub fn called(&self, remembered: &Remembered) -> String {
        let id = || self.id().map_or_else(String::new, |id| id.to_string());
        self.known_name(remembered).map_or_else(id, |name| name.display().to_string())
    }

    /// Returns it for a message: `semaphore set 5 (build)`, `POSIX queue /jobs`.
    pub fn titled(&self, remembered: &Remembered) -> String {
        match self.known_name(remembered).filter(|_| self.perm().is_some()) {
            Some(name) => format!("{self} ({})", name.display()),
            None => self.to_string(),
        }
    }

    /// Its identity, which a change of the object does not alter.
    pub fn identity(&self) -> Identity {
        let name = self.name.clone().filter(|_| self.is_posix());
        Identity { kind: self.kind(), id: self.id(), name, file: self.file() }
    }

    /// Whether both are the same object, not replaced or changed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        let all = |object: &Self| {
            let perm = object.perm();
            (object.identity(), perm.map(|perm| perm.key), perm.and(object.change_time()))
        };
        all(self) == all(other)
    }
}

/// The identity of an object: its id, or its name and file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    kind: Kind,
    id: Option<i32>,
    name: Option<OsString>,
    file: Option<(u64, u64)>,
}

/// For messages without its name: `semaphore set 5`, `POSIX queue /jobs`.
impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let kind = match (self.id(), self.kind()) {
            (Some(id), kind) => return write!(f, "{} {id}", kind.name()),
            (None, _) if self.family() == "file" => {
                return write!(f, "file {}", self.name.as_deref().unwrap_or_default().display());
            }
            (None, Kind::Msg) => "queue",
            (None, Kind::Sem) => "semaphore",
            (None, Kind::Shm) => "shared memory",
        };
        write!(f, "POSIX {kind} {}", self.name.as_deref().unwrap_or_default().display())
    }
}
