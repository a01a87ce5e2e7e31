//! POSIX IPC: objects that are files of a file system of the kernel's.

pub mod mq;
pub mod sem;
pub mod shm;

use std::ffi::{OsStr, OsString};

/// The names of the objects whose files are in `dir`, each with its slash, sorted.
fn names_in(dir: &str) -> std::io::Result<Vec<OsString>> {
    let name = |file: OsString| OsString::from_iter([OsStr::new("/"), &file]);
    let files = std::fs::read_dir(dir)?;
    let mut names =
        files.map(|file| Ok(name(file?.file_name()))).collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
