//! POSIX named semaphores, as glibc keeps them: sem_overview(7).
//!
//! A semaphore is a file, `/dev/shm/sem.NAME`. Its first word has the value and how many wait (glibc 2.21 and later, 64
//! bits), and futex(2) on its low half is how programs that use the C library and ipcbox wake each other.
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

/// What can be seen of a semaphore by its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its value, 0 to 2^31-1.
    pub value: u32,
    /// How many wait for it; one that was killed by SIGKILL stays counted, since the C library keeps this number in the
    /// shared word.
    pub waiters: u32,
}

/// How large its file is, in bytes.
const SIZE: usize = size_of::<libc::sem_t>();
/// Where the C library keeps in which way it calls futex(2): with another one its own functions abort the process.
const MODE: Range<usize> = 8..12;
/// One who waits, in the first word: the value is its low half.
const WAITER: i64 = 1 << 32;

/// A semaphore that is open.
///
/// Waiting and posting do not go through the C library, which aborts if another process spoils the file meanwhile.
#[derive(Debug)]
pub struct Semaphore(Mapping);

impl Semaphore {
    /// Opens the one called `name`, which begins with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission to read and write it. `EINVAL`: the file is none of glibc's.
    pub fn open(name: &OsStr) -> Result<Self> {
        let (file, _) = open(name, true)?;
        Ok(Self(Mapping::map(file, 0, SIZE, true)?))
    }

    /// Takes one if there is one; `waiting` is what the caller has added to the first word.
    fn take(&self, waiting: i64) -> Result<bool> {
        let less = |now| (value(now) > 0).then(|| now - 1 - waiting);
        Ok(self.0.wide_word(0)?.fetch_update(SeqCst, SeqCst, less).is_ok())
    }

    /// Takes one, waiting at most until `deadline`. `None`: SIGINT, SIGTERM or SIGHUP has come; they are caught so that
    /// this process is taken off the count of those who wait.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn wait(&self, deadline: Deadline) -> Result<Option<()>> {
        interrupt::catch(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let word = self.0.wide_word(0)?;
        if self.take(0)? {
            return Ok(Some(()));
        }
        word.fetch_add(WAITER, SeqCst);
        let mut slept = Ok(());
        // What was posted at the last moment is taken: nobody else was woken for it.
        while !self.take(WAITER)? {
            if slept.is_err() || interrupt::any() {
                word.fetch_sub(WAITER, SeqCst);
                return slept.map(|()| None);
            }
            slept = futex::wait(self.0.word(0)?, 0, deadline);
        }
        Ok(Some(()))
    }

    /// Adds one. All who wait are woken, because one that was woken alone can be killed before it takes.
    ///
    /// # Errors
    /// `EOVERFLOW`: it stands at [`MAX_VALUE`].
    pub fn post(&self) -> Result<()> {
        let more = |now| (value(now) < MAX_VALUE).then(|| now + 1);
        let before = self.0.wide_word(0)?.fetch_update(SeqCst, SeqCst, more);
        match before.map_err(|_| Errno::EOVERFLOW)? >> 32 {
            0 => Ok(()),
            _ => futex::wake(self.0.word(0)?),
        }
    }
}

/// The value in the first word.
const fn value(word: i64) -> u32 {
    (word.cast_unsigned() & u32::MAX as u64) as u32
}

/// The bytes of a new one with this value.
fn image(value: u32) -> Result<[u8; SIZE]> {
    #[repr(align(16))]
    struct Room([u8; SIZE]);
    let mut room = Room([0; _]);
    // SAFETY: there is room for one, and it is aligned.
    Errno::result(unsafe { libc::sem_init((&raw mut room).cast(), 1, value) })?;
    Ok(room.0)
}

/// The file of the one called `name`, and what can be seen of it.
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

/// Makes one with this value and exactly these permission bits, whatever the umask is.
///
/// It is a file without a name until it is complete. sem_open(3) gives it another name first, which stays where its
/// caller is killed before it is removed.
///
/// # Errors
/// `EEXIST`: the name is taken. `EINVAL`: a value above [`MAX_VALUE`]. `ENOSPC`: the file system is full. `ENOSYS`: no tmpfs
/// is mounted at `/dev/shm`.
pub fn create(name: &OsStr, mode: u32, value: u32) -> Result<()> {
    let bytes = image(value)?;
    if !shm::is_mounted()? {
        return Err(Errno::ENOSYS);
    }
    let file = Object::unnamed()?;
    transfer::write_at(file.as_fd(), 0, &bytes)?;
    file.publish(&file_name(name), mode)
}

/// Looks at the one called `name` without touching it. Needs read permission only.
///
/// # Errors
/// `ENOENT`: there is none. `EACCES`: no permission. `EINVAL`, `ELOOP`: it is no regular file, or none of glibc's.
pub fn look(name: &OsStr) -> Result<Stat> {
    open(name, false).map(|(_, stat)| stat)
}

/// What its file tells, which needs no permission.
///
/// # Errors
/// `ENOENT`: there is none. `EINVAL`: it is no regular file.
pub fn file(name: &OsStr) -> Result<shm::Stat> {
    shm::look(&file_name(name))
}

/// Removes the name; who has it open keeps it.
pub fn unlink(name: &OsStr) -> Result<()> {
    // As sem_unlink(3) puts it.
    shm::remove(&file_name(name)).map_err(|errno| if errno == Errno::EPERM { Errno::EACCES } else { errno })
}

/// The names of all, each with its slash, sorted.
///
/// # Errors
/// Those of reading `/dev/shm`.
pub fn names() -> Result<Vec<OsString>> {
    let bare = |name: &OsString| {
        let name = name.as_bytes().strip_prefix(shm::SEMAPHORE.as_bytes())?;
        Some(OsString::from_iter([OsStr::new("/"), OsStr::from_bytes(name)]))
    };
    Ok(shm::all_names()?.iter().filter_map(bare).collect())
}

/// The name of its file as that of an object, with a slash.
fn file_name(name: &OsStr) -> OsString {
    OsString::from_iter([OsStr::new(shm::SEMAPHORE), OsStr::from_bytes(&name.as_bytes()[1..])])
}
