//! A process and its descendants, stopped so that none escapes.
//!
//! A running process can fork between two looks, and a fork in progress completes although SIGSTOP is pending. So each
//! process is stopped when found, and the walk is repeated until all were stopped before it and it finds no new one.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::unistd::getpid;

use super::wait_status::{Stage, after, stage};
use super::{pidfd, procfs};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{self, Signal};

/// A process of a tree.
#[derive(Debug)]
pub struct Member {
    /// Its process id.
    pub pid: i32,
    /// Its pidfd.
    pub fd: OwnedFd,
    stopped: Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    ByUs,
    Before,
    /// It was not, or could not be.
    Not,
}

/// A process and its descendants.
#[derive(Debug)]
pub struct Tree {
    /// Parents before their children.
    pub members: Vec<Member>,
    stops: bool,
}

/// Milliseconds to wait for running processes to stop. They do so as soon as they get a processor.
const LOOKS: u32 = 5000;

/// The factor by which the wait is shorter for sleeping processes. The parent of a vfork stops late, but cannot fork
/// before; a process in a frozen cgroup never stops.
const SLEEPS: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Motion {
    /// All its threads are stopped or have exited, or it may not be stopped.
    None,
    /// The others sleep in the kernel.
    Sleeps,
    Runs,
}

impl Tree {
    /// Walks these processes, each with its pidfd, and all their descendants. Unless `stops` stops them, it can miss a
    /// concurrent fork. If it fails, for example with `EMFILE`, the tree is incomplete.
    pub fn of(roots: impl IntoIterator<Item = (i32, OwnedFd)>, stops: bool) -> (Self, Result<()>) {
        let mut tree = Self { members: Vec::new(), stops };
        let added = roots.into_iter().map(|(pid, fd)| tree.add(pid, fd)).fold(Ok(()), Result::and);
        let walked = added.and_then(|()| tree.walk(None, &[]));
        (tree, walked)
    }

    /// Walks the descendants of the process `above`, which keeps running, except the children `except`. See
    /// [`of`](Self::of). If the tree is incomplete, killing it frees descriptors for the next walk.
    pub fn below(above: i32, except: &[i32], stops: bool) -> (Self, Result<()>) {
        let mut tree = Self { members: Vec::new(), stops };
        let walked = tree.walk(Some(above), except);
        (tree, walked)
    }

    fn walk(&mut self, above: Option<i32>, except: &[i32]) -> Result<()> {
        let mut looks = LOOKS;
        loop {
            let motion = self.members.iter_mut().map(Member::hold).max().unwrap_or(Motion::None);
            let before = self.members.len();
            if let Some(above) = above {
                self.adopt(above, except)?;
            }
            let mut at = 0;
            while let Some(member) = self.members.get(at) {
                let pid = member.pid;
                self.adopt(pid, &[])?;
                at += 1;
            }
            if self.members.len() > before {
                continue;
            }
            looks = looks.saturating_sub(if motion == Motion::Sleeps { SLEEPS } else { 1 });
            if motion == Motion::None || looks == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Adds the new children of `parent`. Children of a hidden process cannot be seen.
    fn adopt(&mut self, parent: i32, except: &[i32]) -> Result<()> {
        for pid in visible(procfs::children(parent))?.unwrap_or_default() {
            if pid == getpid().as_raw()
                || except.contains(&pid)
                || self.members.iter().any(|member| member.pid == pid && !member.is_gone())
            {
                continue;
            }
            let Some(fd) = opened(pid)? else { continue };
            // The pid can have been reused before the pidfd was opened. A hidden child counts as a child.
            let is_child = visible(procfs::stat(pid))?.is_none_or(|stat| stat.parent == parent);
            if is_child && stage(fd.as_fd())? == Stage::Runs {
                self.add(pid, fd)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, pid: i32, fd: OwnedFd) -> Result<()> {
        let stopped = if !self.stops {
            Stopped::Not
        } else if visible(procfs::stat(pid))?.is_some_and(|stat| stat.is_stopped()) {
            Stopped::Before
        } else {
            match signal::send(fd.as_fd(), Signal::STOP) {
                Ok(()) => Stopped::ByUs,
                Err(Errno::EPERM | Errno::ENOSYS) => Stopped::Not,
                Err(Errno::ESRCH) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        };
        self.members.push(Member { pid, fd, stopped });
        Ok(())
    }

    /// Continues the selected processes if the walk stopped them, leaves first.
    pub fn resume(&self, which: impl Fn(&Member) -> bool) {
        let stopped = |member: &&Member| member.stopped == Stopped::ByUs && which(member);
        for member in self.members.iter().rev().filter(stopped) {
            // A process that has exited needs no SIGCONT.
            let _ = signal::send(member.fd.as_fd(), Signal::CONT);
        }
    }

    /// Kills all processes and waits until they have exited. Returns those that may not be killed. If
    /// pidfd_send_signal(2) is missing or denied, only children of this process are killed, because their pids stay
    /// valid until they are reaped.
    pub fn kill(self) -> Result<Vec<i32>> {
        let mut kept = Vec::new();
        let mut dying = Vec::new();
        for member in self.members.into_iter().rev() {
            let sent = signal::send(member.fd.as_fd(), Signal::KILL);
            let is_child = || procfs::stat(member.pid).is_ok_and(|stat| stat.parent == getpid().as_raw());
            let sent = match sent {
                Err(Errno::EPERM | Errno::ENOSYS) if is_child() => signal::kill(member.pid, Signal::KILL),
                sent => sent,
            };
            match sent {
                Ok(()) => dying.push(member.fd),
                Err(Errno::EPERM | Errno::ENOSYS) => kept.push(member.pid),
                Err(_) => {}
            }
        }
        while let Some(last) = dying.last() {
            after(&[(last.as_fd(), Stage::Runs)], Deadline::Forever)?;
            dying.pop();
        }
        Ok(kept)
    }
}

/// Returns the pidfd of a process, or `None` if it is gone.
pub fn opened(pid: i32) -> Result<Option<OwnedFd>> {
    match pidfd(pid) {
        // Linux before 6.15 returns EINVAL for a pid that only names a process group any more.
        Err(Errno::ESRCH | Errno::EINVAL) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Returns `None` for a process that is gone, or hidden as another user's can be.
pub fn visible<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EACCES | Errno::EPERM) => Ok(None),
        outcome => outcome.map(Some),
    }
}

impl Member {
    fn is_gone(&self) -> bool {
        stage(self.fd.as_fd()).is_ok_and(|stage| stage == Stage::Reaped)
    }

    /// Stops the process again if another process has continued it, and returns what it does.
    fn hold(&mut self) -> Motion {
        let motion = self.motion();
        if motion == Motion::Runs && signal::send(self.fd.as_fd(), Signal::STOP).is_ok() {
            self.stopped = Stopped::ByUs;
        }
        motion
    }

    fn motion(&self) -> Motion {
        let of_thread = |thread: &i32| match visible(procfs::thread_state(self.pid, *thread)) {
            Ok(None | Some('T' | 't' | 'Z' | 'X')) => Motion::None,
            Ok(Some('R')) => Motion::Runs,
            _ => Motion::Sleeps,
        };
        if self.stopped == Stopped::Not {
            return Motion::None;
        }
        match visible(procfs::threads(self.pid)) {
            Ok(threads) => threads.unwrap_or_default().iter().map(of_thread).max().unwrap_or(Motion::None),
            Err(_) => Motion::Sleeps,
        }
    }
}
