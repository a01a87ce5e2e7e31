//! Input to send, read as a whole or record by record.

use std::io::BufRead;

const BLOCK: usize = 64 << 10;

/// An oversized record is read and counted only up to this length, because it may never end.
const MOST_COUNTED: u64 = 1 << 30;

/// Input split into records of a limited size.
pub struct Input {
    /// The byte that terminates a record. `None`: only EOF does.
    separator: Option<u8>,
    most: usize,
    block: Vec<u8>,
    /// The part of the block that has not been returned yet.
    left: std::ops::Range<usize>,
    record: Vec<u8>,
    any: bool,
    ended: bool,
}

fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // Reading a slice cannot fail. `skip_until` searches word by word and is faster than a loop over bytes.
    let read = rest.skip_until(byte).unwrap_or_default();
    read.checked_sub(1).filter(|at| bytes[*at] == byte)
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Its bytes, without the separator.
    Whole(&'a [u8]),
    /// The record exceeds the limit. It has at least this many bytes.
    TooLong(u64),
}

impl Input {
    /// Splits at `separator`. EOF also terminates the last record.
    pub fn records(separator: u8, most: usize) -> Self {
        Self::new(Some(separator), most)
    }

    /// Treats the whole input as one record, even if it is empty.
    pub fn whole(most: usize) -> Self {
        Self { any: true, ..Self::new(None, most) }
    }

    const fn new(separator: Option<u8>, most: usize) -> Self {
        let record = Vec::new();
        Self { separator, most, block: Vec::new(), left: 0..0, record, any: false, ended: false }
    }

    /// Returns the next record, `None` at EOF. `read` fills a block and returns the number of bytes, 0 at EOF.
    pub fn next<E>(&mut self, mut read: impl FnMut(&mut [u8]) -> Result<usize, E>) -> Result<Option<Record<'_>>, E> {
        self.record.clear();
        let mut length = 0;
        loop {
            if self.left.is_empty() && !self.ended {
                self.block.resize(BLOCK, 0);
                self.left = 0..read(&mut self.block)?;
                // A terminal can deliver more after EOF.
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
                // The common case: the whole record is in this block.
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
        // Nothing after the last separator is not a record.
        if !std::mem::take(&mut self.any) {
            return Ok(None);
        }
        Ok(Some(if length > self.most as u64 { Record::TooLong(length) } else { Record::Whole(&self.record) }))
    }
}
