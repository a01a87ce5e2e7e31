//! How much a pipe is to hold.

use std::os::fd::AsFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::args::size;
use crate::exit::{Cause, Exit};
use crate::sys::pipe;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// At least so many bytes.
    Bytes(u64),
    /// As much as anybody may have.
    Max,
}

/// Reads a size, or `max`.
///
/// # Errors
/// Words that say what is wrong.
pub fn parse(text: &str) -> Result<Capacity, String> {
    if text == "max" {
        return Ok(Capacity::Max);
    }
    match size::parse(text)? {
        0 => Err("a pipe holds at least 1 byte".into()),
        bytes => Ok(Capacity::Bytes(bytes)),
    }
}

impl Capacity {
    /// Gives it to a pipe, and tells what that holds now.
    pub fn give(self, pipe: impl AsFd) -> Result<usize> {
        let limits = pipe::limits();
        let bytes = match self {
            Self::Bytes(bytes) => bytes,
            Self::Max => match limits.max_size {
                Some(max) => max,
                None => bail!(Cause::new(Exit::Failed, "/proc does not tell how much it may hold")),
            },
        };
        let set = match usize::try_from(bytes) {
            Ok(bytes) => pipe::set_capacity(&pipe, bytes),
            Err(_) => Err(Errno::EINVAL),
        };
        Ok(set.map_err(|errno| match errno {
            Errno::EPERM if limits.max_size.is_some_and(|max| bytes <= max) => {
                Cause::from_errno(errno, "the pipes of this user hold as much as they may together")
                    .hint("/proc/sys/fs/pipe-user-pages-soft is the limit")
            }
            Errno::EPERM => {
                let max = limits.max_size.map_or_else(String::new, |max| format!(", {max}"));
                Cause::from_errno(errno, format!("{bytes} bytes are more than a pipe may hold"))
                    .hint(format!("/proc/sys/fs/pipe-max-size is the limit{max}"))
            }
            Errno::EINVAL => Cause::from_errno(errno, format!("{bytes} bytes are more than any pipe holds")),
            Errno::EBUSY => {
                let unread = pipe::unread(&pipe).unwrap_or(0);
                Cause::from_errno(errno, format!("{unread} bytes lie in it"))
            }
            Errno::EBADF => Cause::from_errno(errno, "it is not a pipe"),
            errno => Cause::plain(errno),
        })?)
    }
}
