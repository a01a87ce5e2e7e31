//! The bytes of a file that are locked.

use super::MOST;
use crate::sys::record_lock::Bytes;

const BASE: i64 = 1 << 30;
/// Locked by the waiter that is next, where waiters queue.
pub(super) const TURN: Bytes = Bytes { first: BASE, len: 1 };
/// Locked, shared, by exclusive waiters of a lock.
pub(super) const AWAITED: Bytes = Bytes { first: BASE + 2, len: 1 };
/// Locked by the caller that writes the line of an empty file.
pub(super) const LINE: Bytes = Bytes { first: BASE + 4, len: 1 };
/// Locked by the caller that collects slots, which releases them again if they are too few.
pub(super) const COLLECTS: Bytes = Bytes { first: BASE + 6, len: 1 };
/// The first slot. No two of these bytes are adjacent: the kernel joins adjacent locks of one owner, and parting them
/// again wakes all that wait for them, out of order.
const SLOTS: i64 = BASE + 16;
/// From the byte that ipcbox holds to that of CMD.
const TO_COMMAND: i64 = 2 * MOST as i64;
/// All bytes above.
pub(super) const LOCKS: Bytes = Bytes { first: BASE, len: SLOTS - BASE + 2 * TO_COMMAND };
/// The whole file.
pub(super) const ALL: Bytes = Bytes { first: 0, len: 0 };

/// The byte of a slot that ipcbox holds; `number` counts from 1.
pub(super) const fn of_ipcbox(number: u16) -> Bytes {
    Bytes { first: SLOTS + 2 * (number as i64 - 1), len: 1 }
}

/// The byte of a slot that CMD holds.
pub(super) const fn of_command(number: u16) -> Bytes {
    Bytes { first: of_ipcbox(number).first + TO_COMMAND, len: 1 }
}

/// The bytes of a slot.
pub(super) const fn slot(number: u16) -> [Bytes; 2] {
    [of_ipcbox(number), of_command(number)]
}

#[cfg(test)]
#[path = "../../tests/units/fileset/bytes.rs"]
mod tests;
