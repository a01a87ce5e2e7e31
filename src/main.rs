//! `ipcbox`: passes the argument vector to the library and returns its exit status.
//!
//! Defines the C `main` itself: Rust's runtime would ignore SIGPIPE, handle SIGSEGV and check the standard descriptors
//! first, all of which CMD would inherit, and takes a third of a short call's instructions.
//!
//! The release binary aborts on a panic and has no symbols: it contains nothing to unwind Rust code or name functions.
#![no_main]
#![allow(unsafe_code)]

#[cfg(not(debug_assertions))]
use std::arch::global_asm;
#[cfg(not(debug_assertions))]
use std::ffi::c_void;
use std::ffi::{c_char, c_int};

/// The entry point of the C library. glibc fills [`std::env`] before `main`, also without Rust's runtime.
// SAFETY: `main` is exported once, with the signature that the C library expects.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    c_int::from(ipcbox::dispatch::main(std::env::args_os().collect()))
}

// Puts the tables for unwinding where a debugger finds them and `strip` removes them: 218 KB. The whole program is one
// module of the assembler, because of LTO.
#[cfg(not(debug_assertions))]
global_asm!(".cfi_sections .debug_frame");

/// Ends each backtrace before its first frame, instead of the function in libgcc. std then contains no code that reads
/// debug information: 204 KB.
// SAFETY: it has the signature that std and the C library declare, and ignores both arguments.
#[cfg(not(debug_assertions))]
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Backtrace(_each: *const c_void, _argument: *mut c_void) -> c_int {
    const END_OF_STACK: c_int = 5;
    END_OF_STACK
}
