//! Finding, opening and making what a target stands for.

pub mod atomic_word;
pub mod locking;
pub mod source;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use crate::applets::shm::is_posix;
use crate::args::creating::Creating;
use crate::exit::{Cause, Exit};
use crate::objects::errors::is_gone;
use crate::sys::mapping::page_size;
use crate::sys::memory::Memory;
use crate::sys::posix::shm::{self as posix, Object};
use crate::sys::sysv::shm::{Segment, limits, used};
use crate::sys::sysv::{Change, Key, if_removed};
use crate::target::{Form, Target, not_posix};

/// The segment behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn segment(target: &Target) -> Result<Segment> {
    target.locate("segment", Segment::find, Segment::from_id)
}

/// Its memory, for reading alone or for both.
pub fn open(target: &Target, writable: bool) -> Result<Memory> {
    if is_posix(target) {
        return Ok(Memory::Object(Object::open(target.typed(), writable)?));
    }
    Ok(Memory::attach(segment(target)?, writable)?)
}

/// Its memory, and the owners of the very object that was opened.
pub fn owned(target: &Target, writable: bool) -> Result<(Memory, [u32; 2])> {
    let memory = open(target, writable)?;
    let owners = match &memory {
        Memory::Object(object) => [object.stat()?.uid; 2],
        Memory::Segment(segment, _) => segment.stat()?.perm.owners(),
    };
    Ok((memory, owners))
}

/// The memory, opened for writing; created by `create` if it is missing.
pub fn open_or_create(target: &Target, creating: Creating, create: impl FnMut() -> Result<Memory>) -> Result<Memory> {
    let find = || owned(target, true).map_err(|error| if_missing(error, target));
    creating.open_or_create(find, Ok, create)
}

/// A failure to find `target`: `ENOENT` if it can be created, since it is missing or was removed as it was opened.
pub fn if_missing(error: Error, target: &Target) -> Error {
    if is_missing(&error, target) { Errno::ENOENT.into() } else { error }
}

/// Whether a failure to open `target` means that it can be made: it is missing, or was removed as it was opened.
pub fn is_missing(error: &Error, target: &Target) -> bool {
    !matches!(target.form(), Form::Id(_)) && is_gone(error, target)
}

/// A new segment of zeros for a target.
///
/// # Errors
/// `EEXIST`: there is one.
pub fn create_segment(target: &Target, size: u64, creating: Creating, huge: bool) -> Result<Segment> {
    let key = match target.key()? {
        Some(key) => key,
        None if *target.form() == Form::Private => 0,
        None => {
            // An id is only that of one that exists.
            segment(target)?.stat()?;
            bail!(Errno::EEXIST);
        }
    };
    match Segment::create(key, size, creating.bits(), huge) {
        Err(errno @ Errno::EEXIST) => bail!(errno),
        created => created.map_err(|errno| no_room(errno, key, size, huge).into()),
    }
}

/// The same, attached for writing, which its permission bits need not allow: it gets them when that is done.
///
/// # Errors
/// `EIDRM`: another process has removed it at once.
pub fn create_writable(target: &Target, size: u64, creating: Creating) -> Result<Memory> {
    let wanted = creating.bits();
    let bits = wanted | 0o600;
    let segment = create_segment(target, size, Creating { mode: Some(bits), ..creating }, false)?;
    let complete = || -> nix::Result<Memory> {
        let memory = Memory::attach(segment, true)?;
        if bits != wanted {
            segment.change(Change { mode: Some(wanted), ..Change::default() })?;
        }
        Ok(memory)
    };
    complete().map_err(|errno| if segment.stat().is_err() { if_removed(errno) } else { errno }.into())
}

/// A new POSIX object of `size` zeros, which has no name yet.
pub fn unnamed(size: u64) -> Result<Object> {
    if !posix::is_mounted()? {
        bail!(no_tmpfs());
    }
    let object = Object::unnamed()?;
    reserve(&object, size)?;
    Ok(object)
}

/// Makes a POSIX object at least so large.
///
/// # Errors
/// The size, and how much is free, where that is too little.
pub fn reserve(object: &Object, size: u64) -> Result<()> {
    object.reserve(size).map_err(|errno| no_space(errno, size).into())
}

/// Why a POSIX object cannot be so large.
pub fn no_space(errno: Errno, size: u64) -> Cause {
    match errno {
        Errno::ENOSPC => {
            let free = posix::free().map_or_else(|_| "what is".into(), |free| free.to_string());
            Cause::from_errno(errno, format!("{size} bytes are more than {free} free in /dev/shm"))
                .hint("df /dev/shm shows its size, which is an option of its mount: size=2G")
        }
        Errno::EFBIG | Errno::EINVAL => Cause::from_errno(errno, format!("{size} bytes are more than a file can have")),
        errno => Cause::plain(errno),
    }
}

/// There is no tmpfs at `/dev/shm`.
pub fn no_tmpfs() -> Cause {
    Cause::from_errno(Errno::ENOENT, "no tmpfs is mounted at /dev/shm")
        .exit(Exit::Failed)
        .hint("mount -t tmpfs -o mode=1777 shm /dev/shm")
}

/// Which limit is in the way of a new segment.
fn no_room(errno: Errno, key: Key, size: u64, huge: bool) -> Cause {
    let (limits, used) = (limits(), used());
    let (segments, in_use) = used.map_or((0, 0), |used| (used.segments, used.pages));
    let told = |words: String| Cause::from_errno(errno, words);
    match (errno, limits) {
        (Errno::EINVAL, Ok(limits)) if size > limits.size => {
            let words = format!("{size} bytes are more than the {} of one segment", limits.size);
            told(words).hint("/proc/sys/kernel/shmmax is the limit")
        }
        (Errno::EINVAL, _) => told(format!("{size} bytes are more than the kernel can give")),
        (Errno::ENOSPC, Ok(limits)) if segments >= limits.segments => {
            let words = format!("no room for one more than {segments} segments");
            told(words).hint("/proc/sys/kernel/shmmni is the limit; ipcs -m shows what is there")
        }
        (Errno::ENOSPC, Ok(limits)) => told(format!(
            "{} pages of {} bytes are more than {} that are left",
            size.div_ceil(page_size()),
            page_size(),
            limits.pages.saturating_sub(in_use)
        ))
        .hint("/proc/sys/kernel/shmall is the limit of all segments together, in pages"),
        (Errno::ENOMEM, _) if huge => told(format!("{size} bytes are more than there are free huge pages for"))
            .hint("HugePages_Free in /proc/meminfo; /proc/sys/vm/nr_hugepages sets how many there are"),
        (Errno::ENOMEM, _) => told(format!("the system does not promise {size} bytes of memory"))
            .hint("/proc/sys/vm/overcommit_memory says how it decides"),
        (Errno::EPERM, _) if huge => told("huge pages are not for this user".into())
            .hint("/proc/sys/vm/hugetlb_shm_group is the group that may have them"),
        (Errno::EACCES, _) => {
            let whose = Segment::find(key).and_then(Segment::stat);
            let whose = whose.map(|stat| crate::args::creating::user(stat.perm.uid));
            told(format!("permission denied, it belongs to {}", whose.unwrap_or_default()))
        }
        (errno, _) => Cause::plain(errno),
    }
}

/// Refuses a POSIX object where the verb needs what it has not.
pub fn system_v(target: &Target, why: &str) -> Result<()> {
    if is_posix(target) { Err(not_posix(target, why).into()) } else { Ok(()) }
}

/// Refuses what lies beyond the end: `len` bytes at `offset` of `size`.
pub fn within(offset: u64, len: u64, size: u64) -> Result<()> {
    if offset.checked_add(len).is_some_and(|end| end <= size) {
        return Ok(());
    }
    let what = match len {
        0 => format!("offset {offset} is"),
        1 => format!("a byte at offset {offset} is"),
        len => format!("{len} bytes at offset {offset} are"),
    };
    let bytes = if size == 1 { "byte" } else { "bytes" };
    bail!(Cause::new(Exit::Failed, format!("{what} beyond its {size} {bytes}")))
}
