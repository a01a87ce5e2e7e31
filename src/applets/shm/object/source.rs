//! What a write takes its bytes from: TEXT, or standard input.

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

/// Bytes to write.
pub enum Source {
    /// An argument.
    Text(OsString),
    /// Standard input; how long it is, where it is a file that tells.
    Stream(Option<u64>),
    /// What was read of it, in memory, and how long that is.
    Spooled(OwnedFd, u64),
}

impl Source {
    /// TEXT, else standard input.
    ///
    /// # Errors
    /// Standard input cannot be read.
    pub fn of(text: Option<OsString>) -> Result<Self> {
        match text {
            Some(text) => Ok(Self::Text(text)),
            None => Ok(Self::Stream(readable(fds::stdin()).context("standard input")?)),
        }
    }

    /// How long it is, where that is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(text.len() as u64),
            Self::Stream(len) => *len,
            Self::Spooled(_, len) => Some(*len),
        }
    }

    /// The same with a length that is known: a stream is read to its end.
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

    /// Puts at most `most` bytes of it at `at`: how many there were.
    pub fn put(&self, memory: &Memory, at: u64, most: u64) -> Result<u64> {
        if let Self::Text(text) = self {
            memory.write_at(at, text.as_bytes())?;
            return Ok(text.len() as u64);
        }
        Ok(memory.pull(self.descriptor(), at, most)?)
    }

    /// Puts exactly `len` bytes of it into a mapping.
    ///
    /// # Errors
    /// It ends before.
    pub fn put_whole(&self, mapping: &Mapping, at: usize, len: u64) -> Result<()> {
        if let Self::Text(text) = self {
            return Ok(mapping.write_at(at, text.as_bytes())?);
        }
        let done = mapping.pull(self.descriptor(), at, usize::try_from(len)?)? as u64;
        if done < len { Err(shorter(done, len).into()) } else { Ok(()) }
    }

    /// Puts all of it into a POSIX object that has no name yet, at `at`, and makes that as long as it is; gives how
    /// many bytes there were.
    pub fn fill(&self, object: &Object, at: u64) -> nix::Result<u64> {
        if let Self::Text(text) = self {
            transfer::write_at(object.as_fd(), at, text.as_bytes())?;
            return Ok(text.len() as u64);
        }
        let len = transfer::pull(self.descriptor(), object.as_fd(), at, u64::MAX - at)?;
        object.resize(at + len)?;
        Ok(len)
    }

    /// Whether there is more of it.
    pub fn has_more(&self) -> Result<bool> {
        match self {
            Self::Text(_) => Ok(false),
            Self::Stream(_) | Self::Spooled(..) => Ok(transfer::read_some(self.descriptor(), &mut [0])? > 0),
        }
    }
}

/// A file that ended before the length that it had.
fn shorter(done: u64, len: u64) -> Cause {
    Cause::from_errno(Errno::EIO, format!("standard input ended after {done} of {len} bytes"))
}

/// Whether a descriptor can be read, and how much there is where it is a file.
///
/// # Errors
/// `EISDIR`: it is a directory. `EBADF`: it was closed, or opened for writing alone.
pub fn readable(from: BorrowedFd) -> Result<Option<u64>, Cause> {
    transfer::left(from).map_err(|errno| match errno {
        Errno::EISDIR => Cause::from_errno(errno, "it is a directory"),
        Errno::EBADF => Cause::from_errno(errno, "it is not open for reading"),
        errno => Cause::plain(errno),
    })
}
