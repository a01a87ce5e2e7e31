//! A complete write in its journal, and how it reaches the object and readers.

use nix::Result;
use nix::errno::Errno;

use crate::sys::mapping::Mapping;
use crate::sys::memory::Memory;

pub(super) const DATA: usize = 128;
const STEP: usize = 64 << 10;

/// What happens to the bytes after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// They stay.
    Kept,
    /// They become 0.
    Cleared,
    /// A POSIX object is truncated or extended to the end of the write.
    Cut,
}

impl Rest {
    const ALL: [Self; 3] = [Self::Kept, Self::Cleared, Self::Cut];

    /// Reads a word of a journal. Any other word becomes `Kept`, so it differs when it is compared.
    pub(super) fn of(word: u64) -> Self {
        *usize::try_from(word).ok().and_then(|word| Self::ALL.get(word)).unwrap_or(&Self::Kept)
    }
}

/// The place of a write, and what happens to the bytes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the object.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
    /// The bytes after it.
    pub rest: Rest,
}

impl Extent {
    pub(super) const fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// A complete write in its journal.
pub(super) struct JournalEntry {
    pub(super) bytes: Mapping,
    pub(super) extent: Extent,
}

impl JournalEntry {
    /// Copies it to the object, as far as the object still reaches.
    pub(super) fn copy(&self, memory: &Memory) -> Result<()> {
        let Extent { offset, len, rest } = self.extent;
        if rest == Rest::Cut && memory.size()? < self.extent.end() {
            memory.resize(self.extent.end())?;
        }
        let mut buffer = vec![0; STEP];
        let size = memory.size()?;
        let len = len.min(size.saturating_sub(offset));
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(usize::MAX).min(STEP);
            self.bytes.read_at(DATA + index(done)?, &mut buffer[..step])?;
            memory.write_at(offset + done, &buffer[..step])?;
            done += step as u64;
        }
        let end = offset.saturating_add(len);
        match rest {
            Rest::Cleared if end < size => memory.clear(end, size - end),
            Rest::Cut => memory.resize(end),
            Rest::Kept | Rest::Cleared => Ok(()),
        }
    }

    /// Replaces its part of `bytes`, which were read at offset `at`.
    fn overlay(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let Extent { offset, rest, .. } = self.extent;
        let (last, end) = (self.extent.end(), at.saturating_add(bytes.len() as u64));
        let (from, to) = (offset.max(at), last.min(end));
        if from < to {
            let place = index(from - at)?..index(to - at)?;
            self.bytes.read_at(DATA + index(from - offset)?, &mut bytes[place])?;
        }
        if rest == Rest::Cleared && last < end {
            bytes[index(last.max(at) - at)?..].fill(0);
        }
        Ok(())
    }
}

/// Complete writes that have not been copied yet.
pub struct Writes(Vec<JournalEntry>);

impl FromIterator<JournalEntry> for Writes {
    fn from_iter<T: IntoIterator<Item = JournalEntry>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Writes {
    /// Returns the size of the object after them, from its present `size`.
    pub fn size(&self, size: u64) -> u64 {
        self.0.iter().map(|entry| entry.extent).fold(size, |size, extent| match extent.rest {
            Rest::Cut => extent.end(),
            Rest::Kept | Rest::Cleared => size,
        })
    }

    /// Replaces their parts of `bytes`, which were read at `offset`.
    ///
    /// # Errors
    /// A journal was truncated.
    pub fn overlay(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.0.iter().try_for_each(|entry| entry.overlay(offset, bytes))
    }
}

fn index(at: u64) -> Result<usize> {
    usize::try_from(at).map_err(|_| Errno::EFAULT)
}
