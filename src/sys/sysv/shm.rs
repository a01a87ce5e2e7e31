//! System V segments: shmget(2), shmat(2), shmctl(2), and `/proc/sysvipc/shm`, which tells of all of them.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::zeroed;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{Change, Key, Listing, Perm, Words, asked, indices, listed};
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
    fn new(id: c_int, raw: &libc::shmid_ds) -> Self {
        let mode = u32::from(raw.shm_perm.mode);
        Self {
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

    /// The permission bits with the kernel's two marks, as ipcs(1) shows them.
    #[must_use]
    pub const fn marked_mode(&self) -> u32 {
        self.perm.mode | if self.removed { REMOVED } else { 0 } | if self.pinned { PINNED } else { 0 }
    }
}

/// Every segment of the IPC namespace, those that may not be read included: from `/proc/sysvipc/shm`, else by calls.
///
/// # Errors
/// Those of reading it. A line that cannot be read is one, with its number.
pub fn all() -> Result<Listing<Stat>> {
    match listed("shm", line) {
        Some(lines) => Ok(lines),
        None => Ok(Box::new(all_by_calls()?.map(Ok))),
    }
}

/// The same by calls alone (`SHM_STAT_ANY`, Linux 4.17), which do not tell how much of each is in memory.
pub fn all_by_calls() -> Result<impl Iterator<Item = Stat>> {
    Ok(asked(highest()?, |index| stat(index, SHM_STAT_ANY)))
}

/// The highest index in the kernel's table.
pub(super) fn highest() -> Result<c_int> {
    used().map(|used| used.highest)
}

/// The id of the segment with this index.
pub(super) fn id_at(index: c_int) -> Result<c_int> {
    stat(index, SHM_STAT_ANY).map(|stat| stat.id)
}

/// The data of the segment with this id, `IPC_STAT`, or with this index in the kernel's table.
pub(super) fn stat(id_or_index: c_int, command: c_int) -> Result<Stat> {
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut raw: libc::shmid_ds = unsafe { zeroed() };
    // SAFETY: IPC_STAT and SHM_STAT_ANY write one shmid_ds, which is there.
    let id = Errno::result(unsafe { libc::shmctl(id_or_index, command, &raw mut raw) })?;
    let id = if command == libc::IPC_STAT { id_or_index } else { id };
    Ok(Stat::new(id, &raw))
}

/// A line: key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap.
fn line(words: &mut Words) -> Option<Stat> {
    let key = words.number()?;
    let id = words.number()?;
    let mode = words.octal()?;
    let size = words.number()?;
    let (creator_pid, last_pid, attached) = (words.number()?, words.number()?, words.number()?);
    let perm = Perm {
        key,
        uid: words.number()?,
        gid: words.number()?,
        creator_uid: words.number()?,
        creator_gid: words.number()?,
        mode: mode & 0o777,
    };
    Some(Stat {
        id,
        perm,
        size,
        attached,
        creator_pid,
        last_pid,
        attach_time: words.number()?,
        detach_time: words.number()?,
        change_time: words.number()?,
        resident: Some(words.number()?),
        swapped: Some(words.number()?),
        removed: mode & REMOVED != 0,
        pinned: mode & PINNED != 0,
    })
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
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut info: ShmInfo = unsafe { zeroed() };
    let at = (&raw mut info).cast();
    // SAFETY: SHM_INFO writes one shm_info, which is there; the id is ignored.
    let highest = Errno::result(unsafe { libc::shmctl(0, SHM_INFO, at) })?;
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
/// The data of the segment with this index, whoever may read it, Linux 4.17.
const SHM_STAT_ANY: c_int = 15;

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
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut info: ShmLimits = unsafe { zeroed() };
    let at = (&raw mut info).cast();
    // SAFETY: IPC_INFO writes one shminfo, which is there; the id is ignored.
    Errno::result(unsafe { libc::shmctl(0, libc::IPC_INFO, at) })?;
    Ok(Limits { size: info.size, pages: info.pages, segments: info.segments })
}

/// A segment, by its id. It can go at any time while it is not attached; calls then fail with `EINVAL` or `EIDRM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    id: c_int,
}

impl Segment {
    /// The segment with this id, whether it is there or not.
    #[must_use]
    pub const fn from_id(id: c_int) -> Self {
        Self { id }
    }

    /// The segment behind `key`, asking for no permission.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    pub fn find(key: Key) -> Result<Self> {
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::shmget(key, 0, 0) }).map(Self::from_id)
    }

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

    /// The id, 0 or above.
    #[must_use]
    pub const fn id(self) -> c_int {
        self.id
    }

    /// Its memory, all of it.
    ///
    /// # Errors
    /// `EACCES`: no permission to read it, or to write it. `EINVAL`, `EIDRM`: it is gone.
    pub fn attach(self, writable: bool) -> Result<Mapping> {
        let size = self.ask()?.shm_segsz;
        Mapping::attach(self.id, size, writable)
    }

    /// What the kernel keeps of it. Asks for no permission.
    ///
    /// # Errors
    /// `EINVAL`: it is gone.
    pub fn stat(self) -> Result<Stat> {
        match stat(self.id, libc::IPC_STAT) {
            Err(Errno::EACCES) => indices(self.id)
                .into_iter()
                .filter_map(|index| stat(index, SHM_STAT_ANY).ok())
                .find(|stat| stat.id == self.id)
                .ok_or(Errno::EACCES),
            answer => answer,
        }
    }

    /// The same, with how much of it is in memory, for which all of `/proc/sysvipc/shm` is read.
    pub fn measured(self) -> Result<Stat> {
        let lines = listed("shm", line).into_iter().flatten().flatten();
        lines.filter(|stat| stat.id == self.id).map(Ok).next().unwrap_or_else(|| self.stat())
    }

    fn ask(self) -> Result<libc::shmid_ds> {
        // SAFETY: a C structure of integers, for which all zeros is a value.
        let mut raw: libc::shmid_ds = unsafe { zeroed() };
        // SAFETY: IPC_STAT writes one shmid_ds, which is there.
        Errno::result(unsafe { libc::shmctl(self.id, libc::IPC_STAT, &raw mut raw) })?;
        Ok(raw)
    }

    /// Changes owner, group or permission bits, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged.
    pub fn change(self, change: Change) -> Result<()> {
        // SAFETY: a C structure of integers, for which all zeros is a value.
        let mut raw: libc::shmid_ds = unsafe { zeroed() };
        let now = self.stat()?.perm;
        raw.shm_perm.uid = now.uid;
        raw.shm_perm.gid = now.gid;
        raw.shm_perm.mode = now.mode as _;
        change.apply(&mut raw.shm_perm);
        // SAFETY: IPC_SET reads owner, group and mode of one shmid_ds, which is there.
        Errno::result(unsafe { libc::shmctl(self.id, libc::IPC_SET, &raw mut raw) }).map(drop)
    }

    /// Keeps it from being swapped out, `SHM_LOCK`, or no longer.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged, or may lock no memory at all (RLIMIT_MEMLOCK).
    /// `ENOMEM`: it is more than the caller may lock.
    pub fn pin(self, pinned: bool) -> Result<()> {
        self.control(if pinned { libc::SHM_LOCK } else { libc::SHM_UNLOCK })
    }

    /// Removes it, `IPC_RMID`: its key is free at once, its memory when its last user detaches.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither owner nor creator nor privileged. `EINVAL`: it is gone.
    pub fn remove(self) -> Result<()> {
        self.control(libc::IPC_RMID)
    }

    fn control(self, command: c_int) -> Result<()> {
        // SAFETY: these commands take no structure.
        Errno::result(unsafe { libc::shmctl(self.id, command, std::ptr::null_mut()) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, line};

    #[test]
    fn lines_of_proc_sysvipc_shm() {
        let line = |text: &str| line(&mut Words(text.split_ascii_whitespace()));
        let title = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap";
        assert_eq!(line(title), None);
        let stat = line("-1 65538 3600 5000 10 11 2 1 2 3 4 100 0 99 8192 4096").unwrap();
        assert_eq!((stat.perm.key, stat.id, stat.perm.mode), (-1, 65538, 0o600));
        assert!(stat.removed && stat.pinned);
        assert_eq!(stat.marked_mode(), 0o3600);
        assert_eq!((stat.size, stat.attached), (5000, 2));
        assert_eq!((stat.resident, stat.swapped), (Some(8192), Some(4096)));
        assert_eq!((stat.perm.creator_uid, stat.perm.creator_gid), (3, 4));
    }

    #[test]
    fn any_line_is_read_or_refused() {
        crate::sys::sysv::try_lines(line);
    }
}
