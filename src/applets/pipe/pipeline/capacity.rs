//! The capacity of a pipe.

use std::os::fd::AsFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::args::size;
use crate::exit::{Cause, Exit, doubled};
use crate::sys::pipe;

/// A requested capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// At least this many bytes.
    Bytes(u64),
    /// The most that is allowed without privilege, `pipe-max-size`.
    Max,
}

/// Parses a size, or `max`.
///
/// # Errors
/// Returns why `text` is neither.
pub fn parse(text: &str) -> Result<Capacity, String> {
    if text == "max" {
        return Ok(Capacity::Max);
    }
    match size::parse(text)? {
        0 => Err("expected a capacity of at least 1 byte".into()),
        bytes => Ok(Capacity::Bytes(bytes)),
    }
}

impl Capacity {
    /// Sets the capacity of a pipe. Returns what the kernel has rounded it to.
    pub fn give(self, pipe: impl AsFd) -> Result<usize> {
        let limits = pipe::limits();
        let bytes = match self {
            Self::Bytes(bytes) => bytes,
            Self::Max => match limits.max_size {
                Some(max) => max,
                None => bail!(Cause::new(Exit::Failed, "/proc/sys/fs/pipe-max-size cannot be read")),
            },
        };
        let set = match usize::try_from(bytes) {
            Ok(bytes) => pipe::set_capacity(&pipe, bytes),
            Err(_) => Err(Errno::EINVAL),
        };
        Ok(set.map_err(|errno| match errno {
            Errno::EPERM if limits.max_size.is_some_and(|max| bytes <= max) => {
                Cause::from_errno(errno, "this user's pipes have reached their total size limit")
                    .hint(doubled("fs.pipe-user-pages-soft"))
            }
            Errno::EPERM => {
                let max = limits.max_size.map_or_else(String::new, |max| format!(", {max}"));
                Cause::from_errno(errno, format!("{bytes} bytes exceed /proc/sys/fs/pipe-max-size{max}"))
                    .hint("use 'max' for the largest allowed capacity")
            }
            Errno::EINVAL => {
                Cause::from_errno(errno, format!("{bytes} bytes exceed the maximum pipe capacity of 2 GiB"))
            }
            Errno::EBUSY => {
                let unread = pipe::unread(&pipe).unwrap_or(0);
                Cause::from_errno(errno, format!("the pipe holds {unread} unread bytes"))
            }
            Errno::EBADF => Cause::from_errno(errno, "not a pipe"),
            errno => Cause::plain(errno),
        })?)
    }
}
