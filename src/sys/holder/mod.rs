//! A small process that holds something on behalf of another process.
//!
//! Undo adjustments belong to the process whose semop(2) created them and are not inherited, so the holder itself must
//! take. Until the caller knows about it, it dies with the process that started it.
//!
//! A released holder is recognised by its name, which is visible even while it exits. The process it serves is the one
//! behind its pidfd: see [`seen`].
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

/// A holder that has taken. It dies with this process unless it is [released](Self::release).
#[derive(Debug)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    reports: Reports,
    release: OwnedFd,
}

/// Returns the name of the holders of the semaphore set `id` in `/proc/PID/comm`, which has room for 15 bytes.
pub fn name(id: c_int) -> String {
    format!("hold {id}")
}

/// The name of the holders of files.
pub const OF_FILE: &str = "hold file";

/// Starts a process with the name `called` that calls `take` and then holds what that has taken, until `process` (a
/// pidfd) exits or the holder gets SIGTERM.
///
/// During `take`, `waits` is called repeatedly and returns when to call it again.
///
/// The holder has its own session and `/` as working directory. Standard input, output and error are `/dev/null`; it
/// inherits no other descriptor than `file`.
///
/// # Errors
/// `Run`: those of `take`. `Fork(ESRCH)`: `process` has already exited.
pub fn start(
    process: BorrowedFd,
    called: &str,
    file: Option<BorrowedFd>,
    take: impl FnOnce() -> Result<()>,
    mut waits: impl FnMut() -> Deadline,
) -> std::result::Result<Holder, Unstarted> {
    let (reports, reporter) = reports()?;
    let (release_there, release) = pipe::for_commands()?;
    // SIGTERM must terminate it, and no signal may be blocked.
    let dispositions = [(Signal::TERM, Disposition::Default)];
    let how = Start { dispositions: &dispositions, parent_death: Some(Signal::KILL), ..Start::default() };
    let run = || {
        let Err(why) = hold(process, file, called, (&reporter, &release_there), take);
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

/// Waits for the child's next report. If none comes, the child was killed: `ECHILD`.
fn next_answer(reports: &Reports) -> Answer {
    reports.next()?.map_or(Err(Errno::ECHILD.into()), |(_, answer)| answer)
}

impl Holder {
    /// Lets the holder outlive this process. Returns once it has confirmed.
    ///
    /// # Errors
    /// The holder has exited; `ECHILD` if it was killed.
    pub fn release(self) -> Answer {
        let Self { pid, reports, release } = self;
        let put = reply_pipe::put(&release, b"1");
        drop(release);
        let answer = match put {
            // A report that it sent before it exited gives the reason.
            Ok(1) | Err(Errno::EPIPE) => next_answer(&reports),
            put => Err(put.err().unwrap_or(Errno::EAGAIN).into()),
        };
        if answer.is_err() {
            // A holder that the caller does not know about must not stay.
            let _ = kill(pid, Signal::KILL);
        }
        answer
    }
}

/// The life of the holder, in the child. Returns only if it failed to take.
fn hold(
    process: BorrowedFd,
    file: Option<BorrowedFd>,
    called: &str,
    (reporter, release): (&Reporter, &OwnedFd),
    take: impl FnOnce() -> Result<()>,
) -> std::result::Result<Infallible, Unstarted> {
    chdir("/")?;
    let mut kept = vec![process.as_raw_fd()];
    kept.extend(file.map(|file| file.as_raw_fd()));
    close_all_but(&[&kept[..], &[reporter.as_fd().as_raw_fd(), release.as_raw_fd()]].concat())?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // It is closed with the others below.
    let _ = null.into_raw_fd();
    take().map_err(Unstarted::Run)?;
    reporter.report(0, Ok(()))?;
    // The parent now waits for us, or has exited and needs no report.
    if read(release, &mut [0])? == 1 {
        set_pdeathsig(None)?;
        // Not earlier: ^Z stops a waiting holder with its caller, so that it takes nothing for a stopped process.
        setsid()?;
        // The caller returns after this report. From then on others must be able to recognise this process.
        set_name(&CString::new(called).map_err(|_| Errno::EINVAL)?)?;
        reporter.report(0, Ok(()))?;
        close_all_but(&kept)?;
        ready(&[process], Deadline::Forever)?;
    }
    // SAFETY: exits without the parent's exit handlers. The kernel releases what the process holds.
    unsafe { libc::_exit(0) }
}

/// Closes all descriptors above 2 except `kept`, close_range(2), or one by one on Linux before 5.9.
fn close_all_but(kept: &[c_int]) -> Result<()> {
    let mut first = 3;
    loop {
        let next = kept.iter().map(|fd| fd.cast_unsigned()).filter(|fd| *fd >= first).min();
        let last = next.map_or(u32::MAX, |next| next - 1);
        if first <= last {
            close_between(first, last)?;
        }
        let Some(next) = next else { return Ok(()) };
        first = next + 1;
    }
}

/// Checks that there is close_range(2). No descriptor has this number.
pub(super) fn can_close_range() -> Result<()> {
    close_range(u32::MAX, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: in the child only `kept` are owned by objects.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

fn close_between(first: u32, last: u32) -> Result<()> {
    match close_range(first, last) {
        // The call needs no permission, so EPERM comes from a seccomp filter.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let close = |fd: u32| {
                // SAFETY: as above.
                unsafe { libc::close(fd.cast_signed()) };
            };
            // Few descriptors are open; the limit can be a billion.
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
        answer => answer,
    }
}
