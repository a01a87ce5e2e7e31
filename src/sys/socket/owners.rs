//! The processes that have sockets open, from `/proc/PID/fd`.

#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use nix::Result;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;

use crate::sys::process::{numbers, procfs};

/// Returns a process for each of these inodes, which are sorted: the one that started first of those that have the
/// socket open, and the caller only if no other process has it. 0 if none is found. Processes that may not be inspected
/// are left out.
pub fn of(inodes: &[u32]) -> Vec<i32> {
    let mut owners = vec![0; inodes.len()];
    let own = std::process::id().cast_signed();
    let mut pids = numbers("/proc").unwrap_or_default();
    pids.sort_by_cached_key(|pid| procfs::stat(*pid).map_or(u64::MAX, |stat| stat.start));
    for pid in pids.into_iter().filter(|pid| *pid != own).chain([own]) {
        // A process that has exited has none.
        let _ = each(pid, &mut |inode| {
            if let Ok(at) = inodes.binary_search(&inode)
                && owners[at] == 0
            {
                owners[at] = pid;
            }
        });
    }
    owners
}

/// Returns the inodes of the sockets that a process has open, sorted.
///
/// # Errors
/// `EACCES`: the process may not be inspected. `ENOENT`: it has exited.
pub fn inodes(pid: i32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    each(pid, &mut |inode| found.push(inode))?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Calls `act` with the inode of each socket that a process has open.
fn each(pid: i32, act: &mut dyn FnMut(u32)) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = Dir::open(&*format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let number = dir.as_raw_fd();
    for entry in dir.iter() {
        let entry = entry?;
        let mut link = [0_u8; 32];
        let name = entry.file_name().as_ptr();
        // SAFETY: the name ends in a NUL, the buffer has this length, and both live through the call.
        let length = unsafe { libc::readlinkat(number, name, link.as_mut_ptr().cast(), link.len()) };
        let link = match Errno::result(length) {
            Ok(length) => &link[..usize::try_from(length).unwrap_or(0)],
            // It is not a link, or was closed by now.
            Err(Errno::EINVAL | Errno::ENOENT) => continue,
            Err(errno) => return Err(errno),
        };
        let inode = link.strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
        if let Some(inode) = inode.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok()) {
            act(inode);
        }
    }
    Ok(())
}
