//! A process and all below it, held still so that none escapes.
//!
//! A process that runs can fork between two looks. So each is stopped as it is found, and the tree is walked until a walk finds
//! nobody new and nobody is still on the way to its stop: a fork that had begun before the signal came is seen by the walk after.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::unistd::getpid;

use super::ended::{Stage, after, stage};
use super::{pidfd, told};
use crate::sys::signals::{self, Signal};
use crate::sys::wait::Patience;

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

/// How often a process that has been told to stop is looked at again, a millisecond apart. One that sleeps without
/// interruption, as the parent of a vfork does, stops late, but cannot fork meanwhile.
const LOOKS: u32 = 50;

impl Tree {
    /// The process `pid`, behind the descriptor `fd`, and all below it; stopped, or as far as they hold still by themselves.
    ///
    /// # Errors
    /// They cannot all be seen: `EMFILE`, `ENFILE` where they are more than there can be descriptors. None is left stopped then.
    pub fn of(pid: i32, fd: OwnedFd, stops: bool) -> Result<Self> {
        let mut tree = Self { members: Vec::new(), stops };
        tree.add(pid, fd)?;
        match tree.walk(None, &[]) {
            Ok(()) => Ok(tree),
            Err(errno) => {
                tree.go_on();
                Err(errno)
            }
        }
    }

    /// All below the calling process but these children of it, and without itself; stopped. Where they cannot all be seen it is a
    /// part, with the reason: when that has been killed there are descriptors for the next.
    pub fn below_us(except: &[i32]) -> (Self, Result<()>) {
        let mut tree = Self { members: Vec::new(), stops: true };
        let walked = tree.walk(Some(getpid().as_raw()), except);
        (tree, walked)
    }

    fn walk(&mut self, above: Option<i32>, except: &[i32]) -> Result<()> {
        let mut looks = LOOKS;
        loop {
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
            if looks == 0 || self.members.iter().all(Member::is_still) {
                return Ok(());
            }
            looks -= 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Adds the children of `parent` that are new. Those of one that is hidden are not to be seen.
    fn adopt(&mut self, parent: i32, except: &[i32]) -> Result<()> {
        for pid in visible(told::children(parent))?.unwrap_or_default() {
            if except.contains(&pid)
                || self.members.iter().any(|member| member.pid == pid && !member.is_gone())
            {
                continue;
            }
            let Some(fd) = opened(pid)? else { continue };
            // The number can have passed to another process before the descriptor was there; a child that is hidden runs all the same.
            let is_child = visible(told::stat(pid))?.is_none_or(|stat| stat.parent == parent);
            if is_child && stage(fd.as_fd())? == Stage::Runs {
                self.add(pid, fd)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, pid: i32, fd: OwnedFd) -> Result<()> {
        let stopped = if !self.stops {
            Stopped::Not
        } else if visible(told::stat(pid))?.is_some_and(|stat| stat.is_stopped()) {
            Stopped::Before
        } else {
            match signals::send(fd.as_fd(), Some(Signal::STOP), None, false) {
                Ok(()) => Stopped::ByUs,
                Err(Errno::EPERM) => Stopped::Not,
                Err(Errno::ESRCH) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        };
        self.members.push(Member { pid, fd, stopped });
        Ok(())
    }

    /// Continues those that were stopped for the walk, the leaves first.
    pub fn go_on(&self) {
        for member in self.members.iter().rev().filter(|member| member.stopped == Stopped::ByUs) {
            // One that has ended needs it no longer.
            let _ = signals::send(member.fd.as_fd(), Some(Signal::CONT), None, false);
        }
    }

    /// Kills all of them, and returns when they have ended; gives those that may not be killed.
    pub fn kill(self) -> Result<Vec<i32>> {
        let mut kept = Vec::new();
        let mut dying = Vec::new();
        for member in self.members.into_iter().rev() {
            match signals::send(member.fd.as_fd(), Some(Signal::KILL), None, false) {
                Ok(()) => dying.push(member.fd),
                Err(Errno::EPERM) => kept.push(member.pid),
                Err(_) => {}
            }
        }
        while let Some(last) = dying.last() {
            after(&[(last.as_fd(), Stage::Runs)], Patience::Forever)?;
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
pub fn visible<T>(told: Result<T>) -> Result<Option<T>> {
    match told {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EACCES | Errno::EPERM) => Ok(None),
        told => told.map(Some),
    }
}

impl Member {
    fn is_gone(&self) -> bool {
        stage(self.fd.as_fd()).is_ok_and(|stage| stage == Stage::Reaped)
    }

    /// Whether none of its threads is on the way to its stop.
    fn is_still(&self) -> bool {
        let is_still = |thread: &i32| {
            let state = visible(told::thread_state(self.pid, *thread));
            state.is_ok_and(|state| state.is_none_or(|state| "TtZX".contains(state)))
        };
        self.stopped == Stopped::Not
            || visible(told::threads(self.pid))
                .is_ok_and(|threads| threads.unwrap_or_default().iter().all(is_still))
    }
}
