//! What happens to a file, reported as it happens, inotify(7).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::interrupt::retry;

/// A file that is watched.
pub struct Watch(Inotify);

impl Watch {
    /// Watches the file behind `fd` for being opened from now on. The event comes before the new descriptor can be seen
    /// in `/proc`.
    ///
    /// # Errors
    /// `EACCES`: it wants the permission to read the file. `EMFILE`: `/proc/sys/fs/inotify/max_user_instances` is reached.
    pub fn opens(fd: impl AsFd) -> Result<Self> {
        Self::of(fd, AddWatchFlags::IN_OPEN)
    }

    /// Watches it for being moved, or removed from a directory, which changes its number of links.
    ///
    /// # Errors
    /// As of [`opens`](Self::opens).
    pub fn place(fd: impl AsFd) -> Result<Self> {
        Self::of(fd, AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE_SELF)
    }

    fn of(fd: impl AsFd, what: AddWatchFlags) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // The path could be somebody else's by now; the descriptor is not.
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        inotify.add_watch(path.as_str(), what)?;
        Ok(Self(inotify))
    }

    /// Forgets the events that have come.
    pub fn clear(&self) -> Result<()> {
        loop {
            match retry(|| self.0.read_events()) {
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
