//! Times in the time zone of the user, localtime_r(3).
//!
//! The C library knows every form of TZ that other programs know, and refuses a file that is no time zone at once.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::mem::zeroed;

use nix::libc;

/// Seconds since 1970 as `Sun Nov 22 04:17:30 2026`, which is ctime(3) without its newline; the bare number where no
/// calendar has it.
pub fn ctime(seconds: i64) -> String {
    // SAFETY: a C structure of integers and a pointer, for which all zeros is a value.
    let mut time: libc::tm = unsafe { zeroed() };
    // SAFETY: both live through the call; the process has one thread, so that TZ does not change.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut time) }.is_null() {
        return seconds.to_string();
    }
    let mut text = [0_u8; 64];
    let (at, format) = (text.as_mut_ptr().cast::<c_char>(), c"%a %b %e %H:%M:%S %Y".as_ptr());
    // SAFETY: it writes at most 64 bytes there, from a terminated format and a tm that localtime_r filled.
    let len = unsafe { libc::strftime(at, text.len(), format, &raw const time) };
    String::from_utf8_lossy(&text[..len]).into_owned()
}

#[cfg(test)]
#[path = "../../tests/units/sys/local.rs"]
mod tests;
