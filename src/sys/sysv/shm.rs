//! System V segments: shmget(2), shmat(2), shmctl(2), and `/proc/sysvipc/shm`, which tells of all of them.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{ById, Change, Key, Kind, Listing, Perm, Table, Words, asked, listed};
use crate::sys::mapping::Mapping;

/// In the mode: it goes with its last user (`SHM_DEST`).
const REMOVED: u32 = 0o1000;
/// In the mode: it is kept from being swapped out (`SHM_LOCKED`).
const PINNED: u32 = 0o2000;

/// What the kernel keeps of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The id.
    pub id: c_int,
    /// Key, owner, permission bits.
    pub perm: Perm,
    /// Size in bytes, as it was asked for.
    pub size: u64,
    /// How many mappings of it there are.
    pub attached: u64,
    /// Who created it; 0 is a process of another pid namespace.
    pub creator_pid: i32,
    /// Who last attached or detached it; 0 is nobody, or a process of another pid namespace.
    pub last_pid: i32,
    /// Last shmat(2), seconds since 1970; 0 is never.
    pub attach_time: i64,
    /// Last shmdt(2), seconds since 1970; 0 is never.
    pub detach_time: i64,
    /// Creation or last change, seconds since 1970.
    pub change_time: i64,
    /// Bytes of it in memory, which only `/proc` tells.
    pub resident: Option<u64>,
    /// Bytes of it in swap, likewise.
    pub swapped: Option<u64>,
    /// Whether it was removed and goes with its last user.
    pub removed: bool,
    /// Whether it is kept from being swapped out.
    pub pinned: bool,
}

impl Stat {
    /// The permission bits with the kernel's two marks, as ipcs(1) shows them.
    pub const fn marked_mode(&self) -> u32 {
        self.perm.mode | if self.removed { REMOVED } else { 0 } | if self.pinned { PINNED } else { 0 }
    }
}

/// Every segment of the IPC namespace. Calls do not return how much of each is in memory.
///
/// # Errors
/// Those of reading them. A line that cannot be read is one, with its number.
pub fn all() -> Result<Listing<Stat>> {
    super::all::<Shm>()
}

/// Shared memory segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shm;

impl Table for Shm {
    const KIND: Kind = Kind::Shm;
    const STAT_ANY: c_int = 15;
    type Raw = libc::shmid_ds;
    type Stat = Stat;

    fn get(key: Key) -> c_int {
        // SAFETY: plain integers.
        unsafe { libc::shmget(key, 0, 0) }
    }

    unsafe fn control(id: c_int, command: c_int, data: *mut c_void) -> c_int {
        // SAFETY: as the caller says.
        unsafe { libc::shmctl(id, command, data.cast()) }
    }

    fn highest() -> Result<c_int> {
        used().map(|used| used.highest)
    }

    fn stat(id: c_int, raw: &libc::shmid_ds) -> Stat {
        let mode = u32::from(raw.shm_perm.mode);
        Stat {
            id,
            perm: raw.shm_perm.into(),
            size: raw.shm_segsz as u64,
            attached: raw.shm_nattch,
            creator_pid: raw.shm_cpid,
            last_pid: raw.shm_lpid,
            attach_time: raw.shm_atime,
            detach_time: raw.shm_dtime,
            change_time: raw.shm_ctime,
            resident: None,
            swapped: None,
            removed: mode & REMOVED != 0,
            pinned: mode & PINNED != 0,
        }
    }

    /// key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap
    fn line(words: &mut Words) -> Option<Stat> {
        let (key, id, mode) = (words.number()?, words.number()?, words.octal()?);
        Some(Stat {
            id,
            size: words.number()?,
            creator_pid: words.number()?,
            last_pid: words.number()?,
            attached: words.number()?,
            perm: words.perm(key, mode)?,
            attach_time: words.number()?,
            detach_time: words.number()?,
            change_time: words.number()?,
            resident: Some(words.number()?),
            swapped: Some(words.number()?),
            removed: mode & REMOVED != 0,
            pinned: mode & PINNED != 0,
        })
    }
}

/// What all segments take together: `struct shm_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// How many there are.
    pub segments: u64,
    /// Their pages.
    pub pages: u64,
    /// Pages of these in memory.
    pub resident: u64,
    /// Pages of these in swap.
    pub swapped: u64,
    /// How often the kernel tried to swap some out, and did; no kernel since 2.4 counts it.
    pub swap_attempts: (u64, u64),
    highest: c_int,
}

/// What all segments take together, `SHM_INFO`.
pub fn used() -> Result<Used> {
    // SAFETY: SHM_INFO writes one shm_info.
    let (info, highest) = unsafe { super::info::<Shm, ShmInfo>(SHM_INFO) }?;
    Ok(Used {
        segments: u64::try_from(info.used_ids).unwrap_or(0),
        pages: info.shm_tot,
        resident: info.shm_rss,
        swapped: info.shm_swp,
        swap_attempts: (info.swap_attempts, info.swap_successes),
        highest,
    })
}

/// `struct shm_info` of shmctl(2), which the libc crate does not have.
#[repr(C)]
struct ShmInfo {
    used_ids: c_int,
    shm_tot: libc::c_ulong,
    shm_rss: libc::c_ulong,
    shm_swp: libc::c_ulong,
    swap_attempts: libc::c_ulong,
    swap_successes: libc::c_ulong,
}

/// What all segments take together.
const SHM_INFO: c_int = 14;

/// The limits of `/proc/sys/kernel/shm*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// shmmax: bytes in one segment.
    pub size: u64,
    /// shmall: pages in all of them.
    pub pages: u64,
    /// shmmni: how many there are.
    pub segments: u64,
}

/// `struct shminfo` of shmctl(2), which the libc crate does not have.
#[repr(C)]
struct ShmLimits {
    size: libc::c_ulong,
    least_size: libc::c_ulong,
    segments: libc::c_ulong,
    per_process: libc::c_ulong,
    pages: libc::c_ulong,
    unused: [libc::c_ulong; 4],
}

/// The limits of this IPC namespace, `IPC_INFO`, which needs no `/proc`.
pub fn limits() -> Result<Limits> {
    // SAFETY: IPC_INFO writes one shminfo.
    let (info, _) = unsafe { super::info::<Shm, ShmLimits>(libc::IPC_INFO) }?;
    Ok(Limits { size: info.size, pages: info.pages, segments: info.segments })
}

/// A segment.
pub type Segment = ById<Shm>;

impl Segment {
    /// A new segment of zeros. A `key` of 0 gives one without a key.
    ///
    /// # Errors
    /// `EEXIST`: the key is taken. `EINVAL`: 0 bytes or above shmmax. `ENOSPC`: shmmni or shmall is reached. `ENOMEM`: so much
    /// memory, or so many huge pages, are not to be had. `EPERM`: no right to huge pages.
    pub fn create(key: Key, size: u64, mode: u32, huge: bool) -> Result<Self> {
        let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
        let huge = if huge { libc::SHM_HUGETLB } else { 0 };
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | huge | (mode & 0o777).cast_signed();
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::shmget(key, size, flags) }).map(Self::from_id)
    }

    /// Its memory, all of it.
    ///
    /// # Errors
    /// `EACCES`: no permission to read it, or to write it. `EINVAL`, `EIDRM`: it is gone.
    pub fn attach(self, writable: bool) -> Result<Mapping> {
        let size = asked::<Shm>(self.id, libc::IPC_STAT)?.1.shm_segsz;
        Mapping::attach(self.id, size, writable)
    }

    /// What the kernel keeps of it, with how much of it is in memory, for which all of `/proc/sysvipc/shm` is read.
    pub fn measured(self) -> Result<Stat> {
        let lines = listed::<Shm>().into_iter().flatten().flatten();
        lines.filter(|stat| stat.id == self.id).map(Ok).next().unwrap_or_else(|| self.stat())
    }

    /// Changes owner, group or permission bits, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged.
    pub fn change(self, change: Change) -> Result<()> {
        self.set(|raw| change.apply(&mut raw.shm_perm))
    }

    /// Keeps it from being swapped out, `SHM_LOCK`, or no longer.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged, or may lock no memory at all (RLIMIT_MEMLOCK).
    /// `ENOMEM`: it is more than the caller may lock.
    pub fn pin(self, pinned: bool) -> Result<()> {
        self.control(if pinned { libc::SHM_LOCK } else { libc::SHM_UNLOCK })
    }
}

#[cfg(test)]
#[path = "../../../tests/units/sys/sysv/shm.rs"]
mod tests;
