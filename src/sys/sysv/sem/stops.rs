//! Stop signals (`^Z`), caught by a waiter that has to leave its queue before it stops.
//!
//! semtimedop(2) cannot unblock signals while it sleeps, and a signal that arrives just before the call must not be
//! missed. The handler therefore sets the time limit that the call is about to read to zero: such a call returns at
//! once.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{Op, Set, semtimedop};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{Handling, Set as Signals, Signal, block, set_mask};

const STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// Whether one has come, and is pending again.
static SEEN: AtomicBool = AtomicBool::new(false);
/// The time limit of the next call, a `struct timespec`.
static LIMIT: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];
const _: () = assert!(size_of::<[AtomicI64; 2]>() == size_of::<libc::timespec>());

/// The stop signals, caught until this is dropped. What was ignored or blocked stays so.
pub struct Stops {
    mask: Signals,
    before: Vec<(Signal, Handling)>,
}

impl Stops {
    /// Catches them.
    pub fn catch() -> Result<Self> {
        let mut stops = Self { mask: block(Signals::EMPTY)?, before: Vec::new() };
        for signal in STOPS {
            // SAFETY: the handler takes what SA_SIGINFO hands it, and may run at any time.
            let before = unsafe { handler().set_unless_ignored(signal) }?;
            stops.before.extend(before.map(|before| (signal, before)));
        }
        Ok(stops)
    }

    /// Does all of `ops` or none, as [`Set::operate`] does, but returns when a signal has interrupted it.
    ///
    /// # Errors
    /// `EINTR`: it was interrupted; if by one of these signals, [`stop`](Self::stop) stops the process.
    pub fn operate(&self, set: Set, ops: &[Op], deadline: Deadline) -> Result<()> {
        /// Longer than any wait; the kernel's arithmetic on times stays in its range.
        const LONG: Duration = Duration::from_hours(100 * 366 * 24);
        let left = deadline.left().unwrap_or(LONG);
        LIMIT[0].store(i64::try_from(left.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
        LIMIT[1].store(left.subsec_nanos().into(), Ordering::SeqCst);
        // From here on the handler has the last word on the limit.
        if SEEN.load(Ordering::SeqCst) {
            return Err(Errno::EINTR);
        }
        // SAFETY: Op is laid out as a sembuf, and the call only reads the array. The limit is a static of the size and
        // the layout of a timespec, which the call reads once and the handler writes in between, on this thread.
        let answer = unsafe { semtimedop(set.id, ops.as_ptr().cast(), ops.len(), LIMIT.as_ptr().cast()) };
        match Errno::result(answer) {
            Err(Errno::EAGAIN) if SEEN.load(Ordering::SeqCst) => Err(Errno::EINTR),
            answer => answer.map(drop),
        }
    }

    /// Stops the process if a stop signal has come and no SIGCONT since. Returns when it is continued.
    pub fn stop(&self) -> Result<()> {
        if SEEN.swap(false, Ordering::SeqCst) {
            self.restore()?;
            for (signal, _) in &self.before {
                // SAFETY: as in catch().
                unsafe { handler().set(*signal) }?;
            }
        }
        Ok(())
    }

    /// Gives the signals back their actions, and then lets one that is pending act.
    fn restore(&self) -> Result<()> {
        for (signal, before) in &self.before {
            // SAFETY: restores what was there.
            unsafe { before.set(*signal) }?;
        }
        set_mask(self.mask).map(drop)
    }
}

impl Drop for Stops {
    fn drop(&mut self) {
        SEEN.store(false, Ordering::SeqCst);
        // It fails for no signal that it succeeded for before.
        let _ = self.restore();
    }
}

fn handler() -> Handling {
    Handling::new(note as *const () as usize, libc::SA_SIGINFO)
}

/// Makes the signal pending again, and blocks it after the handler returns: SIGCONT then still takes it back, as it
/// takes back one that was never caught. May run at any time: it makes system calls and touches atomics.
extern "C" fn note(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: plain integers. The signal is blocked while its handler runs.
    unsafe { libc::raise(signal) };
    let context: *mut libc::ucontext_t = context.cast();
    // SAFETY: the kernel hands every SA_SIGINFO handler the context it returns to.
    let mask = unsafe { &raw mut (*context).uc_sigmask };
    // SAFETY: the mask is part of that context; the signal is one of STOPS.
    unsafe { libc::sigaddset(mask, signal) };
    for part in &LIMIT {
        part.store(0, Ordering::SeqCst);
    }
    SEEN.store(true, Ordering::SeqCst);
    Errno::set_raw(errno);
}
