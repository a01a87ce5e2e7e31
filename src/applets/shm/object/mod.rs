//! Finding, opening and creating segments and POSIX objects.

pub mod atomic_word;
pub mod locking;
pub mod payload;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use crate::applets::shm::is_posix;
use crate::args::creating::Creating;
use crate::exit::{Cause, Exit, bare, more_objects, sysctl};
use crate::objects::errors::is_gone;
use crate::output;
use crate::sys::mapping::page_size;
use crate::sys::memory::Memory;
use crate::sys::posix::shm::{self as posix, Object};
use crate::sys::process::setting;
use crate::sys::sysv::shm::{Segment, huge_page_size, limits, used};
use crate::sys::sysv::{Change, Key, if_removed};
use crate::target::{Form, Target, not_posix};
use crate::text::counted;

/// Returns the segment behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn segment(target: &Target) -> Result<Segment> {
    target.locate("segment", Segment::find, Segment::from_id)
}

/// Opens the memory behind a target, for reading or for reading and writing.
pub fn open(target: &Target, writable: bool) -> Result<Memory> {
    if is_posix(target) {
        return Ok(Memory::Object(Object::open(target.typed(), writable)?));
    }
    Ok(Memory::attach(segment(target)?, writable)?)
}

/// Opens the memory, and returns the owners of the very object that was opened.
pub fn owned(target: &Target, writable: bool) -> Result<(Memory, [u32; 2])> {
    let memory = open(target, writable)?;
    let owners = match &memory {
        Memory::Object(object) => [object.stat()?.uid; 2],
        Memory::Segment(segment, _) => segment.stat()?.perm.owners(),
    };
    Ok((memory, owners))
}

/// Opens the memory for reading and writing; `create` creates a missing one.
pub fn open_or_create(target: &Target, creating: Creating, create: impl FnMut() -> Result<Memory>) -> Result<Memory> {
    let find = || owned(target, true).map_err(|error| if_missing(error, target));
    creating.open_or_create(find, Ok, create)
}

/// Turns a failure to open `target` into `ENOENT` if it is missing, or was removed as it was opened.
pub fn if_missing(error: Error, target: &Target) -> Error {
    if is_missing(&error, target) { Errno::ENOENT.into() } else { error }
}

/// Adds `hint` to a failure to open a `target` that is missing and that the verb could create.
pub fn creatable(error: Error, target: &Target, hint: &str) -> Error {
    match bare(&error) {
        Some(Errno::ENOENT) if !is_posix(target) || posix::is_mounted() == Ok(true) => {
            super::explain(target, Errno::ENOENT).hint(hint).into()
        }
        _ => error,
    }
}

/// Whether a failure to open `target` means that it is missing, or was removed as it was opened.
pub fn is_missing(error: &Error, target: &Target) -> bool {
    !matches!(target.form(), Form::Id(_)) && is_gone(error, target)
}

/// Creates a segment of zeros.
///
/// # Errors
/// `EEXIST`: the key has one.
pub fn create_segment(target: &Target, size: u64, creating: Creating, huge: bool) -> Result<Segment> {
    let key = match target.key()? {
        Some(key) => {
            output::remember(target);
            key
        }
        None if *target.form() == Form::Private => 0,
        None => {
            // The kernel chooses ids: one that is free cannot be created.
            segment(target)?.stat()?;
            bail!(Errno::EEXIST);
        }
    };
    match Segment::create(key, size, creating.bits(), huge) {
        Err(errno @ Errno::EEXIST) => bail!(errno),
        created => created.map_err(|errno| no_room(errno, key, size, huge).into()),
    }
}

/// Creates a segment and attaches it for writing. It gets its permission bits afterwards, as they need not allow that.
///
/// # Errors
/// `EIDRM`: another process has removed it already.
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

/// Creates a POSIX object of `size` zeros, without a name.
pub fn unnamed(size: u64) -> Result<Object> {
    if !posix::is_mounted()? {
        bail!(no_tmpfs());
    }
    let object = Object::unnamed()?;
    reserve(&object, size)?;
    Ok(object)
}

/// Extends a POSIX object to at least `size` bytes.
///
/// # Errors
/// The size, and how much is free, if that is too little.
pub fn reserve(object: &Object, size: u64) -> Result<()> {
    object.reserve(size).map_err(|errno| no_space(errno, size).into())
}

/// The failure to give a POSIX object this size.
pub fn no_space(errno: Errno, size: u64) -> Cause {
    match errno {
        Errno::ENOSPC => {
            let free_bytes = posix::free().map_or_else(|_| "space".into(), |free| format!("{free} bytes"));
            let cause = Cause::from_errno(errno, format!("{size} bytes exceed the {free_bytes} free in /dev/shm"));
            match posix::capacity().ok().and_then(|present| present.checked_add(size)).filter(|size| *size < TOO_LARGE)
            {
                Some(size) => cause.hint(format!("mount -o remount,size={}M /dev/shm", size.div_ceil(1 << 20))),
                None => cause,
            }
        }
        Errno::EFBIG | Errno::EINVAL => Cause::from_errno(errno, format!("{size} bytes exceed the maximum file size")),
        errno => Cause::plain(errno),
    }
}

/// More than any machine has as memory, in bytes.
const TOO_LARGE: u64 = 1 << 50;

/// The failure to find a tmpfs at `/dev/shm`.
pub fn no_tmpfs() -> Cause {
    Cause::from_errno(Errno::ENOENT, "no tmpfs is mounted at /dev/shm")
        .exit(Exit::Failed)
        .hint("mount -t tmpfs -o mode=1777 shm /dev/shm")
}

/// The failure to create a segment, with the limit that prevents it.
fn no_room(errno: Errno, key: Key, size: u64, huge: bool) -> Cause {
    let (limits, used) = (limits(), used());
    let (segments, in_use) = used.map_or((0, 0), |used| (used.segments, used.pages));
    let cause = |words: String| Cause::from_errno(errno, words);
    match (errno, limits) {
        (Errno::EINVAL, Ok(limits)) if size > limits.size => {
            let words = format!("{size} bytes exceed kernel.shmmax, which is {}", limits.size);
            cause(words).hint(sysctl("kernel.shmmax", size))
        }
        (Errno::EINVAL, _) => cause(format!("{size} bytes exceed the memory that the kernel can provide")),
        (Errno::ENOSPC, Ok(limits)) if segments >= limits.segments => {
            let words = format!("the system's limit of {segments} segments is reached");
            let more = more_objects(segments).map(|more| sysctl("kernel.shmmni", more));
            cause(words).hint(more.unwrap_or_else(|| "list the segments of all users: ipcs -m".into()))
        }
        (Errno::ENOSPC, Ok(limits)) => {
            let (page, needed) = (page_size(), size.div_ceil(page_size()));
            let left = limits.pages.saturating_sub(in_use);
            cause(format!("{needed} pages of {page} bytes are needed, but the limit leaves only {left}"))
                .hint(sysctl("kernel.shmall", in_use.saturating_add(needed)))
        }
        (Errno::ENOMEM, _) if huge => {
            let words = format!("{size} bytes exceed the free huge pages");
            let pages = huge_page_size().map(|page| size.div_ceil(page)).zip(setting("vm/nr_hugepages"));
            let more = pages.map(|(needed, present)| sysctl("vm.nr_hugepages", present.saturating_add(needed)));
            cause(words).hint(more.unwrap_or_else(|| "raise vm.nr_hugepages".into()))
        }
        (Errno::ENOMEM, _) => cause(format!("the system refuses to commit {size} bytes of memory"))
            .hint(sysctl("vm.overcommit_memory", 1)),
        (Errno::EPERM, _) if huge => cause("this user has no permission to use huge pages".into())
            .hint(sysctl("vm.hugetlb_shm_group", nix::unistd::getegid().as_raw().into())),
        (Errno::EACCES, _) => {
            let whose = Segment::find(key).and_then(Segment::stat);
            let whose = whose.map(|stat| crate::args::creating::user(stat.perm.uid));
            cause(format!("permission denied; owned by {}", whose.unwrap_or_default()))
        }
        (errno, _) => Cause::plain(errno),
    }
}

/// Refuses an option that POSIX objects do not have.
pub fn system_v(target: &Target, why: &str) -> Result<()> {
    if is_posix(target) { Err(not_posix(target, why).into()) } else { Ok(()) }
}

/// Checks that `len` bytes at `offset` lie within `size` bytes.
pub fn within(offset: u64, len: u64, size: u64) -> Result<()> {
    if offset.checked_add(len).is_some_and(|end| end <= size) {
        return Ok(());
    }
    let what = match len {
        0 => format!("offset {offset}"),
        1 => format!("the byte at offset {offset}"),
        len => format!("{len} bytes at offset {offset}"),
    };
    let is = if len > 1 { "are" } else { "is" };
    let size = counted(usize::try_from(size).unwrap_or(usize::MAX), "byte");
    bail!(Cause::new(Exit::Failed, format!("{what} {is} beyond the end: the object has {size}")))
}
