//! What is to be sent, from whatever reads it: all of it, or record by record.

use std::io::BufRead;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// Of a record that is too long no more is counted, and read: it can be without end.
const MOST_COUNTED: u64 = 1 << 30;

/// Input in records, each of a limited size.
pub struct Input {
    /// What ends a record; none is the end of the input alone.
    separator: Option<u8>,
    most: usize,
    block: Vec<u8>,
    /// What has been read of the block and not been given out.
    left: std::ops::Range<usize>,
    record: Vec<u8>,
    any: bool,
    ended: bool,
}

/// Where a byte is.
fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // A slice does not fail; its reader searches by the word, where a loop would do so by the byte.
    let read = rest.skip_until(byte).unwrap_or_default();
    read.checked_sub(1).filter(|at| bytes[*at] == byte)
}

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Its bytes, without what ended it.
    Whole(&'a [u8]),
    /// It has so many bytes, or more, which is more than may be.
    TooLong(u64),
}

impl Input {
    /// Records that end in `separator`, the last one perhaps at the end of the input.
    pub fn records(separator: u8, most: usize) -> Self {
        Self::new(Some(separator), most)
    }

    /// All of it as one record, which is there also where it is empty.
    pub fn whole(most: usize) -> Self {
        Self { any: true, ..Self::new(None, most) }
    }

    const fn new(separator: Option<u8>, most: usize) -> Self {
        let record = Vec::new();
        Self { separator, most, block: Vec::new(), left: 0..0, record, any: false, ended: false }
    }

    /// The next record; `None` is the end. `read` fills a block, and returns how many bytes came, 0 at the end.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn next<E>(&mut self, mut read: impl FnMut(&mut [u8]) -> Result<usize, E>) -> Result<Option<Record<'_>>, E> {
        self.record.clear();
        let mut length = 0;
        loop {
            if self.left.is_empty() && !self.ended {
                self.block.resize(BLOCK, 0);
                self.left = 0..read(&mut self.block)?;
                // A terminal can have more after its end.
                self.ended = self.left.is_empty();
            }
            if self.ended {
                break;
            }
            self.any = true;
            let here = &self.block[self.left.clone()];
            let end = self.separator.and_then(|end| find(end, here));
            let part = &here[..end.unwrap_or(here.len())];
            length += part.len() as u64;
            self.left.start += part.len() + usize::from(end.is_some());
            if end.is_some() && length == part.len() as u64 && part.len() <= self.most {
                // The common case: it lies whole in the block.
                self.any = false;
                let start = self.left.start - 1 - part.len();
                return Ok(Some(Record::Whole(&self.block[start..self.left.start - 1])));
            }
            if length <= self.most as u64 {
                self.record.extend_from_slice(part);
            }
            self.any |= end.is_some();
            if end.is_some() || length > MOST_COUNTED {
                break;
            }
        }
        // Nothing since the last record is no record.
        if !std::mem::take(&mut self.any) {
            return Ok(None);
        }
        Ok(Some(if length > self.most as u64 { Record::TooLong(length) } else { Record::Whole(&self.record) }))
    }
}
