//! Init of a pid namespace, as ipcbox is in a container without another one.
//!
//! The kernel drops every signal to init that has its default action. ipcbox then exits with the status that a shell
//! reports for a process killed by that signal. No handler survives execve(2), so CMD is not affected.
#![allow(unsafe_code)]

use std::ffi::c_int;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Signals that end every other process by default, and are sent to end it.
const FATAL: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGPIPE];

/// Whether this process is init of its pid namespace. Takes no system call: glibc puts the thread id that it has kept
/// since the start into the clock's id, encoded as in clock_getcpuclockid(3).
fn is_init() -> bool {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the handle is that of the calling thread.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the thread runs, and the clock lives through the call, which writes it.
    let failed = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) };
    failed == 0 && !(clock >> 3) == 1
}

/// As init, makes signals that end every other process end this one. A signal that is ignored stays so.
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
        // SAFETY: restores what was there.
        let _ = unsafe { sigaction(signal, &ignored) };
    }
}

/// As init, makes the next signal of this kind exit: in a handler for the first one.
pub fn obey_next(signal: c_int) {
    if let Some(signal) = Signal::try_from(signal).ok().filter(|_| is_init()) {
        obey(signal);
    }
}

/// Exits if the kernel has just dropped this signal because the process is init.
pub fn exit_by(signal: c_int) {
    if is_init() {
        exit(signal);
    }
}

extern "C" fn exit(signal: c_int) {
    // SAFETY: ends the process without exit handlers; safe in a signal handler.
    unsafe { libc::_exit(128 + signal) }
}
