//! POSIX named semaphores as implemented by glibc, sem_overview(7).
//!
//! A semaphore is the file `/dev/shm/sem.NAME`. Its first word contains the value and the number of waiters (64 bits,
//! glibc 2.21 and later). Programs that use the C library and ipcbox wake each other by futex(2) on its lower half.
#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering::SeqCst;

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::shm::{self, Object};
use crate::sys::deadline::Deadline;
use crate::sys::mapping::Mapping;
use crate::sys::signal::Signal;
use crate::sys::{futex, interrupt, transfer};

/// The highest value, `SEM_VALUE_MAX`.
pub const MAX_VALUE: u32 = i32::MAX.cast_unsigned();

/// The contents of a semaphore's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its value, 0 to 2^31-1.
    pub value: u32,
    /// The number of waiters, kept by the C library in the shared word. Those killed by SIGKILL stay counted.
    pub waiters: u32,
}

const SIZE: usize = size_of::<libc::sem_t>();
/// The position of the futex(2) mode. With another value in it, functions of the C library abort the process.
const MODE: Range<usize> = 8..12;
/// One waiter in the first word. The lower half is the value.
const WAITER: i64 = 1 << 32;

/// An open semaphore.
///
/// Waiting and posting bypass the C library, which aborts if another process corrupts the file.
#[derive(Debug)]
pub struct Semaphore(Mapping);

impl Semaphore {
    /// Opens the semaphore `name`, which starts with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission to read and write it. `EINVAL`: it is not a file of glibc's.
    pub fn open(name: &OsStr) -> Result<Self> {
        let (file, _) = open(name, true)?;
        Ok(Self(Mapping::map(file, 0, SIZE, true)?))
    }

    /// Decrements the value if it is positive. `waiting` is what the caller has added to the first word.
    fn take(&self, waiting: i64) -> Result<bool> {
        let less = |now| (value(now) > 0).then(|| now - 1 - waiting);
        Ok(self.0.wide_word(0)?.fetch_update(SeqCst, SeqCst, less).is_ok())
    }

    /// Decrements the value, waiting until `deadline`. `None`: SIGINT, SIGTERM or SIGHUP, caught to uncount this waiter.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed.
    pub fn wait(&self, deadline: Deadline) -> Result<Option<()>> {
        interrupt::catch(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let word = self.0.wide_word(0)?;
        if self.take(0)? {
            return Ok(Some(()));
        }
        word.fetch_add(WAITER, SeqCst);
        let mut slept = Ok(());
        // A post at the last moment is still taken, because it woke no one else.
        while !self.take(WAITER)? {
            if slept.is_err() || interrupt::any() {
                word.fetch_sub(WAITER, SeqCst);
                return slept.map(|()| None);
            }
            slept = futex::wait(self.0.word(0)?, 0, deadline);
        }
        Ok(Some(()))
    }

    /// Increments the value. Wakes all waiters, because a single one could be killed before it takes.
    ///
    /// # Errors
    /// `EOVERFLOW`: the value is [`MAX_VALUE`].
    pub fn post(&self) -> Result<()> {
        let more = |now| (value(now) < MAX_VALUE).then(|| now + 1);
        let before = self.0.wide_word(0)?.fetch_update(SeqCst, SeqCst, more);
        match before.map_err(|_| Errno::EOVERFLOW)? >> 32 {
            0 => Ok(()),
            _ => futex::wake(self.0.word(0)?),
        }
    }
}

const fn value(word: i64) -> u32 {
    (word.cast_unsigned() & u32::MAX as u64) as u32
}

/// Returns the contents of a new semaphore's file.
fn image(value: u32) -> Result<[u8; SIZE]> {
    #[repr(align(16))]
    struct Room([u8; SIZE]);
    let mut room = Room([0; _]);
    // SAFETY: there is room for one sem_t, and it is aligned.
    Errno::result(unsafe { libc::sem_init((&raw mut room).cast(), 1, value) })?;
    Ok(room.0)
}

/// Opens the file of the semaphore `name`, and returns its contents.
fn open(name: &OsStr, writable: bool) -> Result<(Object, Stat)> {
    let file = Object::open(&file_name(name), writable)?;
    let mut bytes = [0; SIZE];
    let is_long = transfer::read_at(file.as_fd(), 0, &mut bytes)? == SIZE;
    let [low, high] = [0, 4].map(|at| bytes[at..].first_chunk().map_or(0, |word| u32::from_ne_bytes(*word)));
    let stat = Stat { value: low, waiters: high };
    let is_one =
        is_long && file.stat()?.size == SIZE as u64 && bytes[MODE] == image(0)?[MODE] && stat.value <= MAX_VALUE;
    if is_one { Ok((file, stat)) } else { Err(Errno::EINVAL) }
}

/// Creates a semaphore with exactly these permission bits, regardless of the umask. The file has no name until it is
/// complete: sem_open(3) uses a temporary name, which remains if its caller is killed.
///
/// # Errors
/// `EEXIST`: the name is taken. `EINVAL`: the value is above [`MAX_VALUE`]. `ENOSPC`: the file system is full.
/// `ENOSYS`: `/dev/shm` is not a tmpfs.
pub fn create(name: &OsStr, mode: u32, value: u32) -> Result<()> {
    let bytes = image(value)?;
    if !shm::is_mounted()? {
        return Err(Errno::ENOSYS);
    }
    let file = Object::unnamed()?;
    transfer::write_at(file.as_fd(), 0, &bytes)?;
    file.publish(&file_name(name), mode)
}

/// Reads the semaphore `name`. Needs only read permission.
///
/// # Errors
/// `ENOENT`: there is none. `EACCES`: no permission. `EINVAL`, `ELOOP`: it is not a regular file, or not of glibc.
pub fn look(name: &OsStr) -> Result<Stat> {
    open(name, false).map(|(_, stat)| stat)
}

/// Returns the attributes of its file. Needs no permission.
///
/// # Errors
/// `ENOENT`: there is none. `EINVAL`: it is not a regular file.
pub fn file(name: &OsStr) -> Result<shm::Stat> {
    shm::look(&file_name(name))
}

/// Removes the name. Processes that have the semaphore open keep it.
pub fn unlink(name: &OsStr) -> Result<()> {
    // sem_unlink(3) does the same.
    shm::remove(&file_name(name)).map_err(|errno| if errno == Errno::EPERM { Errno::EACCES } else { errno })
}

/// Returns the names of all semaphores, each with its slash, sorted.
pub fn names() -> Result<Vec<OsString>> {
    let bare = |name: &OsString| {
        let name = name.as_bytes().strip_prefix(shm::SEMAPHORE.as_bytes())?;
        Some(OsString::from_iter([OsStr::new("/"), OsStr::from_bytes(name)]))
    };
    Ok(shm::all_names()?.iter().filter_map(bare).collect())
}

/// Returns the name of its file, as an object with a slash.
fn file_name(name: &OsStr) -> OsString {
    OsString::from_iter([OsStr::new(shm::SEMAPHORE), OsStr::from_bytes(&name.as_bytes()[1..])])
}
