//! System V IPC: what the three kinds of object have in common.
#![allow(unsafe_code)]

pub mod msg;
pub mod sem;
pub mod shm;

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Result as IoResult};
use std::iter::from_fn;
use std::marker::PhantomData;
use std::mem::zeroed;
use std::path::Path;
use std::str::{FromStr, SplitAsciiWhitespace};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::stat;

/// A System V key. 0 ([`libc::IPC_PRIVATE`]) never names an object.
pub type Key = libc::key_t;

/// Owner and permission bits of an object: `struct ipc_perm`, see sysvipc(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Perm {
    /// The key; 0 for a private object.
    pub key: Key,
    /// Owner.
    pub uid: libc::uid_t,
    /// Group of the owner.
    pub gid: libc::gid_t,
    /// The user that created it.
    pub creator_uid: libc::uid_t,
    /// The group of that user.
    pub creator_gid: libc::gid_t,
    /// The nine permission bits.
    pub mode: u32,
}

/// Converts the errno of an operation on an object that existed: `EINVAL` then means `EIDRM`, removed.
pub const fn if_removed(errno: Errno) -> Errno {
    match errno {
        Errno::EINVAL => Errno::EIDRM,
        errno => errno,
    }
}

impl Perm {
    /// Returns the users with an owner's rights: the owner and the creator, even if the owner was changed.
    pub const fn owners(&self) -> [libc::uid_t; 2] {
        [self.uid, self.creator_uid]
    }
}

impl From<libc::ipc_perm> for Perm {
    fn from(perm: libc::ipc_perm) -> Self {
        Self {
            key: perm.__key,
            uid: perm.uid,
            gid: perm.gid,
            creator_uid: perm.cuid,
            creator_gid: perm.cgid,
            mode: u32::from(perm.mode) & 0o777,
        }
    }
}

/// Changes to make by IPC_SET. `None` changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// New owner.
    pub uid: Option<libc::uid_t>,
    /// New group.
    pub gid: Option<libc::gid_t>,
    /// New permission bits, 0 to 0777.
    pub mode: Option<u32>,
}

impl Change {
    fn apply(self, perm: &mut libc::ipc_perm) {
        perm.uid = self.uid.unwrap_or(perm.uid);
        perm.gid = self.gid.unwrap_or(perm.gid);
        if let Some(mode) = self.mode {
            perm.mode = (mode & 0o777) as _;
        }
    }
}

/// Computes the key of an existing path like ftok(3) of glibc: the lowest 16 bits of the inode number, 8 of the device
/// number, and `number`.
pub fn ftok(path: &Path, number: u8) -> Result<Key> {
    let file = stat(path)?;
    let bits = (file.st_ino & 0xffff) as u32 | ((file.st_dev & 0xff) as u32) << 16 | u32::from(number) << 24;
    Ok(bits.cast_signed())
}

/// The words of a line of `/proc/sysvipc`.
pub struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn octal(&mut self) -> Option<u32> {
        u32::from_str_radix(self.0.next()?, 8).ok()
    }

    fn perm(&mut self, key: Key, mode: u32) -> Option<Perm> {
        let mut id = || self.number();
        Some(Perm { key, uid: id()?, gid: id()?, creator_uid: id()?, creator_gid: id()?, mode: mode & 0o777 })
    }
}

/// Objects read one by one, since there can be very many. A malformed line is an error that names its number.
pub type Listing<T> = Box<dyn Iterator<Item = IoResult<T>>>;

/// The differences between the three kinds.
pub trait Table: Copy + 'static {
    /// The kind.
    const KIND: Kind;
    /// The command that reads the object at an index without permission (Linux 4.17).
    const STAT_ANY: c_int;
    /// The C structure of an object, which consists of integers.
    type Raw;
    /// The state of an object.
    type Stat: 'static;

    /// Returns the id of a key, requesting no permission: msgget(2), semget(2) or shmget(2).
    fn get(key: Key) -> c_int;

    /// Calls msgctl(2), semctl(2) or shmctl(2).
    ///
    /// # Safety
    /// `data` must be what the command takes.
    unsafe fn control(id: c_int, command: c_int, data: *mut c_void) -> c_int;

    /// Returns the highest index in use.
    fn highest() -> Result<c_int>;

    /// Converts the C structure of the object `id`.
    fn stat(id: c_int, raw: &Self::Raw) -> Self::Stat;

    /// Parses a line of its file in `/proc/sysvipc`.
    fn line(words: &mut Words) -> Option<Self::Stat>;

    /// Adds fields that a line lacks. `None`: the object is gone.
    fn complete(stat: Self::Stat) -> Option<Self::Stat> {
        Some(stat)
    }
}

/// An object by its id. Once it is removed, calls fail with `EINVAL`, or with `EIDRM` if they were waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ById<T> {
    id: c_int,
    table: PhantomData<T>,
}

impl<T: Table> ById<T> {
    /// Refers to the object with this id, whether it exists or not.
    pub const fn from_id(id: c_int) -> Self {
        Self { id, table: PhantomData }
    }

    /// Finds the object of a key, requesting no permission.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    pub fn find(key: Key) -> Result<Self> {
        Errno::result(T::get(key)).map(Self::from_id)
    }

    /// Returns the id, at least 0.
    pub const fn id(self) -> c_int {
        self.id
    }

    /// Returns its state. From Linux 4.17 on this needs no read permission.
    ///
    /// # Errors
    /// `EINVAL`: it is gone.
    pub fn stat(self) -> Result<T::Stat> {
        self.raw().map(|raw| T::stat(self.id, &raw))
    }

    fn raw(self) -> Result<T::Raw> {
        match asked::<T>(self.id, libc::IPC_STAT) {
            Err(Errno::EACCES) => at_its_index::<T>(self.id).ok_or(Errno::EACCES),
            answer => answer.map(|(_, raw)| raw),
        }
    }

    fn set(self, edit: impl FnOnce(&mut T::Raw)) -> Result<()> {
        let mut raw = self.raw()?;
        edit(&mut raw);
        // SAFETY: IPC_SET reads one such structure.
        Errno::result(unsafe { T::control(self.id, libc::IPC_SET, (&raw mut raw).cast()) }).map(drop)
    }

    fn control(self, command: c_int) -> Result<()> {
        // SAFETY: the callers' commands take no structure.
        Errno::result(unsafe { T::control(self.id, command, std::ptr::null_mut()) }).map(drop)
    }

    /// Removes it, `IPC_RMID`, and wakes its waiters with `EIDRM`. A segment's memory stays until the last detach.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither the owner nor the creator nor privileged. `EINVAL`: it is gone.
    pub fn remove(self) -> Result<()> {
        self.control(libc::IPC_RMID)
    }
}

/// Returns the id and the C structure of the object with this id (`IPC_STAT`) or at this index (`*_STAT_ANY`).
fn asked<T: Table>(id_or_index: c_int, command: c_int) -> Result<(c_int, T::Raw)> {
    // SAFETY: a C structure of integers, for which all zeros is a valid value.
    let mut raw: T::Raw = unsafe { zeroed() };
    // SAFETY: both commands write one such structure.
    let id = Errno::result(unsafe { T::control(id_or_index, command, (&raw mut raw).cast()) })?;
    Ok((if command == libc::IPC_STAT { id_or_index } else { id }, raw))
}

/// Returns the object with this id without permission, by its index: the id modulo 32768, or 2^24 with ipcmni_extend.
fn at_its_index<T: Table>(id: c_int) -> Option<T::Raw> {
    let indices = [id % 32768, id % (1 << 24)].into_iter();
    let mut found = indices.filter_map(|index| asked::<T>(index, T::STAT_ANY).ok());
    found.find(|(found, _)| *found == id).map(|(_, raw)| raw)
}

/// Returns the information about a whole table, `IPC_INFO` and the like, and its highest index.
///
/// # Safety
/// The command must write one `I`, which consists of integers.
unsafe fn info<T: Table, I>(command: c_int) -> Result<(I, c_int)> {
    // SAFETY: a C structure of integers, for which all zeros is a valid value.
    let mut info: I = unsafe { zeroed() };
    // SAFETY: the command writes one `I`, as the caller guarantees. The id is ignored.
    let highest = Errno::result(unsafe { T::control(0, command, (&raw mut info).cast()) })?;
    Ok((info, highest))
}

/// Lists every object of the IPC namespace, readable or not: from `/proc/sysvipc`, or by system calls without it.
fn all<T: Table>() -> Result<Listing<T::Stat>> {
    let Some(lines) = listed::<T>() else {
        // Some indices have no object.
        let stat = |index| asked::<T>(index, T::STAT_ANY).ok().map(|(id, raw)| Ok(T::stat(id, &raw)));
        return Ok(Box::new((0..=T::highest()?).filter_map(stat)));
    };
    Ok(Box::new(lines.filter_map(|line| line.map(T::complete).transpose())))
}

/// Lists the objects in the file in `/proc/sysvipc`, without its title line. `None`: there is no such file.
fn listed<T: Table>() -> Option<Listing<T::Stat>> {
    let path = format!("/proc/sysvipc/{}", T::KIND.word());
    let mut lines = BufReader::with_capacity(64 << 10, File::open(&path).ok()?);
    let (mut line, mut number) = (String::new(), 0);
    let mut next = move || {
        loop {
            line.clear();
            number += 1;
            if lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if number > 1 {
                let stat = T::line(&mut Words(line.split_ascii_whitespace()));
                return stat
                    .ok_or_else(|| Error::other(format!("line {number} of {path} has an unknown format")))
                    .map(Some);
            }
        }
    };
    Some(Box::new(from_fn(move || next().transpose())))
}

/// The kinds of System V object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message queue.
    Msg,
    /// A semaphore set.
    Sem,
    /// A shared memory segment.
    Shm,
}

impl Kind {
    /// Returns the name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Msg => "message queue",
            Self::Sem => "semaphore set",
            Self::Shm => "shared memory segment",
        }
    }

    /// Returns the name in records and options.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Msg => "msg",
            Self::Sem => "sem",
            Self::Shm => "shm",
        }
    }
}

/// The results of removals, by id.
pub type Removals = Box<dyn Iterator<Item = (c_int, Result<()>)>>;

/// Removes every object of a kind as the iterator reaches it, except those that the caller may neither remove nor read.
pub fn remove_all(kind: Kind) -> Result<Removals> {
    Ok(match kind {
        Kind::Msg => Box::new(removals::<msg::Msg>()?),
        Kind::Sem => Box::new(removals::<sem::Sem>()?),
        Kind::Shm => Box::new(removals::<shm::Shm>()?),
    })
}

fn removals<T: Table>() -> Result<impl Iterator<Item = (c_int, Result<()>)>> {
    // The ids of neighbours in the kernel's table usually differ by one. Guessing the next id takes one call per
    // object; a second call finds the id if the guess was wrong.
    let mut likely = -1;
    Ok((0..=T::highest()?).filter_map(move |index| {
        likely += 1;
        let mut removed = ById::<T>::from_id(likely).remove();
        if removed == Err(Errno::EINVAL) {
            likely = asked::<T>(index, T::STAT_ANY).ok()?.0;
            removed = ById::<T>::from_id(likely).remove();
        }
        let is_passed_over = removed == Err(Errno::EPERM) && is_hidden(T::KIND, likely);
        (!is_passed_over).then_some((likely, removed))
    }))
}

/// Checks that the caller can read this object. `EACCES`: it exists but is not readable.
fn look(kind: Kind, id: c_int) -> Result<()> {
    match kind {
        Kind::Msg => asked::<msg::Msg>(id, libc::IPC_STAT).map(drop),
        Kind::Sem => asked::<sem::Sem>(id, libc::IPC_STAT).map(drop),
        Kind::Shm => asked::<shm::Shm>(id, libc::IPC_STAT).map(drop),
    }
}

/// Returns whether this object exists but the caller may not read it.
pub fn is_hidden(kind: Kind, id: c_int) -> bool {
    look(kind, id) == Err(Errno::EACCES)
}

/// Returns the kinds that have an object with this id, readable or not.
pub fn kinds_of(id: i32) -> Vec<Kind> {
    let is_there = |kind: &Kind| matches!(look(*kind, id), Ok(()) | Err(Errno::EACCES | Errno::EPERM));
    [Kind::Msg, Kind::Shm, Kind::Sem].into_iter().filter(is_there).collect()
}

/// Returns whether an object of any kind has this key, readable or not.
pub fn is_used(key: Key) -> bool {
    [msg::Msg::get(key), shm::Shm::get(key), sem::Sem::get(key)].into_iter().any(|id| id >= 0)
}

/// Parses arbitrary lines, none of which may cause a panic.
#[cfg(test)]
fn try_lines<T: Table>() {
    use proptest::prelude::*;
    let word = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u32>().prop_map(|n| n.to_string()),
        "[-0-7]{0,12}",
        "[ -~]{0,4}",
    ];
    crate::fuzz::fuzz(2000, &proptest::collection::vec(word, 0..20), |words| {
        T::line(&mut Words(words.join(" ").split_ascii_whitespace()));
        Ok(())
    });
}
