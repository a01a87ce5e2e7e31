//! System V semaphore sets: semget(2), semop(2), semctl(2).
#![allow(unsafe_code)]

mod op;
mod stops;

use std::ffi::{c_int, c_void};
use std::ptr::{from_ref, null};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;

use super::{ById, Change, Key, Kind, Listing, Perm, Table, Words, asked};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt::retry;

pub use op::Op;
pub use stops::Stops;

/// The highest value of a semaphore, `SEMVMX`.
pub const MAX_VALUE: u16 = 32767;

/// The state of a set: `struct semid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The id.
    pub id: c_int,
    /// Key, owner, permission bits.
    pub perm: Perm,
    /// The number of semaphores.
    pub len: usize,
    /// Last semop(2), seconds since 1970; 0 is never.
    pub op_time: i64,
    /// Creation or last change, seconds since 1970.
    pub change_time: i64,
}

/// The limits of `/proc/sys/kernel/sem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// SEMMSL: the maximum number of semaphores in a set.
    pub per_set: usize,
    /// SEMMNS: the maximum number of semaphores in all.
    pub in_all: usize,
    /// SEMOPM: the maximum number of operations in one semop(2).
    pub ops: usize,
    /// SEMMNI: the maximum number of sets.
    pub sets: usize,
    /// The number of sets.
    pub sets_used: usize,
    /// The number of semaphores.
    pub used: usize,
}

/// Returns the limits and their use, `IPC_INFO` and `SEM_INFO`.
pub fn limits() -> Result<Limits> {
    let (info, _) = info(libc::IPC_INFO)?;
    let (now, _) = self::info(libc::SEM_INFO)?;
    let count = |n: c_int| usize::try_from(n).unwrap_or(0);
    Ok(Limits {
        per_set: count(info.semmsl),
        in_all: count(info.semmns),
        ops: count(info.semopm),
        sets: count(info.semmni),
        sets_used: count(now.semusz),
        used: count(now.semaem),
    })
}

fn info(command: c_int) -> Result<(libc::seminfo, c_int)> {
    // SAFETY: IPC_INFO and SEM_INFO write one seminfo.
    unsafe { super::info::<Sem, _>(command) }
}

/// Lists all sets of the IPC namespace.
pub fn all() -> Result<Listing<Stat>> {
    super::all::<Sem>()
}

/// The table of semaphore sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sem;

impl Table for Sem {
    const KIND: Kind = Kind::Sem;
    const STAT_ANY: c_int = libc::SEM_STAT_ANY;
    type Raw = libc::semid_ds;
    type Stat = Stat;

    fn get(key: Key) -> c_int {
        // SAFETY: plain integers.
        unsafe { libc::semget(key, 0, 0) }
    }

    unsafe fn control(id: c_int, command: c_int, data: *mut c_void) -> c_int {
        // SAFETY: guaranteed by the caller.
        unsafe { libc::semctl(id, 0, command, data) }
    }

    fn highest() -> Result<c_int> {
        info(libc::SEM_INFO).map(|(_, highest)| highest)
    }

    fn stat(id: c_int, raw: &libc::semid_ds) -> Stat {
        Stat {
            id,
            perm: raw.sem_perm.into(),
            len: usize::try_from(raw.sem_nsems).unwrap_or(usize::MAX),
            op_time: raw.sem_otime,
            change_time: raw.sem_ctime,
        }
    }

    /// key semid perms nsems uid gid cuid cgid otime ctime
    fn line(words: &mut Words) -> Option<Stat> {
        let (key, id, mode) = (words.number()?, words.number()?, words.octal()?);
        Some(Stat {
            id,
            len: words.number()?,
            perm: words.perm(key, mode)?,
            op_time: words.number()?,
            change_time: words.number()?,
        })
    }
}

/// A set.
pub type Set = ById<Sem>;

impl Set {
    /// Creates a set of `len` semaphores with the value 0. With the key [`libc::IPC_PRIVATE`] it has no key.
    ///
    /// # Errors
    /// `EEXIST`: the key is taken. `EINVAL`: `len` is 0 or above SEMMSL. `ENOSPC`: SEMMNI or SEMMNS is reached.
    pub fn create(key: Key, len: usize, mode: u32) -> Result<Self> {
        let len = c_int::try_from(len).map_err(|_| Errno::EINVAL)?;
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::semget(key, len, flags) }).map(Self::from_id)
    }

    /// Performs all of `ops` in order, or none, waiting until `deadline`.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed, or an operation with `IPC_NOWAIT` would wait. `EIDRM`: the set was removed
    /// during the wait. `ERANGE`: a value would leave 0 to 32767, or an undo its range. `EFBIG`: an index is beyond the
    /// set. `E2BIG`: more than SEMOPM operations. `EINVAL`: no such set. `EACCES`: no permission to alter it.
    pub fn operate(self, ops: &[Op], deadline: Deadline) -> Result<()> {
        retry(|| self.operate_once(ops, deadline))
    }

    /// Like [`operate`](Self::operate), but returns false instead of `EAGAIN`.
    pub fn try_operate(self, ops: &[Op], deadline: Deadline) -> Result<bool> {
        match self.operate(ops, deadline) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Like [`operate`](Self::operate), but a signal, or a stop and continue, makes it fail with `EINTR`.
    pub fn operate_once(self, ops: &[Op], deadline: Deadline) -> Result<()> {
        let unwaiting: Vec<Op>;
        let ops = if deadline == Deadline::Now {
            unwaiting = ops.iter().map(|op| op.nowait()).collect();
            &unwaiting
        } else {
            ops
        };
        let left = deadline.left().map(TimeSpec::from);
        let left = left.as_ref().map_or(null(), |left| from_ref(left.as_ref()));
        // SAFETY: Op has the layout of a sembuf. The array and the time live through the call, which only reads them.
        let answer = unsafe { semtimedop(self.id, ops.as_ptr().cast(), ops.len(), left) };
        Errno::result(answer).map(drop)
    }

    /// Returns the state of the set and the values of all semaphores, `GETALL`. Needs read permission.
    pub fn values(self) -> Result<(Stat, Vec<u16>)> {
        let stat = Sem::stat(self.id, &asked::<Sem>(self.id, libc::IPC_STAT)?.1);
        let mut values = vec![0_u16; stat.len];
        // SAFETY: GETALL writes one u16 per semaphore; their number never changes for an id.
        Errno::result(unsafe { libc::semctl(self.id, 0, libc::GETALL, values.as_mut_ptr()) })?;
        Ok((stat, values))
    }

    /// Returns the value of a semaphore, `GETVAL`, 0 to 32767. `EINVAL`: the index is beyond the set.
    pub fn value(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETVAL)
    }

    /// Returns the number of processes that wait for a higher value, `GETNCNT`.
    pub fn waiters(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETNCNT)
    }

    /// Returns the number of processes that wait for the value 0, `GETZCNT`.
    pub fn zero_waiters(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETZCNT)
    }

    /// Returns the last process to operate on a semaphore, by semop(2), SETVAL or an undo, `GETPID`. 0: none, or one in
    /// another pid namespace.
    pub fn last_pid(self, index: u16) -> Result<i32> {
        self.ask(index, libc::GETPID)
    }

    fn number(self, index: u16, command: c_int) -> Result<u16> {
        // The number of waiters is limited only by that of processes. A larger one is shown as 65535.
        Ok(u16::try_from(self.ask(index, command)?).unwrap_or(u16::MAX))
    }

    fn ask(self, index: u16, command: c_int) -> Result<c_int> {
        // SAFETY: these commands take no fourth argument and return a number.
        Errno::result(unsafe { libc::semctl(self.id, c_int::from(index), command) })
    }

    /// Sets the value of a semaphore, `SETVAL`. Clears the undo of all processes for it.
    ///
    /// # Errors
    /// `ERANGE`: above 32767. `EINVAL`: the index is beyond the set.
    pub fn set_value(self, index: u16, value: u16) -> Result<()> {
        let value = c_int::from(value);
        // SAFETY: SETVAL takes an int.
        Errno::result(unsafe { libc::semctl(self.id, c_int::from(index), libc::SETVAL, value) }).map(drop)
    }

    /// Sets the values of all semaphores at once, `SETALL`. Clears the undo of all processes.
    ///
    /// # Errors
    /// `EINVAL`: the number of values differs from that of semaphores. `ERANGE`: a value is above 32767.
    pub fn set_values(self, values: &[u16]) -> Result<()> {
        if values.len() != self.stat()?.len {
            return Err(Errno::EINVAL);
        }
        // SAFETY: SETALL reads one u16 per semaphore. Their number was just compared and never changes for an id.
        Errno::result(unsafe { libc::semctl(self.id, 0, libc::SETALL, values.as_ptr()) }).map(drop)
    }

    /// Changes owner, group or permission bits, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither the owner nor the creator nor privileged.
    pub fn change(self, change: Change) -> Result<()> {
        self.set(|raw| change.apply(&mut raw.sem_perm))
    }
}

unsafe extern "C" {
    // glibc 2.3, Linux 2.5.52. Missing in the libc crate.
    fn semtimedop(id: c_int, ops: *const libc::sembuf, count: usize, timeout: *const libc::timespec) -> c_int;
}

#[cfg(test)]
#[path = "../../../../tests/units/sys/sysv/sem.rs"]
mod tests;
