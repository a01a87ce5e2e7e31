//! POSIX IPC: objects that are files in a file system of the kernel.

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

/// The attributes of an object's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its device. For a queue this is the file system of its IPC namespace.
    pub device: u64,
    /// Its inode number on that device.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Bytes in use, in memory or swap.
    pub allocated: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The nine permission bits.
    pub mode: u32,
    /// Last change of the attributes, in seconds since 1970.
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

/// Returns the names of the files in `dir`, relative to the directory `at`, each with a slash, sorted.
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
