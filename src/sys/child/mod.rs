//! Starting and reaping children.
//!
//! `Command` of `std` resets SIGPIPE and the signal mask; CMD must inherit what ipcbox inherited.
#![allow(unsafe_code)]

mod launch;
mod reaper;
mod reports;

use std::ffi::{CStr, OsString, c_int};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::{
    self, ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getppid, setpgid, setsid, write,
};

pub use self::launch::{Failure, Failures, Launch};
pub use self::reaper::{Change, Changed, Usage, await_change, change_of, changed, reap, waiting};
pub use self::reports::{Answer, Reporter, Reports, Unstarted, reports};
use super::signal::{Disposition, Set, Signal, block, kill, on_parents_death, set_disposition, set_mask};
use super::{exec, fds, file_limit, interrupt, pipe, terminal, transfer};

/// The settings of a new child.
#[derive(Debug, Default)]
pub struct Start<'a> {
    /// Its signal mask.
    pub mask: Set,
    /// The dispositions to set. All others are those of ipcbox.
    pub dispositions: &'a [(Signal, Disposition)],
    /// The signal it gets when ipcbox exits.
    pub parent_death: Option<Signal>,
    /// The terminal on which to put it in the foreground.
    pub terminal: Option<BorrowedFd<'a>>,
}

/// The process group of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A new group, with the child as leader.
    New,
    /// The group of an earlier child that has not been reaped.
    Of(i32),
    /// The group of ipcbox.
    Same,
    /// A new session, with the child as leader: it has no controlling terminal.
    Session,
}

/// Replacements for the child's standard descriptors. `None` inherits that of ipcbox.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard<'a> {
    /// Standard input.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output.
    pub output: Option<BorrowedFd<'a>>,
    /// Standard error.
    pub error: Option<BorrowedFd<'a>>,
}

/// Starts a child in a process group of its own that calls `run`. Returns its pid once `run` has succeeded.
///
/// Every signal must be blocked.
///
/// # Errors
/// The child could not be started, or `run` failed. In either case it has been reaped.
pub fn start(how: &Start, run: impl FnOnce() -> Unstarted) -> std::result::Result<i32, Unstarted> {
    let (reports, reporter) = reports()?;
    let child = begin(how, Group::New, Standard::default(), (&reporter, 0), run)?;
    drop(reporter);
    reports.of_one(child)
}

/// Like [`start`], but the child calls `run` only after `is_ready`, called once the child exists, has returned true.
///
/// # Errors
/// `ECANCELED`: `is_ready` returned false, and the child has been killed.
pub fn start_when(
    how: &Start,
    is_ready: impl FnOnce() -> bool,
    run: impl FnOnce() -> Unstarted,
) -> std::result::Result<i32, Unstarted> {
    let (gate, key) = pipe::for_commands()?;
    let (reports, reporter) = reports()?;
    let wait = || fds::read(&gate, &mut [0]).map_or_else(Unstarted::Fork, |_| run());
    let child = begin(how, Group::New, Standard::default(), (&reporter, 0), wait)?;
    drop(reporter);
    if !is_ready() {
        let _ = kill(child, Signal::KILL);
        let _ = reap(child);
        return Err(Errno::ECANCELED.into());
    }
    write(&key, &[0])?;
    reports.of_one(child)
}

/// Starts the program at `path` in this group, with these arguments and descriptors and with `added` in its
/// environment. It gets the inherited signal mask and dispositions. Returns its pid once exec has succeeded.
pub fn start_program(
    path: &CStr,
    argv: &[OsString],
    added: &[(&str, String)],
    standard: Standard,
    group: Group,
) -> std::result::Result<i32, Unstarted> {
    let (reports, reporter) = reports()?;
    let program = exec::Ready::new(path, argv, added)?;
    let run = || Unstarted::Run(program.execute());
    let child =
        with_signals_blocked(|mask| begin(&Start { mask, ..Start::default() }, group, standard, (&reporter, 0), run))?;
    drop(reporter);
    reports.of_one(child)
}

/// Starts a child that copies `from`, starting at `at`, to `to`, waiting for room. It is killed when ipcbox exits.
pub fn start_copier(from: &File, mut at: u64, to: &OwnedFd) -> Result<i32> {
    start_helper(Group::Same, || {
        fcntl(to, FcntlArg::F_SETFL(OFlag::O_WRONLY))?;
        transfer::copy(from, &mut at, to, u64::MAX).map(drop)
    })
}

/// Starts a child in this group that calls `run` and exits. It is killed when ipcbox exits.
pub fn start_helper(group: Group, run: impl FnOnce() -> Result<()>) -> Result<i32> {
    let parent = getpid();
    with_signals_blocked(|_| {
        // Signals for the group, such as ^C or a hangup, must not stop it.
        let how = Start { mask: Set::ALL, parent_death: Some(Signal::KILL), ..Start::default() };
        fork(|| {
            let ready = prepare(&how, group, Standard::default(), parent);
            i32::from(ready.and_then(|()| run()).is_err())
        })
    })
}

/// Calls `start` with the previous mask while every signal is blocked: no handler of ipcbox may run in the child.
fn with_signals_blocked(start: impl FnOnce(Set) -> Result<i32>) -> Result<i32> {
    let mask = block(Set::ALL)?;
    let started = start(mask);
    set_mask(mask)?;
    started
}

/// Starts a child with this group and descriptors that calls `run`. Does not wait for its report, sent under `number`.
///
/// Signals that have a handler must be blocked.
pub fn begin(
    how: &Start,
    group: Group,
    standard: Standard,
    (reporter, number): (&Reporter, u32),
    run: impl FnOnce() -> Unstarted,
) -> Result<i32> {
    let parent = getpid();
    let child = fork(|| {
        let why = prepare(how, group, standard, parent).map_or_else(Unstarted::Fork, |()| run());
        // The parent may be gone. The exit status shows the failure too.
        let _ = reporter.report(number, Err(why));
        126
    })?;
    // Both parent and child do this, because the next child may join the group before this one has run.
    let _ = join(Pid::from_raw(child), group);
    Ok(child)
}

fn fork(run: impl FnOnce() -> c_int) -> Result<i32> {
    // SAFETY: the only other thread (see `lasting`) holds no lock that a child uses. The C library's fork(3) keeps its
    // own locks consistent.
    match unsafe { unistd::fork() }? {
        ForkResult::Child => {
            let status = run();
            // SAFETY: exits without the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => Ok(child.as_raw()),
    }
}

fn join(child: Pid, group: Group) -> Result<()> {
    match group {
        Group::New => setpgid(child, Pid::from_raw(0)),
        Group::Of(leader) => setpgid(child, Pid::from_raw(leader)),
        Group::Session if child.as_raw() == 0 => setsid().map(drop),
        Group::Same | Group::Session => Ok(()),
    }
}

fn prepare(how: &Start, group: Group, standard: Standard, parent: Pid) -> Result<()> {
    join(Pid::from_raw(0), group)?;
    if let Some(terminal) = how.terminal {
        terminal::give(terminal, getpid().as_raw())?;
    }
    if let Some(signal) = how.parent_death {
        end_with(parent, signal)?;
    }
    standard.input.map(dup2_stdin).transpose()?;
    standard.output.map(dup2_stdout).transpose()?;
    standard.error.map(dup2_stderr).transpose()?;
    file_limit::hand_on()?;
    let was_blocked = interrupt::hand_on()?;
    for (signal, disposition) in how.dispositions {
        set_disposition(*signal, *disposition)?;
    }
    set_mask(how.mask | was_blocked).map(drop)
}

/// Requests a signal for this process when its parent exits.
///
/// # Errors
/// `ECHILD`: the parent has already exited.
fn end_with(parent: Pid, signal: Signal) -> Result<()> {
    on_parents_death(signal)?;
    // The pid of a parent outside the pid namespace reads as 0.
    if [parent.as_raw(), 0].contains(&getppid().as_raw()) { Ok(()) } else { Err(Errno::ECHILD) }
}

/// Makes this process adopt its descendants when their parents exit, prctl(2).
pub fn adopt_orphans() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}
