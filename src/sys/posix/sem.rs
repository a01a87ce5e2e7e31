//! POSIX named semaphores, as glibc keeps them: sem_overview(7).
//!
//! The C library's own functions do the waiting and posting, so that its programs and the box meet on the same words.
//! Looking and removing go by the file, `/dev/shm/sem.NAME`: sem_open(3) wants permission to write even for a look.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::shm::{self, Object};
use crate::sys::wait::{Patience, without_waiting};
use crate::sys::{caught, transfer};

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

/// A semaphore that is open, sem_open(3).
#[derive(Debug)]
pub struct Semaphore(*mut libc::sem_t);

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: the pointer came from sem_open and is closed this once.
        unsafe { libc::sem_close(self.0) };
    }
}

impl Semaphore {
    /// Opens the one called `name`, which begins with a slash.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission to read and write it. `EINVAL`: the file is none of glibc's.
    pub fn open(name: &OsStr) -> Result<Self> {
        let name = c_name(name)?;
        // SAFETY: a terminated string; without O_CREAT there are no more arguments.
        Self::result(unsafe { libc::sem_open(name.as_ptr(), 0) })
    }

    fn result(sem: *mut libc::sem_t) -> Result<Self> {
        if sem == libc::SEM_FAILED {
            return without_waiting(Err(Errno::last()));
        }
        Ok(Self(sem))
    }

    /// Takes one, waiting at most for `patience`, sem_clockwait(3) on the monotonic clock. `None`: SIGINT, SIGTERM or SIGHUP
    /// has come; they are caught so that the C library takes this process off its count of those who wait.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn wait(&self, patience: Patience) -> Result<Option<()>> {
        caught::catch(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
        loop {
            if caught::any() {
                return Ok(None);
            }
            let answer = match patience {
                // SAFETY: the pointer is that of an open semaphore.
                Patience::Never => unsafe { libc::sem_trywait(self.0) },
                // SAFETY: as above.
                Patience::Forever => unsafe { libc::sem_wait(self.0) },
                Patience::Until(_) => {
                    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
                    let end = now + TimeSpec::from(patience.left().unwrap_or_default());
                    // SAFETY: as above, and the time lives through the call.
                    unsafe { sem_clockwait(self.0, libc::CLOCK_MONOTONIC, end.as_ref()) }
                }
            };
            match Errno::result(answer) {
                Err(Errno::EINTR) => {}
                Err(Errno::ETIMEDOUT) => return Err(Errno::EAGAIN),
                answer => return answer.map(|_| Some(())),
            }
        }
    }

    /// Adds one, sem_post(3).
    ///
    /// # Errors
    /// `EOVERFLOW`: it stands at [`MAX_VALUE`].
    pub fn post(&self) -> Result<()> {
        // SAFETY: the pointer is that of an open semaphore.
        Errno::result(unsafe { libc::sem_post(self.0) }).map(drop)
    }
}

/// Makes one with this value and exactly these permission bits, whatever the umask is.
///
/// It is a file without a name until it is complete. sem_open(3) gives it another name first, which stays where its caller is
/// killed before it is removed.
///
/// # Errors
/// `EEXIST`: the name is taken. `EINVAL`: a value above [`MAX_VALUE`]. `ENOSPC`: the file system is full. `ENOSYS`: no tmpfs
/// is mounted at `/dev/shm`.
pub fn create(name: &OsStr, mode: u32, value: u32) -> Result<()> {
    #[repr(align(16))]
    struct Room([u8; size_of::<libc::sem_t>()]);
    let mut room = Room([0; _]);
    // SAFETY: there is room for one, and it is aligned.
    Errno::result(unsafe { libc::sem_init((&raw mut room).cast(), 1, value) })?;
    if !shm::is_mounted()? {
        return Err(Errno::ENOSYS);
    }
    let file = Object::unnamed()?;
    transfer::write_at(file.as_fd(), 0, &room.0)?;
    file.publish(&file_name(name), mode)
}

/// Looks at the one called `name` without touching it. Needs read permission only.
///
/// # Errors
/// `ENOENT`: there is none. `EACCES`: no permission. `EINVAL`, `ELOOP`: it is no regular file, or too short to be a semaphore.
pub fn look(name: &OsStr) -> Result<Stat> {
    let object = Object::open(&file_name(name), false)?;
    // The low half of the first word is the value, the high half counts who waits (glibc, 64 bits).
    let mut word = [0; 8];
    if transfer::read_at(object.as_fd(), 0, &mut word)? < word.len() {
        return Err(Errno::EINVAL);
    }
    let word = u64::from_ne_bytes(word);
    Ok(Stat { value: (word & u64::from(u32::MAX)) as u32, waiters: (word >> 32) as u32 })
}

/// What its file tells, which needs no permission.
///
/// # Errors
/// `ENOENT`: there is none. `EINVAL`: it is no regular file.
pub fn file(name: &OsStr) -> Result<shm::Stat> {
    shm::look(&file_name(name))
}

/// Removes the name, sem_unlink(3); who has it open keeps it.
pub fn unlink(name: &OsStr) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: a terminated string.
    Errno::result(unsafe { libc::sem_unlink(name.as_ptr()) }).map(drop)
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

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

unsafe extern "C" {
    // glibc 2.30; the libc crate does not declare it.
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        end: *const libc::timespec,
    ) -> libc::c_int;
}
