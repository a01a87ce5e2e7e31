//! Many descriptors watched at once, epoll(7).
//!
//! An event is told once, when something has changed (`EPOLLET`): whoever is told remembers it, until a call on that
//! descriptor gives `EAGAIN` or is at its end. So a FIFO whose writers have all gone is quiet until the next one comes.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::deadline::Deadline;
use super::interrupt::retry;
use super::wait::{Wake, ready_or_signal};

/// Descriptors that are watched.
#[derive(Debug)]
pub struct Events(Epoll);

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number that the descriptor was given.
    pub which: usize,
    /// Nobody is left to write.
    pub ended: bool,
}

impl Events {
    /// Watches nothing yet.
    pub fn new() -> Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches a descriptor for something to read; its events have the number `which`. What is there already is told
    /// as an event too. It is watched until it is closed.
    pub fn watch(&self, fd: impl AsFd, which: usize) -> Result<()> {
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, which as u64))
    }

    /// The events that have come.
    pub fn take(&self) -> Result<Vec<Event>> {
        let mut events = [EpollEvent::empty(); 64];
        let count = retry(|| self.0.wait(&mut events, EpollTimeout::ZERO))?;
        let event_of = |event: &EpollEvent| Event {
            which: usize::try_from(event.data()).unwrap_or(usize::MAX),
            ended: event.events().contains(EpollFlags::EPOLLHUP),
        };
        Ok(events[..count].iter().map(event_of).collect())
    }

    /// Waits until there is one, or a caught signal comes.
    pub fn wait(&self, deadline: Deadline) -> Result<Wake> {
        ready_or_signal(&[self.as_fd()], deadline)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
