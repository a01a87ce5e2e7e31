//! IPC and pid namespaces.

use std::fs;
use std::os::fd::AsFd;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, stat};
use nix::unistd::{getegid, geteuid};

use super::{errno, process};

/// Enters the IPC namespace of a process, setns(2): by a pidfd, or through `/proc` if pidfd_open is forbidden.
///
/// # Errors
/// `ESRCH`: there is no such process. `EPERM`: CAP_SYS_ADMIN is missing.
pub fn enter(pid: i32) -> Result<()> {
    let namespace = match process::open(pid) {
        // Seccomp profiles older than the call reject it.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            match open(format!("/proc/{pid}/ns/ipc").as_str(), flags, Mode::empty()) {
                Err(Errno::ENOENT) => Err(Errno::ESRCH),
                opened => opened,
            }
        }
        opened => opened,
    };
    setns(namespace?.as_fd(), CloneFlags::CLONE_NEWIPC)
}

/// Creates an IPC namespace and enters it. Without privilege it also creates a user namespace, which keeps the caller's
/// ids, and a mount namespace, so that POSIX queues can be listed.
///
/// # Errors
/// `EPERM` or `ENOSPC`: this user may not create a user namespace.
pub fn isolate() -> Result<()> {
    match unshare(CloneFlags::CLONE_NEWIPC) {
        Err(Errno::EPERM) => {}
        made => return made,
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNS)?;
    let write = |file: &str, text: String| fs::write(format!("/proc/self/{file}"), text).map_err(errno);
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}

/// Returns the inode of the caller's pid namespace, or `None` without `/proc`.
pub fn pid_namespace() -> Option<u64> {
    stat("/proc/self/ns/pid").ok().map(|file| file.st_ino)
}
