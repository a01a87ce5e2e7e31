//! FIFOs: mkfifo(3), open(2) without following links, flock(2).
#![allow(unsafe_code)]

use std::ffi::{OsStr, c_int};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, open};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, lstat, stat, umask};
use nix::unistd::{UnlinkatFlags, mkfifo, unlinkat};

use super::deadline::Deadline;
use super::pipe;
use super::wait::interruptible;

/// The attributes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The type of the file.
    pub kind: Kind,
    /// The device it is on.
    pub device: u64,
    /// Its inode number on that device.
    pub inode: u64,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits, including sticky, set-user-ID and set-group-ID.
    pub mode: u32,
}

/// File types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A FIFO or a pipe.
    Fifo,
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character or block device.
    Device,
    /// A socket.
    Socket,
}

impl Seen {
    /// Returns whether both are the same file.
    pub const fn is(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

impl From<FileStat> for Seen {
    fn from(stat: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFIFO => Kind::Fifo,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Link,
            SFlag::S_IFCHR | SFlag::S_IFBLK => Kind::Device,
            SFlag::S_IFSOCK => Kind::Socket,
            _ => Kind::Regular,
        };
        Self {
            kind,
            device: stat.st_dev,
            inode: stat.st_ino,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
        }
    }
}

/// Returns the attributes of the file at a path, lstat(2), without following a final symbolic link.
pub fn look(path: &Path) -> Result<Seen> {
    lstat(path).map(Seen::from)
}

/// Returns the attributes of a directory, stat(2).
pub fn directory(path: &Path) -> Result<Seen> {
    stat(path).map(Seen::from)
}

/// Returns the attributes of an open file, fstat(2).
pub fn behind(fd: impl AsFd) -> Result<Seen> {
    fstat(fd).map(Seen::from)
}

/// Creates a FIFO with exactly these permission bits, mkfifo(3).
///
/// # Errors
/// `EEXIST`: the path exists, even as a dangling link. `ENOENT`: the directory does not exist.
pub fn make(path: &Path, mode: u32) -> Result<()> {
    // No other thread of ipcbox creates files, so the umask affects this call only.
    let before = umask(Mode::empty());
    let outcome = mkfifo(path, Mode::from_bits_truncate(mode));
    umask(before);
    outcome
}

/// Removes a file if it is still the one in `wanted`, unlinkat(2).
///
/// The directory is opened first: if another user can write to a part of its path, it may lead elsewhere later.
///
/// # Errors
/// `ENOENT`: it is gone. Another file may have its name.
pub fn remove(directory: &Path, name: &OsStr, wanted: &Seen) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let found = Seen::from(fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?);
    if found.kind != wanted.kind || !found.is(wanted) {
        return Err(Errno::ENOENT);
    }
    unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir)
}

const BOTH: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a FIFO for reading, non-blocking and without a writer. poll(2) reports nothing until one has opened it.
///
/// # Errors
/// `ELOOP`: it is a symbolic link. The caller must check the type with [`behind`].
pub fn open_to_read(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | BOTH, Mode::empty())
}

/// Opens a FIFO for writing in non-blocking mode, once a reader has opened it or is opening it.
///
/// # Errors
/// `EAGAIN`: no reader in time. `EINTR`: a [caught](super::interrupt) signal came. `ELOOP`: it is a symbolic link.
pub fn open_to_write(path: &Path, deadline: Deadline) -> Result<OwnedFd> {
    match open(path, OFlag::O_WRONLY | OFlag::O_NONBLOCK | BOTH, Mode::empty()) {
        Err(Errno::ENXIO) if deadline == Deadline::Now => return Err(Errno::EAGAIN),
        Err(Errno::ENXIO) => {}
        opened => return opened,
    }
    let fd = interruptible(deadline, || open(path, OFlag::O_WRONLY | BOTH, Mode::empty()))?.ok_or(Errno::EINTR)?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd)
}

/// Returns whether a process has the FIFO of this read end open for writing. A FIFO reports the absence of writers only
/// after the first one has closed it, so this opens and closes it for writing. If that is denied, the answer is true.
pub fn has_writers(read_end: impl AsFd) -> Result<bool> {
    if pipe::is_left(&read_end)? {
        return Ok(false);
    }
    let path = format!("/proc/self/fd/{}", read_end.as_fd().as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match open(&*path, flags, Mode::empty()) {
        Ok(writer) => {
            drop(writer);
            Ok(!pipe::is_left(read_end)?)
        }
        Err(_) => Ok(true),
    }
}

/// Takes an exclusive flock(2) on an open file, held until the file is closed.
///
/// # Errors
/// `EAGAIN`: still locked at the deadline. `EINTR`: a [caught](super::interrupt) signal came.
pub fn lock(file: impl AsFd, deadline: Deadline) -> Result<()> {
    let wait = if deadline == Deadline::Now { libc::LOCK_NB } else { 0 };
    interruptible(deadline, || flock(&file, libc::LOCK_EX | wait))?.ok_or(Errno::EINTR)
}

/// Releases the lock, if there is one.
pub fn unlock(file: impl AsFd) -> Result<()> {
    flock(file, libc::LOCK_UN)
}

fn flock(file: impl AsFd, how: c_int) -> Result<()> {
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::flock(file.as_fd().as_raw_fd(), how) }).map(drop)
}
