//! Caught signals, and the waits they interrupt.
//!
//! Only verbs with data to deliver, children or a timed wait catch signals. A handler only sets a flag and starts a
//! timer, which fires every millisecond to interrupt a system call that was about to block when the signal came.
//!
//! A child that runs CMD restores the inherited signal state first.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigEvent, SigevNotify};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};

use super::deadline::Deadline;
use super::init;
use super::signal::{Handling, Set, Signal, block, die, unblock};

/// One bit for each caught signal that has come.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// The timer of timer_create(2). The first one of a process is all zeros.
static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());
static IS_TIMER: AtomicBool = AtomicBool::new(false);
/// Whether it is the timer of setitimer(2).
static IS_PLAIN: AtomicBool = AtomicBool::new(false);
/// Whether a call is in progress that the timer must interrupt.
static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// Whether the timer is set to fire from [`ALARM`] on.
static IS_SET: AtomicBool = AtomicBool::new(false);
/// The inherited signal state, as far as it was changed.
static GIVEN: Mutex<Option<Given>> = Mutex::new(None);
/// When the timer was last set to fire first.
static ALARM: Mutex<Option<Instant>> = Mutex::new(None);

/// The interval of the timer after it has first fired.
const TICK: Duration = Duration::from_millis(1);

struct Given {
    mask: Set,
    handlings: Vec<(Signal, Handling)>,
}

/// Interrupts system calls from a deadline on, within a millisecond of their start. Dropping it leaves the timer set,
/// so that many calls with one deadline set it once. If it fires after that, it switches itself off.
#[derive(Debug)]
pub(super) struct Timer;

impl Timer {
    /// Prepares a call with this deadline. Only [`Deadline::At`] needs the timer.
    pub fn until(deadline: Deadline) -> Result<Option<Self>> {
        let Deadline::At(end) = deadline else { return Ok(None) };
        // From here on the handler keeps the timer running.
        IS_WANTED.store(true, Ordering::SeqCst);
        let guard = Self;
        let mut alarm = ALARM.lock().map_err(|_| Errno::EDEADLK)?;
        if *alarm != Some(end) || !IS_SET.load(Ordering::SeqCst) {
            timer()?;
            // Zero would switch the timer off.
            set_timer(deadline.left().unwrap_or_default().max(TICK / 10))?;
            tick_if_any()?;
            *alarm = Some(end);
            IS_SET.store(true, Ordering::SeqCst);
        }
        Ok(Some(guard))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        IS_WANTED.store(false, Ordering::SeqCst);
    }
}

pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// Catches these signals, except those inherited as ignored. SIGCHLD and SIGIO are caught in any case: they are not
/// requests to terminate, and with SIGCHLD ignored no exit status is available.
pub fn catch(signals: &[Signal]) -> Result<()> {
    catch_with(signals, mark, 0)
}

/// Like [`catch`], but only once for each signal. The second one terminates a verb whose data no process takes.
pub fn catch_once(signals: &[Signal]) -> Result<()> {
    catch_with(signals, mark_once, libc::SA_RESETHAND)
}

fn catch_with(signals: &[Signal], mark: extern "C" fn(c_int), flags: c_int) -> Result<()> {
    timer()?;
    let mut handled = Set::EMPTY;
    for signal in signals {
        if handle(*signal, mark, flags)? {
            handled = handled | Set::of(*signal);
        }
    }
    // A signal that was inherited as blocked would never come.
    unblock(handled).map(drop)
}

/// Makes signals that terminate the process complete the line on standard error first. Ignored signals stay ignored.
pub fn end_line() {
    let ours = Handling::new(line_end as *const () as usize, libc::SA_RESETHAND | libc::SA_NODEFER);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        // SAFETY: the handler may run at any time, see its comment.
        let _ = unsafe { ours.set_unless_ignored(signal) };
    }
}

/// May run at any time, because it only makes system calls. The last one terminates the process.
extern "C" fn line_end(signal: c_int) {
    // SAFETY: the byte is static, and standard error is always open.
    unsafe { libc::write(libc::STDERR_FILENO, b"\n".as_ptr().cast(), 1) };
    // SAFETY: plain integers. SA_RESETHAND has restored the default action.
    unsafe { libc::raise(signal) };
    init::exit_by(signal);
}

/// Installs a handler, remembers the inherited action, and returns true. If the signal is inherited as ignored it stays
/// so, unless it is one of those that are not requests to terminate.
fn handle(signal: Signal, handler: extern "C" fn(c_int), flags: c_int) -> Result<bool> {
    let ours = Handling::new(handler as *const () as usize, flags);
    let is_own = [Signal::CHLD, Signal::IO, Signal::ALRM].contains(&signal);
    let before = if is_own {
        // SAFETY: the handlers of this module may run at any time, see their comments.
        unsafe { ours.set(signal) }.map(Some)
    } else {
        // SAFETY: as above.
        unsafe { ours.set_unless_ignored(signal) }
    }?;
    let Some(before) = before else { return Ok(false) };
    let mut given = GIVEN.lock().map_err(|_| Errno::EDEADLK)?;
    if given.is_none() {
        *given = Some(Given { mask: block(Set::EMPTY)?, handlings: Vec::new() });
    }
    given.iter_mut().for_each(|given| given.handlings.push((signal, before)));
    Ok(true)
}

/// Records the signal. May run at any time: it uses atomics and timer_settime(2), which is async-signal-safe, or
/// setitimer(2), which is a plain system call.
extern "C" fn mark(signal: c_int) {
    let errno = Errno::last_raw();
    SEEN.fetch_or(1 << (signal - 1), Ordering::SeqCst);
    let _ = set_timer(TICK);
    Errno::set_raw(errno);
}

/// Like [`mark`], for a signal just reset to its default action, which init must replace. Also calls sigaction(2).
extern "C" fn mark_once(signal: c_int) {
    mark(signal);
    let errno = Errno::last_raw();
    init::obey_next(signal);
    Errno::set_raw(errno);
}

/// Does nothing but interrupt a call that needs it. Otherwise it switches the timer off, by the calls of [`mark`].
extern "C" fn interrupt(_: c_int) {
    if any() || IS_WANTED.load(Ordering::SeqCst) {
        return;
    }
    let errno = Errno::last_raw();
    IS_SET.store(false, Ordering::SeqCst);
    let _ = set_timer(Duration::ZERO).and_then(|()| tick_if_any());
    Errno::set_raw(errno);
}

/// Returns whether a caught signal has come since the last [`take`].
pub fn any() -> bool {
    SEEN.load(Ordering::SeqCst) != 0
}

/// Returns the caught signals since the last call, and stops the timer.
pub fn take() -> Result<Set> {
    take_of(Set::ALL)
}

/// Like [`take`], for one signal.
pub fn forget(signal: Signal) -> Result<()> {
    take_of(Set::of(signal)).map(drop)
}

fn take_of(which: Set) -> Result<Set> {
    let seen = Set(SEEN.fetch_and(!which.0, Ordering::SeqCst)) & which;
    if seen != Set::EMPTY {
        IS_SET.store(false, Ordering::SeqCst);
        set_timer(Duration::ZERO)?;
        tick_if_any()?;
    }
    Ok(seen)
}

/// Keeps the timer ticking for a signal that came while it was being set.
fn tick_if_any() -> Result<()> {
    if any() { set_timer(TICK) } else { Ok(()) }
}

/// Creates the timer of the process, which is neither inherited nor outlives it, and handles SIGALRM.
fn timer() -> Result<()> {
    if IS_TIMER.load(Ordering::SeqCst) {
        return Ok(());
    }
    handle(Signal::ALRM, interrupt, 0)?;
    unblock(Set::of(Signal::ALRM))?;
    let notify = SigevNotify::SigevSignal { signal: nix::sys::signal::SIGALRM, si_value: 0 };
    let mut event = SigEvent::new(notify).sigevent();
    let mut timer: libc::timer_t = null_mut();
    // SAFETY: event and timer live through the call, which reads the one and writes the other.
    let made = Errno::result(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) });
    // timer_create(2) fails if the user has no pending signal left (RLIMIT_SIGPENDING) or a filter denies it.
    // setitimer(2) is then used. Its timer survives execve(2), but not fork(2), and a process that catches signals
    // never calls execve(2).
    IS_PLAIN.store(made.is_err(), Ordering::SeqCst);
    TIMER.store(timer, Ordering::SeqCst);
    IS_TIMER.store(true, Ordering::SeqCst);
    Ok(())
}

/// Stops the timer of earlier waits. A process that reads its signals would mistake its signal for that of another
/// process.
pub fn stop_timer() -> Result<()> {
    if IS_SET.swap(false, Ordering::SeqCst) { set_timer(Duration::ZERO) } else { Ok(()) }
}

fn set_timer(first: Duration) -> Result<()> {
    if IS_PLAIN.load(Ordering::SeqCst) {
        let time = |duration: Duration| {
            *TimeVal::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)).as_ref()
        };
        let spec = libc::itimerval { it_value: time(first), it_interval: time(TICK) };
        // SAFETY: the times live through the call, which writes nothing back.
        return Errno::result(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const spec, null_mut()) }).map(drop);
    }
    let time = |duration| *TimeSpec::from(duration).as_ref();
    let spec = libc::itimerspec { it_value: time(first), it_interval: time(TICK) };
    let timer = TIMER.load(Ordering::SeqCst);
    // SAFETY: the timer lives as long as the process, and the times live through the call.
    Errno::result(unsafe { libc::timer_settime(timer, 0, &raw const spec, null_mut()) }).map(drop)
}

/// Dies by a caught signal, if one has come, as if it had not been caught.
pub fn end() -> Result<()> {
    take()?.iter().try_for_each(die)
}

/// In a child: restores the inherited dispositions, and forgets signals sent to the parent. Returns those of the
/// restored signals that were inherited as blocked.
pub(super) fn hand_on() -> Result<Set> {
    SEEN.store(0, Ordering::SeqCst);
    let given = GIVEN.lock().map_err(|_| Errno::EDEADLK)?.take();
    let Some(given) = given else { return Ok(Set::EMPTY) };
    for (signal, handling) in given.handlings.iter().rev() {
        // SAFETY: restores the previous action, which is not a handler, since exec resets those.
        unsafe { handling.set(*signal) }?;
    }
    Ok(given.handlings.iter().map(|(signal, _)| *signal).filter(|signal| given.mask.has(*signal)).collect())
}
