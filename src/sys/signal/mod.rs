//! Signals: numbers, sets, dispositions, sending and receiving.
//!
//! nix's `Signal` lacks the real-time signals, and the C library's functions hide the two signals it reserves. Masks
//! are therefore read and set by system calls, so that CMD inherits exactly what ipcbox inherited.
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

/// Defines a constant for each standard signal that all architectures have.
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
    /// The highest signal number.
    pub const MAX: i32 = 64;

    /// Returns the signal with this number, `None` if there is none.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number.cast_unsigned() as u8)) } else { None }
    }

    /// Returns the number.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Returns the first and last real-time signal for programs. Those from 32 to the first belong to the C library.
    pub fn real_time() -> (i32, i32) {
        (libc::SIGRTMIN(), libc::SIGRTMAX())
    }

    /// Returns whether it requests termination. A stopped process must be continued to act on it.
    pub fn is_termination(self) -> bool {
        [Self::HUP, Self::INT, Self::QUIT, Self::TERM].contains(&self)
    }

    /// Returns whether its default action stops a process.
    pub fn stops(self) -> bool {
        [Self::STOP, Self::TSTP, Self::TTIN, Self::TTOU].contains(&self)
    }

    /// Returns whether a stopped process acts on it only once it is continued.
    pub fn needs_continuing(self) -> bool {
        !self.stops() && self != Self::CONT
    }

    /// Returns whether a process can catch, block or ignore it: all but KILL and STOP.
    pub fn is_catchable(self) -> bool {
        self != Self::KILL && self != Self::STOP
    }
}

/// A set of signals as the kernel stores it: bit N - 1 is signal N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(pub u64);

impl Set {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// All signals.
    pub const ALL: Self = Self(u64::MAX);

    /// Returns whether the set contains a signal.
    pub const fn has(self, signal: Signal) -> bool {
        self.0 >> (signal.0 - 1) & 1 == 1
    }

    /// Returns the set of this signal alone.
    pub const fn of(signal: Signal) -> Self {
        Self(1 << (signal.0 - 1))
    }

    /// Returns the signals in ascending order.
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

/// Replaces the signal mask of the calling thread, rt_sigprocmask(2), and returns the previous one.
pub fn set_mask(mask: Set) -> Result<Set> {
    change_mask(libc::SIG_SETMASK, mask)
}

/// Adds to the signal mask of the calling thread, and returns the previous one.
pub fn block(signals: Set) -> Result<Set> {
    change_mask(libc::SIG_BLOCK, signals)
}

/// Removes from the signal mask of the calling thread, and returns the previous one.
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

/// The disposition of a signal without a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The default action.
    Default,
    /// The signal is ignored.
    Ignore,
}

/// Sets the disposition of a signal, sigaction(2), and returns the previous one. A handler counts as the default.
pub fn set_disposition(signal: Signal, disposition: Disposition) -> Result<Disposition> {
    let action = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither action runs code of this process.
    let old = unsafe { Handling::new(action, 0).set(signal) }?;
    Ok(if old.ignores() { Disposition::Ignore } else { Disposition::Default })
}

/// Returns whether this process ignores a signal, sigaction(2).
pub fn is_ignored(signal: Signal) -> Result<bool> {
    let mut now = Handling::new(libc::SIG_DFL, 0);
    // SAFETY: it lives through the call, which writes it and changes nothing.
    Errno::result(unsafe { libc::sigaction(signal.number(), null(), &raw mut now.0) })?;
    Ok(now.ignores())
}

/// The action of a process on a signal, `struct sigaction`.
#[derive(Clone, Copy)]
pub(super) struct Handling(libc::sigaction);

impl Handling {
    /// Creates an action: a handler's address, `SIG_DFL` or `SIG_IGN`. Without `SA_RESTART` it interrupts system calls.
    pub fn new(action: libc::sighandler_t, flags: c_int) -> Self {
        // SAFETY: all zeros is a valid sigaction: no flags, an empty mask, the default action.
        let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
        new.sa_sigaction = action;
        new.sa_flags = flags;
        Self(new)
    }

    /// Returns whether the signal is ignored.
    pub const fn ignores(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }

    /// Installs the action, sigaction(2), and returns the previous one.
    ///
    /// # Safety
    /// A handler must match its flags and be able to run at any time.
    pub unsafe fn set(&self, signal: Signal) -> Result<Self> {
        let mut old = *self;
        // SAFETY: both live through the call. The caller guarantees the handler.
        Errno::result(unsafe { libc::sigaction(signal.number(), &raw const self.0, &raw mut old.0) })?;
        Ok(old)
    }

    /// Installs the action unless the signal is ignored, and returns the previous one. `None`: it stays ignored.
    ///
    /// # Safety
    /// As for [`set`](Self::set).
    pub unsafe fn set_unless_ignored(&self, signal: Signal) -> Result<Option<Self>> {
        // SAFETY: guaranteed by the caller.
        let old = unsafe { self.set(signal) }?;
        if old.ignores() {
            // SAFETY: restores the previous action.
            unsafe { old.set(signal) }?;
            return Ok(None);
        }
        Ok(Some(old))
    }
}

/// The receiver of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The process.
    Process,
    /// The process group that the process leads.
    Group,
}

/// Sends a signal to a process, pidfd_send_signal(2). `None` only checks whether one could be sent.
pub fn send(process: BorrowedFd, signal: impl Into<Option<Signal>>) -> Result<()> {
    send_to(process, To::Process, signal.into(), None)
}

/// Like [`send`], to a process or its group, and with an optional value as in sigqueue(3).
///
/// # Errors
/// `ESRCH`: it has been reaped, or leads no group. `EPERM`: it belongs to another user. `EAGAIN`: the limit of its
/// user's pending signals is reached. `EINVAL`: the kernel is older than 6.9 and does not support groups here.
/// `ENOSYS`: it is older than 5.1.
pub fn send_to(process: BorrowedFd, to: To, signal: Option<Signal>, value: Option<i32>) -> Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;
    let number = signal.map_or(0, Signal::number);
    let info = value.map(|value| queued(number, value));
    let info = info.as_ref().map_or(null(), |info| &raw const *info);
    let flags = if to == To::Group { PIDFD_SIGNAL_PROCESS_GROUP } else { 0 };
    // SAFETY: the siginfo lives through the call; the rest are plain integers.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), number, info, flags) };
    Errno::result(sent).map(drop)
}

fn queued(number: i32, value: i32) -> [c_int; 32] {
    let mut words = [0; 32];
    words[0] = number;
    words[2] = libc::SI_QUEUE;
    // The union is aligned like its pointers. It contains the pid, the uid and the lower half of the value.
    let at = if size_of::<c_long>() == 8 { 4 } else { 3 };
    words[at] = getpid().as_raw();
    words[at + 1] = getuid().as_raw().cast_signed();
    words[at + 2] = value;
    words
}

/// Sends a signal to a process, to ipcbox's own group (0), or to a group (`-pid`), kill(2). `None` only checks whether
/// one could be sent.
pub fn kill(pid: i32, signal: impl Into<Option<Signal>>) -> Result<()> {
    let number = signal.into().map_or(0, Signal::number);
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::kill(pid, number) }).map(drop)
}

/// Queues a signal with a value, rt_sigqueueinfo(2).
///
/// # Errors
/// `EAGAIN`: the limit of the user's pending signals is reached.
pub(super) fn queue(pid: i32, signal: Signal, value: i32) -> Result<()> {
    let info = queued(signal.number(), value);
    // SAFETY: the siginfo lives through the call; the rest are plain integers.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal.number(), &raw const info) };
    Errno::result(sent).map(drop)
}

/// Returns whether this process may signal an existing process, kill(2).
pub fn is_permitted(pid: i32) -> bool {
    // SAFETY: the call takes two plain integers.
    Errno::result(unsafe { libc::kill(pid, 0) }) != Err(Errno::EPERM)
}

/// Dies by a signal without a core file, which might replace a child's. Returns if the signal does not terminate.
pub fn die(signal: Signal) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, most)?;
    match set_disposition(signal, Disposition::Default) {
        // KILL, STOP, and the two that the C library reserves: their action cannot have changed.
        Ok(_) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    act(signal)?;
    init::exit_by(signal.number());
    Ok(())
}

/// Lets a blocked signal act on this process as if it were not blocked.
pub fn act(signal: Signal) -> Result<()> {
    let (process, thread) = (getpid().as_raw(), gettid().as_raw());
    // Not kill(2), which a seccomp filter may deny to protect other processes.
    // SAFETY: the call takes three plain integers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal.number()) })?;
    let_in(signal)
}

/// Stops this process with a signal until it is continued, at the latest at the deadline by the SIGCONT of a
/// [timer](Arrival::is_timers). Returns at once if no shell could continue it: the kernel then drops the signal.
pub fn stop(signal: Signal, deadline: Deadline) -> Result<()> {
    let before = set_disposition(signal, Disposition::Default)?;
    kill(getpid().as_raw(), signal)?;
    // Set only now, because a stop signal cancels a pending SIGCONT, and SIGCONT a pending stop signal.
    let timer = deadline.left().map(continue_after).transpose();
    let_in(signal)?;
    // If no timer can be created, the stop has no limit.
    drop(timer);
    set_disposition(signal, before).map(drop)
}

fn continue_after(time: Duration) -> Result<Timer> {
    let notify = SigevNotify::SigevSignal { signal: nix::sys::signal::SIGCONT, si_value: 0 };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
    // Zero would disarm the timer.
    let time = time.max(Duration::from_millis(1)).into();
    timer.set(Expiration::OneShot(time), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// Lets a pending signal act, and blocks it again.
pub fn let_in(signal: Signal) -> Result<()> {
    let mask = block(Set::EMPTY)?;
    set_mask(mask & !Set::of(signal))?;
    set_mask(mask).map(drop)
}

/// Requests a signal for this process when its parent exits, prctl(2). Executing a set-user-ID program cancels that.
pub fn on_parents_death(signal: Signal) -> Result<()> {
    // SAFETY: the call takes plain integers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, c_long::from(signal.number())) }).map(drop)
}

/// Returns whether a signal is pending, rt_sigpending(2).
pub fn is_pending(signal: Signal) -> Result<bool> {
    let mut set = 0_u64;
    // SAFETY: the set lives through the call, and its size is passed with it.
    Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, size_of::<u64>()) })?;
    Ok(Set(set).has(signal))
}

/// Discards one pending signal of this set, if there is one, rt_sigtimedwait(2). They must be blocked.
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
