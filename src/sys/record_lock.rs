//! Record locks, fcntl(2): on a range of bytes of a file, and blind to namespaces.
//!
//! A lock of an open file ([`lock`]) belongs to its open file description, so the children that share it have the lock
//! too. A lock of a process ([`lock_for_process`]) is not inherited, is kept over exec, and is lost when that process
//! closes any descriptor of the file. The kernel releases both when the last owner exits, and both exclude each other.

use std::os::fd::AsFd;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::deadline::Deadline;
use super::interrupt::retry;
use super::process::Blocked;
use super::wait::interruptible;

/// How a range is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Beside others that share it.
    Shared,
    /// Alone. The file must be open for writing.
    Exclusive,
}

/// A range of bytes, which need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// The offset of the first one.
    pub first: i64,
    /// How many; 0 means up to the highest offset.
    pub len: i64,
}

/// A lock that another process or open file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// How it has locked.
    pub mode: Mode,
    /// The process. `None`: it is in a pid namespace that the caller cannot see, or the lock is that of an open file.
    pub pid: Option<i32>,
}

fn request(bytes: Bytes, kind: libc::c_int) -> libc::flock {
    let whence = libc::SEEK_SET as libc::c_short;
    libc::flock { l_type: kind as libc::c_short, l_whence: whence, l_start: bytes.first, l_len: bytes.len, l_pid: 0 }
}

impl Mode {
    const fn kind(self) -> libc::c_int {
        match self {
            Self::Shared => libc::F_RDLCK,
            Self::Exclusive => libc::F_WRLCK,
        }
    }
}

/// Locks a range for an open file, or changes the mode of its lock.
///
/// # Errors
/// `EAGAIN`: still locked at the deadline. `ENOLCK`, `EOPNOTSUPP`: the file system has no such locks. `EINTR`: a
/// [caught](super::interrupt) signal came.
pub fn lock(file: impl AsFd, bytes: Bytes, mode: Mode, deadline: Deadline) -> Result<()> {
    let request = request(bytes, mode.kind());
    let attempt = || {
        let how = match deadline {
            Deadline::Now => FcntlArg::F_OFD_SETLK(&request),
            Deadline::At(_) | Deadline::Forever => FcntlArg::F_OFD_SETLKW(&request),
        };
        fcntl(&file, how).map(drop)
    };
    interruptible(deadline, attempt)?.ok_or(Errno::EINTR)
}

/// Releases what an open file has locked of a range.
pub fn unlock(file: impl AsFd, bytes: Bytes) -> Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&request(bytes, libc::F_UNLCK))).map(drop)
}

/// Locks the first range for an open file, once the second one is free too. Callers queue at the first one alone.
///
/// # Errors
/// As for [`lock`]; neither is locked then.
pub fn lock_pair(file: impl AsFd, [first, second]: [Bytes; 2], mode: Mode, deadline: Deadline) -> Result<()> {
    lock(&file, first, mode, deadline)?;
    let is_free = match deadline {
        _ if conflict(&file, second, mode)?.is_none() => return Ok(()),
        Deadline::Now => Err(Errno::EAGAIN),
        Deadline::At(_) | Deadline::Forever => lock(&file, second, mode, deadline),
    };
    unlock(&file, if is_free.is_ok() { second } else { first })?;
    is_free
}

/// Locks a range for this process, waiting if necessary.
pub fn lock_for_process(file: impl AsFd, bytes: Bytes, mode: Mode) -> Result<()> {
    let request = request(bytes, mode.kind());
    retry(|| fcntl(&file, FcntlArg::F_SETLKW(&request)).map(drop))
}

/// Returns a lock that keeps this open file from locking the range in this mode.
pub fn conflict(file: impl AsFd, bytes: Bytes, mode: Mode) -> Result<Option<Conflict>> {
    let mut asked = request(bytes, mode.kind());
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
    let mode = match libc::c_int::from(asked.l_type) {
        libc::F_UNLCK => return Ok(None),
        libc::F_RDLCK => Mode::Shared,
        _ => Mode::Exclusive,
    };
    // -1 for an open file, 0 for a process out of sight.
    Ok(Some(Conflict { mode, pid: Some(asked.l_pid).filter(|pid| *pid > 0) }))
}

/// A line of `/proc/locks` about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whether it is a request that waits.
    pub waits: bool,
    /// How it is or would be locked.
    pub mode: Mode,
    /// The process, if the lock is not that of an open file.
    pub pid: Option<i32>,
    /// The offset of the first byte.
    pub first: i64,
}

/// How often `/proc/locks` is read. The kernel returns a long table in parts, and can leave out a line if others come and
/// go in between.
const READS: usize = 5;

/// Returns the lines of `/proc/locks` about a file. Those of processes in pid namespaces out of sight are missing, but
/// not those of open files. `None`: it cannot be read.
///
/// Its device and inode numbers are those of the file system below, which stat(2) need not show. So this looks for a
/// lock that it has just taken, on a byte that no other process is likely to lock at this moment.
pub fn listed(file: impl AsFd) -> Option<Vec<Listed>> {
    let time = std::time::UNIX_EPOCH.elapsed().ok()?.subsec_nanos();
    let first = (1 << 40) + (i64::from(std::process::id()) << 32) + i64::from(time);
    let mark = Bytes { first, len: 1 };
    lock(&file, mark, Mode::Shared, Deadline::Now).ok()?;
    let found = (0..READS).find_map(|_| about(first));
    unlock(&file, mark).ok()?;
    found
}

/// Returns the lines about the file that has the lock at `first`, without that one.
fn about(first: i64) -> Option<Vec<Listed>> {
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    let lines: Vec<(&str, Listed)> = table.lines().filter_map(listed_in).collect();
    let (ours, _) = lines.iter().find(|(_, line)| line.first == first)?;
    Some(lines.iter().filter(|(of, line)| of == ours && line.first != first).map(|(_, line)| *line).collect())
}

/// Reads a line: `12: -> OFDLCK ADVISORY WRITE -1 08:01:77 4 5`. Returns the file and the rest.
fn listed_in(line: &str) -> Option<(&str, Listed)> {
    let mut words = line.split_ascii_whitespace().skip(1).peekable();
    let waits = words.next_if_eq(&"->").is_some();
    let ["POSIX" | "OFDLCK", _, mode, pid, file, first] = [(); 6].map(|()| words.next().unwrap_or_default()) else {
        return None;
    };
    let mode = if mode == "READ" { Mode::Shared } else { Mode::Exclusive };
    let pid = pid.parse().ok().filter(|pid| *pid > 0);
    Some((file, Listed { waits, mode, pid, first: first.parse().ok()? }))
}

impl Blocked {
    /// Returns how this thread waits for a lock of an open file, if `inode` is that file's.
    pub fn awaited_lock(&self, device: u64, inode: u64) -> Option<Mode> {
        if self.call != libc::SYS_fcntl || self.args[1] != libc::F_OFD_SETLKW as u64 {
            return None;
        }
        let file = nix::sys::stat::stat(format!("/proc/{}/fd/{}", self.pid, self.args[0]).as_str()).ok()?;
        if (file.st_dev, file.st_ino) != (device, inode) {
            return None;
        }
        let kind = self.read(self.args[2] as usize, size_of::<libc::c_short>()).ok()?;
        Some(if kind.iter().all(|byte| *byte == libc::F_RDLCK as u8) { Mode::Shared } else { Mode::Exclusive })
    }
}

#[cfg(test)]
#[path = "../../tests/units/sys/record_lock.rs"]
mod tests;
