//! POSIX IPC: objects that are files of a file system of the kernel's.

pub mod mq;
pub mod sem;
pub mod shm;

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::Result;
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode};

/// What can be seen of the file of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// The device that it is on: for a queue, the file system of its IPC namespace.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that it takes, in memory or in swap.
    pub allocated: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The nine permission bits.
    pub mode: u32,
    /// Last change of its attributes, seconds since 1970.
    pub change_time: i64,
}

impl From<FileStat> for File {
    fn from(file: FileStat) -> Self {
        Self {
            device: file.st_dev,
            inode: file.st_ino,
            size: file.st_size.cast_unsigned(),
            allocated: file.st_blocks.cast_unsigned() * 512,
            uid: file.st_uid,
            gid: file.st_gid,
            mode: file.st_mode & 0o777,
            change_time: file.st_ctime,
        }
    }
}

/// The names of the objects whose files are in `dir`, a path from the directory `at`, each with its slash, sorted.
fn names_in(at: impl AsFd, dir: &str) -> Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    for file in Dir::openat(at, dir, flags, Mode::empty())? {
        let file = file?;
        let name = OsStr::from_bytes(file.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(OsString::from_iter([OsStr::new("/"), name]));
        }
    }
    names.sort_unstable();
    Ok(names)
}
