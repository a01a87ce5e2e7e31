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
use nix::sys::stat::Mode;

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
