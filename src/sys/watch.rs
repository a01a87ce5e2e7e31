//! Who opens a file, told as it happens, inotify(7).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A file that is watched.
pub struct Opens(Inotify);

impl Opens {
    /// Watches the file behind `fd` for being opened from now on. The event comes before the new descriptor can be seen
    /// in `/proc`.
    ///
    /// # Errors
    /// `EACCES`: it wants the permission to read the file. `EMFILE`: `/proc/sys/fs/inotify/max_user_instances` is reached.
    pub fn of(fd: impl AsFd) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // The path could be somebody else's by now; the descriptor is not.
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        inotify.add_watch(path.as_str(), AddWatchFlags::IN_OPEN)?;
        Ok(Self(inotify))
    }

    /// Forgets the events that have come.
    pub fn clear(&self) -> Result<()> {
        loop {
            match self.0.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Opens {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
