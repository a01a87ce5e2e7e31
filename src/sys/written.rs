//! Files, FIFOs and descriptors that the caller names for ipcbox to write to.
//!
//! A final symbolic link is never followed, because another user may have created it. `/dev/stdout` and the like are
//! links too, but stand for the descriptor itself.
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

/// The interval of retries on a FIFO without a reader, with a deadline. Not a timer: some verbs read SIGALRM.
const INTERVAL: Duration = Duration::from_millis(5);

/// The treatment of a file's existing content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It is truncated.
    Goes,
    /// It is appended to.
    Stays,
}

/// Opens `path` for writing without following a final symbolic link. A file is created if missing. A FIFO is opened
/// once it has a reader. `/dev/fd/N` is the caller's descriptor, which CMD then no longer inherits.
///
/// # Errors
/// `EAGAIN`: no reader opened the FIFO in time. `EBADF`: the caller passed no such descriptor. `ELOOP`: a link.
pub fn opened(path: &OsStr, before: Before, deadline: Deadline) -> Result<OwnedFd> {
    match descriptor(path) {
        // These stay open for the life of the process.
        Some(fd @ 0..=2) => copy_of(fd),
        Some(fd) => {
            // SAFETY: the call takes plain integers, and fails if there is no such descriptor.
            let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
            // ipcbox opens everything close-on-exec; inherited descriptors never are.
            if flags & libc::FD_CLOEXEC != 0 {
                return Err(Errno::EBADF);
            }
            // SAFETY: it is open, inherited, and not owned by anything else here.
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
        // In a sticky directory O_CREAT is refused for another user's FIFO (protected_fifos). It is refused for another
        // user's file too, and that stays refused.
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
