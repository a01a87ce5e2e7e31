//! Finds processes that are blocked in open(2) of a FIFO.
//!
//! Such a process has no descriptor yet and therefore does not appear in `/proc/PID/fd`. The path it opens is read from
//! its memory and resolved from its root or working directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::stat;

use super::process::{Blocked, blocked};

/// A process that is blocked in open(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The process.
    pub pid: i32,
    /// Whether it opens the file for reading.
    pub reads: bool,
    /// Whether it opens the file for writing.
    pub writes: bool,
}

/// Returns the processes blocked in opening the file with this device and inode. Needs the permission to trace them.
pub fn of(device: u64, inode: u64) -> Vec<Opening> {
    let is_it = |path: &PathBuf| stat(path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode));
    let opening = |blocked: Blocked| {
        let (directory, address, flags) = call(&blocked)?;
        let path = path(&blocked, directory, address).ok()?;
        let mode = OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE;
        is_it(&path).then_some(Opening {
            pid: blocked.pid,
            reads: mode != OFlag::O_WRONLY,
            writes: mode != OFlag::O_RDONLY,
        })
    };
    blocked().unwrap_or_default().into_iter().filter_map(opening).collect()
}

/// Returns the directory, the address of the path, and the flags of a call that opens a file.
fn call(blocked: &Blocked) -> Option<(libc::c_int, usize, libc::c_int)> {
    let [first, second, third, ..] = blocked.args;
    // The kernel takes an int from the lower half of the register.
    match blocked.call {
        libc::SYS_openat => Some((first as libc::c_int, second as usize, third as libc::c_int)),
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        libc::SYS_open => Some((libc::AT_FDCWD, first as usize, second as libc::c_int)),
        _ => None,
    }
}

/// Returns the path at an address in a thread's memory, rewritten so that this process resolves it to the same file.
fn path(blocked: &Blocked, directory: libc::c_int, address: usize) -> Result<PathBuf> {
    let (thread, text) = (blocked.thread, text(blocked, address)?);
    let path = Path::new(OsStr::from_bytes(&text));
    let from = match path.strip_prefix("/") {
        Ok(path) => return Ok(Path::new(&format!("/proc/{thread}/root")).join(path)),
        Err(_) if directory == libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
        Err(_) => format!("/proc/{thread}/fd/{directory}"),
    };
    Ok(Path::new(&from).join(path))
}

/// Reads up to a NUL, one page at a time, because the next page may not be mapped.
fn text(blocked: &Blocked, mut address: usize) -> Result<Vec<u8>> {
    const PAGE: usize = 4096;
    let mut text = Vec::new();
    while text.len() < libc::PATH_MAX as usize {
        let page = blocked.read(address, PAGE - address % PAGE)?;
        if let Some(end) = page.iter().position(|byte| *byte == 0) {
            text.extend(&page[..end]);
            return Ok(text);
        }
        address += page.len().max(1);
        text.extend(page);
    }
    Err(Errno::ENAMETOOLONG)
}
