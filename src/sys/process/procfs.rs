//! The contents of `/proc/PID/stat` and `/proc/PID/status`.

use std::fs;

use nix::Result;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};

use super::{knows_our_numbers, numbers};
use crate::sys::errno;
use crate::sys::signal::Set;

/// The fields of `/proc/PID/stat` that ipcbox uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The name of its program, truncated to 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `T`, `t`, `Z`, …, proc_pid_stat(5).
    pub state: char,
    /// The pid of its parent; 0 if that is outside the pid namespace.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    flags: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// The exit status of a zombie as in wait(2); 0 if the caller may not see it.
    pub exit_status: i32,
}

impl Stat {
    /// Returns whether it is a zombie.
    pub const fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Returns whether it is exiting: its memory and descriptors are gone, but it may still hold semaphores.
    pub const fn is_exiting(&self) -> bool {
        /// From `<linux/sched.h>`. A signal sets the second flag, before the first.
        const EXITING_OR_SIGNALED: u32 = 0x0000_0004 | 0x0000_0400;
        self.flags & EXITING_OR_SIGNALED != 0
    }

    /// Returns whether it is stopped, by a signal or by a debugger.
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Returns whether it is a kernel thread.
    pub const fn is_kernels(&self) -> bool {
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.flags & PF_KTHREAD != 0
    }
}

/// Reads `/proc/PID/stat`.
///
/// # Errors
/// `ENOENT` or `ESRCH`: there is no such process, or `/proc` is not mounted.
pub fn stat(pid: i32) -> Result<Stat> {
    parse_stat(&text(&format!("/proc/{pid}/stat"))?).ok_or(Errno::EPROTO)
}

/// Reads the state of a thread, `/proc/PID/task/TID/stat`.
pub fn thread_state(pid: i32, thread: i32) -> Result<char> {
    let line = text(&format!("/proc/{pid}/task/{thread}/stat"))?;
    Ok(parse_stat(&line).ok_or(Errno::EPROTO)?.state)
}

/// The name is in parentheses and can itself contain blanks and parentheses, so fields are counted from the last one.
fn parse_stat(line: &str) -> Option<Stat> {
    let (head, tail) = line.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    // The first of these is field 3 of the manual page.
    let field = |n: usize| fields.get(n - 3).copied();
    Some(Stat {
        name: name.to_owned(),
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        flags: field(9)?.parse().ok()?,
        start: field(22)?.parse().ok()?,
        exit_status: field(52)?.parse().ok()?,
    })
}

/// The fields of `/proc/PID/status` that ipcbox uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// The process of a thread.
    pub process: i32,
    /// The real user id.
    pub uid: u32,
    /// The number of signals queued for that user.
    pub queued: u64,
    /// The limit of that number.
    pub queue_limit: u64,
    /// Signals pending for this thread.
    pub pending: Set,
    /// Signals pending for the process.
    pub shared_pending: Set,
    /// Signals that the thread blocks.
    pub blocked: Set,
    /// Signals that the process ignores.
    pub ignored: Set,
    /// Signals that the process catches.
    pub caught: Set,
}

/// Reads `/proc/PID/status`. The id of a thread is accepted too.
pub fn status(pid: i32) -> Result<Status> {
    Ok(parse_status(&text(&format!("/proc/{pid}/status"))?))
}

/// Reads `/proc/PID/task/TID/status`.
pub fn thread_status(pid: i32, thread: i32) -> Result<Status> {
    Ok(parse_status(&text(&format!("/proc/{pid}/task/{thread}/status"))?))
}

fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let set = || Set(u64::from_str_radix(value, 16).unwrap_or_default());
        match key {
            "Tgid" => status.process = value.parse().unwrap_or_default(),
            "Uid" => {
                let real = value.split_ascii_whitespace().next();
                status.uid = real.and_then(|uid| uid.parse().ok()).unwrap_or_default();
            }
            "SigQ" => {
                let (queued, limit) = value.split_once('/').unwrap_or_default();
                status.queued = queued.parse().unwrap_or_default();
                status.queue_limit = limit.parse().unwrap_or_default();
            }
            "SigPnd" => status.pending = set(),
            "ShdPnd" => status.shared_pending = set(),
            "SigBlk" => status.blocked = set(),
            "SigIgn" => status.ignored = set(),
            "SigCgt" => status.caught = set(),
            _ => {}
        }
    }
    status
}

/// Returns when the system started, in seconds since 1970.
pub fn boot_time() -> Result<i64> {
    let text = text("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|time| time.trim().parse().ok()).ok_or(Errno::EPROTO)
}

/// Returns the clock ticks per second, the unit of [`Stat::start`].
pub fn ticks() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Returns the threads of a process, sorted.
pub fn threads(pid: i32) -> Result<Vec<i32>> {
    numbers(&format!("/proc/{pid}/task")).map_err(errno)
}

/// Returns the children of all threads of a process. Complete only if the process is stopped.
pub fn children(pid: i32) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in threads(pid)? {
        match text(&format!("/proc/{pid}/task/{thread}/children")) {
            Ok(line) => found.extend(line.split_ascii_whitespace().filter_map(|word| word.parse::<i32>().ok())),
            // An exiting thread hands its children to another thread.
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

/// Returns whether `/proc` is that of the caller's pid namespace and lists children.
pub fn knows_us() -> Result<bool> {
    let knows = || {
        let own = fs::read_link("/proc/self").map_err(errno)?;
        text("/proc/thread-self/children").map(|_| own.to_str() == Some(&std::process::id().to_string()))
    };
    match knows() {
        Err(Errno::ENOENT) => Ok(false),
        knows => knows,
    }
}

/// Returns the ancestors of this process, starting with its parent, as far as `/proc` shows them.
pub fn ancestors() -> Vec<i32> {
    /// A limit, since pids that are reused during the walk could form a cycle.
    const DEPTH: usize = 4096;
    let parent = |pid: &i32| stat(*pid).ok().map(|stat| stat.parent);
    let own = std::process::id().cast_signed();
    if !knows_our_numbers() {
        return Vec::new();
    }
    std::iter::successors(parent(&own), parent).take_while(|pid| *pid > 0).take(DEPTH).collect()
}

/// Returns all pids, sorted.
pub fn all() -> Result<Vec<i32>> {
    numbers("/proc").map_err(errno)
}

fn text(path: &str) -> Result<String> {
    let bytes = fs::read(path).map_err(errno)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::fuzz;

    /// A program can choose any name, which appears unescaped in this line.
    #[test]
    fn process_name_moves_no_fields() {
        let numbers = any::<(u64, i32)>();
        fuzz(2000, &("[ -~\n]{0,15}", numbers), |(name, (start, parent))| {
            let middle = "0 0 0 4194304 0 0 0 0 0 0 0 0 20 0 1 0";
            let line = format!("7 ({name}) S {parent} 9 {middle} {start} {} 256", "0 ".repeat(29).trim());
            let stat = parse_stat(&line).unwrap();
            prop_assert_eq!((stat.name, stat.start, stat.parent), (name, start, parent));
            prop_assert_eq!((stat.state, stat.group, stat.exit_status), ('S', 9, 256));
            Ok(())
        });
    }

    #[test]
    fn any_text_is_parsed_or_rejected() {
        fuzz(2000, &"[ -~\n\t]{0,200}", |text| {
            parse_stat(&text);
            parse_status(&text);
            Ok(())
        });
    }

    #[test]
    fn written_status_is_read_back() {
        fuzz(2000, &(any::<(u64, u64)>(), any::<(i32, u32)>()), |((blocked, caught), (pid, uid))| {
            let text = format!(
                "Name:\tTgid:\t1\nTgid:\t{pid}\nUid:\t{uid}\t0\t0\t0\nSigBlk:\t{blocked:016x}\nSigCgt:\t{caught:016x}\n"
            );
            let status = parse_status(&text);
            prop_assert_eq!((status.process, status.uid), (pid, uid));
            prop_assert_eq!((status.blocked, status.caught), (Set(blocked), Set(caught)));
            Ok(())
        });
    }
}

#[cfg(test)]
#[path = "../../../tests/units/sys/process/procfs.rs"]
mod tests;
