//! Whether a FIFO that is open still lies at its path.
//!
//! Writers that come after another FIFO has taken its place open that one, and wait there for a reader.

use std::os::fd::AsFd;

use nix::Result;

use crate::applets::fifo::stream::path::Fifo;
use crate::exit::{Cause, Exit};
use crate::sys::epoll::Events;
use crate::sys::fifo::{Seen, has_writers, look};
use crate::sys::inotify::Watch;

/// The place of an open FIFO, which is watched.
pub struct Place<'a> {
    fifo: &'a Fifo,
    seen: Seen,
    /// None where the user has too many already.
    watch: Option<Watch>,
    is_left: bool,
}

impl<'a> Place<'a> {
    /// Watches the FIFO that was opened as `fd`; events have the number `which`.
    pub fn watch(fifo: &'a Fifo, seen: Seen, fd: impl AsFd, (events, which): (&Events, usize)) -> Result<Self> {
        let watch = Watch::place(fd).ok();
        watch.iter().try_for_each(|watch| events.watch(watch, which))?;
        let mut place = Self { fifo, seen, watch, is_left: false };
        // It can have gone before it was watched.
        place.look()?;
        Ok(place)
    }

    /// Looks again, after an event.
    pub fn look(&mut self) -> Result<()> {
        self.watch.iter().try_for_each(Watch::clear)?;
        self.is_left = !look(self.fifo.path()).is_ok_and(|there| there.is(&self.seen));
        Ok(())
    }

    /// Whether it lies there no more, and nobody is left who could write to it.
    pub fn is_over(&self, fd: impl AsFd) -> Result<bool> {
        Ok(self.is_left && !has_writers(fd)?)
    }
}

/// Why nothing more comes.
pub fn replaced(name: &str) -> Cause {
    Cause::new(Exit::Missing, format!("{name} was removed or replaced, and has no writers left"))
}
