//! System V segments: shmget(2), shmat(2), shmctl(2), and `/proc/sysvipc/shm`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::fs;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{ById, Change, Key, Kind, Listing, Perm, Table, Words, asked, listed};
use crate::sys::mapping::Mapping;

/// Mode flag: the segment is destroyed when its last user detaches it (`SHM_DEST`).
const REMOVED: u32 = 0o1000;
/// Mode flag: the segment cannot be swapped out (`SHM_LOCKED`).
const PINNED: u32 = 0o2000;

/// The state of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The id.
    pub id: c_int,
    /// Key, owner, permission bits.
    pub perm: Perm,
    /// The requested size in bytes.
    pub size: u64,
    /// The number of mappings.
    pub attached: u64,
    /// The process that created it; 0 for one in another pid namespace.
    pub creator_pid: i32,
    /// The last process to attach or detach it; 0 for none, or one in another pid namespace.
    pub last_pid: i32,
    /// Last shmat(2), seconds since 1970; 0 is never.
    pub attach_time: i64,
    /// Last shmdt(2), seconds since 1970; 0 is never.
    pub detach_time: i64,
    /// Creation or last change, seconds since 1970.
    pub change_time: i64,
    /// Bytes in memory, known only from `/proc`.
    pub resident: Option<u64>,
    /// Bytes in swap, likewise.
    pub swapped: Option<u64>,
    /// Whether it is removed and disappears when its last user detaches it.
    pub removed: bool,
    /// Whether it is locked in memory.
    pub pinned: bool,
}

impl Stat {
    /// Returns the permission bits and the two flags, as shown by ipcs(1).
    pub const fn marked_mode(&self) -> u32 {
        self.perm.mode | if self.removed { REMOVED } else { 0 } | if self.pinned { PINNED } else { 0 }
    }
}

/// Lists all segments of the IPC namespace. Without `/proc` their bytes in memory are unknown.
pub fn all() -> Result<Listing<Stat>> {
    super::all::<Shm>()
}

/// The table of segments.
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
        // SAFETY: guaranteed by the caller.
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

/// The resources used by all segments: `struct shm_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The number of segments.
    pub segments: u64,
    /// Pages in all.
    pub pages: u64,
    /// Pages in memory.
    pub resident: u64,
    /// Pages in swap.
    pub swapped: u64,
    /// Attempts and successes in swapping. No kernel since 2.4 counts them.
    pub swap_attempts: (u64, u64),
    highest: c_int,
}

/// Returns the resources used by all segments, `SHM_INFO`.
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

/// `struct shm_info`, shmctl(2). Missing in the libc crate.
#[repr(C)]
struct ShmInfo {
    used_ids: c_int,
    shm_tot: libc::c_ulong,
    shm_rss: libc::c_ulong,
    shm_swp: libc::c_ulong,
    swap_attempts: libc::c_ulong,
    swap_successes: libc::c_ulong,
}

const SHM_INFO: c_int = 14;

/// The limits of `/proc/sys/kernel/shm*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// shmmax: the maximum size of a segment in bytes.
    pub size: u64,
    /// shmall: the maximum number of pages in all.
    pub pages: u64,
    /// shmmni: the maximum number of segments.
    pub segments: u64,
}

/// `struct shminfo`, shmctl(2). Missing in the libc crate.
#[repr(C)]
struct ShmLimits {
    size: libc::c_ulong,
    least_size: libc::c_ulong,
    segments: libc::c_ulong,
    per_process: libc::c_ulong,
    pages: libc::c_ulong,
    unused: [libc::c_ulong; 4],
}

/// Returns the limits of this IPC namespace, `IPC_INFO`. Needs no `/proc`.
pub fn limits() -> Result<Limits> {
    // SAFETY: IPC_INFO writes one shminfo.
    let (info, _) = unsafe { super::info::<Shm, ShmLimits>(libc::IPC_INFO) }?;
    Ok(Limits { size: info.size, pages: info.pages, segments: info.segments })
}

/// Returns the size of a huge page, in bytes.
pub fn huge_page_size() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let size = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    size.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A segment.
pub type Segment = ById<Shm>;

impl Segment {
    /// Creates a segment of zeros. With the key 0 it has no key.
    ///
    /// # Errors
    /// `EEXIST`: the key is taken. `EINVAL`: `size` is 0 or above shmmax. `ENOSPC`: shmmni or shmall is reached.
    /// `ENOMEM`: not enough memory or huge pages. `EPERM`: no right to huge pages.
    pub fn create(key: Key, size: u64, mode: u32, huge: bool) -> Result<Self> {
        let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
        let huge = if huge { libc::SHM_HUGETLB } else { 0 };
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | huge | (mode & 0o777).cast_signed();
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::shmget(key, size, flags) }).map(Self::from_id)
    }

    /// Maps the whole segment.
    ///
    /// # Errors
    /// `EACCES`: no permission to read or write it. `EINVAL`, `EIDRM`: it is gone.
    pub fn attach(self, writable: bool) -> Result<Mapping> {
        let size = asked::<Shm>(self.id, libc::IPC_STAT)?.1.shm_segsz;
        Mapping::attach(self.id, size, writable)
    }

    /// Returns its state including bytes in memory, for which all of `/proc/sysvipc/shm` is read.
    pub fn measured(self) -> Result<Stat> {
        let lines = listed::<Shm>().into_iter().flatten().flatten();
        lines.filter(|stat| stat.id == self.id).map(Ok).next().unwrap_or_else(|| self.stat())
    }

    /// Changes owner, group or permission bits, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither the owner nor the creator nor privileged.
    pub fn change(self, change: Change) -> Result<()> {
        self.set(|raw| change.apply(&mut raw.shm_perm))
    }

    /// Locks it in memory, `SHM_LOCK`, or unlocks it.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither the owner nor the creator nor privileged, or may not lock memory at all
    /// (RLIMIT_MEMLOCK). `ENOMEM`: it exceeds what the caller may lock.
    pub fn pin(self, pinned: bool) -> Result<()> {
        self.control(if pinned { libc::SHM_LOCK } else { libc::SHM_UNLOCK })
    }
}

#[cfg(test)]
#[path = "../../../tests/units/sys/sysv/shm.rs"]
mod tests;
