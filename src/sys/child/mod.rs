//! Children that the box minds: how they are started, and what becomes of them.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{
    ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, getppid, pipe2, read, setpgid, write,
};

use super::process::wait_status::Ended;
use super::signal::{Disposition, Set, Signal, kill, on_parents_death, set_disposition, set_mask};
use super::{file_limit, terminal};

/// What a child is started with.
#[derive(Debug)]
pub struct Start<'a> {
    /// Its signal mask.
    pub mask: Set,
    /// What it does about some signals; about the others what the box does.
    pub dispositions: &'a [(Signal, Disposition)],
    /// What it gets when the box ends.
    pub parent_death: Option<Signal>,
    /// The terminal whose foreground group it is to be.
    pub terminal: Option<BorrowedFd<'a>>,
}

/// The process group of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// One of its own, which it leads.
    New,
    /// That of an earlier child, which has not been reaped.
    Of(i32),
    /// The box's.
    Same,
}

/// What a child has as standard input, output and error instead of the box's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard<'a> {
    /// Standard input.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output.
    pub output: Option<BorrowedFd<'a>>,
    /// Standard error.
    pub error: Option<BorrowedFd<'a>>,
}

/// Why a child did not become what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstarted {
    /// There could be no process for it, or none that was as it should be.
    Fork(Errno),
    /// The process could not become it.
    Exec(Errno),
}

impl Unstarted {
    /// As it is reported: an errno, negative where there was no such process.
    const fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Fork(errno) => -(errno as c_int),
            Self::Exec(errno) => errno as c_int,
        }
        .to_ne_bytes()
    }

    const fn from_bytes(bytes: [u8; 4]) -> Self {
        match c_int::from_ne_bytes(bytes) {
            errno @ 0.. => Self::Exec(Errno::from_raw(errno)),
            errno => Self::Fork(Errno::from_raw(-errno)),
        }
    }
}

impl From<Errno> for Unstarted {
    fn from(errno: Errno) -> Self {
        Self::Fork(errno)
    }
}

/// Where children tell that they could not become what they should; one for any number of them.
pub struct Reports {
    here: OwnedFd,
    there: OwnedFd,
}

impl Reports {
    /// Nobody has told anything yet.
    pub fn new() -> Result<Self> {
        let (here, there) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { here, there })
    }

    /// What a child tells. A failure that could not be reported leaves the pipe at its end; the status tells too.
    pub fn tell(&self, number: u32, why: Unstarted) {
        let _ = write(&self.there, &[number.to_ne_bytes(), why.to_bytes()].concat());
    }

    /// Waits until the only child, which is number 0, has become what it should, and gives it. One that has not is reaped.
    ///
    /// # Errors
    /// What it told.
    pub fn of_one(self, child: i32) -> std::result::Result<i32, Unstarted> {
        let told = self.gather(|_| Ok(()));
        let Err(why) = told.and_then(|told| told.first().map_or(Ok(()), |(_, why)| Err(*why))) else {
            return Ok(child);
        };
        // Where its report cannot be read it may run.
        let _ = kill(child, Signal::KILL);
        let _ = waitpid(Pid::from_raw(child), None);
        Err(why)
    }

    /// Waits until every child has become what it should, or told which child it is and why not. Before each read, which blocks,
    /// `wait` gets what is read.
    pub fn gather<E: From<Errno>>(
        self,
        mut wait: impl FnMut(BorrowedFd) -> std::result::Result<(), E>,
    ) -> std::result::Result<Vec<(u32, Unstarted)>, E> {
        drop(self.there);
        let mut reports = Vec::new();
        let mut report = [[0; 4]; 2];
        loop {
            wait(self.here.as_fd())?;
            match read(&self.here, report.as_flattened_mut()) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(read) if read < report.as_flattened().len() => return Ok(reports),
                Ok(_) => {
                    let [number, why] = report;
                    reports.push((u32::from_ne_bytes(number), Unstarted::from_bytes(why)));
                }
            }
        }
    }
}

/// Starts a child in a process group of its own, which calls `become_it`. Gives its process id.
///
/// Every signal must be blocked, and the calling process must have one thread only, as the box has.
///
/// # Errors
/// It could not be started, or `become_it` failed; it has been reaped.
pub fn start(how: &Start, become_it: impl FnOnce() -> Errno) -> std::result::Result<i32, Unstarted> {
    let reports = Reports::new()?;
    let child = begin(how, Group::New, Standard::default(), (&reports, 0), become_it)?;
    reports.of_one(child)
}

/// Like [`start`], for a child that is to have its number before `is_ready` is asked whether it shall call `become_it`.
///
/// # Errors
/// `ECANCELED`: `is_ready` said no; the child has been killed.
pub fn start_when(
    how: &Start,
    is_ready: impl FnOnce() -> bool,
    become_it: impl FnOnce() -> Errno,
) -> std::result::Result<i32, Unstarted> {
    let (gate, key) = pipe2(OFlag::O_CLOEXEC)?;
    let reports = Reports::new()?;
    let wait = || match read(&gate, &mut [0]) {
        Ok(_) => Unstarted::Exec(become_it()),
        Err(errno) => Unstarted::Fork(errno),
    };
    let child = fork_child(how, Group::New, Standard::default(), (&reports, 0), wait)?;
    if !is_ready() {
        let _ = kill(child, Signal::KILL);
        let _ = waitpid(Pid::from_raw(child), None);
        return Err(Errno::ECANCELED.into());
    }
    write(&key, &[0])?;
    reports.of_one(child)
}

/// The same for one of several children, in this group and with these descriptors, which is known by a number in the reports. It
/// is not waited for.
///
/// # Errors
/// It could not be started.
pub fn begin(
    how: &Start,
    group: Group,
    standard: Standard,
    (reports, number): (&Reports, u32),
    become_it: impl FnOnce() -> Errno,
) -> Result<i32> {
    fork_child(how, group, standard, (reports, number), || Unstarted::Exec(become_it()))
}

fn fork_child(
    how: &Start,
    group: Group,
    standard: Standard,
    (reports, number): (&Reports, u32),
    become_it: impl FnOnce() -> Unstarted,
) -> Result<i32> {
    let parent = getpid();
    // SAFETY: the process has one thread, so that no lock can be held by another one in the copy.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let ready = prepare(how, group, standard, parent).map_err(Unstarted::Fork);
            let why = ready.map_or_else(|why| why, |()| become_it());
            reports.tell(number, why);
            // SAFETY: ends the process without the parent's exit handlers.
            unsafe { libc::_exit(126) }
        }
        ForkResult::Parent { child } => {
            // Whoever comes first: the next child may join the group before this one has run.
            let _ = join(child, group);
            Ok(child.as_raw())
        }
    }
}

fn join(child: Pid, group: Group) -> Result<()> {
    match group {
        Group::New => setpgid(child, Pid::from_raw(0)),
        Group::Of(leader) => setpgid(child, Pid::from_raw(leader)),
        Group::Same => Ok(()),
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
    for (signal, disposition) in how.dispositions {
        set_disposition(*signal, *disposition)?;
    }
    set_mask(how.mask).map(drop)
}

/// Has a signal sent to this process when its parent ends.
///
/// # Errors
/// `ECHILD`: it has ended.
pub fn end_with(parent: Pid, signal: Signal) -> Result<()> {
    on_parents_death(signal)?;
    // A parent outside of the pid namespace is 0.
    if [parent.as_raw(), 0].contains(&getppid().as_raw()) { Ok(()) } else { Err(Errno::ECHILD) }
}

/// Makes this process the parent of all below it whose own parent ends, prctl(2).
pub fn adopt_orphans() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended, and has been reaped.
    Ended(Ended),
    /// It was stopped by this signal.
    Stopped(Signal),
}

/// What a child that has ended has used, with the children that it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time in its own code.
    pub user: Duration,
    /// Time in the kernel.
    pub system: Duration,
    /// The most memory that the largest of them had, in bytes.
    pub max_rss: u64,
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            Duration::new(time.tv_sec.cast_unsigned(), 0) + Duration::from_micros(time.tv_usec.cast_unsigned())
        };
        Self {
            user: time(usage.ru_utime),
            system: time(usage.ru_stime),
            max_rss: usage.ru_maxrss.cast_unsigned() << 10,
        }
    }
}

/// What became of some child: `None` while nothing has.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn changed() -> Result<Option<(i32, Change)>> {
    Ok(changed_and_used()?.map(|(pid, change, _)| (pid, change)))
}

/// The same, and what it has used.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn changed_and_used() -> Result<Option<(i32, Change, Usage)>> {
    change_of(-1)
}

/// A child of which something can be reported, which stays so: one that has ended keeps its number, waitid(2).
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn waiting() -> Result<Option<i32>> {
    // SAFETY: plain integers and a pointer, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: the structure lives through the call, which writes it.
        match Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) }) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            // SAFETY: waitid has filled the field, with 0 where nothing can be reported.
            Ok(_) => return Ok(Some(unsafe { info.si_pid() }).filter(|pid| *pid != 0)),
        }
    }
}

/// What became of this child, or with -1 of some child, wait4(2).
///
/// # Errors
/// `ECHILD`: there is no such child.
pub fn change_of(child: i32) -> Result<Option<(i32, Change, Usage)>> {
    // SAFETY: a rusage is plain integers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = libc::WNOHANG | libc::WUNTRACED;
    loop {
        let mut status = 0;
        // SAFETY: status and usage live through the call, which writes them. (nix's waitpid refuses the real-time signals.)
        let pid = unsafe { libc::wait4(child, &raw mut status, flags, &raw mut usage) };
        match Errno::result(pid) {
            Ok(0) => return Ok(None),
            Ok(pid) => {
                let used = Usage::of(&usage);
                if let Some(ended) = Ended::from_wait(status) {
                    return Ok(Some((pid, Change::Ended(ended), used)));
                }
                if let Some(signal) = Signal::new(libc::WSTOPSIG(status)) {
                    return Ok(Some((pid, Change::Stopped(signal), used)));
                }
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
