//! FILEs that the caller names for the box to write to: files, FIFOs and descriptors.
//!
//! One rule holds for all of them: a final symbolic link is not followed, since another user can have put it there.
//! `/dev/stdout` and the like, which are links, are the descriptors themselves.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::stat::Mode;

use super::deadline::Deadline;
use super::fds::{copy_of, descriptor};
use super::fifo::{Kind, look};
use super::interrupt::retry;

/// How often a FIFO without a reader is tried again if the wait has a deadline. A timer would not do: verbs that read
/// signals read SIGALRM, too.
const INTERVAL: Duration = Duration::from_millis(5);

/// What becomes of what a file holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It goes.
    Goes,
    /// It stays, and what is written follows it.
    Stays,
}

/// Opens what is at `path` for writing: a FIFO, whose reader is waited for, a file, which is created if it is missing,
/// or a descriptor of the caller's as `/dev/fd/N`, which no CMD gets any more. A final symbolic link is not followed.
///
/// # Errors
/// `EAGAIN`: no reader opened the FIFO in time. `EBADF`: the caller gave no such descriptor. `ELOOP`: it is a symbolic link.
pub fn opened(path: &OsStr, before: Before, deadline: Deadline) -> Result<OwnedFd> {
    match descriptor(path) {
        // They are open for the life of the process.
        Some(fd @ 0..=2) => copy_of(fd),
        Some(fd) => {
            // SAFETY: the call takes plain integers, and fails where there is no such descriptor.
            let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
            // All that the box has opened itself is closed on exec, and nothing that it was given can be.
            if flags & libc::FD_CLOEXEC != 0 {
                return Err(Errno::EBADF);
            }
            // SAFETY: it is open, the caller's, and nobody else's here: from now on it counts as one that the box has
            // opened.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            Ok(fd)
        }
        None => open_path(path, before, deadline),
    }
}

fn open_path(path: &OsStr, before: Before, deadline: Deadline) -> Result<OwnedFd> {
    let endless = deadline == Deadline::Forever;
    let wait = if endless { OFlag::empty() } else { OFlag::O_NONBLOCK };
    let (place, kept) = match before {
        Before::Goes => (OFlag::O_TRUNC, OFlag::empty()),
        Before::Stays => (OFlag::O_APPEND, OFlag::O_APPEND),
    };
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | place | wait;
    loop {
        let mode = Mode::from_bits_truncate(0o666);
        // Another user's FIFO in a sticky directory may not be opened with O_CREAT. Nor may another user's file, which
        // stays so.
        let is_fifo = || look(Path::new(path)).is_ok_and(|seen| seen.kind == Kind::Fifo);
        let opened = match retry(|| open(path, flags | OFlag::O_CREAT, mode)) {
            Err(Errno::EACCES) if is_fifo() => retry(|| open(path, flags, Mode::empty())),
            opened => opened,
        };
        match opened {
            Err(Errno::ENXIO) if deadline.is_over() => return Err(Errno::EAGAIN),
            Err(Errno::ENXIO) => {
                std::thread::sleep(deadline.left().map_or(INTERVAL, |left| left.min(INTERVAL)));
            }
            opened => {
                let opened = opened?;
                fcntl(opened.as_fd(), FcntlArg::F_SETFL(kept))?;
                return Ok(opened);
            }
        }
    }
}
