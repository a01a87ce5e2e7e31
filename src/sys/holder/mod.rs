//! A small process that holds something for another one.
//!
//! Undo adjustments belong to the process that made them and do not pass to a child, so the holder takes by
//! itself. Until the caller knows of it, it lives and dies with the process that started it.
//!
//! Others know a holder whose caller returns by its name, which the kernel shows even while it exits, and by the pidfd
//! of the process that it serves: see [`seen`].
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
use nix::sys::stat::Mode;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, read, setsid};

use super::child::{Answer, Group, Reporter, Reports, Standard, Start, Unstarted, begin, reports};
use super::deadline::Deadline;
use super::signal::{Disposition, Signal, kill};
use super::wait::ready;
use super::{pipe, reply_pipe};

/// A holder that has taken what it is to hold, and ends with this process unless it is [released](Self::release).
#[derive(Debug)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    reports: Reports,
    release: OwnedFd,
}

/// The name of the holders of the semaphore set `id`, as `/proc/PID/comm` shows it: at most the 15 bytes that a name
/// has.
fn name(id: c_int) -> String {
    format!("hold {id}")
}

/// Starts a process that calls `take`, and then holds something of the semaphore set `id` until `process` (a pidfd)
/// ends or it gets SIGTERM.
///
/// While it takes, `waits` is called again and again, and returns until when it need not be.
///
/// It is in a session of its own, in `/`, with `/dev/null` as standard input, output and error and no other
/// descriptor of the caller's.
///
/// # Errors
/// `Run`: those of `take`. `Fork(ESRCH)`: `process` has ended before.
pub fn start(
    process: BorrowedFd,
    id: c_int,
    take: impl FnOnce() -> Result<()>,
    mut waits: impl FnMut() -> Deadline,
) -> std::result::Result<Holder, Unstarted> {
    let (reports, reporter) = reports()?;
    let (release_there, release) = pipe::for_commands()?;
    // SIGTERM ends it, and it has nothing blocked.
    let dispositions = [(Signal::TERM, Disposition::Default)];
    let how = Start { dispositions: &dispositions, parent_death: Some(Signal::KILL), ..Start::default() };
    let run = || {
        let Err(why) = hold(process, &name(id), (&reporter, &release_there), take);
        why
    };
    let pid = begin(&how, Group::Same, Standard::default(), (&reporter, 0), run)?;
    drop(reporter);
    let first = loop {
        if let Some(first) = ready(&[reports.as_fd(), process], waits())? {
            break first;
        }
    };
    if first != 0 {
        return Err(Errno::ESRCH.into());
    }
    next_answer(&reports)?;
    Ok(Holder { pid, reports, release })
}

/// Waits for what the child reports. Nothing more is `ECHILD`: it was killed.
fn next_answer(reports: &Reports) -> Answer {
    reports.next()?.map_or(Err(Errno::ECHILD.into()), |(_, answer)| answer)
}

impl Holder {
    /// Lets it live on when this process ends. Returns when it has heard of that.
    ///
    /// # Errors
    /// It has ended meanwhile: `ECHILD` where it was killed.
    pub fn release(self) -> Answer {
        let Self { pid, reports, release } = self;
        let put = reply_pipe::put(&release, b"1");
        drop(release);
        let answer = match put {
            // What it told before it ended says why.
            Ok(1) | Err(Errno::EPIPE) => next_answer(&reports),
            put => Err(put.err().unwrap_or(Errno::EAGAIN).into()),
        };
        if answer.is_err() {
            // It would hold for nobody who knows of it.
            let _ = kill(pid, Signal::KILL);
        }
        answer
    }
}

/// The life of the holder, in the child. Returns only with what kept it from taking.
fn hold(
    process: BorrowedFd,
    called: &str,
    (reporter, release): (&Reporter, &OwnedFd),
    take: impl FnOnce() -> Result<()>,
) -> std::result::Result<Infallible, Unstarted> {
    chdir("/")?;
    close_all_but(&[process.as_raw_fd(), reporter.as_fd().as_raw_fd(), release.as_raw_fd()])?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // It is closed with the others below.
    let _ = null.into_raw_fd();
    take().map_err(Unstarted::Run)?;
    reporter.report(0, Ok(()))?;
    // From here on the parent waits for us, or has gone, and then there is nobody to report to.
    if read(release, &mut [0])? == 1 {
        set_pdeathsig(None)?;
        // Not earlier: while it waits, ^Z stops it with its caller, so that it takes nothing for a stopped one.
        setsid()?;
        // The caller returns after this report, and then others must be able to see what this process is.
        set_name(&CString::new(called).map_err(|_| Errno::EINVAL)?)?;
        reporter.report(0, Ok(()))?;
        close_all_but(&[process.as_raw_fd()])?;
        ready(&[process], Deadline::Forever)?;
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
