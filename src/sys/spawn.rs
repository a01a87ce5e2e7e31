//! Children: a command beside the box, and what it reads and writes.
//!
//! `std`'s `Command` resets SIGPIPE and the mask; a CMD is to get what the box was given. Its standard input is a file
//! without a name that holds all of it, so that nobody has to feed a pipe.
#![allow(unsafe_code)]

use std::ffi::{CString, OsString, c_int};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout, execve, fork, getpid};

use super::child::{Change, Reports, Unstarted, Usage, changed_and_used, end_with};
use super::process::wait_status::Ended;
use super::signal::Signal;
use super::{exec, fds, file_limit, interrupt};

/// Starts the program at `path` with these arguments and `added` in its environment, reading `input` and writing to
/// `output`, or to the box's own standard output. It gets the signal mask and the dispositions that the box was given, and no
/// descriptor that the box opened. Returns its process id once it has become the program.
///
/// The calling process must have one thread only, as the box has.
pub fn start(
    path: &CString,
    argv: &[OsString],
    added: &[(&str, String)],
    input: &File,
    output: Option<BorrowedFd>,
) -> std::result::Result<i32, Unstarted> {
    let image = exec::Image::new(argv, added)?;
    let reports = Reports::new()?;
    let become_it = |mask| {
        dup2_stdin(input)?;
        output.map(dup2_stdout).transpose()?;
        interrupt::hand_on(mask)?;
        file_limit::hand_on()?;
        execve(path, &image.arguments, &image.environment).map_err(Unstarted::Exec)
    };
    let child = child(|mask| {
        let Err(why) = become_it(mask);
        reports.tell(0, why);
        126
    })?;
    reports.of_one(child.as_raw())
}

/// Starts a copy of this process that writes all of `from` from `at` on to `to`, waiting as long as that takes, and dies with
/// this process.
pub fn postman(from: &File, mut at: u64, to: &OwnedFd) -> Result<i32> {
    let parent = getpid();
    let child = child(|mask| {
        let mut deliver = || {
            interrupt::hand_on(mask)?;
            end_with(parent, Signal::KILL)?;
            fcntl(to, FcntlArg::F_SETFL(OFlag::O_WRONLY))?;
            fds::copy(from, &mut at, to)
        };
        i32::from(deliver().is_err())
    })?;
    Ok(child.as_raw())
}

/// A copy of this process that does `act` and ends. Signals wait in it until `act`, which is given the mask from before, lets them.
fn child(act: impl FnOnce(SigSet) -> c_int) -> Result<Pid> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the process has one thread, so that no lock can be held by another one in the copy.
    let forked = unsafe { fork() };
    if matches!(forked, Ok(ForkResult::Child)) {
        let status = act(before);
        // SAFETY: ends the process without the parent's exit handlers.
        unsafe { libc::_exit(status) }
    }
    before.thread_set_mask()?;
    match forked? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => Err(Errno::ECHILD),
    }
}

/// A child that has ended: its process id, how it ended and what it used. `None` where none has; children that the box did not start
/// can be among them.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn reap() -> Result<Option<(i32, Ended, Usage)>> {
    loop {
        match changed_and_used()? {
            None => return Ok(None),
            Some((pid, Change::Ended(ended), used)) => return Ok(Some((pid, ended, used))),
            Some((_, Change::Stopped(_), _)) => {}
        }
    }
}
