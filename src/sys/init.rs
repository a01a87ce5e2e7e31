//! Signals to ipcbox as init (pid 1) of a pid namespace, as in a container without another init.
//!
//! The kernel drops a signal to init whose action is the default. On such a signal ipcbox exits with the status that a
//! shell reports for it. Handlers do not survive execve(2), so CMD is not affected.
#![allow(unsafe_code)]

use std::ffi::c_int;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Signals that are sent to terminate a process, and do so by default.
const FATAL: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGPIPE];

/// Returns whether this process is init of its pid namespace, without a system call. The clock's id contains the thread
/// id that glibc cached at the start, encoded as in clock_getcpuclockid(3).
fn is_init() -> bool {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the handle is that of the calling thread.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the thread runs, and the clock lives through the call, which writes it.
    let failed = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) };
    failed == 0 && !(clock >> 3) == 1
}

/// As init, makes signals that terminate any other process terminate this one. Ignored signals stay ignored.
pub fn obey_signals() {
    if is_init() {
        FATAL.into_iter().for_each(obey);
    }
}

fn obey(signal: Signal) {
    let ours = SigAction::new(SigHandler::Handler(exit), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes one system call, which is safe at any time.
    let before = unsafe { sigaction(signal, &ours) };
    if let Some(ignored) = before.ok().filter(|it| matches!(it.handler(), SigHandler::SigIgn)) {
        // SAFETY: restores the previous action.
        let _ = unsafe { sigaction(signal, &ignored) };
    }
}

/// As init, makes the next signal of this kind exit. Called in a handler, for the first one.
pub fn obey_next(signal: c_int) {
    if let Some(signal) = Signal::try_from(signal).ok().filter(|_| is_init()) {
        obey(signal);
    }
}

/// As init, exits after the kernel has dropped this signal.
pub fn exit_by(signal: c_int) {
    if is_init() {
        exit(signal);
    }
}

extern "C" fn exit(signal: c_int) {
    // SAFETY: exits without exit handlers, which is safe in a signal handler.
    unsafe { libc::_exit(128 + signal) }
}
