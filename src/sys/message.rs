//! A message of a queue, as it lies in memory for the kernel, and which one of them is meant.

use std::ffi::c_long;

/// Bytes of the number that lies before the data.
pub(super) const HEAD: usize = size_of::<c_long>();

/// A message: a number, the type or the priority, and data. System V reads and writes it whole, as `struct msgbuf`;
/// POSIX the data alone. It keeps its memory from one message to the next.
#[derive(Debug, Clone)]
pub struct Message {
    room: Vec<u8>,
    length: usize,
}

impl Message {
    /// One with this number, and without data as yet.
    pub fn new(number: i64) -> Self {
        Self { room: (number as c_long).to_ne_bytes().to_vec(), length: 0 }
    }

    /// Gives it these data instead of those that it has.
    pub fn fill(&mut self, data: &[u8]) {
        self.room.truncate(HEAD);
        self.room.extend_from_slice(data);
        self.length = data.len();
    }

    /// The type or the priority.
    pub fn number(&self) -> i64 {
        let (head, _) = self.room.split_first_chunk().unwrap_or((&[0; HEAD], &[]));
        c_long::from_ne_bytes(*head)
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.room[HEAD..HEAD + self.length]
    }

    /// The whole, for the kernel to read.
    pub(super) fn whole(&self) -> &[u8] {
        &self.room[..HEAD + self.length]
    }

    /// The whole, for the kernel to write a number and at most so many bytes of data.
    pub(super) fn space(&mut self, most: usize) -> &mut [u8] {
        if self.room.len() < HEAD + most {
            self.room.resize(HEAD + most, 0);
        }
        &mut self.room[..HEAD + most]
    }

    /// What the kernel has written there: data of this length.
    pub(super) fn has(&mut self, length: usize) {
        self.length = length.min(self.room.len() - HEAD);
    }

    /// The same, and its number.
    pub(super) fn has_numbered(&mut self, length: usize, number: i64) {
        self.has(length);
        self.room[..HEAD].copy_from_slice(&(number as c_long).to_ne_bytes());
    }
}

/// Which message of a queue is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// As msgrcv(2) has it: 0 is any, N that type, -N the lowest type up to N.
    Type(i64),
    /// Any but of this type (`MSG_EXCEPT`).
    Except(i64),
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Room for a message.
    ToSend,
    /// Such a message.
    ToReceive(Which),
}

#[cfg(test)]
#[path = "../../tests/units/sys/message.rs"]
mod tests;
