//! A small process that holds something for another one.
//!
//! Undo adjustments belong to the process that made them and do not pass to a child, so the holder takes by
//! itself. Until the caller knows of it, it lives and dies with the process that started it.
//!
//! Others know a holder whose caller returns by its name, which the kernel shows even while it exits, and by the pidfd of
//! the process that it serves: see [`seen`].
#![allow(unsafe_code)]

pub mod seen;

use std::convert::Infallible;
use std::ffi::{CString, c_int};
use std::fs::{self, DirEntry};
use std::io::Result as IoResult;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::stat::Mode;
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, pipe2, read, setsid, write,
};

use super::child::end_with;
use super::wait::{Patience, ready};
use super::{fds, reply_pipe, signal};

/// A holder that has taken what it is to hold, and ends with this process unless it is [released](Self::release).
#[derive(Debug)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    report: OwnedFd,
    release: OwnedFd,
}

/// Why there is no holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheld {
    /// It could not be started, or it was killed.
    NotStarted(Errno),
    /// What it was to take could not be taken.
    NotTaken(Errno),
    /// The process that it was to hold for ended before.
    Ended,
}

impl From<Errno> for Unheld {
    fn from(errno: Errno) -> Self {
        Self::NotStarted(errno)
    }
}

/// The name of the holders of the semaphore set `id`, as `/proc/PID/comm` shows it: at most the 15 bytes that a name has.
fn name(id: c_int) -> String {
    format!("hold {id}")
}

/// Starts a process that calls `take`, and then holds something of the semaphore set `id` until `process` (a pidfd) ends or it
/// gets SIGTERM.
///
/// While it takes, `waits` is called again and again, and returns until when it need not be.
///
/// It is in a session of its own, in `/`, with `/dev/null` as standard input, output and error and no other
/// descriptor of the caller's. The calling process must have one thread only, as the box has.
pub fn start(
    process: BorrowedFd,
    id: c_int,
    take: impl FnOnce() -> Result<()>,
    mut waits: impl FnMut() -> Patience,
) -> std::result::Result<Holder, Unheld> {
    let (report, report_there) = pipe2(OFlag::O_CLOEXEC)?;
    let (release_there, release) = pipe2(OFlag::O_CLOEXEC)?;
    let parent = getpid();
    // SAFETY: the process has one thread, so that no lock can be held by another one in the copy.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let pipes = (&report_there, &release_there);
            let Err(unheld) = hold(parent, process, &name(id), pipes, take);
            // A failure that could not be reported leaves the pipe at its end, which the parent takes for one.
            let _ = write(&report_there, &unheld.to_bytes());
            // SAFETY: ends the process without the parent's exit handlers.
            unsafe { libc::_exit(1) }
        }
        ForkResult::Parent { child } => {
            drop(report_there);
            let first = loop {
                if let Some(first) = ready(&[report.as_fd(), process], waits())? {
                    break first;
                }
            };
            if first != 0 {
                return Err(Unheld::Ended);
            }
            hear(&report)?;
            Ok(Holder { pid: child.as_raw(), report, release })
        }
    }
}

/// What the child tells the parent: whether it is about the taking, and an errno, 0 for none.
const TOLD: usize = 1 + size_of::<c_int>();

impl Unheld {
    fn to_bytes(self) -> [u8; TOLD] {
        let (taking, errno) = match self {
            Self::NotStarted(errno) => (0, errno),
            Self::NotTaken(errno) => (1, errno),
            Self::Ended => (0, Errno::ESRCH),
        };
        let [a, b, c, d] = (errno as c_int).to_ne_bytes();
        [taking, a, b, c, d]
    }

    fn from_bytes([taking, errno @ ..]: [u8; TOLD]) -> Option<Self> {
        let errno = c_int::from_ne_bytes(errno);
        let unheld = if taking == 1 { Self::NotTaken } else { Self::NotStarted };
        (errno != 0).then(|| unheld(Errno::from_raw(errno)))
    }
}

/// Waits for what the child tells. Nothing more is `ECHILD`: it was killed.
fn hear(report: &OwnedFd) -> std::result::Result<(), Unheld> {
    let mut told = [0; TOLD];
    let mut at = 0;
    while at < TOLD {
        match fds::read(report, &mut told[at..])? {
            0 => return Err(Errno::ECHILD.into()),
            count => at += count,
        }
    }
    Unheld::from_bytes(told).map_or(Ok(()), Err)
}

impl Holder {
    /// Lets it live on when this process ends. Returns when it has heard of that.
    ///
    /// # Errors
    /// It has ended meanwhile: `ECHILD` where it was killed.
    pub fn release(self) -> std::result::Result<(), Unheld> {
        let Self { pid, report, release } = self;
        let told = reply_pipe::put(&release, b"1");
        drop(release);
        let heard = match told {
            // What it told before it ended says why.
            Ok(1) | Err(Errno::EPIPE) => hear(&report),
            told => Err(told.err().unwrap_or(Errno::EAGAIN).into()),
        };
        if heard.is_err() {
            // It would hold for nobody who knows of it.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        heard
    }
}

/// The life of the holder, in the child. Returns only with what kept it from taking.
fn hold(
    parent: Pid,
    process: BorrowedFd,
    called: &str,
    (report, release): (&OwnedFd, &OwnedFd),
    take: impl FnOnce() -> Result<()>,
) -> std::result::Result<Infallible, Unheld> {
    end_with(parent, signal::Signal::KILL)?;
    chdir("/")?;
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action calls no code of ours.
    unsafe { sigaction(Signal::SIGTERM, &default) }?;
    SigSet::all().thread_unblock()?;
    close_all_but(&[process.as_raw_fd(), report.as_raw_fd(), release.as_raw_fd()])?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // It is closed with the others below.
    let _ = null.into_raw_fd();
    take().map_err(Unheld::NotTaken)?;
    fds::write_all(report, &[0; TOLD])?;
    // From here on the parent waits for us, or has gone, and then there is nobody to report to.
    if read(release, &mut [0])? == 1 {
        set_pdeathsig(None)?;
        // Not earlier: while it waits, ^Z stops it with its caller, so that it takes nothing for a stopped one.
        setsid()?;
        // The caller returns after this report, and then others must be able to see what this process is.
        set_name(&CString::new(called).map_err(|_| Errno::EINVAL)?)?;
        fds::write_all(report, &[0; TOLD])?;
        close_all_but(&[process.as_raw_fd()])?;
        ready(&[process], Patience::Forever)?;
    }
    // SAFETY: ends the process without the parent's exit handlers; the kernel gives back what it holds.
    unsafe { libc::_exit(0) }
}

/// Closes every descriptor from 3 on but these, close_range(2), or one by one where the kernel is older than 5.9.
fn close_all_but(kept: &[c_int]) -> Result<()> {
    let mut first = 3;
    loop {
        let next = kept.iter().map(|fd| fd.cast_unsigned()).filter(|fd| *fd >= first).min();
        let last = next.map_or(u32::MAX, |next| next - 1);
        if first <= last {
            close_range(first, last)?;
        }
        let Some(next) = next else { return Ok(()) };
        first = next + 1;
    }
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the child holds no object that owns a descriptor but those left out.
    match Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }) {
        // It has no permission to ask for: EPERM is a seccomp filter's.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let close = |fd: u32| {
                // SAFETY: as above.
                unsafe { libc::close(fd.cast_signed()) };
            };
            // What is open is few, and what could be a thousand million.
            if let Ok(entries) = fs::read_dir("/proc/self/fd") {
                let number = |entry: IoResult<DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
                let open: Vec<u32> = entries.filter_map(number).collect();
                open.into_iter().filter(|fd| (first..=last).contains(fd)).for_each(close);
                return Ok(());
            }
            let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
            (first..=last.min(u32::try_from(limit.0).unwrap_or(u32::MAX))).for_each(close);
            Ok(())
        }
        answer => answer.map(drop),
    }
}
