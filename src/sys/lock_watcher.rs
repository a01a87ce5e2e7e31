//! A child that waits for any of several record locks, which no system call can.
//!
//! The child shares the open file of its parent, so what it locks is locked for the parent too, in the order in which
//! callers came. One thread blocks on each range, and the end of the child takes back the requests that still wait.
//!
//! A stopped process must not keep what it waits for. The signals of a terminal do not reach the child, which runs in a
//! process group of its own: if its parent is stopped when a lock is granted, it releases everything.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, current, park, park_timeout};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::sys::prctl::set_name;
use nix::unistd::getppid;

use super::child::{self, Group};
use super::deadline::Deadline;
use super::process::procfs;
use super::record_lock::{Bytes, Mode, lock, lock_pair, unlock};
use super::signal::{Signal, kill};
use super::wait::ready;
use super::{errno, fds, pipe};

/// How often the child checks whether its parent is stopped, from the first grant on until the parent ends it.
const CHECK: Duration = Duration::from_millis(50);
/// How often it tries a range for which no thread could be created, and checks that it must still lock exclusively.
const RETRY: Duration = Duration::from_secs(1);
/// A thread makes one system call.
const STACK: usize = 64 << 10;

/// Its name in `/proc/PID/comm`.
pub const NAME: &str = "ipcbox-wait";

/// What to wait for.
pub struct Watched<'a> {
    /// A range to lock before all others, one caller at a time.
    pub first: Option<Bytes>,
    /// The ranges to lock, each once the second of the pair is free.
    pub any: Vec<[Bytes; 2]>,
    /// If given, whether to lock them exclusively instead of sharing them, while the child has this number of requests.
    /// As long as it is so, it is asked again now and then.
    pub alone_if: Option<&'a dyn Fn(usize) -> Result<bool>>,
    /// How many of them are needed.
    pub count: usize,
}

/// The child. What it has locked stays locked when it [ends](Self::end).
#[derive(Debug)]
pub struct Watcher {
    pid: i32,
    granted: OwnedFd,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Everything is locked.
    Granted,
    /// The child has exited.
    Ended,
    /// The time is over.
    Late,
}

/// How many ranges the child has locked.
static LOCKED: AtomicUsize = AtomicUsize::new(0);
/// Whether its parent was found stopped.
static WITHDRAWN: AtomicBool = AtomicBool::new(false);

impl Watcher {
    /// Starts the child.
    pub fn start(file: &OwnedFd, watched: &Watched<'_>) -> Result<Self> {
        let (granted, grant) = pipe::for_commands()?;
        let pid = child::start_helper(Group::New, || watch(file, watched, &grant))?;
        Ok(Self { pid, granted })
    }

    /// Waits until everything is locked. Calls `waits` repeatedly, which returns when to call it again.
    pub fn wait(&self, deadline: Deadline, mut waits: impl FnMut() -> Deadline) -> Result<Woken> {
        loop {
            if ready(&[self.granted.as_fd()], waits().earlier(deadline))?.is_some() {
                return Ok(if fds::read(&self.granted, &mut [0])? == 1 { Woken::Granted } else { Woken::Ended });
            }
            if deadline.is_over() {
                return Ok(Woken::Late);
            }
        }
    }

    /// Ends the child. Returns whether everything that it has locked is still locked, because it has not found its parent
    /// stopped.
    pub fn end(self) -> bool {
        let _ = kill(self.pid, Signal::KILL);
        let _ = child::reap(self.pid);
        fds::read(&self.granted, &mut [0]) == Ok(0)
    }
}

/// The life of the child, until its parent ends it.
fn watch(file: &OwnedFd, watched: &Watched<'_>, grant: &OwnedFd) -> Result<()> {
    let parent = getppid().as_raw();
    set_name(&CString::new(NAME).map_err(|_| Errno::EINVAL)?)?;
    let file = Arc::new(file.try_clone().map_err(errno)?);
    if let Some(first) = watched.first {
        lock(&file, first, Mode::Exclusive, Deadline::Forever)?;
    }
    let mut mode = match watched.alone_if {
        Some(is_alone) if !is_alone(0)? => Mode::Shared,
        _ => Mode::Exclusive,
    };
    let mut unwatched = Vec::new();
    for bytes in watched.any.iter().copied() {
        let (file, bytes, enough, waiter) = (Arc::clone(&file), bytes, watched.count, current());
        let wait = move || {
            let outcome = lock_pair(&file, bytes, mode, Deadline::Forever);
            if WITHDRAWN.load(Ordering::SeqCst) {
                let _ = unlock(&file, bytes[0]);
                return;
            }
            // The parent finds out why it failed.
            LOCKED.fetch_add(if outcome.is_ok() { 1 } else { enough }, Ordering::SeqCst);
            waiter.unpark();
        };
        if Builder::new().stack_size(STACK).spawn(wait).is_err() {
            unwatched.push(bytes);
        }
    }
    let requests = watched.any.len() - unwatched.len();
    let mut alone_if = watched.alone_if.filter(|_| mode == Mode::Exclusive);
    let mut is_granted = false;
    loop {
        let locked = LOCKED.load(Ordering::SeqCst);
        if locked >= watched.count && !is_granted {
            fds::write_all(grant, &[0])?;
            is_granted = true;
        }
        if locked > 0 {
            park_timeout(CHECK);
            if procfs::stat(parent).is_ok_and(|parent| parent.is_stopped()) {
                WITHDRAWN.store(true, Ordering::SeqCst);
                fds::write_all(grant, &[0])?;
                unlock(&file, Bytes { first: 0, len: 0 })?;
                // Not the end: a thread that is granted a lock now must release it.
                loop {
                    park();
                }
            }
        } else if unwatched.is_empty() && alone_if.is_none() {
            park();
        } else {
            park_timeout(RETRY);
            if let Some(is_alone) = alone_if
                && LOCKED.load(Ordering::SeqCst) == 0
                && !is_alone(requests)?
            {
                mode = Mode::Shared;
                alone_if = None;
                unwatched.clone_from(&watched.any);
            }
        }
        unwatched.retain(|bytes| {
            let is_locked = !is_granted && lock_pair(&file, *bytes, mode, Deadline::Now).is_ok();
            LOCKED.fetch_add(usize::from(is_locked), Ordering::SeqCst);
            !is_locked
        });
    }
}
