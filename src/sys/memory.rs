//! The memory of a System V segment or a POSIX object, behind one interface.
//!
//! A segment is mapped, because its size never changes. A POSIX object can be truncated at any time, so it is accessed
//! through its descriptor: beyond the end this is an error, not a signal.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;

use super::mapping::Mapping;
use super::posix::shm::Object;
use super::sysv::shm::Segment;
use super::transfer::{self, ALL, BUFFER};

/// Open shared memory.
#[derive(Debug)]
pub enum Memory {
    /// A System V segment and its mapping.
    Segment(Segment, Mapping),
    /// A POSIX object.
    Object(Object),
}

impl Memory {
    /// Attaches a segment.
    pub fn attach(segment: Segment, writable: bool) -> Result<Self> {
        Ok(Self::Segment(segment, segment.attach(writable)?))
    }

    /// Returns the current size in bytes.
    pub fn size(&self) -> Result<u64> {
        match self {
            Self::Segment(_, mapping) => Ok(mapping.len() as u64),
            Self::Object(object) => Ok(object.stat()?.size),
        }
    }

    /// Sets the size of a POSIX object. A segment keeps its size.
    pub fn resize(&self, size: u64) -> Result<()> {
        match self {
            Self::Segment(..) => Ok(()),
            Self::Object(object) => object.resize(size),
        }
    }

    /// Reserves space for `len` bytes from `at` on, even beyond the end.
    pub fn promise(&self, at: u64, len: u64) -> Result<()> {
        match self {
            Self::Segment(..) => Ok(()),
            Self::Object(object) => object.promise(at, len),
        }
    }

    /// A write beyond the end would extend an object that another process has truncated.
    fn check(&self, at: u64, len: u64) -> Result<()> {
        let end = at.checked_add(len).ok_or(Errno::EFAULT)?;
        if end > self.size()? { Err(Errno::EFAULT) } else { Ok(()) }
    }

    /// Copies bytes out of the memory.
    ///
    /// # Errors
    /// `EFAULT`: they extend beyond the end, because the memory was truncated.
    pub fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Segment(_, mapping) => mapping.read_at(index(at)?, bytes),
            Self::Object(object) => match transfer::read_at(object.as_fd(), at, bytes)? {
                all if all == bytes.len() => Ok(()),
                _ => Err(Errno::EFAULT),
            },
        }
    }

    /// Copies bytes into the memory.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end, as the memory was truncated. `ENOSPC`: the space was not reserved, and none is left.
    pub fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.check(at, bytes.len() as u64)?;
        match self {
            Self::Segment(_, mapping) => mapping.write_at(index(at)?, bytes),
            Self::Object(object) => transfer::write_at(object.as_fd(), at, bytes),
        }
    }

    /// Sets bytes to zero.
    pub fn clear(&self, at: u64, len: u64) -> Result<()> {
        self.check(at, len)?;
        if let Self::Segment(_, mapping) = self {
            return mapping.clear(index(at)?, index(len)?);
        }
        let zeros = vec![0; index(len)?.min(BUFFER)];
        let mut done = 0;
        while done < len {
            let step = index(len - done)?.min(BUFFER);
            self.write_at(at + done, &zeros[..step])?;
            done += step as u64;
        }
        Ok(())
    }

    /// Moves up to `most` bytes from a descriptor to `at`, until EOF, and returns their number.
    pub fn pull(&self, from: BorrowedFd, at: u64, most: u64) -> Result<u64> {
        let object = match self {
            Self::Segment(_, mapping) => return Ok(mapping.pull(from, index(at)?, index(most)?)? as u64),
            Self::Object(object) => object,
        };
        let mut done = 0;
        while done < most {
            let step = (most - done).min(ALL as u64);
            self.check(at + done, step)?;
            match transfer::pull(from, object.as_fd(), at + done, step)? {
                0 => break,
                moved => done += moved,
            }
        }
        Ok(done)
    }

    /// Moves `len` bytes from `at` to a descriptor. Returns their number, smaller if the memory was truncated.
    pub fn pour(&self, to: BorrowedFd, at: u64, len: u64) -> Result<u64> {
        match self {
            Self::Segment(_, mapping) => Ok(mapping.pour(to, index(at)?, index(len)?)? as u64),
            Self::Object(object) => transfer::pour(object.as_fd(), at, to, len),
        }
    }

    /// Maps a part of the memory for atomic access, and returns the mapping and the offset of that part in it.
    ///
    /// # Errors
    /// `EINVAL`: `len` is 0.
    pub fn words(self, at: u64, len: usize, writable: bool) -> Result<(Mapping, usize)> {
        match self {
            Self::Segment(_, mapping) => Ok((mapping, index(at)?)),
            Self::Object(object) => Ok((Mapping::map(object, at, len, writable)?, 0)),
        }
    }
}

fn index(at: u64) -> Result<usize> {
    usize::try_from(at).map_err(|_| Errno::EFAULT)
}
