//! The data of a write: TEXT, or standard input.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::exit::Cause;
use crate::sys::mapping::Mapping;
use crate::sys::memory::Memory;
use crate::sys::posix::shm::Object;
use crate::sys::{fds, transfer};

pub enum Payload {
    Text(OsString),
    /// Standard input, and its length if it is a file.
    Stream(Option<u64>),
    /// Standard input that was read into memory, and its length.
    Spooled(OwnedFd, u64),
}

impl Payload {
    /// Returns TEXT, or else standard input.
    ///
    /// # Errors
    /// Standard input cannot be read.
    pub fn of(text: Option<OsString>) -> Result<Self> {
        match text {
            Some(text) => Ok(Self::Text(text)),
            None => Ok(Self::Stream(readable(fds::stdin()).context("standard input")?)),
        }
    }

    /// Returns the length, if it is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(text.len() as u64),
            Self::Stream(len) => *len,
            Self::Spooled(_, len) => Some(*len),
        }
    }

    /// Reads a stream to its end, so that the length is known.
    pub fn spooled(self) -> Result<Self> {
        if self.len().is_some() {
            return Ok(self);
        }
        let file = OwnedFd::from(fds::in_memory(b"").map_err(Cause::plain)?);
        let len = transfer::pull(fds::stdin(), file.as_fd(), 0, u64::MAX).map_err(Cause::plain);
        let len = len.context("cannot read standard input into memory")?;
        transfer::seek(&file, 0)?;
        Ok(Self::Spooled(file, len))
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Spooled(file, _) => file.as_fd(),
            Self::Text(_) | Self::Stream(_) => fds::stdin(),
        }
    }

    /// Writes at most `most` bytes at `at`, and returns how many there were.
    pub fn put(&self, memory: &Memory, at: u64, most: u64) -> Result<u64> {
        if let Self::Text(text) = self {
            memory.write_at(at, text.as_bytes())?;
            return Ok(text.len() as u64);
        }
        Ok(memory.pull(self.descriptor(), at, most)?)
    }

    /// Writes exactly `len` bytes to a mapping.
    ///
    /// # Errors
    /// `EIO`: the data is shorter.
    pub fn put_whole(&self, mapping: &Mapping, at: usize, len: u64) -> Result<()> {
        if let Self::Text(text) = self {
            return Ok(mapping.write_at(at, text.as_bytes())?);
        }
        let done = mapping.pull(self.descriptor(), at, usize::try_from(len)?)? as u64;
        if done < len { Err(shorter(done, len).into()) } else { Ok(()) }
    }

    /// Writes all data at `at` of a POSIX object without a name, sets its size, and returns the length of the data.
    pub fn fill(&self, object: &Object, at: u64) -> nix::Result<u64> {
        if let Self::Text(text) = self {
            transfer::write_at(object.as_fd(), at, text.as_bytes())?;
            return Ok(text.len() as u64);
        }
        let len = transfer::pull(self.descriptor(), object.as_fd(), at, u64::MAX - at)?;
        object.resize(at + len)?;
        Ok(len)
    }

    pub fn has_more(&self) -> Result<bool> {
        match self {
            Self::Text(_) => Ok(false),
            Self::Stream(_) | Self::Spooled(..) => Ok(transfer::read_some(self.descriptor(), &mut [0])? > 0),
        }
    }
}

fn shorter(done: u64, len: u64) -> Cause {
    Cause::from_errno(Errno::EIO, format!("standard input ended after {done} of {len} bytes"))
}

/// Checks that a descriptor can be read, and returns how much is left of a file.
///
/// # Errors
/// `EISDIR`: it is a directory. `EBADF`: it is closed, or open for writing only.
pub fn readable(from: BorrowedFd) -> Result<Option<u64>, Cause> {
    transfer::left(from).map_err(|errno| match errno {
        Errno::EISDIR => Cause::from_errno(errno, "is a directory"),
        Errno::EBADF => Cause::from_errno(errno, "not open for reading"),
        errno => Cause::plain(errno),
    })
}
