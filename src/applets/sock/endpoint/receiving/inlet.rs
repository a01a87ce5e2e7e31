//! The sources of one call.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::applets::sock::endpoint::allow::Origin;
use crate::applets::sock::endpoint::listener::Listener;
use crate::applets::sock::endpoint::printing::Wording;

/// An incomplete line is taken when it has this length, or has been incomplete for this time: its sender may be waiting
/// for room.
pub const LONG: usize = 64 << 10;
/// See [`LONG`].
pub const STUCK: Duration = Duration::from_secs(1);

/// Something that is read.
pub struct Inlet {
    /// The address, as it is shown.
    pub address: OsString,
    /// Its socket.
    pub feed: Feed,
    /// Whether there may be input.
    pub is_ready: bool,
    /// Whether the peer sends no more.
    pub has_ended: bool,
}

/// What is read.
pub enum Feed {
    /// Clients.
    Listener(Listener),
    /// Datagrams.
    Datagrams(Listener),
    /// The packets of a peer.
    Packets(OwnedFd, Origin),
    /// The bytes of a peer.
    Stream(Incoming),
}

/// A connection of bytes.
pub struct Incoming {
    /// The socket.
    pub socket: OwnedFd,
    /// Whether other processes may read it too.
    pub is_shared: bool,
    /// Prints it.
    pub wording: Wording,
    /// Bytes taken.
    pub taken: u64,
    /// Whether a part of a counted line was taken. A shared socket is locked then.
    pub is_inside: bool,
    /// Since when its line is incomplete.
    pub part: Option<Instant>,
    /// When bytes were last taken.
    pub last: Instant,
}

impl Incoming {
    /// Whether no other process may take the rest of its line.
    const fn is_locked(&self) -> bool {
        self.is_shared && self.is_inside
    }
}

/// What a look at a source has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// There may be more now.
    More,
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    Over,
}

impl Inlet {
    /// Its socket.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.feed {
            Feed::Listener(listener) | Feed::Datagrams(listener) => listener.as_fd(),
            Feed::Packets(socket, _) => socket.as_fd(),
            Feed::Stream(incoming) => incoming.socket.as_fd(),
        }
    }

    /// Whether it is a connection.
    pub const fn is_connection(&self) -> bool {
        matches!(self.feed, Feed::Packets(..) | Feed::Stream(_))
    }

    /// Whether its line must be finished before another source is read.
    pub fn is_inside(&self) -> bool {
        matches!(&self.feed, Feed::Stream(incoming) if incoming.is_locked() || incoming.wording.is_inside())
    }

    /// Returns when a line that was printed in part is broken, if other sources wait for its end.
    pub fn breaks(&self) -> Option<Instant> {
        match &self.feed {
            Feed::Stream(incoming) if incoming.wording.is_inside() && !incoming.is_locked() => {
                Some(incoming.last + STUCK)
            }
            _ => None,
        }
    }

    /// Returns when its incomplete line is taken.
    pub fn due(&self) -> Option<Instant> {
        if let Feed::Stream(incoming) = &self.feed { incoming.part.map(|since| since + STUCK) } else { None }
    }
}
