//! Messages of a queue in the kernel's memory layout, and the selection of one.

use std::ffi::c_long;

/// Size of the number in front of the data, in bytes.
pub(super) const HEAD: usize = size_of::<c_long>();

/// A message: a number (type or priority) and data. System V transfers both as a `struct msgbuf`, POSIX only the data.
/// The buffer is reused from one message to the next.
#[derive(Debug, Clone)]
pub struct Message {
    room: Vec<u8>,
    length: usize,
}

impl Message {
    /// A message with this number and no data.
    pub fn new(number: i64) -> Self {
        Self { room: (number as c_long).to_ne_bytes().to_vec(), length: 0 }
    }

    /// Replaces the data.
    pub fn fill(&mut self, data: &[u8]) {
        self.room.truncate(HEAD);
        self.room.extend_from_slice(data);
        self.length = data.len();
    }

    /// Returns the type or the priority.
    pub fn number(&self) -> i64 {
        let (head, _) = self.room.split_first_chunk().unwrap_or((&[0; HEAD], &[]));
        c_long::from_ne_bytes(*head)
    }

    /// Returns the data.
    pub fn data(&self) -> &[u8] {
        &self.room[HEAD..HEAD + self.length]
    }

    /// Returns the number and the data, for the kernel to read.
    pub(super) fn whole(&self) -> &[u8] {
        &self.room[..HEAD + self.length]
    }

    /// Returns room for a number and up to `most` bytes of data, for the kernel to write.
    pub(super) fn space(&mut self, most: usize) -> &mut [u8] {
        if self.room.len() < HEAD + most {
            self.room.resize(HEAD + most, 0);
        }
        &mut self.room[..HEAD + most]
    }

    /// Sets the length of the data that the kernel has written.
    pub(super) fn has(&mut self, length: usize) {
        self.length = length.min(self.room.len() - HEAD);
    }

    /// Like [`has`](Self::has), and sets the number.
    pub(super) fn has_numbered(&mut self, length: usize, number: i64) {
        self.has(length);
        self.room[..HEAD].copy_from_slice(&(number as c_long).to_ne_bytes());
    }
}

/// Selects a message of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// A type as msgrcv(2) takes it: 0 is any, N is that type, -N is the lowest type up to N.
    Type(i64),
    /// Any type except this one (`MSG_EXCEPT`).
    Except(i64),
}

/// The aim of a wait on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Room for a message.
    ToSend,
    /// A message of this selection.
    ToReceive(Which),
}

#[cfg(test)]
#[path = "../../tests/units/sys/message.rs"]
mod tests;
