//! System V semaphore sets: semget(2), semop(2), semctl(2).
#![allow(unsafe_code)]

mod op;
mod stops;

use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr::{from_ref, null};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;

use super::{Change, Key, Listing, Perm, Words, asked, indices, listed};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt::retry;

pub use op::Op;
pub use stops::Stops;

/// The highest value of a semaphore, `SEMVMX`.
pub const MAX_VALUE: u16 = 32767;

/// What the kernel keeps of a set: `struct semid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The id.
    pub id: c_int,
    /// Key, owner, permission bits.
    pub perm: Perm,
    /// Number of semaphores.
    pub len: usize,
    /// Last semop(2), seconds since 1970; 0 is never.
    pub op_time: i64,
    /// Creation or last change, seconds since 1970.
    pub change_time: i64,
}

impl Stat {
    fn new(id: c_int, raw: &libc::semid_ds) -> Self {
        Self {
            id,
            perm: raw.sem_perm.into(),
            len: usize::try_from(raw.sem_nsems).unwrap_or(usize::MAX),
            op_time: raw.sem_otime,
            change_time: raw.sem_ctime,
        }
    }
}

/// The limits of `/proc/sys/kernel/sem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// SEMMSL: semaphores in a set.
    pub per_set: usize,
    /// SEMMNS: semaphores in all.
    pub in_all: usize,
    /// SEMOPM: operations in one semop(2).
    pub ops: usize,
    /// SEMMNI: sets.
    pub sets: usize,
    /// How many sets there are.
    pub sets_used: usize,
    /// How many semaphores there are.
    pub used: usize,
}

/// The limits and what is used of them, `IPC_INFO` and `SEM_INFO`.
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
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut info: libc::seminfo = unsafe { zeroed() };
    // SAFETY: IPC_INFO and SEM_INFO write one seminfo, which is there; id and index are ignored.
    let highest = Errno::result(unsafe { libc::semctl(0, 0, command, &raw mut info) })?;
    Ok((info, highest))
}

/// Every set of the IPC namespace, those that may not be read included: from `/proc/sysvipc/sem`, else by calls.
///
/// # Errors
/// Those of reading it. A line that cannot be read is one, with its number.
pub fn all() -> Result<Listing<Stat>> {
    match listed("sem", line) {
        Some(lines) => Ok(lines),
        None => Ok(Box::new(all_by_calls()?.map(Ok))),
    }
}

/// The same by calls alone (`SEM_STAT_ANY`, Linux 4.17).
pub fn all_by_calls() -> Result<impl Iterator<Item = Stat>> {
    Ok(asked(highest()?, |index| stat(index, libc::SEM_STAT_ANY)))
}

/// The highest index in the kernel's table.
pub(super) fn highest() -> Result<c_int> {
    info(libc::SEM_INFO).map(|(_, highest)| highest)
}

/// The id of the set with this index.
pub(super) fn id_at(index: c_int) -> Result<c_int> {
    stat(index, libc::SEM_STAT_ANY).map(|stat| stat.id)
}

/// A line: key semid perms nsems uid gid cuid cgid otime ctime.
fn line(words: &mut Words) -> Option<Stat> {
    let key = words.number()?;
    let id = words.number()?;
    let mode = words.octal()? & 0o777;
    let len = words.number()?;
    let perm = Perm {
        key,
        uid: words.number()?,
        gid: words.number()?,
        creator_uid: words.number()?,
        creator_gid: words.number()?,
        mode,
    };
    Some(Stat { id, perm, len, op_time: words.number()?, change_time: words.number()? })
}

/// The data of the set with this id, `IPC_STAT`, or with this index in the kernel's table.
pub(super) fn stat(id_or_index: c_int, command: c_int) -> Result<Stat> {
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut raw: libc::semid_ds = unsafe { zeroed() };
    // SAFETY: IPC_STAT and SEM_STAT_ANY write one semid_ds, which is there.
    let id = Errno::result(unsafe { libc::semctl(id_or_index, 0, command, &raw mut raw) })?;
    let id = if command == libc::IPC_STAT { id_or_index } else { id };
    Ok(Stat::new(id, &raw))
}

/// A semaphore set, by its id. The set can go at any time; calls then fail with `EINVAL`, or with `EIDRM` where
/// they were waiting on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    id: c_int,
}

impl Set {
    /// The set with this id, whether it is there or not.
    #[must_use]
    pub const fn from_id(id: c_int) -> Self {
        Self { id }
    }

    /// The set behind `key`, asking for no permission.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    pub fn find(key: Key) -> Result<Self> {
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::semget(key, 0, 0) }).map(Self::from_id)
    }

    /// A new set of `len` semaphores, all 0. A `key` of [`libc::IPC_PRIVATE`] gives one without a key.
    ///
    /// # Errors
    /// `EEXIST`: the key is taken. `EINVAL`: `len` is 0 or above SEMMSL. `ENOSPC`: SEMMNI or SEMMNS is reached.
    pub fn create(key: Key, len: usize, mode: u32) -> Result<Self> {
        let len = c_int::try_from(len).map_err(|_| Errno::EINVAL)?;
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::semget(key, len, flags) }).map(Self::from_id)
    }

    /// The id, 0 or above.
    #[must_use]
    pub const fn id(self) -> c_int {
        self.id
    }

    /// Does all of `ops` or none, in their order, waiting at most until `deadline`.
    ///
    /// # Errors
    /// `EAGAIN`: not in time, or an operation with `IPC_NOWAIT` would have had to wait. `EIDRM`: the set was removed
    /// meanwhile. `ERANGE`: a value would leave 0 to 32767, or an undo its range. `EFBIG`: an index beyond
    /// the set. `E2BIG`: more than SEMOPM operations. `EINVAL`: no such set. `EACCES`: no permission to alter it.
    pub fn operate(self, ops: &[Op], deadline: Deadline) -> Result<()> {
        retry(|| self.operate_once(ops, deadline))
    }

    /// The same; whether it was done in time.
    ///
    /// # Errors
    /// Those of [`operate`](Self::operate) but `EAGAIN`.
    pub fn try_operate(self, ops: &[Op], deadline: Deadline) -> Result<bool> {
        match self.operate(ops, deadline) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// The same, but returns when a signal, or a stop and continue, has interrupted the wait.
    ///
    /// # Errors
    /// `EINTR`: it was interrupted. Those of [`operate`](Self::operate).
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
        // SAFETY: Op is a transparent sembuf; the array and the time live through the call, which only
        // reads both.
        let answer = unsafe { semtimedop(self.id, ops.as_ptr().cast(), ops.len(), left) };
        Errno::result(answer).map(drop)
    }

    /// The values of all semaphores, `GETALL`, and the set's data. Needs read permission.
    pub fn values(self) -> Result<(Stat, Vec<u16>)> {
        let stat = stat(self.id, libc::IPC_STAT)?;
        let mut values = vec![0_u16; stat.len];
        // SAFETY: GETALL writes as many u16 as the set has, which stays so for the life of an id.
        Errno::result(unsafe { libc::semctl(self.id, 0, libc::GETALL, values.as_mut_ptr()) })?;
        Ok((stat, values))
    }

    /// The set's data. Asks without read permission too, where the kernel can (Linux 4.17).
    pub fn stat(self) -> Result<Stat> {
        match stat(self.id, libc::IPC_STAT) {
            Err(Errno::EACCES) => indices(self.id)
                .into_iter()
                .filter_map(|index| stat(index, libc::SEM_STAT_ANY).ok())
                .find(|stat| stat.id == self.id)
                .ok_or(Errno::EACCES),
            answer => answer,
        }
    }

    /// The value of one semaphore, `GETVAL`, 0 to 32767. `EINVAL`: an index beyond the set.
    pub fn value(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETVAL)
    }

    /// How many processes wait for it to rise, `GETNCNT`.
    pub fn waiters(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETNCNT)
    }

    /// How many processes wait for it to become 0, `GETZCNT`.
    pub fn zero_waiters(self, index: u16) -> Result<u16> {
        self.number(index, libc::GETZCNT)
    }

    /// The process that last operated on it, by semop(2), SETVAL or the undo at its end, `GETPID`; 0 where nobody has, or
    /// it belongs to another pid namespace.
    pub fn last_pid(self, index: u16) -> Result<i32> {
        self.ask(index, libc::GETPID)
    }

    fn number(self, index: u16, command: c_int) -> Result<u16> {
        // The kernel's counts of waiters are bounded by the number of processes; one too large to show is shown as so many.
        Ok(u16::try_from(self.ask(index, command)?).unwrap_or(u16::MAX))
    }

    fn ask(self, index: u16, command: c_int) -> Result<c_int> {
        // SAFETY: these commands take no fourth argument and answer with a number.
        Errno::result(unsafe { libc::semctl(self.id, c_int::from(index), command) })
    }

    /// Gives one semaphore a value, `SETVAL`. Clears every process's undo for it.
    ///
    /// # Errors
    /// `ERANGE`: above 32767. `EINVAL`: an index beyond the set.
    pub fn set_value(self, index: u16, value: u16) -> Result<()> {
        let value = c_int::from(value);
        // SAFETY: SETVAL takes an int.
        Errno::result(unsafe { libc::semctl(self.id, c_int::from(index), libc::SETVAL, value) }).map(drop)
    }

    /// Gives all semaphores their values at once, `SETALL`. Clears every process's undo.
    ///
    /// # Errors
    /// `EINVAL`: not as many values as semaphores. `ERANGE`: one above 32767.
    pub fn set_values(self, values: &[u16]) -> Result<()> {
        if values.len() != self.stat()?.len {
            return Err(Errno::EINVAL);
        }
        // SAFETY: SETALL reads as many u16 as the set has, which was just compared and stays so for the life of an id.
        Errno::result(unsafe { libc::semctl(self.id, 0, libc::SETALL, values.as_ptr()) }).map(drop)
    }

    /// Changes owner, group or permission bits, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged.
    pub fn change(self, change: Change) -> Result<()> {
        // SAFETY: a C structure of integers, for which all zeros is a value.
        let mut raw: libc::semid_ds = unsafe { zeroed() };
        let now = self.stat()?.perm;
        raw.sem_perm.uid = now.uid;
        raw.sem_perm.gid = now.gid;
        raw.sem_perm.mode = now.mode as _;
        change.apply(&mut raw.sem_perm);
        // SAFETY: IPC_SET reads owner, group and mode of one semid_ds, which is there.
        Errno::result(unsafe { libc::semctl(self.id, 0, libc::IPC_SET, &raw mut raw) }).map(drop)
    }

    /// Removes the set, `IPC_RMID`; who waits on it is woken with `EIDRM`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged. `EINVAL`: it is gone.
    pub fn remove(self) -> Result<()> {
        self.ask(0, libc::IPC_RMID).map(drop)
    }
}

unsafe extern "C" {
    // glibc 2.3, Linux 2.5.52; the libc crate does not declare it.
    fn semtimedop(id: c_int, ops: *const libc::sembuf, count: usize, timeout: *const libc::timespec) -> c_int;
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_line_is_read_or_refused() {
        crate::sys::sysv::try_lines(super::line);
    }
}
