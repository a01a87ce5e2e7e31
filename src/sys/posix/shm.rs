//! POSIX shared memory: the files of `/dev/shm`, as shm_open(3) of the C library names them.
//!
//! A new object is a file without a name until it is complete, and gets its name in one step. Its space is reserved
//! with it, so that memory that was promised is there when it is touched.
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
use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Uid, fchownat, ftruncate, linkat, unlink};

pub use super::File as Stat;
use crate::sys::file_limit;
use crate::sys::interrupt::retry;
use crate::sys::sysv::Change;

/// Where they are.
const DIR: &str = "/dev/shm";
/// What the names of those begin with that are semaphores.
pub(super) const SEMAPHORE: &str = "/sem.";

/// An object that is open, or one that has no name yet.
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
    /// Opens the one called `name`, which begins with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission. `EINVAL`, `EISDIR`, `ELOOP`: it is no regular file.
    pub fn open(name: &OsStr, writable: bool) -> Result<Self> {
        Self::look_up(name, if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY })
    }

    /// For looking and changing attributes, which need no permission to read; a link is never followed.
    fn refer(name: &OsStr) -> Result<Self> {
        Self::look_up(name, OFlag::O_PATH)
    }

    fn look_up(name: &OsStr, access: OFlag) -> Result<Self> {
        // Without O_NONBLOCK opening a FIFO that somebody put there would wait.
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let object = Self(open(&path(name), flags, Mode::empty())?);
        object.stat()?;
        Ok(object)
    }

    /// A new, empty one, which vanishes unless it is [given a name](Self::publish).
    ///
    /// # Errors
    /// `ENOENT`: there is no `/dev/shm`. `EACCES`: nothing may be made there.
    pub fn unnamed() -> Result<Self> {
        // sem post --create writes to no other file.
        file_limit::report()?;
        let flags = OFlag::O_RDWR | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        Ok(Self(open(DIR, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    /// Gives a new one its permission bits and its name, linkat(2).
    ///
    /// # Errors
    /// `EEXIST`: the name is taken. `EOPNOTSUPP`: it needs `/proc`, which is not mounted, or a privilege.
    pub fn publish(&self, name: &OsStr, mode: u32) -> Result<()> {
        fchmod(&self.0, Mode::from_bits_truncate(mode))?;
        let name = path(name);
        match linkat(AT_FDCWD, &self.own_path(), AT_FDCWD, &name, AtFlags::AT_SYMLINK_FOLLOW) {
            // For who has CAP_DAC_READ_SEARCH, and from Linux 6.10 on for who has opened it.
            Err(Errno::ENOENT) => linkat(&self.0, "", AT_FDCWD, &name, AtFlags::AT_EMPTY_PATH).map_err(without_proc),
            linked => linked,
        }
    }

    /// The file itself, whatever its name is.
    fn own_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// What can be seen of it.
    ///
    /// # Errors
    /// `EINVAL`: it is no regular file.
    pub fn stat(&self) -> Result<Stat> {
        let file = fstat(&self.0)?;
        if file.st_mode & S_IFMT == S_IFREG { Ok(file.into()) } else { Err(Errno::EINVAL) }
    }

    /// When it was born, in nanoseconds since 1970, statx(2). A tmpfs keeps that from Linux 5.18 on.
    pub fn birth(&self) -> Option<u64> {
        // SAFETY: a C structure of integers, for which all zeros is a value.
        let mut file: libc::statx = unsafe { zeroed() };
        let (fd, flags, mask) = (self.0.as_raw_fd(), libc::AT_EMPTY_PATH, libc::STATX_BTIME);
        // SAFETY: a terminated string, and room for one statx.
        let asked = unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &raw mut file) };
        let libc::statx_timestamp { tv_sec, tv_nsec, .. } = file.stx_btime;
        (asked == 0 && file.stx_mask & mask != 0)
            .then(|| tv_sec.cast_unsigned().wrapping_mul(1_000_000_000) + u64::from(tv_nsec))
    }

    /// What tells its inode from another one that has the same number later, name_to_handle_at(2): of a tmpfs a random
    /// number. Some containers forbid the call.
    pub fn generation(&self) -> Option<u64> {
        let mut handle = FileHandle { len: HANDLE_MAX as u32, kind: 0, bytes: [0; HANDLE_MAX] };
        let (mut mount, fd) = (0, self.0.as_raw_fd());
        let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
        // SAFETY: a terminated string, a handle with as much room as it says, and room for one integer.
        let asked = unsafe { name_to_handle_at(fd, path, &raw mut handle, &raw mut mount, flags) };
        (asked == 0).then(|| u64::from_ne_bytes(handle.bytes[..8].try_into().unwrap_or_default()))
    }

    /// Whether it has an access control list, acl(5).
    pub fn has_acl(&self) -> Result<bool> {
        let name = c"system.posix_acl_access".as_ptr();
        // SAFETY: a terminated string; no bytes are asked for.
        let len = unsafe { fgetxattr(self.0.as_raw_fd(), name, std::ptr::null_mut(), 0) };
        match Errno::result(len) {
            // It has none, or the file system or the kernel knows none.
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(false),
            len => len.map(|_| true),
        }
    }

    /// Makes it at least `size` bytes long and reserves all of its space, posix_fallocate(3).
    ///
    /// # Errors
    /// `ENOSPC`: there is less left, and nothing was taken. `EFBIG`: no file can be so long.
    pub fn reserve(&self, size: u64) -> Result<()> {
        let len = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
        if len == 0 {
            return Ok(());
        }
        // Asked before, because the kernel would take everybody's room before it finds that it is too little.
        let missing = size.saturating_sub(self.stat()?.allocated);
        if free().is_ok_and(|free| missing > free) {
            return Err(Errno::ENOSPC);
        }
        retry(|| posix_fallocate(&self.0, 0, len))
    }

    /// Reserves the space of `len` bytes from `offset` on without changing the size, as far as the file system can.
    ///
    /// # Errors
    /// `ENOSPC`: there is less left. `EFBIG`: the file may not be so long (RLIMIT_FSIZE).
    pub fn promise(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
        if end.ok_or(Errno::EFBIG)? > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
            return Err(Errno::EFBIG);
        }
        // Asked before, as for `reserve`.
        let missing = len.saturating_sub(self.stat()?.allocated);
        if free().is_ok_and(|free| missing > free) {
            return Err(Errno::ENOSPC);
        }
        let (from, len) = (offset.cast_signed(), len.cast_signed());
        match retry(|| fallocate(&self.0, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, len)) {
            Err(errno @ (Errno::ENOSPC | Errno::EFBIG)) => Err(errno),
            // Not every file system can, and nobody reserves nothing.
            _ => Ok(()),
        }
    }

    /// Makes it `size` bytes long; what it grows by is reserved.
    ///
    /// # Errors
    /// Those of [`reserve`](Self::reserve); then it is as long as before.
    pub fn resize(&self, size: u64) -> Result<()> {
        self.reserve(size)?;
        // What was too short is long enough by that.
        if self.stat()?.size == size {
            return Ok(());
        }
        ftruncate(&self.0, i64::try_from(size).map_err(|_| Errno::EFBIG)?)
    }
}

/// Looks at the one called `name` without opening it. Needs no permission.
///
/// # Errors
/// `ENOENT`: there is none. `EINVAL`: it is no regular file.
pub fn look(name: &OsStr) -> Result<Stat> {
    Object::refer(name)?.stat()
}

/// What it means that a file which is open has no path in `/proc`.
fn without_proc(errno: Errno) -> Errno {
    if errno == Errno::ENOENT { Errno::EOPNOTSUPP } else { errno }
}

/// Changes owner and group, which is refused more often, then permission bits.
///
/// # Errors
/// `EPERM`: the caller is neither the owner nor privileged. `EOPNOTSUPP`: it needs `/proc`, which is not mounted.
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

/// Removes the name; who has it open or mapped keeps it.
pub fn remove(name: &OsStr) -> Result<()> {
    unlink(&path(name))
}

/// The names of all, each with its slash, sorted; semaphores are left out.
///
/// # Errors
/// Those of reading `/dev/shm`.
pub fn names() -> Result<Vec<OsString>> {
    let mut names = all_names()?;
    names.retain(|name| !name.as_bytes().starts_with(SEMAPHORE.as_bytes()));
    Ok(names)
}

/// The names of all, semaphores included; where there is no `/dev/shm` there are none.
pub(super) fn all_names() -> Result<Vec<OsString>> {
    match super::names_in(AT_FDCWD, DIR) {
        Err(Errno::ENOENT) => Ok(Vec::new()),
        names => names,
    }
}

/// Bytes that are left in `/dev/shm`.
pub fn free() -> Result<u64> {
    let stat = statvfs(DIR)?;
    // A file system without a limit says 0 of 0.
    if stat.blocks() == 0 {
        return Err(Errno::ENODATA);
    }
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether `/dev/shm` is memory: a tmpfs, as glibc wants it.
pub fn is_mounted() -> Result<bool> {
    match retry(|| statfs(DIR)) {
        Err(Errno::ENOENT) => Ok(false),
        stat => Ok(stat?.filesystem_type() == TMPFS_MAGIC),
    }
}

fn path(name: &OsStr) -> PathBuf {
    PathBuf::from(DIR).join(OsStr::from_bytes(&name.as_bytes()[1..]))
}

/// `MAX_HANDLE_SZ`.
const HANDLE_MAX: usize = 128;

/// `struct file_handle`.
#[repr(C)]
struct FileHandle {
    len: c_uint,
    kind: c_int,
    bytes: [u8; HANDLE_MAX],
}

unsafe extern "C" {
    // The libc crate does not declare it.
    fn name_to_handle_at(
        dir: c_int,
        path: *const c_char,
        handle: *mut FileHandle,
        mount: *mut c_int,
        flags: c_int,
    ) -> c_int;
}
