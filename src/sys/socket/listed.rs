//! The unix, TCP and UDP sockets of this network namespace, listed by sock_diag(7).

use std::net::SocketAddr;

use nix::Result;
use nix::errno::Errno;

use super::Type;
use super::diag::{
    DUMP, FILE, INET, LISTEN, NAME, PEER, SHOW_FILE, SHOW_NAME, SHOW_PEER, SHOW_UID, TCP, UDP, UID, UNIX, attributes,
    dump, inet, netlink, place, request, unix, word,
};
use crate::sys::fifo::Seen;

/// More of UDIAG_SHOW_NAME, and so on, and the attributes themselves.
const SHOW_WAITING: u32 = 8;
const SHOW_QUEUES: u32 = 0x10;
const WAITING: u16 = 3;
const QUEUES: u16 = 4;
const SHUTDOWN: u16 = 6;
/// INET_DIAG_SKV6ONLY.
const SIX_ONLY: u16 = 11;
/// RCV_SHUTDOWN and SEND_SHUTDOWN of the kernel: also what a unix socket has after its peer has closed.
const BOTH_WAYS: u8 = 3;
/// States of the kernel, which unix sockets and UDP share with TCP.
const CONNECTED: u8 = 1;
const CLOSED: u8 = 7;
/// SOCK_DGRAM and SOCK_SEQPACKET.
const DGRAM: u8 = 2;
const SEQPACKET: u8 = 5;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its type.
    pub kind: Type,
    /// Its addresses.
    pub ends: Ends,
    /// Its inode; 0 if no process has it yet, or any more.
    pub inode: u32,
    /// The user that created it, if it is known.
    pub uid: Option<u32>,
    /// Unread bytes; for a listener, the connections that wait to be accepted.
    pub received: u32,
    /// Bytes that the peer has not taken; for a listener, how many connections can wait.
    pub sent: u32,
    state: u8,
    /// Of unix sockets: whether both directions are shut down.
    is_shut: bool,
    /// Of IPv6: whether IPv4 does not reach it.
    is_six_only: bool,
}

/// The addresses of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ends {
    /// A unix socket.
    Unix {
        /// The path that it was bound to, an abstract name after a NUL, or nothing.
        name: Vec<u8>,
        /// The file that it was bound to: inode and device, as the kernel writes them.
        file: Option<[u8; 8]>,
        /// The inode of the socket that it is connected to; 0 if that has no process yet, or any more.
        peer: Option<u32>,
    },
    /// TCP, or UDP for [`Type::Dgram`].
    Inet {
        /// Its address.
        own: SocketAddr,
        /// That of its peer; with port 0 if it has none.
        other: SocketAddr,
    },
}

impl Listed {
    /// Whether it listens for connections.
    pub const fn is_listening(&self) -> bool {
        self.state == LISTEN
    }

    /// Whether it is that of a server: it listens, or takes datagrams from any process.
    pub fn is_server(&self) -> bool {
        let is_named = !matches!(&self.ends, Ends::Unix { name, .. } if name.is_empty());
        self.is_listening() || self.kind == Type::Dgram && is_named && !self.has_peer()
    }

    /// Whether it has another end, if that is known or not.
    pub fn has_peer(&self) -> bool {
        match self.ends {
            Ends::Unix { peer, .. } => peer.is_some(),
            Ends::Inet { other, .. } => other.port() > 0,
        }
    }

    /// Whether it was bound to a file.
    pub const fn has_file(&self) -> bool {
        matches!(self.ends, Ends::Unix { file: Some(_), .. })
    }

    /// Whether it is connected, and the server has not accepted that yet. It is one end: of TCP the server's, of unix
    /// sockets the client's.
    pub fn is_pending(&self) -> bool {
        self.state == CONNECTED
            && match self.ends {
                Ends::Unix { peer, .. } => peer == Some(0) && !self.is_shut && self.kind != Type::Dgram,
                Ends::Inet { .. } => self.inode == 0,
            }
    }

    /// Whether it is bound to this file.
    pub fn is_at(&self, seen: &Seen) -> bool {
        matches!(self.ends, Ends::Unix { file: Some(file), .. } if file == place(seen))
    }

    /// Whether it has this address of TCP or UDP, or takes what comes for it.
    pub fn takes(&self, at: SocketAddr) -> bool {
        let Ends::Inet { own, .. } = self.ends else { return false };
        let is_any = || own.ip().is_unspecified() && own.port() == at.port() && self.is_server();
        own == at || is_any() && (own.is_ipv4() == at.is_ipv4() || own.is_ipv6() && !self.is_six_only)
    }

    /// Its state, for the user. TCP has more states than the others.
    pub fn state(&self) -> &'static str {
        const OF_TCP: [&str; 14] = [
            "unknown",
            "connected",
            "connecting",
            "connecting",
            "fin-wait-1",
            "fin-wait-2",
            "time-wait",
            "bound",
            "close-wait",
            "last-ack",
            "listening",
            "closing",
            "connecting",
            "bound",
        ];
        match &self.ends {
            _ if self.is_pending() => "pending",
            Ends::Unix { peer: Some(0), .. } if self.state == CONNECTED => "disconnected",
            Ends::Unix { name, .. } if self.state == CLOSED && name.is_empty() => "unconnected",
            _ => OF_TCP.get(usize::from(self.state)).copied().unwrap_or("unknown"),
        }
    }
}

/// Returns all sockets, and the kinds that this kernel cannot list.
///
/// # Errors
/// sock_diag is missing or forbidden.
pub fn all() -> Result<(Vec<Listed>, Vec<&'static str>)> {
    let netlink = netlink()?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut ask = |what, body: &[u8], read: &dyn Fn(&[u8]) -> Option<Listed>| -> Result<()> {
        request(&netlink, DUMP, body)?;
        let listed = dump(&netlink, |body| {
            found.extend(read(body));
            None::<()>
        });
        match listed {
            Err(Errno::ENOENT) if !missing.contains(&what) => missing.push(what),
            Err(Errno::ENOENT) => {}
            listed => drop(listed?),
        }
        Ok(())
    };
    let show = SHOW_NAME | SHOW_FILE | SHOW_PEER | SHOW_QUEUES | SHOW_UID;
    ask("unix", &unix(u32::MAX, show), &of_unix)?;
    for (what, protocol, kind) in [("TCP", TCP, Type::Stream), ("UDP", UDP, Type::Dgram)] {
        for any in [SocketAddr::from(([0; 4], 0)), SocketAddr::from(([0_u16; 8], 0))] {
            ask(what, &inet(protocol, any, any, u32::MAX), &|body| of_inet(kind, body))?;
        }
    }
    Ok((found, missing))
}

/// Returns the clients that wait until a unix listener accepts them: pairs of inodes, first that of the client. They are
/// asked for separately, because the kernel ends a list at a listener with too many of them.
pub fn waiting() -> Result<Vec<(u32, u32)>> {
    let netlink = netlink()?;
    request(&netlink, DUMP, &unix(1 << LISTEN, SHOW_WAITING))?;
    let mut pairs = Vec::new();
    dump(&netlink, |body| {
        for (_, value) in attributes(body.get(UNIX..)?).filter(|(kind, _)| *kind == WAITING) {
            pairs.extend(value.chunks_exact(4).map(|client| (word(client, 0), word(body, 4))));
        }
        None::<()>
    })?;
    Ok(pairs)
}

/// Parses a `struct unix_diag_msg` and its attributes.
fn of_unix(body: &[u8]) -> Option<Listed> {
    let rest = body.get(UNIX..)?;
    let kind = match body[1] {
        DGRAM => Type::Dgram,
        SEQPACKET => Type::Seqpacket,
        _ => Type::Stream,
    };
    let (mut own, mut at, mut other) = (Vec::new(), None, None);
    let (mut uid, mut queues, mut is_shut) = (None, [0; 2], false);
    for (attribute, value) in attributes(rest) {
        let number = || (value.len() == 4).then(|| word(value, 0));
        match attribute {
            // A path ends with its first NUL, if it has one.
            NAME if value.first() != Some(&0) => own = value.split(|byte| *byte == 0).next()?.to_vec(),
            NAME => own = value.to_vec(),
            FILE => at = value.try_into().ok(),
            PEER => other = number(),
            QUEUES if value.len() == 8 => queues = [word(value, 0), word(value, 4)],
            SHUTDOWN => is_shut = value == [BOTH_WAYS],
            UID => uid = number(),
            _ => {}
        }
    }
    let [received, sent] = queues;
    let ends = Ends::Unix { name: own, file: at, peer: other };
    Some(Listed { kind, ends, inode: word(body, 4), uid, received, sent, state: body[2], is_shut, is_six_only: false })
}

/// Parses a `struct inet_diag_msg`.
fn of_inet(kind: Type, body: &[u8]) -> Option<Listed> {
    if body.len() < INET {
        return None;
    }
    let address = |port: usize, at: usize| {
        let port = u16::from_be_bytes([body[port], body[port + 1]]);
        let four = <[u8; 4]>::try_from(&body[at..at + 4]).ok()?;
        let six = <[u8; 16]>::try_from(&body[at..at + 16]).ok()?;
        let is_four = i32::from(body[0]) == nix::libc::AF_INET;
        // A connection of IPv4 on a socket of both families.
        Some(if is_four {
            (four, port).into()
        } else {
            SocketAddr::new(std::net::IpAddr::from(six).to_canonical(), port)
        })
    };
    let ends = Ends::Inet { own: address(4, 8)?, other: address(6, 24)? };
    let inode = word(body, 68);
    // Without a process, the kernel reports the user as 0.
    let uid = (inode > 0).then(|| word(body, 64));
    let (received, sent) = (word(body, 56), word(body, 60));
    let is_six_only = attributes(&body[INET..]).any(|attribute| attribute == (SIX_ONLY, &[1]));
    Some(Listed { kind, ends, inode, uid, received, sent, state: body[1], is_shut: false, is_six_only })
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/listed.rs"]
mod tests;
