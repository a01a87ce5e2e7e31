//! Processes as users write them: `PID`, `PID:INODE` and `PID@START`.
//!
//! A process id is given to another process some time after its process has ended. What is written after it is compared
//! with the process that a descriptor holds, which stays the same one.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::args::numbers::{digits, pid};
use crate::exit::{Cause, Exit};
use crate::sys::process;
use crate::sys::process::{inode, procfs, wait_status};

/// A process as the user called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    typed: String,
    only: Only,
}

/// Which process of that number is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    /// The one that has it now.
    Any,
    /// The one whose pidfd has this inode.
    Inode(u64),
    /// The one that started so many clock ticks after the system.
    Start(u64),
}

/// Reads a process.
///
/// # Errors
/// Words that say what is wrong.
pub fn parse(text: &str) -> Result<Process, String> {
    let number =
        |text: &str, what: &str| digits(text).ok_or_else(|| format!("{what} is a number, as signal stat prints it"));
    let (before, only) = if let Some((pid, inode)) = text.split_once(':') {
        (pid, Only::Inode(number(inode, "the inode after ':'")?))
    } else if let Some((pid, start)) = text.split_once('@') {
        (pid, Only::Start(number(start, "the start after '@'")?))
    } else {
        (text, Only::Any)
    };
    Ok(Process { pid: pid(before)?, typed: text.to_owned(), only })
}

impl Process {
    /// A descriptor for it, also where it has ended and only waits to be reaped.
    ///
    /// # Errors
    /// There is none, it is a thread, or another process has its number by now: status 3.
    pub fn open(&self) -> Result<OwnedFd, Cause> {
        let fd = process::pidfd(self.pid).map_err(|errno| unopened(self.pid, errno))?;
        let (what, asked, found) = match self.only {
            Only::Any => return Ok(fd),
            Only::Inode(asked) => {
                let found = inode(&fd).map_err(Cause::plain)?;
                let found = found.ok_or_else(|| {
                    Cause::new(Exit::Failed, "this kernel's processes have no inodes; Linux 6.9 has them")
                        .hint("PID@START works on every kernel")
                })?;
                ("inode", asked, found)
            }
            Only::Start(asked) => {
                let told = procfs::stat(self.pid).map_err(|errno| unopened(self.pid, errno))?;
                // What was read is about our process, unless it was reaped meanwhile.
                let stage = wait_status::stage(fd.as_fd()).map_err(Cause::plain)?;
                if stage == wait_status::Stage::Reaped {
                    return Err(unopened(self.pid, Errno::ESRCH));
                }
                ("start", asked, told.start)
            }
        };
        if asked == found {
            return Ok(fd);
        }
        let words = format!("{} is another process by now, whose {what} is {found}", self.pid);
        Err(Cause::from_errno(Errno::ESRCH, words))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// Why there is no descriptor for a process.
pub fn unopened(pid: i32, errno: Errno) -> Cause {
    match errno {
        Errno::ESRCH => Cause::from_errno(errno, format!("there is no process {pid}, or it has ended")),
        Errno::ENOENT if !process::has_procfs() => {
            Cause::from_errno(errno, "/proc, which tells of processes, is not mounted").exit(Exit::Failed)
        }
        Errno::EINVAL | Errno::ENOENT => {
            let of = procfs::status(pid).map_or(0, |status| status.process);
            let whose = if of > 0 && of != pid { format!(" of {of}") } else { String::new() };
            Cause::from_errno(errno, format!("{pid} is a thread{whose}, not a process")).exit(Exit::Missing)
        }
        Errno::ENOSYS => Cause::from_errno(errno, "this kernel has no pidfd_open; Linux 5.3 has"),
        Errno::EPERM => Cause::forbidden("pidfd_open"),
        errno => Cause::plain(errno),
    }
}

#[cfg(test)]
#[path = "../../tests/units/objects/process.rs"]
mod tests;
