//! POSIX shared memory: the files in `/dev/shm`, named as by shm_open(3).
//!
//! A new object gets its name atomically when it is complete. Its space is reserved, so touching its memory is safe.
#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString, c_char, c_int, c_uint};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag, fallocate, open, posix_fallocate};
use nix::libc::{self, S_IFMT, S_IFREG, fgetxattr};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{Statvfs, statvfs};
use nix::unistd::{Gid, Uid, fchownat, ftruncate, linkat, unlink};

pub use super::File as Stat;
use crate::sys::file_limit;
use crate::sys::interrupt::retry;
use crate::sys::name_file;
use crate::sys::sysv::Change;

const DIR: &str = "/dev/shm";
/// The prefix of names that are semaphores.
pub(super) const SEMAPHORE: &str = "/sem.";

/// An open object. A new one has no name yet.
#[derive(Debug)]
pub struct Object(OwnedFd);

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Object> for OwnedFd {
    fn from(object: Object) -> Self {
        object.0
    }
}

impl Object {
    /// Opens the object `name`, which starts with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission. `EINVAL`, `EISDIR`, `ELOOP`: it is not a regular file.
    pub fn open(name: &OsStr, writable: bool) -> Result<Self> {
        Self::look_up(name, if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY })
    }

    /// Opens it for its attributes, without following links. Needs no read permission.
    fn refer(name: &OsStr) -> Result<Self> {
        Self::look_up(name, OFlag::O_PATH)
    }

    fn look_up(name: &OsStr, access: OFlag) -> Result<Self> {
        // Without O_NONBLOCK, a FIFO that another user created there would block.
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let object = Self(open(&path(name), flags, Mode::empty())?);
        object.stat()?;
        Ok(object)
    }

    /// Creates an empty object, which disappears unless it is [published](Self::publish).
    ///
    /// # Errors
    /// `ENOENT`: there is no `/dev/shm`. `EACCES`: no permission to create files there.
    pub fn unnamed() -> Result<Self> {
        // Here, because for `sem post --create` this is the only file it writes.
        file_limit::report()?;
        let flags = OFlag::O_RDWR | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        Ok(Self(open(DIR, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    /// Gives a new object its permission bits and its name, linkat(2).
    ///
    /// # Errors
    /// `EEXIST`: the name is taken. `EOPNOTSUPP`: this needs `/proc`, which is not mounted, or a privilege.
    pub fn publish(&self, name: &OsStr, mode: u32) -> Result<()> {
        fchmod(&self.0, Mode::from_bits_truncate(mode))?;
        let name = path(name);
        match linkat(AT_FDCWD, &self.own_path(), AT_FDCWD, &name, AtFlags::AT_SYMLINK_FOLLOW) {
            // Works with CAP_DAC_READ_SEARCH, and from Linux 6.10 on for the process that opened the file.
            Err(Errno::ENOENT) => linkat(&self.0, "", AT_FDCWD, &name, AtFlags::AT_EMPTY_PATH).map_err(without_proc),
            linked => linked,
        }
    }

    fn own_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Returns its attributes.
    ///
    /// # Errors
    /// `EINVAL`: it is not a regular file.
    pub fn stat(&self) -> Result<Stat> {
        let file = fstat(&self.0)?;
        if file.st_mode & S_IFMT == S_IFREG { Ok(file.into()) } else { Err(Errno::EINVAL) }
    }

    /// Returns its creation time in nanoseconds since 1970, statx(2). A tmpfs records it from Linux 5.18 on.
    pub fn birth(&self) -> Option<u64> {
        // SAFETY: a C structure of integers, for which all zeros is a valid value.
        let mut file: libc::statx = unsafe { zeroed() };
        let (fd, flags, mask) = (self.0.as_raw_fd(), libc::AT_EMPTY_PATH, libc::STATX_BTIME);
        // SAFETY: a terminated string, and room for one statx.
        let asked = unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &raw mut file) };
        let libc::statx_timestamp { tv_sec, tv_nsec, .. } = file.stx_btime;
        (asked == 0 && file.stx_mask & mask != 0)
            .then(|| tv_sec.cast_unsigned().wrapping_mul(1_000_000_000) + u64::from(tv_nsec))
    }

    /// Returns a number that distinguishes its inode from a later one with the same number, name_to_handle_at(2). On a
    /// tmpfs it is random. Some containers deny the call.
    pub fn generation(&self) -> Option<u64> {
        let mut handle = FileHandle { len: HANDLE_MAX as u32, kind: 0, bytes: [0; HANDLE_MAX] };
        let (mut mount, fd) = (0, self.0.as_raw_fd());
        let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
        // SAFETY: a terminated string, a handle with the room that it states, and room for one integer.
        let asked = unsafe { name_to_handle_at(fd, path, &raw mut handle, &raw mut mount, flags) };
        (asked == 0).then(|| u64::from_ne_bytes(handle.bytes[..8].try_into().unwrap_or_default()))
    }

    /// Returns whether it has an access control list, acl(5).
    pub fn has_acl(&self) -> Result<bool> {
        let name = c"system.posix_acl_access".as_ptr();
        // SAFETY: a terminated string; no bytes are requested.
        let len = unsafe { fgetxattr(self.0.as_raw_fd(), name, std::ptr::null_mut(), 0) };
        match Errno::result(len) {
            // It has none, or the file system or the kernel does not support them.
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(false),
            len => len.map(|_| true),
        }
    }

    /// Extends it to at least `size` bytes and reserves all of its space, posix_fallocate(3).
    ///
    /// # Errors
    /// `ENOSPC`: too little is left, and nothing was reserved. `EFBIG`: beyond the largest file size.
    pub fn reserve(&self, size: u64) -> Result<()> {
        let len = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
        if len == 0 {
            return Ok(());
        }
        // Checked first, because the kernel would use up all free space before it fails.
        let missing = size.saturating_sub(self.stat()?.allocated);
        if free().is_ok_and(|free| missing > free) {
            return Err(Errno::ENOSPC);
        }
        retry(|| posix_fallocate(&self.0, 0, len))
    }

    /// Reserves `len` bytes from `offset` on without changing the size, if the file system supports that.
    ///
    /// # Errors
    /// `ENOSPC`: too little is left. `EFBIG`: the file may not be that long (RLIMIT_FSIZE).
    pub fn promise(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
        if end.ok_or(Errno::EFBIG)? > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
            return Err(Errno::EFBIG);
        }
        // As in `reserve`.
        let missing = len.saturating_sub(self.stat()?.allocated);
        if free().is_ok_and(|free| missing > free) {
            return Err(Errno::ENOSPC);
        }
        let (from, len) = (offset.cast_signed(), len.cast_signed());
        match retry(|| fallocate(&self.0, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, len)) {
            Err(errno @ (Errno::ENOSPC | Errno::EFBIG)) => Err(errno),
            // Some file systems cannot reserve, and a length of 0 fails.
            _ => Ok(()),
        }
    }

    /// Sets its size, and reserves the space it grows by. If that fails, the size is unchanged.
    pub fn resize(&self, size: u64) -> Result<()> {
        self.reserve(size)?;
        // `reserve` has already extended a shorter object.
        if self.stat()?.size == size {
            return Ok(());
        }
        ftruncate(&self.0, i64::try_from(size).map_err(|_| Errno::EFBIG)?)
    }
}

/// Returns the attributes of the object `name` without opening it. Needs no permission.
///
/// # Errors
/// `ENOENT`: there is none. `EINVAL`: it is not a regular file.
pub fn look(name: &OsStr) -> Result<Stat> {
    Object::refer(name)?.stat()
}

/// Turns the failure to find an open file in `/proc` into `EOPNOTSUPP`.
fn without_proc(errno: Errno) -> Errno {
    if errno == Errno::ENOENT { Errno::EOPNOTSUPP } else { errno }
}

/// Changes owner and group, which is refused more often, and then the permission bits.
///
/// # Errors
/// `EPERM`: the caller is neither the owner nor privileged. `EOPNOTSUPP`: this needs `/proc`, which is not mounted.
pub fn change(name: &OsStr, change: Change) -> Result<()> {
    let object = Object::refer(name)?;
    if change.uid.is_some() || change.gid.is_some() {
        let (uid, gid) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
        fchownat(&object, "", uid, gid, AtFlags::AT_EMPTY_PATH)?;
    }
    if let Some(mode) = change.mode {
        let mode = Mode::from_bits_truncate(mode);
        fchmodat(AT_FDCWD, &object.own_path(), mode, FchmodatFlags::FollowSymlink).map_err(without_proc)?;
    }
    Ok(())
}

/// Removes the name. Processes that have the object open or mapped keep it.
pub fn remove(name: &OsStr) -> Result<()> {
    unlink(&path(name))
}

/// Returns the names of all objects, each with its slash, sorted, except semaphores and ipcbox's files of names.
pub fn names() -> Result<Vec<OsString>> {
    let mut names = all_names()?;
    names.retain(|name| !name.as_bytes().starts_with(SEMAPHORE.as_bytes()) && !name_file::is_one(name));
    Ok(names)
}

/// Returns the names of all objects, including semaphores. There are none without `/dev/shm`.
pub(super) fn all_names() -> Result<Vec<OsString>> {
    match super::names_in(AT_FDCWD, DIR) {
        Err(Errno::ENOENT) => Ok(Vec::new()),
        names => names,
    }
}

/// Returns the free space in `/dev/shm`, in bytes.
pub fn free() -> Result<u64> {
    space(Statvfs::blocks_available)
}

/// Returns the size of `/dev/shm`, in bytes.
pub fn capacity() -> Result<u64> {
    space(Statvfs::blocks)
}

fn space(blocks: impl Fn(&Statvfs) -> u64) -> Result<u64> {
    let stat = statvfs(DIR)?;
    // A file system without a limit reports 0 of 0 blocks.
    if stat.blocks() == 0 {
        return Err(Errno::ENODATA);
    }
    Ok(blocks(&stat).saturating_mul(stat.fragment_size()))
}

/// Returns whether `/dev/shm` is a tmpfs, as glibc requires.
pub fn is_mounted() -> Result<bool> {
    match retry(|| statfs(DIR)) {
        Err(Errno::ENOENT) => Ok(false),
        stat => Ok(stat?.filesystem_type() == TMPFS_MAGIC),
    }
}

fn path(name: &OsStr) -> PathBuf {
    PathBuf::from(DIR).join(OsStr::from_bytes(&name.as_bytes()[1..]))
}

const HANDLE_MAX: usize = 128;

#[repr(C)]
struct FileHandle {
    len: c_uint,
    kind: c_int,
    bytes: [u8; HANDLE_MAX],
}

unsafe extern "C" {
    // Missing in the libc crate.
    fn name_to_handle_at(
        dir: c_int,
        path: *const c_char,
        handle: *mut FileHandle,
        mount: *mut c_int,
        flags: c_int,
    ) -> c_int;
}
