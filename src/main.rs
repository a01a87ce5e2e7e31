//! `ipcbox`: passes the argument vector to the library and returns its exit status.
//!
//! Defines the C `main` itself: Rust's runtime would ignore SIGPIPE, handle SIGSEGV and check the standard descriptors
//! first, all of which CMD would inherit, and takes a third of a short call's instructions.
#![no_main]

use std::ffi::{c_char, c_int};

/// The entry point of the C library. glibc fills [`std::env`] before `main`, also without Rust's runtime.
// SAFETY: `main` is exported once, with the signature that the C library expects.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    c_int::from(ipcbox::dispatch::main(std::env::args_os().collect()))
}
