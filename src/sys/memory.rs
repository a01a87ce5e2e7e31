//! The memory of a System V segment or of a POSIX object, read and written the same way.
//!
//! A segment is mapped: it never changes its size. A POSIX object can be made shorter at any time, and is read and
//! written through its descriptor, where that is an error and no signal.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;

use super::mapping::Mapping;
use super::posix::shm::Object;
use super::sysv::shm::Segment;
use super::transfer::{self, ALL, BUFFER};

/// Shared memory that is open.
#[derive(Debug)]
pub enum Memory {
    /// A System V segment, and where it is attached.
    Segment(Segment, Mapping),
    /// A POSIX object.
    Object(Object),
}

impl Memory {
    /// That of a segment.
    ///
    /// # Errors
    /// Those of [attaching](Segment::attach) it.
    pub fn attach(segment: Segment, writable: bool) -> Result<Self> {
        Ok(Self::Segment(segment, segment.attach(writable)?))
    }

    /// How many bytes it has, at this moment.
    pub fn size(&self) -> Result<u64> {
        match self {
            Self::Segment(_, mapping) => Ok(mapping.len() as u64),
            Self::Object(object) => Ok(object.stat()?.size),
        }
    }

    /// Makes a POSIX object `size` bytes long; a segment keeps its size.
    ///
    /// # Errors
    /// Those of [`Object::resize`].
    pub fn resize(&self, size: u64) -> Result<()> {
        match self {
            Self::Segment(..) => Ok(()),
            Self::Object(object) => object.resize(size),
        }
    }

    /// Makes sure that there is space for `len` bytes from `at` on, which can be beyond the end.
    ///
    /// # Errors
    /// Those of [`Object::promise`].
    pub fn promise(&self, at: u64, len: u64) -> Result<()> {
        match self {
            Self::Segment(..) => Ok(()),
            Self::Object(object) => object.promise(at, len),
        }
    }

    /// Writing beyond the end would make an object longer again that somebody made shorter.
    fn check(&self, at: u64, len: u64) -> Result<()> {
        let end = at.checked_add(len).ok_or(Errno::EFAULT)?;
        if end > self.size()? { Err(Errno::EFAULT) } else { Ok(()) }
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// `EFAULT`: they end beyond the memory, which was made shorter.
    pub fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Segment(_, mapping) => mapping.read_at(index(at)?, bytes),
            Self::Object(object) => match transfer::read_at(object.as_fd(), at, bytes)? {
                all if all == bytes.len() => Ok(()),
                _ => Err(Errno::EFAULT),
            },
        }
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// `EFAULT`: they end beyond the memory, which was made shorter. `ENOSPC`: its space was never reserved, and there is
    /// none left.
    pub fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.check(at, bytes.len() as u64)?;
        match self {
            Self::Segment(_, mapping) => mapping.write_at(index(at)?, bytes),
            Self::Object(object) => transfer::write_at(object.as_fd(), at, bytes),
        }
    }

    /// Makes bytes zero.
    ///
    /// # Errors
    /// As for [`write_at`](Self::write_at).
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

    /// Moves at most `most` bytes from a descriptor to `at`, stopping at its end: how many.
    ///
    /// # Errors
    /// As for [`write_at`](Self::write_at), and the read's.
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

    /// Moves `len` bytes from `at` to a descriptor: how many, fewer where the memory was made shorter.
    ///
    /// # Errors
    /// The write's.
    pub fn pour(&self, to: BorrowedFd, at: u64, len: u64) -> Result<u64> {
        match self {
            Self::Segment(_, mapping) => Ok(mapping.pour(to, index(at)?, index(len)?)? as u64),
            Self::Object(object) => transfer::pour(object.as_fd(), at, to, len),
        }
    }

    /// A part of the memory, for atomic access: where its words are is told beside it.
    ///
    /// # Errors
    /// `EINVAL`: no bytes.
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
