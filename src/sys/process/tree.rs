//! A process and all below it, held still so that none escapes.
//!
//! A running process can fork between two looks, and a fork that has begun completes although SIGSTOP is pending. So
//! each process is stopped as it is found, and the walk is repeated until one that began when all were stopped finds no
//! new process.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::unistd::getpid;

use super::wait_status::{Stage, after, stage};
use super::{pidfd, procfs};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{self, Signal};

/// One of a tree.
#[derive(Debug)]
pub struct Member {
    /// Its process id.
    pub pid: i32,
    /// Its descriptor.
    pub fd: OwnedFd,
    /// What came of stopping it.
    stopped: Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// We did.
    ByUs,
    /// It was stopped before.
    Before,
    /// It was not, or may not be, stopped by us.
    Not,
}

/// A process and all below it.
#[derive(Debug)]
pub struct Tree {
    /// Parents before their children.
    pub members: Vec<Member>,
    /// Whether each is stopped as it is found.
    stops: bool,
}

/// How many milliseconds to wait for processes to stop. One that runs stops as soon as it has a processor.
const LOOKS: u32 = 5000;

/// By how much less long to wait for one that sleeps. The parent of a vfork stops late, but cannot fork before; a
/// process in a frozen cgroup does not stop at all.
const SLEEPS: u32 = 100;

/// What a process does that is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Motion {
    /// All its threads are stopped or have exited, or it may not be stopped.
    None,
    /// The others sleep in the kernel.
    Sleeps,
    /// One runs, or waits for a processor.
    Runs,
}

impl Tree {
    /// These processes, each with its descriptor, and all below them; stopped, or as far as they hold still by
    /// themselves. If not all can be seen it is a part, with the reason: `EMFILE`, `ENFILE` if they are more than there
    /// can be descriptors.
    pub fn of(roots: impl IntoIterator<Item = (i32, OwnedFd)>, stops: bool) -> (Self, Result<()>) {
        let mut tree = Self { members: Vec::new(), stops };
        let added = roots.into_iter().map(|(pid, fd)| tree.add(pid, fd)).fold(Ok(()), Result::and);
        let walked = added.and_then(|()| tree.walk(None, &[]));
        (tree, walked)
    }

    /// All below the process `above`, which runs on, but these children of it; stopped as by [`of`](Self::of). If not
    /// all can be seen it is a part: when that has been killed there are descriptors for the next.
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

    /// Adds the children of `parent` that are new. Those of one that is hidden are not to be seen.
    fn adopt(&mut self, parent: i32, except: &[i32]) -> Result<()> {
        for pid in visible(procfs::children(parent))?.unwrap_or_default() {
            if pid == getpid().as_raw()
                || except.contains(&pid)
                || self.members.iter().any(|member| member.pid == pid && !member.is_gone())
            {
                continue;
            }
            let Some(fd) = opened(pid)? else { continue };
            // The number can have passed to another process before the descriptor was there; a child that is hidden
            // runs all the same.
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

    /// Continues those of these that were stopped for the walk, the leaves first.
    pub fn resume(&self, which: impl Fn(&Member) -> bool) {
        let stopped = |member: &&Member| member.stopped == Stopped::ByUs && which(member);
        for member in self.members.iter().rev().filter(stopped) {
            // One that has ended needs it no longer.
            let _ = signal::send(member.fd.as_fd(), Signal::CONT);
        }
    }

    /// Kills all of them, and returns when they have ended; gives those that may not be killed. Where
    /// pidfd_send_signal(2) is missing or forbidden these are all but the children of the calling process, which keep
    /// their number until it reaps them.
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

/// A process's descriptor, unless it is gone.
pub fn opened(pid: i32) -> Result<Option<OwnedFd>> {
    match pidfd(pid) {
        // Before Linux 6.15 EINVAL of one whose number is still that of a group.
        Err(Errno::ESRCH | Errno::EINVAL) => Ok(None),
        opened => opened.map(Some),
    }
}

/// What was told of a process, unless it is gone, or hidden as other users' can be.
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

    /// Looks at what it does, and stops it again if another process has continued it.
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
