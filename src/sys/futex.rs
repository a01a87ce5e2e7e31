//! Waiting on a word of shared memory and waking the waiters, across processes: futex(2).
#![allow(unsafe_code)]

use std::sync::atomic::AtomicI32;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::deadline::Deadline;

/// Sleeps while `word` is `value`, until woken. Wake-ups can be spurious, so the caller must check the word again.
///
/// # Errors
/// `EAGAIN`: the deadline has passed. `EFAULT`: the memory is gone.
pub fn wait(word: &AtomicI32, value: i32, deadline: Deadline) -> Result<()> {
    let left = match deadline.left() {
        Some(left) if left.is_zero() => return Err(Errno::EAGAIN),
        left => left,
    };
    // FUTEX_WAIT_BITSET takes an absolute time on the monotonic clock.
    let end = match left {
        Some(left) => Some(clock_gettime(ClockId::CLOCK_MONOTONIC)? + TimeSpec::from(left)),
        None => None,
    };
    let end = end.as_ref().map_or(std::ptr::null(), |end| std::ptr::from_ref(end.as_ref()));
    let no_word = std::ptr::null::<u32>();
    let (command, any) = (libc::FUTEX_WAIT_BITSET, libc::FUTEX_BITSET_MATCH_ANY);
    // SAFETY: the word and the time live through the call, which only reads them.
    let answer = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), command, value, end, no_word, any) };
    match Errno::result(answer) {
        // The word had another value, or a signal came.
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
        Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
        Err(errno) => Err(errno),
    }
}

/// Wakes all processes that sleep on `word`.
///
/// # Errors
/// `EFAULT`: the memory is gone.
pub fn wake(word: &AtomicI32) -> Result<()> {
    // SAFETY: the word lives through the call, which only uses its address.
    let answer = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    Errno::result(answer).map(drop)
}
