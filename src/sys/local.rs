//! Local times, localtime_r(3).
//!
//! The C library accepts every form of TZ that other programs accept, and detects a file that is not a time zone.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::mem::zeroed;

use nix::libc;

/// Formats seconds since 1970 as ctime(3) does, without the newline: `Sun Nov 22 04:17:30 2026`. Returns the bare
/// number if it is beyond the calendar.
pub fn ctime(seconds: i64) -> String {
    // SAFETY: a C structure of integers and a pointer, for which all zeros is a valid value.
    let mut time: libc::tm = unsafe { zeroed() };
    // SAFETY: both live through the call. ipcbox never changes the environment, so TZ does not change.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut time) }.is_null() {
        return seconds.to_string();
    }
    let mut text = [0_u8; 64];
    let (at, format) = (text.as_mut_ptr().cast::<c_char>(), c"%a %b %e %H:%M:%S %Y".as_ptr());
    // SAFETY: at most 64 bytes are written there, from a terminated format and a tm that localtime_r filled.
    let len = unsafe { libc::strftime(at, text.len(), format, &raw const time) };
    String::from_utf8_lossy(&text[..len]).into_owned()
}

#[cfg(test)]
#[path = "../../tests/units/sys/local.rs"]
mod tests;
