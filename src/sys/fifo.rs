//! FIFOs: mkfifo(3), open(2) in ways that do not follow a link, flock(2).
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

/// What is at a path, or behind a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What kind of file it is.
    pub kind: Kind,
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits, with the sticky bit and those for set-user and set-group.
    pub mode: u32,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A FIFO, or a pipe.
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
    /// Whether both are the same file.
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

/// What is at a path, lstat(2): a final symbolic link is itself.
pub fn look(path: &Path) -> Result<Seen> {
    lstat(path).map(Seen::from)
}

/// The directory at a path, stat(2).
pub fn directory(path: &Path) -> Result<Seen> {
    stat(path).map(Seen::from)
}

/// What is behind a descriptor, fstat(2).
pub fn behind(fd: impl AsFd) -> Result<Seen> {
    fstat(fd).map(Seen::from)
}

/// Makes a FIFO with exactly these permission bits, mkfifo(3).
///
/// # Errors
/// `EEXIST`: something is there, be it a link to nothing. `ENOENT`: its directory is not.
pub fn make(path: &Path, mode: u32) -> Result<()> {
    // The process has one thread: nobody makes a file meanwhile.
    let before = umask(Mode::empty());
    let outcome = mkfifo(path, Mode::from_bits_truncate(mode));
    umask(before);
    outcome
}

/// Removes a FIFO that was seen in a directory, unlinkat(2).
///
/// The directory is opened, so that the last look and the removal are in the same one: a path to it that somebody else
/// can write can be turned to another one between the two.
///
/// # Errors
/// `ENOENT`: it is no longer there; something else can be.
pub fn remove(directory: &Path, name: &OsStr, wanted: &Seen) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let found = Seen::from(fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?);
    if found.kind != Kind::Fifo || !found.is(wanted) {
        return Err(Errno::ENOENT);
    }
    unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir)
}

const BOTH: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a FIFO for reading, at once and without waiting for a writer. The descriptor does not wait either. A poll of
/// it is quiet until a writer has come.
///
/// # Errors
/// `ELOOP`: it is a symbolic link. What it is, is for the caller to check: [`behind`].
pub fn open_to_read(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | BOTH, Mode::empty())
}

/// Opens a FIFO for writing once a reader has it open or is about to. The descriptor itself does not wait.
///
/// # Errors
/// `EAGAIN`: no reader came in time. `EINTR`: a signal that is [caught](super::interrupt) has come. As for reading.
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

/// Whether somebody has the FIFO of this read end open for writing. A FIFO that no writer has opened yet reports the
/// absence of writers only once one has come and gone, so one does. Where that is forbidden there may be writers.
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

/// Locks an open file for this opening of it alone, flock(2), until it is closed.
///
/// # Errors
/// `EAGAIN`: it was not unlocked in time. `EINTR`: a signal that is [caught](super::interrupt) has come.
pub fn lock(file: impl AsFd, deadline: Deadline) -> Result<()> {
    let wait = if deadline == Deadline::Now { libc::LOCK_NB } else { 0 };
    interruptible(deadline, || flock(&file, libc::LOCK_EX | wait))?.ok_or(Errno::EINTR)
}

/// Unlocks it, whether it was locked or not.
pub fn unlock(file: impl AsFd) -> Result<()> {
    flock(file, libc::LOCK_UN)
}

fn flock(file: impl AsFd, how: c_int) -> Result<()> {
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::flock(file.as_fd().as_raw_fd(), how) }).map(drop)
}
