//! Processes on the command line: `PID`, `PID:INODE` and `PID@START`.
//!
//! The kernel reuses process ids. INODE or START is compared with the process behind a pidfd, which cannot be replaced.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::args::numbers::{digits, pid};
use crate::exit::{Cause, Exit};
use crate::sys::process;
use crate::sys::process::{inode, procfs, wait_status};

/// A process as typed by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    typed: String,
    only: Only,
}

/// The identity that the process has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    /// Any: whichever process has the pid now.
    Any,
    /// The inode of its pidfd.
    Inode(u64),
    /// Its start, in clock ticks since boot.
    Start(u64),
}

/// Parses a process.
///
/// # Errors
/// The reason, as text for the user.
pub fn parse(text: &str) -> Result<Process, String> {
    let number = |text: &str, form: &str| {
        digits(text).ok_or_else(|| format!("expected {form}, as printed by ipcbox signal stat"))
    };
    let (before, only) = if let Some((pid, inode)) = text.split_once(':') {
        (pid, Only::Inode(number(inode, "PID:INODE")?))
    } else if let Some((pid, start)) = text.split_once('@') {
        (pid, Only::Start(number(start, "PID@START")?))
    } else {
        (text, Only::Any)
    };
    Ok(Process { pid: pid(before)?, typed: text.to_owned(), only })
}

impl Process {
    /// Opens a pidfd for it; also for a zombie.
    ///
    /// # Errors
    /// Status 3: there is none, it is a thread, or another process has its pid.
    pub fn open(&self) -> Result<OwnedFd, Cause> {
        let fd = process::pidfd(self.pid).map_err(|errno| unopened(self.pid, errno))?;
        let (what, asked, found) = match self.only {
            Only::Any => return Ok(fd),
            Only::Inode(asked) => {
                let found = inode(&fd).map_err(Cause::plain)?;
                let found = found.ok_or_else(|| {
                    Cause::new(Exit::Failed, "PID:INODE needs Linux 6.9")
                        .hint(format!("use PID@START, as printed by ipcbox signal stat {}", self.pid))
                })?;
                ("inode", asked, found)
            }
            Only::Start(asked) => {
                let stat = procfs::stat(self.pid).map_err(|errno| unopened(self.pid, errno))?;
                // The pid was not reused before it was read, unless the process is reaped by now.
                let stage = wait_status::stage(fd.as_fd()).map_err(Cause::plain)?;
                if stage == wait_status::Stage::Reaped {
                    return Err(unopened(self.pid, Errno::ESRCH));
                }
                ("start", asked, stat.start)
            }
        };
        if asked == found {
            return Ok(fd);
        }
        let words = format!("the pid has been reused by another process ({what} {found})");
        Err(Cause::from_errno(Errno::ESRCH, words))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// Explains why a process could not be opened.
pub fn unopened(pid: i32, errno: Errno) -> Cause {
    match errno {
        Errno::ESRCH => Cause::from_errno(errno, "no such process"),
        Errno::ENOENT if !process::has_procfs() => Cause::from_errno(errno, "/proc is not mounted").exit(Exit::Failed),
        Errno::EINVAL | Errno::ENOENT => {
            let of = procfs::status(pid).map_or(0, |status| status.process);
            let whose = if of > 0 && of != pid { format!(" of process {of}") } else { String::new() };
            Cause::from_errno(errno, format!("{pid} is a thread{whose}, not a process")).exit(Exit::Missing)
        }
        Errno::ENOSYS => Cause::from_errno(errno, "pidfd_open needs Linux 5.3"),
        Errno::EPERM => Cause::forbidden("pidfd_open"),
        errno => Cause::plain(errno),
    }
}

#[cfg(test)]
#[path = "../../tests/units/objects/process.rs"]
mod tests;
