//! Watches many descriptors at once, epoll(7).
//!
//! Events are edge-triggered (`EPOLLET`): the caller must remember each change until a call on that descriptor returns
//! `EAGAIN` or EOF. Therefore a FIFO without writers stays quiet until the next writer opens it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::deadline::Deadline;
use super::interrupt::retry;
use super::wait::{Wake, ready_or_signal};

/// A set of watched descriptors.
#[derive(Debug)]
pub struct Events(Epoll);

/// A change of a watched descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number passed to [`Events::watch`].
    pub which: usize,
    /// Whether no writer is left, or the peer of a socket sends no more.
    pub ended: bool,
}

impl Events {
    /// Creates an empty set.
    pub fn new() -> Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches a descriptor until it is closed. Events carry the number `which`. Existing input also produces one.
    pub fn watch(&self, fd: impl AsFd, which: usize) -> Result<()> {
        self.0
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET, which as u64))
    }

    /// Returns the pending events.
    pub fn take(&self) -> Result<Vec<Event>> {
        let mut events = [EpollEvent::empty(); 64];
        let count = retry(|| self.0.wait(&mut events, EpollTimeout::ZERO))?;
        let event_of = |event: &EpollEvent| Event {
            which: usize::try_from(event.data()).unwrap_or(usize::MAX),
            ended: event.events().intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP),
        };
        Ok(events[..count].iter().map(event_of).collect())
    }

    /// Waits for an event or a caught signal.
    pub fn wait(&self, deadline: Deadline) -> Result<Wake> {
        ready_or_signal(&[self.as_fd()], deadline)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
