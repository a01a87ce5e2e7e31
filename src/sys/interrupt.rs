//! Signals that are caught, and waits that they end.
//!
//! Only a verb that has something to deliver catches signals, and only one that has children or no other time limit. A
//! handler does nothing but leave a mark, and makes the process's timer go off every millisecond: so a system call
//! that was about to block when the signal came is interrupted all the same.
//!
//! What a command is to find as the box found it is given back in the child that becomes it.
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

/// The caught signals that have come, a bit each.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// The process's timer, which for the first one of a process is all zeros.
static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());
/// Whether there is a timer.
static IS_TIMER: AtomicBool = AtomicBool::new(false);
/// Whether it is the one of setitimer(2).
static IS_PLAIN: AtomicBool = AtomicBool::new(false);
/// Whether there is a call that the timer is to interrupt.
static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// Whether the timer goes off at [`ALARM`], and from then on.
static IS_SET: AtomicBool = AtomicBool::new(false);
/// What was changed of what the box was given.
static GIVEN: Mutex<Option<Given>> = Mutex::new(None);
/// When the timer was last set to go off first.
static ALARM: Mutex<Option<Instant>> = Mutex::new(None);

/// How often the timer goes off from its first time on.
const TICK: Duration = Duration::from_millis(1);

struct Given {
    mask: Set,
    handlings: Vec<(Signal, Handling)>,
}

/// Makes system calls return from a deadline on, at latest a millisecond after they began. Dropped, it lets the timer
/// be: if that goes off once more it switches itself off, so that many calls with one deadline set it once.
#[derive(Debug)]
pub(super) struct Timer;

impl Timer {
    /// For calls until `deadline`, of which only one in time needs the timer.
    pub fn until(deadline: Deadline) -> Result<Option<Self>> {
        let Deadline::At(end) = deadline else { return Ok(None) };
        // From here on the handler leaves it on.
        IS_WANTED.store(true, Ordering::SeqCst);
        let guard = Self;
        let mut alarm = ALARM.lock().map_err(|_| Errno::EDEADLK)?;
        if *alarm != Some(end) || !IS_SET.load(Ordering::SeqCst) {
            timer()?;
            // A time of zero would switch it off.
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

/// Makes a system call again as long as a signal interrupts it.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// Catches these signals from now on, but those that the box was given ignored. SIGCHLD and SIGIO, which nobody sends
/// to end the box, are caught however they were given: with the one ignored no child's status could be had.
pub fn catch(signals: &[Signal]) -> Result<()> {
    catch_with(signals, mark, 0)
}

/// The same for the first time that each comes: the second time it does what it does by default, for a verb that
/// nothing else ends where what it has to deliver is not taken.
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
    // One that was blocked when ipcbox was called would never come.
    unblock(handled).map(drop)
}

/// From now on a signal that ends the process first ends the line on standard error. One that it was given ignored
/// stays so.
pub fn end_line() {
    let ours = Handling::new(line_end as *const () as usize, libc::SA_RESETHAND | libc::SA_NODEFER);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        // SAFETY: the handler is safe to run at any time, see there.
        let _ = unsafe { ours.set_unless_ignored(signal) };
    }
}

/// Runs at any time: it makes system calls alone, the last of which ends the process.
extern "C" fn line_end(signal: c_int) {
    // SAFETY: the byte lives for ever; standard error is open for the life of the process.
    unsafe { libc::write(libc::STDERR_FILENO, b"\n".as_ptr().cast(), 1) };
    // SAFETY: plain integers. The handler was reset when it was called.
    unsafe { libc::raise(signal) };
    init::exit_by(signal);
}

/// Puts a handler in the place of what the signal was given, remembers that, and returns whether it did. An ignored
/// signal stays so, unless it is one that is not sent to end ipcbox.
fn handle(signal: Signal, handler: extern "C" fn(c_int), flags: c_int) -> Result<bool> {
    let ours = Handling::new(handler as *const () as usize, flags);
    let is_own = [Signal::CHLD, Signal::IO, Signal::ALRM].contains(&signal);
    let before = if is_own {
        // SAFETY: the handlers of this module are safe to run at any time, see there.
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

/// Marks the signal as seen. Runs at any time: it touches an atomic, and calls timer_settime(2), which is safe in a
/// handler, or setitimer(2), which is a system call and no more.
extern "C" fn mark(signal: c_int) {
    let errno = Errno::last_raw();
    SEEN.fetch_or(1 << (signal - 1), Ordering::SeqCst);
    let _ = set_timer(TICK);
    Errno::set_raw(errno);
}

/// The same for a signal whose disposition has just become the default, which init has to replace. Beyond that it calls
/// sigaction(2).
extern "C" fn mark_once(signal: c_int) {
    mark(signal);
    let errno = Errno::last_raw();
    init::obey_next(signal);
    Errno::set_raw(errno);
}

/// Interrupts what wants that. Otherwise it switches the timer off, by the calls of [`mark`].
extern "C" fn interrupt(_: c_int) {
    if any() || IS_WANTED.load(Ordering::SeqCst) {
        return;
    }
    let errno = Errno::last_raw();
    IS_SET.store(false, Ordering::SeqCst);
    let _ = set_timer(Duration::ZERO).and_then(|()| tick_if_any());
    Errno::set_raw(errno);
}

/// Whether a caught signal has come since the last [`take`].
pub fn any() -> bool {
    SEEN.load(Ordering::SeqCst) != 0
}

/// The caught signals that have come since the last call. The timer no longer goes off for them.
pub fn take() -> Result<Set> {
    take_of(Set::ALL)
}

/// The same for this one alone.
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

/// Has the timer tick for a signal that came while it was set.
fn tick_if_any() -> Result<()> {
    if any() { set_timer(TICK) } else { Ok(()) }
}

/// Makes the process's timer, which is not inherited by anybody and ends with it, and lets SIGALRM interrupt.
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
    // It takes one of the signals that may be pending for the user (RLIMIT_SIGPENDING), and can be forbidden. The other
    // one is handed on by execve(2), but not by fork(2), and nobody who catches signals becomes a command.
    IS_PLAIN.store(made.is_err(), Ordering::SeqCst);
    TIMER.store(timer, Ordering::SeqCst);
    IS_TIMER.store(true, Ordering::SeqCst);
    Ok(())
}

fn set_timer(first: Duration) -> Result<()> {
    if IS_PLAIN.load(Ordering::SeqCst) {
        let time = |duration: Duration| {
            *TimeVal::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)).as_ref()
        };
        let spec = libc::itimerval { it_value: time(first), it_interval: time(TICK) };
        // SAFETY: the times live through the call; nothing is written back.
        return Errno::result(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const spec, null_mut()) }).map(drop);
    }
    let time = |duration| *TimeSpec::from(duration).as_ref();
    let spec = libc::itimerspec { it_value: time(first), it_interval: time(TICK) };
    let timer = TIMER.load(Ordering::SeqCst);
    // SAFETY: the timer lives as long as the process; the times live through the call.
    Errno::result(unsafe { libc::timer_settime(timer, 0, &raw const spec, null_mut()) }).map(drop)
}

/// Ends the process by a caught signal that has come, if one has, as it would have done at once.
pub fn end() -> Result<()> {
    take()?.iter().try_for_each(die)
}

/// In a child: dispositions as ipcbox was given them, and nothing that had come to its parent. Returns which of these
/// signals it was given blocked.
pub(super) fn hand_on() -> Result<Set> {
    SEEN.store(0, Ordering::SeqCst);
    let given = GIVEN.lock().map_err(|_| Errno::EDEADLK)?.take();
    let Some(given) = given else { return Ok(Set::EMPTY) };
    for (signal, handling) in given.handlings.iter().rev() {
        // SAFETY: restores what was there, which was no handler: exec left none.
        unsafe { handling.set(*signal) }?;
    }
    Ok(given.handlings.iter().map(|(signal, _)| *signal).filter(|signal| given.mask.has(*signal)).collect())
}
