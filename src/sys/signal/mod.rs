//! Signals by number, sets of them, what a process does about them, and how they are sent and received.
//!
//! nix's `Signal` ends before the real-time signals, and the C library's functions hide the two that it keeps for
//! itself: masks are read and set by the system calls themselves, so that what the box was given is what it hands on.
#![allow(unsafe_code)]

mod signalfd;

use std::ffi::{c_int, c_long};
use std::ops::{BitAnd, BitOr, Not};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null;
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigEvent, SigevNotify};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::{getpid, gettid, getuid};

pub use self::signalfd::{Arrival, Arrivals, CODES};
use super::deadline::Deadline;
use super::init;

/// A signal, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// The standard signals that every architecture has: a constant for each.
macro_rules! standard {
    ($($name:ident $number:ident,)*) => {
        impl Signal {
            $(
                #[doc = concat!(stringify!($number), ".")]
                pub const $name: Self = Self(libc::$number as u8);
            )*
        }
    };
}

standard! {
    HUP SIGHUP, INT SIGINT, QUIT SIGQUIT, ILL SIGILL, TRAP SIGTRAP, ABRT SIGABRT, BUS SIGBUS, FPE SIGFPE,
    KILL SIGKILL, USR1 SIGUSR1, SEGV SIGSEGV, USR2 SIGUSR2, PIPE SIGPIPE, ALRM SIGALRM, TERM SIGTERM, CHLD SIGCHLD,
    CONT SIGCONT, STOP SIGSTOP, TSTP SIGTSTP, TTIN SIGTTIN, TTOU SIGTTOU, URG SIGURG, XCPU SIGXCPU, XFSZ SIGXFSZ,
    VTALRM SIGVTALRM, PROF SIGPROF, WINCH SIGWINCH, IO SIGIO, PWR SIGPWR, SYS SIGSYS,
}

impl Signal {
    /// SIGSTKFLT.
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    pub const STKFLT: Self = Self(libc::SIGSTKFLT as u8);
    /// The last one.
    pub const MAX: i32 = 64;

    /// The signal of this number, where there is one.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number.cast_unsigned() as u8)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// The first and the last real-time signal that programs may use; those between 31 and the first are the C
    /// library's own.
    pub fn real_time() -> (i32, i32) {
        (libc::SIGRTMIN(), libc::SIGRTMAX())
    }

    /// Whether it asks a process to end: one that is stopped would not hear it.
    pub fn is_termination(self) -> bool {
        [Self::HUP, Self::INT, Self::QUIT, Self::TERM].contains(&self)
    }

    /// Whether its default action stops a process.
    pub fn stops(self) -> bool {
        [Self::STOP, Self::TSTP, Self::TTIN, Self::TTOU].contains(&self)
    }

    /// Whether a process that is stopped has to be continued to hear it.
    pub fn needs_continuing(self) -> bool {
        !self.stops() && self != Self::CONT
    }

    /// Whether a process can do anything about it: all but KILL and STOP.
    pub fn is_catchable(self) -> bool {
        self != Self::KILL && self != Self::STOP
    }
}

/// A set of signals, as the kernel has it: bit N - 1 is signal N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(pub u64);

impl Set {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether it has this one.
    pub const fn has(self, signal: Signal) -> bool {
        self.0 >> (signal.0 - 1) & 1 == 1
    }

    /// This signal alone.
    pub const fn of(signal: Signal) -> Self {
        Self(1 << (signal.0 - 1))
    }

    /// Its signals, in order.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=64).map(Signal).filter(move |signal| self.has(*signal))
    }
}

impl FromIterator<Signal> for Set {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().fold(Self::EMPTY, |set, signal| set | Self::of(signal))
    }
}

impl BitOr for Set {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Set {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Set {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// Replaces the mask of the calling thread, rt_sigprocmask(2), and gives the one it had.
pub fn set_mask(mask: Set) -> Result<Set> {
    change_mask(libc::SIG_SETMASK, mask)
}

/// Adds to the mask of the calling thread, and gives the one it had.
pub fn block(signals: Set) -> Result<Set> {
    change_mask(libc::SIG_BLOCK, signals)
}

/// Takes from the mask of the calling thread, and gives the one it had.
pub fn unblock(signals: Set) -> Result<Set> {
    change_mask(libc::SIG_UNBLOCK, signals)
}

fn change_mask(how: c_int, set: Set) -> Result<Set> {
    let mut old = 0_u64;
    // SAFETY: both sets live through the call, and their size is passed with them.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const set.0, &raw mut old, size_of::<u64>())
    })?;
    Ok(Set(old))
}

/// What a process does about a signal, where it does not catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The default action.
    Default,
    /// Nothing.
    Ignore,
}

/// Sets what the process does about a signal, sigaction(2), and gives what it did; a handler, which the box has none,
/// counts as the default.
pub fn set_disposition(signal: Signal, disposition: Disposition) -> Result<Disposition> {
    let action = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither calls code of ours.
    let old = unsafe { Handling::new(action, 0).set(signal) }?;
    Ok(if old.ignores() { Disposition::Ignore } else { Disposition::Default })
}

/// Whether the process ignores a signal, sigaction(2).
pub fn is_ignored(signal: Signal) -> Result<bool> {
    let mut now = Handling::new(libc::SIG_DFL, 0);
    // SAFETY: it lives through the call, which writes it and changes nothing.
    Errno::result(unsafe { libc::sigaction(signal.number(), null(), &raw mut now.0) })?;
    Ok(now.ignores())
}

/// What a process does about a signal, `struct sigaction`.
#[derive(Clone, Copy)]
pub(super) struct Handling(libc::sigaction);

impl Handling {
    /// The address of a handler, or `SIG_DFL` or `SIG_IGN`, with these flags. Without `SA_RESTART` a call that it
    /// interrupts returns.
    pub fn new(action: libc::sighandler_t, flags: c_int) -> Self {
        // SAFETY: all zeros is a sigaction: no flags, an empty mask, the default action.
        let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
        new.sa_sigaction = action;
        new.sa_flags = flags;
        Self(new)
    }

    /// Whether the signal is ignored.
    pub const fn ignores(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }

    /// Sets it, sigaction(2), and gives what it was.
    ///
    /// # Safety
    /// A handler takes what its flags say, and may run at any time.
    pub unsafe fn set(&self, signal: Signal) -> Result<Self> {
        let mut old = *self;
        // SAFETY: both live through the call; the handler is as the caller says.
        Errno::result(unsafe { libc::sigaction(signal.number(), &raw const self.0, &raw mut old.0) })?;
        Ok(old)
    }

    /// Sets it unless the signal is ignored, and gives what it was. `None`: it stays ignored.
    ///
    /// # Safety
    /// As for [`set`](Self::set).
    pub unsafe fn set_unless_ignored(&self, signal: Signal) -> Result<Option<Self>> {
        // SAFETY: as the caller says.
        let old = unsafe { self.set(signal) }?;
        if old.ignores() {
            // SAFETY: restores what was there.
            unsafe { old.set(signal) }?;
            return Ok(None);
        }
        Ok(Some(old))
    }
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The process.
    Process,
    /// The process group that it leads.
    Group,
}

/// Sends a signal to a process, pidfd_send_signal(2); none only tests whether one could be sent.
///
/// # Errors
/// Those of [`send_to`].
pub fn send(process: BorrowedFd, signal: impl Into<Option<Signal>>) -> Result<()> {
    send_to(process, To::Process, signal.into(), None)
}

/// The same, with a value that goes along as with sigqueue(3).
///
/// # Errors
/// `ESRCH`: it was reaped, or leads no group. `EPERM`: it is somebody else's. `EAGAIN`: its user has as many signals pending
/// as it may. `EINVAL`: the kernel is older than 6.9 and knows no groups here. `ENOSYS`: it is older than 5.1.
pub fn send_to(process: BorrowedFd, to: To, signal: Option<Signal>, value: Option<i32>) -> Result<()> {
    /// Of `<linux/pidfd.h>`.
    const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;
    let number = signal.map_or(0, Signal::number);
    let info = value.map(|value| queued(number, value));
    let info = info.as_ref().map_or(null(), |info| &raw const *info);
    let flags = if to == To::Group { PIDFD_SIGNAL_PROCESS_GROUP } else { 0 };
    // SAFETY: the siginfo, where there is one, lives through the call; the rest are plain integers.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), number, info, flags) };
    Errno::result(sent).map(drop)
}

/// A siginfo as sigqueue(3) makes it.
fn queued(number: i32, value: i32) -> [c_int; 32] {
    let mut words = [0; 32];
    words[0] = number;
    words[2] = libc::SI_QUEUE;
    // The union that follows is aligned as its pointers are: pid, uid and the value's lower half.
    let at = if size_of::<c_long>() == 8 { 4 } else { 3 };
    words[at] = getpid().as_raw();
    words[at + 1] = getuid().as_raw().cast_signed();
    words[at + 2] = value;
    words
}

/// Sends a signal to a process, to ipcbox's own group (0), or, where `pid` is negative, to a group, kill(2); none only
/// tests whether one could be sent.
pub fn kill(pid: i32, signal: impl Into<Option<Signal>>) -> Result<()> {
    let number = signal.into().map_or(0, Signal::number);
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::kill(pid, number) }).map(drop)
}

/// Queues a signal with a value, rt_sigqueueinfo(2).
///
/// # Errors
/// `EAGAIN`: its user has as many signals pending as it may.
pub(super) fn queue(pid: i32, signal: Signal, value: i32) -> Result<()> {
    let info = queued(signal.number(), value);
    // SAFETY: the siginfo lives through the call; the rest are plain integers.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal.number(), &raw const info) };
    Errno::result(sent).map(drop)
}

/// Whether this process may signal another one that is there, kill(2).
pub fn is_permitted(pid: i32) -> bool {
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::kill(pid, 0) }) != Err(Errno::EPERM)
}

/// Ends the process as this signal does, without a core file, after one that had it. Returns for a signal that ends no
/// process.
pub fn die(signal: Signal) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, most)?;
    match set_disposition(signal, Disposition::Default) {
        // KILL, STOP, and the two that the C library keeps for itself: nobody can have changed them.
        Ok(_) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    act(signal)?;
    init::exit_by(signal.number());
    Ok(())
}

/// Has a blocked signal do to this process what it would have done if it were not blocked.
pub fn act(signal: Signal) -> Result<()> {
    let (process, thread) = (getpid().as_raw(), gettid().as_raw());
    // Not kill(2), which a seccomp filter may forbid for the sake of other processes.
    // SAFETY: the call takes three plain integers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal.number()) })?;
    let_in(signal)
}

/// Stops the process as this signal does by default, until it is continued, at the latest when the time is over: then
/// by a CONT of a [timer's](Arrival::is_timers). Returns at once where nobody would continue it: the kernel drops the
/// signal then.
pub fn stop(signal: Signal, deadline: Deadline) -> Result<()> {
    let before = set_disposition(signal, Disposition::Default)?;
    kill(getpid().as_raw(), signal)?;
    // Set only now: the stop takes away a CONT that came before it, and a CONT the stop that is still to act.
    let timer = deadline.left().map(continue_after).transpose();
    let_in(signal)?;
    // Where there can be no timer it is stopped without.
    drop(timer);
    set_disposition(signal, before).map(drop)
}

fn continue_after(time: Duration) -> Result<Timer> {
    let notify = SigevNotify::SigevSignal { signal: nix::sys::signal::SIGCONT, si_value: 0 };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
    // A time of zero would switch it off.
    let time = time.max(Duration::from_millis(1)).into();
    timer.set(Expiration::OneShot(time), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// Lets a signal that is pending act, and blocks it again.
pub fn let_in(signal: Signal) -> Result<()> {
    let mask = block(Set::EMPTY)?;
    set_mask(mask & !Set::of(signal))?;
    set_mask(mask).map(drop)
}

/// Has a signal sent to this process when its parent ends, prctl(2). A set-uid program loses it.
pub fn on_parents_death(signal: Signal) -> Result<()> {
    // SAFETY: the call takes plain integers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, c_long::from(signal.number())) }).map(drop)
}

/// Whether this signal waits to be taken, rt_sigpending(2).
pub fn is_pending(signal: Signal) -> Result<bool> {
    let mut set = 0_u64;
    // SAFETY: the set lives through the call, and its size is passed with it.
    Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, size_of::<u64>()) })?;
    Ok(Set(set).has(signal))
}

/// Takes one of these signals that is pending, if one is, rt_sigtimedwait(2). They have to be blocked.
pub fn discard(signals: Set) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let no_info = null::<libc::siginfo_t>();
    // SAFETY: set and time live through the call, and the set's size is passed with it.
    unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const signals.0, no_info, &raw const now, size_of::<u64>())
    };
}

#[cfg(test)]
#[path = "../../../tests/units/sys/signal.rs"]
mod tests;
