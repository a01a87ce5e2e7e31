//! System V IPC: what its three kinds of object share.

pub mod msg;
pub mod sem;
pub mod shm;

use std::ffi::c_int;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Result as IoResult};
use std::iter::from_fn;
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
#[must_use]
pub const fn if_removed(errno: Errno) -> Errno {
    match errno {
        Errno::EINVAL => Errno::EIDRM,
        errno => errno,
    }
}

impl Perm {
    /// Whoever has an owner's rights: the owner, and who created it, also where that one has given it away.
    #[must_use]
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
struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn octal(&mut self) -> Option<u32> {
        u32::from_str_radix(self.0.next()?, 8).ok()
    }
}

/// Objects one after the other, as the kernel tells them: there can be very many.
pub type Listing<T> = Box<dyn Iterator<Item = IoResult<T>>>;

/// What the lines of `/proc/sysvipc/NAME` tell, but the first, the titles. `None`: there is no such file. A line that cannot
/// be read is an error, with its number.
fn listed<T: 'static>(name: &str, read: fn(&mut Words) -> Option<T>) -> Option<Listing<T>> {
    let path = format!("/proc/sysvipc/{name}");
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
                let stat = read(&mut Words(line.split_ascii_whitespace()));
                let wrong = || Error::other(format!("line {number} of {path} cannot be read"));
                return stat.ok_or_else(wrong).map(Some);
            }
        }
    };
    Some(Box::new(from_fn(move || next().transpose())))
}

/// The same by a call for each index of the kernel's tables; there is no object behind some.
fn asked<T: 'static>(highest: c_int, ask: fn(c_int) -> Result<T>) -> impl Iterator<Item = T> {
    (0..=highest).filter_map(move |index| ask(index).ok())
}

/// The index in the kernel's tables of what has this id, for the `*_STAT_ANY` calls: an id is its index plus a multiple of
/// 32768, of 2^24 with ipcmni_extend.
fn indices(id: c_int) -> [c_int; 2] {
    [id % 32768, id % (1 << 24)]
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
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Msg => "message queue",
            Self::Sem => "semaphore set",
            Self::Shm => "shared memory segment",
        }
    }

    /// It in a word, as records and options have it.
    #[must_use]
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

/// Removes every object of a kind, each as the iterator comes to it. What the caller may neither remove nor read is passed over.
pub fn remove_all(kind: Kind) -> Result<Removals> {
    Ok(match kind {
        Kind::Msg => Box::new(removals(kind, msg::highest()?, msg::id_at, |id| msg::Queue::from_id(id).remove())),
        Kind::Sem => Box::new(removals(kind, sem::highest()?, sem::id_at, |id| sem::Set::from_id(id).remove())),
        Kind::Shm => Box::new(removals(kind, shm::highest()?, shm::id_at, |id| shm::Segment::from_id(id).remove())),
    })
}

fn removals(
    kind: Kind,
    highest: c_int,
    id_at: fn(c_int) -> Result<c_int>,
    remove: fn(c_int) -> Result<()>,
) -> impl Iterator<Item = (c_int, Result<()>)> {
    // The ids of neighbours in the kernel's table mostly differ by one. All are to go: where there is an object with the id
    // that is likely it goes by one call, and its id is asked for, by another, where there is none.
    let mut likely = -1;
    (0..=highest).filter_map(move |index| {
        likely += 1;
        let mut removed = remove(likely);
        if removed == Err(Errno::EINVAL) {
            likely = id_at(index).ok()?;
            removed = remove(likely);
        }
        let is_passed_over = removed == Err(Errno::EPERM) && is_hidden(kind, likely);
        (!is_passed_over).then_some((likely, removed))
    })
}

/// Looks at the object with this id as a caller without privilege can: `EACCES` if it may not read it.
fn look(kind: Kind, id: c_int) -> Result<()> {
    match kind {
        Kind::Msg => msg::stat(id, libc::IPC_STAT).map(drop),
        Kind::Sem => sem::stat(id, libc::IPC_STAT).map(drop),
        Kind::Shm => shm::stat(id, libc::IPC_STAT).map(drop),
    }
}

/// Whether there is an object with this id that the caller may not read.
#[must_use]
pub fn is_hidden(kind: Kind, id: c_int) -> bool {
    look(kind, id) == Err(Errno::EACCES)
}

/// The kinds that have an object with this id, including one that the caller may not read.
#[must_use]
pub fn kinds_of(id: i32) -> Vec<Kind> {
    let is_there = |kind: &Kind| matches!(look(*kind, id), Ok(()) | Err(Errno::EACCES | Errno::EPERM));
    [Kind::Msg, Kind::Shm, Kind::Sem].into_iter().filter(is_there).collect()
}

/// Has `read` read lines of any words: none may make it panic.
#[cfg(test)]
fn try_lines<T>(read: impl Fn(&mut Words) -> T) {
    use proptest::prelude::*;
    let word = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u32>().prop_map(|n| n.to_string()),
        "[-0-7]{0,12}",
        "[ -~]{0,4}",
    ];
    crate::fuzz::fuzz(2000, &proptest::collection::vec(word, 0..20), |words| {
        read(&mut Words(words.join(" ").split_ascii_whitespace()));
        Ok(())
    });
}
