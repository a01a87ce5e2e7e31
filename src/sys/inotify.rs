//! Changes of a file, reported as they happen, inotify(7).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::Mode;

use super::interrupt::retry;

/// A watched file.
pub struct Watch(Inotify);

impl Watch {
    /// Reports each open(2) of the file behind `fd`. The event precedes the new descriptor in `/proc`.
    ///
    /// # Errors
    /// `EACCES`: no permission to read the file. `EMFILE`: `/proc/sys/fs/inotify/max_user_instances` is reached.
    pub fn opens(fd: impl AsFd) -> Result<Self> {
        Self::of(fd, AddWatchFlags::IN_OPEN)
    }

    /// Reports that the file was moved, or that a link to it was removed.
    pub fn place(fd: impl AsFd) -> Result<Self> {
        Self::of(fd, AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE_SELF)
    }

    /// Reports each file that comes into a directory, and that the directory was moved or removed.
    pub fn files_of(directory: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let comes = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let goes = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        Self::of(open(directory, flags, Mode::empty())?, comes | goes)
    }

    fn of(fd: impl AsFd, what: AddWatchFlags) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // The path may lead to another file by now; the descriptor does not.
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        inotify.add_watch(path.as_str(), what)?;
        Ok(Self(inotify))
    }

    /// Discards all pending events. Returns whether the watched file is still in its place.
    pub fn clear(&self) -> Result<bool> {
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_IGNORED;
        let mut is_there = true;
        loop {
            match retry(|| self.0.read_events()) {
                Ok(events) => is_there &= !events.iter().any(|event| event.mask.intersects(gone)),
                Err(Errno::EAGAIN) => return Ok(is_there),
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
