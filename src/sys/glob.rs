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

/// Returns whether a pattern has a `[` without its `]`, which would match literally or not at all.
pub fn is_open(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some(at) = rest.find(['\\', '[']) {
        let is_escape = rest[at..].starts_with('\\');
        rest = &rest[at + 1..];
        if is_escape {
            rest = rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
            continue;
        }
        // A `]` that comes first is a member, and so is one in a class such as `[:alpha:]`.
        rest = rest.strip_prefix(['!', '^']).unwrap_or(rest);
        rest = rest.strip_prefix(']').unwrap_or(rest);
        loop {
            let Some(at) = rest.find([']', '[']) else { return true };
            let class = rest[at..].strip_prefix("[:").and_then(|class| class.split_once(":]"));
            match class {
                Some((_, after)) => rest = after,
                None if rest[at..].starts_with('[') => rest = &rest[at + 1..],
                None => {
                    rest = &rest[at + 1..];
                    break;
                }
            }
        }
    }
    false
}

#[cfg(test)]
#[path = "../../tests/units/sys/glob.rs"]
mod tests;
