//! Where it is said that something has begun: a FIFO, a file or a descriptor that the caller gave.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::libc;
use nix::sys::stat::Mode;

use super::fds::{copy_of, descriptor};
use super::wait::Patience;

/// How often a FIFO is tried again that nobody reads, where the wait has an end.
const INTERVAL: Duration = Duration::from_millis(5);

/// Opens what is at `path` for a line: a FIFO, whose reader is waited for, a file, which is made or made empty, or a descriptor
/// of the caller's as `/dev/fd/N`, which is closed with what is given. A final symbolic link is not followed.
///
/// The box must not have opened any descriptor yet: one of them could be taken for the caller's.
///
/// # Errors
/// `EAGAIN`: the time was over before somebody opened the FIFO.
pub fn opened(path: &OsStr, patience: Patience) -> Result<OwnedFd> {
    match descriptor(path) {
        // They are open for the life of the process.
        Some(fd @ 0..=2) => copy_of(fd),
        Some(fd) => {
            // SAFETY: the call takes plain integers, and fails where there is no such descriptor.
            Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
            // SAFETY: it is open, and the caller's: the box has opened none.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        None => open_path(path, patience),
    }
}

fn open_path(path: &OsStr, patience: Patience) -> Result<OwnedFd> {
    let endless = patience == Patience::Forever;
    let wait = if endless { OFlag::empty() } else { OFlag::O_NONBLOCK };
    let flags = OFlag::O_WRONLY
        | OFlag::O_CLOEXEC
        | OFlag::O_NOFOLLOW
        | OFlag::O_NOCTTY
        | OFlag::O_TRUNC
        | wait;
    loop {
        let mode = Mode::from_bits_truncate(0o666);
        // A FIFO of somebody else's in a sticky directory may not be opened with O_CREAT.
        let opened = match open(path, flags, Mode::empty()) {
            Err(Errno::ENOENT) => open(path, flags | OFlag::O_CREAT, mode),
            opened => opened,
        };
        match opened {
            Err(Errno::EINTR) => {}
            Err(Errno::ENXIO) if patience.is_over() => return Err(Errno::EAGAIN),
            Err(Errno::ENXIO) => {
                std::thread::sleep(patience.left().map_or(INTERVAL, |left| left.min(INTERVAL)));
            }

            opened => {
                let opened = opened?;
                fcntl(opened.as_fd(), FcntlArg::F_SETFL(OFlag::empty()))?;
                return Ok(opened);
            }
        }
    }
}
