//! Sockets of other processes, sock_diag(7): which process has a path, whether a port has a listener, and what became of the other
//! end of a local TCP connection. Nothing here reaches the process that is asked about.
//!
//! It covers the sockets of this network namespace. A seccomp filter or a small kernel can lack it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::sys::stat::fstat;

use super::{SocketFile, Type};
use crate::sys::fifo::Seen;
use crate::sys::holders::Place;
use crate::sys::interrupt::retry;

/// The state of a TCP socket that listens, TCP_LISTEN of the kernel.
pub(super) const LISTEN: u8 = 10;
/// The families, and the protocols.
const LOCAL: u8 = libc::AF_UNIX as u8;
pub(super) const FOUR: u8 = libc::AF_INET as u8;
pub(super) const SIX: u8 = libc::AF_INET6 as u8;
pub(super) const TCP: u8 = libc::IPPROTO_TCP as u8;
pub(super) const UDP: u8 = libc::IPPROTO_UDP as u8;
/// SOCK_DIAG_BY_FAMILY.
const BY_FAMILY: u16 = 20;
pub(super) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
pub(super) const DUMP: u16 = REQUEST | libc::NLM_F_DUMP as u16;
/// UDIAG_SHOW_NAME, _VFS, _PEER, and _UID, which is of Linux 5.3.
pub(super) const SHOW_NAME: u32 = 1;
pub(super) const SHOW_FILE: u32 = 2;
pub(super) const SHOW_PEER: u32 = 4;
pub(super) const SHOW_UID: u32 = 0x40;
/// Their attributes, UNIX_DIAG_NAME and so on.
pub(super) const NAME: u16 = 0;
pub(super) const FILE: u16 = 1;
pub(super) const PEER: u16 = 2;
pub(super) const UID: u16 = 7;
/// Bytes of `struct nlmsghdr`, `struct unix_diag_msg`, and `struct inet_diag_msg`.
const HEAD: usize = 16;
pub(super) const UNIX: usize = 16;
pub(super) const INET: usize = 72;
/// The largest message of a dump.
const LARGEST: usize = 64 << 10;

/// A TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    state: u8,
    /// Its user; 0 too if no process has it any more.
    pub uid: u32,
    /// Its inode; 0 if no process has it any more.
    pub inode: u32,
}

/// A connection to sock_diag for questions about TCP or UDP.
#[derive(Debug)]
pub struct Diag {
    netlink: OwnedFd,
    protocol: u8,
}

impl Diag {
    /// Opens it, for UDP if the type is [`Type::Dgram`].
    ///
    /// # Errors
    /// It is missing or forbidden.
    pub fn open(kind: Type) -> Result<Self> {
        let diag = Self { netlink: netlink()?, protocol: if kind == Type::Dgram { UDP } else { TCP } };
        // For a single socket, the answer of a kernel without this is that of a missing socket. For a dump of no state
        // it is an error.
        let nothing = SocketAddr::from(([0, 0, 0, 0], 0));
        diag.ask(DUMP, nothing, nothing, 0)?;
        dump(&diag.netlink, |_| None::<()>)?;
        Ok(diag)
    }

    /// Returns the connected TCP socket of these addresses, as its own process sees them.
    pub fn tcp(&self, own: SocketAddr, other: SocketAddr) -> Result<Option<Tcp>> {
        Ok(self.lookup(own, other)?.filter(|socket| socket.state != LISTEN))
    }

    /// Like [`tcp`](Self::tcp), but returns the listener that would accept such a connection if there is none.
    fn lookup(&self, own: SocketAddr, other: SocketAddr) -> Result<Option<Tcp>> {
        self.ask(REQUEST, own, other, u32::MAX)?;
        let mut answer = [0; 4096];
        let length = retry(|| recv(self.netlink.as_raw_fd(), &mut answer, MsgFlags::empty()))?;
        match next(&answer[..length]) {
            Some((libc::NLMSG_ERROR, body, _)) => match failure(body) {
                Err(Errno::ENOENT) => Ok(None),
                failed => failed.map(|()| None),
            },
            Some((_, body, _)) if body.len() >= INET => {
                Ok(Some(Tcp { state: body[1], uid: word(body, 64), inode: word(body, 68) }))
            }
            _ => Err(Errno::EPROTO),
        }
    }

    /// Returns the socket that would accept a TCP connection to this address, or get a UDP datagram.
    pub fn listener(&self, at: SocketAddr) -> Result<Option<Tcp>> {
        // No connection comes from port 1 of the same address.
        let no_peer = SocketAddr::new(at.ip(), 1);
        if self.protocol == UDP {
            // The kernel takes the addresses as those of a datagram.
            return self.lookup(no_peer, at);
        }
        Ok(self.lookup(at, no_peer)?.filter(|socket| socket.state == LISTEN))
    }

    /// Returns a socket as `/proc/PID/fd` shows it.
    pub fn place(&self, socket: Tcp) -> Result<Place> {
        Ok((fstat(&self.netlink)?.st_dev, socket.inode.into()))
    }

    fn ask(&self, how: u16, own: SocketAddr, other: SocketAddr, states: u32) -> Result<()> {
        request(&self.netlink, how, &inet(self.protocol, own, other, states))
    }
}

/// Returns the socket that is bound to a file, as `/proc/PID/fd` shows it; `None` if there is none in this network
/// namespace. The kernel lists all sockets for that.
pub fn bound_to(file: &SocketFile) -> Result<Option<Place>> {
    find(SHOW_FILE, FILE, &place(&file.seen))
}

/// Like [`bound_to`], for an abstract name.
pub fn bound_to_name(name: &[u8]) -> Result<Option<Place>> {
    find(SHOW_NAME, NAME, &[b"\0", name].concat())
}

/// Returns the user that created the socket which a unix socket is connected to. Datagram sockets have no other
/// credentials. `None`: no process has that socket any more.
///
/// # Errors
/// sock_diag is missing or forbidden. `EOPNOTSUPP`: the kernel does not know the user.
pub fn peer_uid(socket: &OwnedFd) -> Result<Option<u32>> {
    let netlink = netlink()?;
    let own = fstat(socket)?.st_ino as u32;
    let Some(peer) = attribute(&netlink, own, SHOW_PEER, PEER)?.filter(|peer| *peer > 0) else { return Ok(None) };
    match attribute(&netlink, peer, SHOW_UID, UID) {
        Err(Errno::ENOENT) => Ok(None),
        Ok(None) => Err(Errno::EOPNOTSUPP),
        uid => uid,
    }
}

/// Returns an attribute of the unix socket with this inode; `None` if it has none.
///
/// # Errors
/// `ENOENT`: there is no such socket.
fn attribute(netlink: &OwnedFd, inode: u32, show: u32, wanted: u16) -> Result<Option<u32>> {
    let mut body = unix(u32::MAX, show);
    body[8..12].copy_from_slice(&inode.to_ne_bytes());
    // Any cookie.
    body[16..24].fill(0xff);
    request(netlink, REQUEST, &body)?;
    let value = |body: &[u8]| {
        let (_, value) = attributes(body.get(UNIX..)?).find(|(kind, _)| *kind == wanted)?;
        value.get(..4).map(|value| word(value, 0))
    };
    dump(netlink, |body| Some(value(body))).map(Option::flatten)
}

/// Returns the unix socket that has this attribute with this value.
fn find(show: u32, attribute: u16, wanted: &[u8]) -> Result<Option<Place>> {
    let netlink = netlink()?;
    request(&netlink, DUMP, &unix(u32::MAX, show))?;
    let device = fstat(&netlink)?.st_dev;
    dump(&netlink, |body| {
        let is_it = attributes(body.get(UNIX..)?).any(|found| found == (attribute, wanted));
        is_it.then(|| (device, word(body, 4).into()))
    })
}

/// Splits the attributes that follow a message: their types and values.
pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, ..] = *rest else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

/// Returns a file as the kernel writes it there: inode and device, whose bits stat(2) has in another order.
pub(super) fn place(file: &Seen) -> [u8; 8] {
    let device = libc::major(file.device) << 20 | libc::minor(file.device);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&(file.inode as u32).to_ne_bytes());
    bytes[4..].copy_from_slice(&device.to_ne_bytes());
    bytes
}

pub(super) fn netlink() -> Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)
}

pub(super) fn request(netlink: &OwnedFd, how: u16, body: &[u8]) -> Result<()> {
    send_request(netlink, BY_FAMILY, how, body)
}

/// Sends a request of this kind, netlink(7).
pub(super) fn send_request(netlink: &OwnedFd, kind: u16, how: u16, body: &[u8]) -> Result<()> {
    let length = u32::try_from(HEAD + body.len()).map_err(|_| Errno::EMSGSIZE)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([kind.to_ne_bytes(), how.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend(body);
    retry(|| send(netlink.as_raw_fd(), &message, MsgFlags::empty())).map(drop)
}

/// Reads the answers to a dump, and returns the first result of `look`. The rest is then left unread.
pub(super) fn dump<T>(netlink: &OwnedFd, mut look: impl FnMut(&[u8]) -> Option<T>) -> Result<Option<T>> {
    let mut answers = vec![0; LARGEST];
    loop {
        let length = retry(|| recv(netlink.as_raw_fd(), &mut answers, MsgFlags::empty()))?;
        let mut rest = &answers[..length];
        while let Some((kind, body, after)) = next(rest) {
            match kind {
                // The end has the error of a dump that failed.
                libc::NLMSG_DONE => return failure(body).map(|()| None),
                libc::NLMSG_ERROR => failure(body)?,
                _ => {
                    if let Some(found) = look(body) {
                        return Ok(Some(found));
                    }
                }
            }
            rest = after;
        }
        if length == 0 {
            return Err(Errno::EPROTO);
        }
    }
}

/// Splits the first message off: its type, its body, and what follows.
pub(super) fn next(bytes: &[u8]) -> Option<(i32, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes.get(..HEAD)?, 0)).ok()?;
    let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((i32::from(kind), bytes.get(HEAD..length)?, after))
}

pub(super) fn failure(body: &[u8]) -> Result<()> {
    let number = body.get(..4).map_or(0, |_| word(body, 0).cast_signed());
    if number == 0 { Ok(()) } else { Err(Errno::from_raw(-number)) }
}

/// Returns the 32 bits at this place, which must be there.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns a `struct unix_diag_req` for sockets in these states, with these attributes.
pub(super) fn unix(states: u32, show: u32) -> [u8; 24] {
    let mut request = [0; 24];
    request[0] = LOCAL;
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    request[12..16].copy_from_slice(&show.to_ne_bytes());
    request
}

/// Returns a `struct inet_diag_req_v2`.
pub(super) fn inet(protocol: u8, own: SocketAddr, other: SocketAddr, states: u32) -> [u8; 56] {
    let mut request = [0; 56];
    request[..2].copy_from_slice(&[if own.is_ipv4() { FOUR } else { SIX }, protocol]);
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    for (address, port, at) in [(own, 8, 12), (other, 10, 28)] {
        request[port..port + 2].copy_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(four) => request[at..at + 4].copy_from_slice(&four.octets()),
            IpAddr::V6(six) => request[at..at + 16].copy_from_slice(&six.octets()),
        }
    }
    // Any cookie.
    request[48..56].fill(0xff);
    request
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/diag.rs"]
mod tests;
