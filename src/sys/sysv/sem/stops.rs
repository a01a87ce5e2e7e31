//! Stop signals (`^Z`), caught by a waiter so that it leaves the kernel's queue before it stops.
//!
//! semtimedop(2) cannot unblock signals while it sleeps, and a signal just before the call must not be missed. The
//! handler therefore sets the timeout that the call is about to read to zero, so that the call returns at once.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{Op, Set, semtimedop};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{Handling, Set as Signals, Signal, block, set_mask};

const STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// Whether a stop signal has come and is pending again.
static SEEN: AtomicBool = AtomicBool::new(false);
/// The stop signals that are caught and were not inherited as blocked.
static CAUGHT: AtomicU64 = AtomicU64::new(0);
/// Whether SIGCONT has come while [`note`] blocks one of them.
static CONTINUED: AtomicBool = AtomicBool::new(false);
/// The timeout of the next call, laid out as a `struct timespec`.
static LIMIT: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];
const _: () = assert!(size_of::<[AtomicI64; 2]>() == size_of::<libc::timespec>());

/// The stop signals and SIGCONT, caught until this is dropped. Ignored and blocked stop signals stay so.
pub struct Stops {
    mask: Signals,
    before: Vec<(Signal, Handling)>,
}

impl Stops {
    /// Catches the stop signals.
    pub fn catch() -> Result<Self> {
        let mut stops = Self { mask: block(Signals::EMPTY)?, before: Vec::new() };
        for signal in STOPS {
            // SAFETY: the handler takes the arguments of SA_SIGINFO and may run at any time.
            let before = unsafe { handling(note).set_unless_ignored(signal) }?;
            stops.before.extend(before.map(|before| (signal, before)));
        }
        let caught: Signals =
            stops.before.iter().map(|(signal, _)| *signal).filter(|it| !stops.mask.has(*it)).collect();
        CAUGHT.store(caught.0, Ordering::SeqCst);
        // SAFETY: as above. An ignored SIGCONT continues the process too.
        let before = unsafe { handling(go_on).set(Signal::CONT) }?;
        stops.before.push((Signal::CONT, before));
        Ok(stops)
    }

    /// Like [`Set::operate`], but a signal interrupts the wait.
    ///
    /// # Errors
    /// `EINTR`: a signal came. If it was a stop signal, [`stop`](Self::stop) stops the process.
    pub fn operate(&self, set: Set, ops: &[Op], deadline: Deadline) -> Result<()> {
        /// Longer than any wait, but short enough for the kernel's arithmetic on times.
        const LONG: Duration = Duration::from_hours(100 * 366 * 24);
        let left = deadline.left().unwrap_or(LONG);
        LIMIT[0].store(i64::try_from(left.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
        LIMIT[1].store(left.subsec_nanos().into(), Ordering::SeqCst);
        // From here on the handler can set the timeout to zero.
        if SEEN.load(Ordering::SeqCst) {
            return Err(Errno::EINTR);
        }
        // SAFETY: Op has the layout of a sembuf, and the call only reads the array. The timeout is a static with the
        // size and layout of a timespec. The call reads it once, and only the handler on this thread writes it
        // concurrently.
        let answer = unsafe { semtimedop(set.id, ops.as_ptr().cast(), ops.len(), LIMIT.as_ptr().cast()) };
        match Errno::result(answer) {
            Err(Errno::EAGAIN) if SEEN.load(Ordering::SeqCst) => Err(Errno::EINTR),
            answer => answer.map(drop),
        }
    }

    /// Stops the process if a stop signal has come without a SIGCONT since. Returns once it is continued.
    pub fn stop(&self) -> Result<()> {
        if SEEN.swap(false, Ordering::SeqCst) {
            self.restore()?;
            CONTINUED.store(false, Ordering::SeqCst);
            for (signal, _) in &self.before {
                // SAFETY: as in catch().
                unsafe { handling(if *signal == Signal::CONT { go_on } else { note }).set(*signal) }?;
            }
        }
        Ok(())
    }

    /// Restores the actions of the signals, and lets a pending one act.
    fn restore(&self) -> Result<()> {
        for (signal, before) in &self.before {
            // SAFETY: restores the previous action.
            unsafe { before.set(*signal) }?;
        }
        set_mask(self.mask).map(drop)
    }
}

impl Drop for Stops {
    fn drop(&mut self) {
        SEEN.store(false, Ordering::SeqCst);
        // Restoring cannot fail for signals whose handler could be set.
        let _ = self.restore();
    }
}

fn handling(handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)) -> Handling {
    Handling::new(handler as *const () as usize, libc::SA_SIGINFO)
}

/// Returns the signals that are blocked where a handler returns to.
///
/// # Safety
/// `context` is what the kernel passed to a handler with SA_SIGINFO that is still running.
const unsafe fn blocked(context: *mut c_void) -> *mut libc::sigset_t {
    let context: *mut libc::ucontext_t = context.cast();
    // SAFETY: guaranteed by the caller.
    unsafe { &raw mut (*context).uc_sigmask }
}

/// Makes the signal pending again, blocked from the handler's return on, so that SIGCONT can cancel it like a signal
/// that was never caught. Only a SIGCONT that comes within raise(3) is lost, because the kernel then drops it. May run
/// at any time: it only makes system calls and uses atomics.
extern "C" fn note(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: plain integers. The signal is blocked while its handler runs.
    unsafe { libc::raise(signal) };
    // SIGCONT has come since the kernel delivered the signal, perhaps before it was pending again.
    if CONTINUED.swap(false, Ordering::SeqCst) {
        for which in STOPS.into_iter().filter(|which| which.number() == signal) {
            // SAFETY: ignoring a signal discards it if it is pending.
            let _ = unsafe { Handling::new(libc::SIG_IGN, 0).set(which) };
            // SAFETY: as in catch().
            let _ = unsafe { handling(note).set(which) };
        }
        Errno::set_raw(errno);
        return;
    }
    // SAFETY: the context is this handler's.
    let mask = unsafe { blocked(context) };
    // SAFETY: the mask is part of that context, and the signal is one of STOPS.
    unsafe { libc::sigaddset(mask, signal) };
    for part in &LIMIT {
        part.store(0, Ordering::SeqCst);
    }
    SEEN.store(true, Ordering::SeqCst);
    Errno::set_raw(errno);
}

/// Notes a SIGCONT that has interrupted [`note`], which blocks its signal. May run at any time: it only uses atomics.
extern "C" fn go_on(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the context is this handler's.
    let mask = unsafe { blocked(context) };
    let caught = Signals(CAUGHT.load(Ordering::SeqCst));
    // SAFETY: the mask is part of that context.
    let is_blocked = |signal: &Signal| unsafe { libc::sigismember(mask, signal.number()) } == 1;
    if STOPS.iter().any(|signal| caught.has(*signal) && is_blocked(signal)) {
        CONTINUED.store(true, Ordering::SeqCst);
    }
}
