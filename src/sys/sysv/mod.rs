//! System V IPC: what its three kinds of object share.
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

/// A System V key. Never 0 ([`libc::IPC_PRIVATE`]) where it names something.
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
    /// Who created it.
    pub creator_uid: libc::uid_t,
    /// The group of who created it.
    pub creator_gid: libc::gid_t,
    /// The nine permission bits.
    pub mode: u32,
}

/// The errno of an operation on an object that exists: `EINVAL` means that it has been removed since, as `EIDRM` does.
pub const fn if_removed(errno: Errno) -> Errno {
    match errno {
        Errno::EINVAL => Errno::EIDRM,
        errno => errno,
    }
}

impl Perm {
    /// Whoever has an owner's rights: the owner, and who created it, also where that one has given it away.
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

/// What IPC_SET is to change; what is `None` stays.
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

/// The key of an existing path, as ftok(3) of glibc computes it: the lowest 16 bits of the inode number, 8 of the
/// device number, 8 of `number`.
///
/// # Errors
/// Those of stat(2).
pub fn ftok(path: &Path, number: u8) -> Result<Key> {
    let file = stat(path)?;
    let bits = (file.st_ino & 0xffff) as u32 | ((file.st_dev & 0xff) as u32) << 16 | u32::from(number) << 24;
    Ok(bits.cast_signed())
}

/// The words of a line of `/proc/sysvipc`, one after the other.
pub struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn octal(&mut self) -> Option<u32> {
        u32::from_str_radix(self.0.next()?, 8).ok()
    }

    /// The four numbers of owner and creator.
    fn perm(&mut self, key: Key, mode: u32) -> Option<Perm> {
        let mut id = || self.number();
        Some(Perm { key, uid: id()?, gid: id()?, creator_uid: id()?, creator_gid: id()?, mode: mode & 0o777 })
    }
}

/// Objects one after the other, as the kernel tells them: there can be very many.
pub type Listing<T> = Box<dyn Iterator<Item = IoResult<T>>>;

/// What distinguishes the kernel's tables of the three kinds.
pub trait Table: Copy + 'static {
    /// The kind.
    const KIND: Kind;
    /// The command for the object with an index, whoever may read it, Linux 4.17.
    const STAT_ANY: c_int;
    /// The C structure of an object, which is integers.
    type Raw;
    /// What the kernel keeps of an object.
    type Stat: 'static;

    /// The id behind a key, without asking for a permission, msgget(2) and the like.
    fn get(key: Key) -> c_int;

    /// msgctl(2) and the like.
    ///
    /// # Safety
    /// `data` is what the command takes.
    unsafe fn control(id: c_int, command: c_int, data: *mut c_void) -> c_int;

    /// The highest index.
    fn highest() -> Result<c_int>;

    /// The object with this id.
    fn stat(id: c_int, raw: &Self::Raw) -> Self::Stat;

    /// The object of a line of its file.
    fn line(words: &mut Words) -> Option<Self::Stat>;

    /// Adds what a line does not have. `None`: the object has gone.
    fn complete(stat: Self::Stat) -> Option<Self::Stat> {
        Some(stat)
    }
}

/// An object, by its id. It can go at any time; calls then fail with `EINVAL`, or with `EIDRM` where they were waiting
/// on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ById<T> {
    id: c_int,
    table: PhantomData<T>,
}

impl<T: Table> ById<T> {
    /// The one with this id, whether it is there or not.
    pub const fn from_id(id: c_int) -> Self {
        Self { id, table: PhantomData }
    }

    /// The one behind `key`, asking for no permission.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    pub fn find(key: Key) -> Result<Self> {
        Errno::result(T::get(key)).map(Self::from_id)
    }

    /// The id, 0 or above.
    pub const fn id(self) -> c_int {
        self.id
    }

    /// What the kernel keeps of it. Asks without read permission too, where the kernel can (Linux 4.17).
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

    /// Changes what IPC_SET can change.
    fn set(self, edit: impl FnOnce(&mut T::Raw)) -> Result<()> {
        let mut raw = self.raw()?;
        edit(&mut raw);
        // SAFETY: IPC_SET reads one such structure.
        Errno::result(unsafe { T::control(self.id, libc::IPC_SET, (&raw mut raw).cast()) }).map(drop)
    }

    /// Does what takes no data.
    fn control(self, command: c_int) -> Result<()> {
        // SAFETY: the callers' commands take no structure.
        Errno::result(unsafe { T::control(self.id, command, std::ptr::null_mut()) }).map(drop)
    }

    /// Removes it, `IPC_RMID`; who waits on it is woken with `EIDRM`. The memory of a segment stays until its last user
    /// detaches.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged. `EINVAL`: it is gone.
    pub fn remove(self) -> Result<()> {
        self.control(libc::IPC_RMID)
    }
}

/// The id and the data of what has this id, `IPC_STAT`, or this index, `*_STAT_ANY`.
fn asked<T: Table>(id_or_index: c_int, command: c_int) -> Result<(c_int, T::Raw)> {
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut raw: T::Raw = unsafe { zeroed() };
    // SAFETY: both commands write one such structure, which is there.
    let id = Errno::result(unsafe { T::control(id_or_index, command, (&raw mut raw).cast()) })?;
    Ok((if command == libc::IPC_STAT { id_or_index } else { id }, raw))
}

/// The data of what has this id, whoever may read it, by its index: an id is that plus a multiple of 32768, of 2^24
/// with ipcmni_extend.
fn at_its_index<T: Table>(id: c_int) -> Option<T::Raw> {
    let indices = [id % 32768, id % (1 << 24)].into_iter();
    let mut found = indices.filter_map(|index| asked::<T>(index, T::STAT_ANY).ok());
    found.find(|(found, _)| *found == id).map(|(_, raw)| raw)
}

/// What `IPC_INFO` and the like return of a whole table, and its highest index.
///
/// # Safety
/// The command writes one `I`, which is integers.
unsafe fn info<T: Table, I>(command: c_int) -> Result<(I, c_int)> {
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut info: I = unsafe { zeroed() };
    // SAFETY: the command writes one, as the caller says; the id is ignored.
    let highest = Errno::result(unsafe { T::control(0, command, (&raw mut info).cast()) })?;
    Ok((info, highest))
}

/// Every object of the IPC namespace, those that may not be read included: from its file in `/proc/sysvipc`, else by
/// calls.
///
/// # Errors
/// Those of reading it. A line that cannot be read is one, with its number.
fn all<T: Table>() -> Result<Listing<T::Stat>> {
    let Some(lines) = listed::<T>() else {
        // There is no object behind some indices.
        let stat = |index| asked::<T>(index, T::STAT_ANY).ok().map(|(id, raw)| Ok(T::stat(id, &raw)));
        return Ok(Box::new((0..=T::highest()?).filter_map(stat)));
    };
    Ok(Box::new(lines.filter_map(|line| line.map(T::complete).transpose())))
}

/// The objects of the lines of its file in `/proc/sysvipc`, but the first, the titles. `None`: there is no such file. A
/// line that cannot be read is an error, with its number.
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
                return stat.ok_or_else(|| Error::other(format!("line {number} of {path} cannot be read"))).map(Some);
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
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Msg => "message queue",
            Self::Sem => "semaphore set",
            Self::Shm => "shared memory segment",
        }
    }

    /// It in a word, as records and options have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Msg => "msg",
            Self::Sem => "sem",
            Self::Shm => "shm",
        }
    }
}

/// Objects that were to be removed, by their ids, and what came of each.
pub type Removals = Box<dyn Iterator<Item = (c_int, Result<()>)>>;

/// Removes every object of a kind, each as the iterator comes to it. What the caller may neither remove nor read is
/// passed over.
pub fn remove_all(kind: Kind) -> Result<Removals> {
    Ok(match kind {
        Kind::Msg => Box::new(removals::<msg::Msg>()?),
        Kind::Sem => Box::new(removals::<sem::Sem>()?),
        Kind::Shm => Box::new(removals::<shm::Shm>()?),
    })
}

fn removals<T: Table>() -> Result<impl Iterator<Item = (c_int, Result<()>)>> {
    // The ids of neighbours in the kernel's table mostly differ by one. All are to go: where there is an object with
    // the id that is likely it goes by one call, and its id is asked for, by another, where there is none.
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

/// Looks at the object with this id as a caller without privilege can: `EACCES` if it may not read it.
fn look(kind: Kind, id: c_int) -> Result<()> {
    match kind {
        Kind::Msg => asked::<msg::Msg>(id, libc::IPC_STAT).map(drop),
        Kind::Sem => asked::<sem::Sem>(id, libc::IPC_STAT).map(drop),
        Kind::Shm => asked::<shm::Shm>(id, libc::IPC_STAT).map(drop),
    }
}

/// Whether there is an object with this id that the caller may not read.
pub fn is_hidden(kind: Kind, id: c_int) -> bool {
    look(kind, id) == Err(Errno::EACCES)
}

/// The kinds that have an object with this id, including one that the caller may not read.
pub fn kinds_of(id: i32) -> Vec<Kind> {
    let is_there = |kind: &Kind| matches!(look(*kind, id), Ok(()) | Err(Errno::EACCES | Errno::EPERM));
    [Kind::Msg, Kind::Shm, Kind::Sem].into_iter().filter(is_there).collect()
}

/// Has lines of any words read: none may make it panic.
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
