//! Whether an open FIFO is still at its path. If it was replaced, new writers open the other FIFO and wait there.

use std::os::fd::AsFd;

use nix::Result;

use crate::applets::fifo::stream::path::Fifo;
use crate::exit::{Cause, Exit};
use crate::sys::epoll::Events;
use crate::sys::fifo::{Seen, has_writers, look};
use crate::sys::inotify::Watch;

/// The path of an open FIFO, watched by inotify.
pub struct WatchedPath<'a> {
    fifo: &'a Fifo,
    seen: Seen,
    /// `None` if the user has too many watches.
    watch: Option<Watch>,
    is_left: bool,
}

impl<'a> WatchedPath<'a> {
    /// Watches the FIFO that was opened as `fd`; its events have the number `which`.
    pub fn watch(fifo: &'a Fifo, seen: Seen, fd: impl AsFd, (events, which): (&Events, usize)) -> Result<Self> {
        let watch = Watch::place(fd).ok();
        watch.iter().try_for_each(|watch| events.watch(watch, which))?;
        let mut place = Self { fifo, seen, watch, is_left: false };
        // It may have been replaced before the watch.
        place.look()?;
        Ok(place)
    }

    /// Checks the path, after an event.
    pub fn look(&mut self) -> Result<()> {
        self.watch.iter().try_for_each(|watch| watch.clear().map(drop))?;
        self.is_left = !look(self.fifo.path()).is_ok_and(|there| there.is(&self.seen));
        Ok(())
    }

    /// Whether it is no longer there and has no writer.
    pub fn is_over(&self, fd: impl AsFd) -> Result<bool> {
        Ok(self.is_left && !has_writers(fd)?)
    }
}

/// Returns the failure of a reader whose FIFO was replaced.
pub fn replaced(name: &str) -> Cause {
    Cause::new(Exit::Missing, format!("{name} was removed or replaced, and has no writers left"))
}
