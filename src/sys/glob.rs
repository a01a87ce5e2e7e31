//! Patterns of the shell, fnmatch(3).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use nix::libc;

/// Returns whether a name matches a pattern of `*`, `?` and `[...]`; `\` takes the next character literally. A slash and
/// a dot at the start are characters like any other.
pub fn matches(pattern: &CStr, name: &OsStr) -> bool {
    let Ok(name) = CString::new(name.as_bytes()) else { return false };
    // SAFETY: two terminated strings, which live through the call and are only read.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) == 0 }
}

#[cfg(test)]
#[path = "../../tests/units/sys/glob.rs"]
mod tests;
