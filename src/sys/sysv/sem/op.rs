//! Semaphore operations: `struct sembuf`.

use std::ffi::c_int;

use nix::Result;
use nix::libc;

use crate::sys::process::{Blocked, shares_ipc};

/// An operation for semop(2), in the memory layout of `struct sembuf`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Op {
    index: u16,
    delta: i16,
    flags: i16,
}
const _: () = assert!(size_of::<Op>() == size_of::<libc::sembuf>());

impl Op {
    /// Adds `delta` to semaphore `index`. A negative `delta` waits until the value is large enough, 0 until it is 0.
    pub const fn new(index: u16, delta: i16) -> Self {
        Self { index, delta, flags: 0 }
    }

    /// Makes the kernel undo it when the process exits (`SEM_UNDO`).
    pub const fn undo(self) -> Self {
        self.flag(libc::SEM_UNDO)
    }

    /// Makes it fail with `EAGAIN` instead of waiting (`IPC_NOWAIT`).
    pub const fn nowait(self) -> Self {
        self.flag(libc::IPC_NOWAIT)
    }

    const fn flag(mut self, flag: c_int) -> Self {
        self.flags |= flag as i16;
        self
    }

    /// Decodes an operation in memory layout.
    pub fn from_bytes([i0, i1, d0, d1, f0, f1]: [u8; 6]) -> Self {
        Self {
            index: u16::from_ne_bytes([i0, i1]),
            delta: i16::from_ne_bytes([d0, d1]),
            flags: i16::from_ne_bytes([f0, f1]),
        }
    }

    /// Returns the number of the semaphore in its set.
    pub const fn index(self) -> u16 {
        self.index
    }

    /// Returns what is added to it.
    pub const fn delta(self) -> i16 {
        self.delta
    }
}

/// Formats it as `sem op` parses it: `INDEX:DELTA`, then `n` for `IPC_NOWAIT` and `u` for `SEM_UNDO`.
impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let has = |flag: c_int| c_int::from(self.flags) & flag != 0;
        write!(f, "{}:{:+}", self.index(), self.delta())?;
        f.write_str(if has(libc::IPC_NOWAIT) { "n" } else { "" })?;
        f.write_str(if has(libc::SEM_UNDO) { "u" } else { "" })
    }
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Blocked {
    /// Returns the operations that this thread waits for in semop(2) or semtimedop(2) on the set `id`, read from its
    /// memory by process_vm_readv(2). `None`: it waits for something else.
    ///
    /// # Errors
    /// `EPERM`: its memory may not be read.
    pub fn sem_ops(&self, id: i32) -> Option<Result<Vec<Op>>> {
        let is_semop = [libc::SYS_semop, libc::SYS_semtimedop].contains(&self.call);
        // Like the kernel, take the id from the lower half. Each IPC namespace has its own ids.
        if !is_semop || self.args[0] as c_int != id || !shares_ipc(self.pid) {
            return None;
        }
        Some(self.read_ops(self.args[1] as usize, self.args[2] as usize))
    }

    fn read_ops(&self, at: usize, count: usize) -> Result<Vec<Op>> {
        // SEMOPM is 500 by default. If it is above 4096, only the first operations are read.
        let bytes = self.read(at, count.min(4096) * size_of::<Op>())?;
        Ok(bytes.as_chunks().0.iter().copied().map(Op::from_bytes).collect())
    }
}

#[cfg(test)]
#[path = "../../../../tests/units/sys/sysv/sem/op.rs"]
mod tests;
