//! Changes of children: wait4(2) and waitid(2).

use std::ffi::c_int;
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use crate::sys::interrupt::retry;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::Signal;

/// A change of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has exited or was killed, and has been reaped.
    Ended(Ended),
    /// It was stopped by this signal.
    Stopped(Signal),
}

/// The resources used by a child and the children it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The largest resident set of any one of them, in bytes.
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

/// A child's pid, its change, and the resources it used.
pub type Changed = (i32, Change, Usage);

/// Returns a change of any child, `None` if there is none. The child may be one that ipcbox did not start.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn changed() -> Result<Option<Changed>> {
    wait(-1, libc::WNOHANG)
}

/// Like [`changed`], for one child.
///
/// # Errors
/// `ECHILD`: it is not a child.
pub fn change_of(child: i32) -> Result<Option<Changed>> {
    wait(child, libc::WNOHANG)
}

/// Waits for a change of this child.
///
/// # Errors
/// `ECHILD`: it is not a child.
pub fn await_change(child: i32) -> Result<Change> {
    // Without WNOHANG the result is never `None`.
    wait(child, 0)?.map(|(_, change, _)| change).ok_or(Errno::ECHILD)
}

/// Waits until this child has exited, and reaps it.
///
/// # Errors
/// `ECHILD`: it is not a child.
pub fn reap(child: i32) -> Result<()> {
    while !matches!(await_change(child)?, Change::Ended(_)) {}
    Ok(())
}

/// Returns a child that has changed without reaping it, so that its pid stays valid, waitid(2). `None`: none has.
///
/// # Errors
/// `ECHILD`: there is no child.
pub fn waiting() -> Result<Option<i32>> {
    // SAFETY: plain integers and a pointer, for which all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the structure lives through the call, which writes it.
    retry(|| Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) }))?;
    // SAFETY: waitid has set the field, to 0 if no child has changed.
    Ok(Some(unsafe { info.si_pid() }).filter(|pid| *pid != 0))
}

/// Calls wait4(2), because nix's waitpid rejects the real-time signals.
fn wait(child: i32, flags: c_int) -> Result<Option<Changed>> {
    // SAFETY: a rusage is plain integers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        let mut status = 0;
        let (status_at, usage_at, flags) = (&raw mut status, &raw mut usage, flags | libc::WUNTRACED);
        // SAFETY: status and usage live through the call, which writes them.
        let pid = retry(|| Errno::result(unsafe { libc::wait4(child, status_at, flags, usage_at) }))?;
        if pid == 0 {
            return Ok(None);
        }
        let ended = Ended::from_wait(status).map(Change::Ended);
        if let Some(change) = ended.or_else(|| Signal::new(libc::WSTOPSIG(status)).map(Change::Stopped)) {
            return Ok(Some((pid, change, Usage::of(&usage))));
        }
    }
}
