//! `ipcbox`: hands the argument vector to the library and returns its exit code.
//!
//! There is a C `main` and none of Rust's: the Rust runtime ignores SIGPIPE, installs a handler for
//! SIGSEGV and looks at the standard descriptors before `main`, all of which would be handed on to
//! the commands that the box becomes, and costs a third of a short call's instructions.
#![no_main]

use std::ffi::{c_char, c_int};

/// The entry point that the C library calls. The arguments are read through [`std::env`], which
/// glibc fills before `main` whether Rust's runtime starts or not.
// SAFETY: the name `main` is exported once, with the signature that the C library expects.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    c_int::from(ipcbox::dispatch::main(std::env::args_os().collect()))
}
