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

use super::SocketFile;
use crate::sys::holders::Place;
use crate::sys::interrupt::retry;

/// The state of a TCP socket that listens, TCP_LISTEN of the kernel.
const LISTEN: u8 = 10;
/// The families, and the protocol.
const LOCAL: u8 = libc::AF_UNIX as u8;
const FOUR: u8 = libc::AF_INET as u8;
const SIX: u8 = libc::AF_INET6 as u8;
const TCP: u8 = libc::IPPROTO_TCP as u8;
/// SOCK_DIAG_BY_FAMILY.
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const DUMP: u16 = REQUEST | libc::NLM_F_DUMP as u16;
/// UDIAG_SHOW_NAME, and UDIAG_SHOW_VFS.
const SHOW_NAME: u32 = 1;
const SHOW_FILE: u32 = 2;
/// Their attributes, UNIX_DIAG_NAME and UNIX_DIAG_VFS.
const NAME: u16 = 0;
const FILE: u16 = 1;
/// Bytes of `struct nlmsghdr`, `struct unix_diag_msg`, and `struct inet_diag_msg`.
const HEAD: usize = 16;
const UNIX: usize = 16;
const INET: usize = 72;
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

/// A connection to sock_diag for questions about TCP.
#[derive(Debug)]
pub struct Diag(OwnedFd);

impl Diag {
    /// Opens it.
    ///
    /// # Errors
    /// It is missing or forbidden.
    pub fn open() -> Result<Self> {
        let diag = Self(netlink()?);
        // For a single socket, the answer of a kernel without this is that of a missing socket. For a dump of no state
        // it is an error.
        let nothing = SocketAddr::from(([0, 0, 0, 0], 0));
        diag.ask(DUMP, &inet(nothing, nothing, 0))?;
        dump(&diag.0, |_| None::<()>)?;
        Ok(diag)
    }

    /// Returns the connected TCP socket of these addresses, as its own process sees them.
    pub fn tcp(&self, own: SocketAddr, other: SocketAddr) -> Result<Option<Tcp>> {
        Ok(self.lookup(own, other)?.filter(|socket| socket.state != LISTEN))
    }

    /// Like [`tcp`](Self::tcp), but returns the listener that would accept such a connection if there is none.
    fn lookup(&self, own: SocketAddr, other: SocketAddr) -> Result<Option<Tcp>> {
        self.ask(REQUEST, &inet(own, other, u32::MAX))?;
        let mut answer = vec![0; LARGEST];
        let length = retry(|| recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()))?;
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

    /// Returns the socket that would accept a TCP connection to this address.
    pub fn listener(&self, at: SocketAddr) -> Result<Option<Tcp>> {
        // No connection comes from port 1 of the same address.
        let no_peer = SocketAddr::new(at.ip(), 1);
        Ok(self.lookup(at, no_peer)?.filter(|socket| socket.state == LISTEN))
    }

    /// Returns a socket as `/proc/PID/fd` shows it.
    pub fn place(&self, socket: Tcp) -> Result<Place> {
        Ok((fstat(&self.0)?.st_dev, socket.inode.into()))
    }

    fn ask(&self, how: u16, body: &[u8]) -> Result<()> {
        request(&self.0, how, body)
    }
}

/// Returns the socket that is bound to a file, as `/proc/PID/fd` shows it; `None` if there is none in this network
/// namespace. The kernel lists all sockets for that.
pub fn bound_to(file: &SocketFile) -> Result<Option<Place>> {
    let wanted = [(file.seen.inode as u32).to_ne_bytes(), kernel_device(file.seen.device).to_ne_bytes()].concat();
    find(SHOW_FILE, FILE, &wanted)
}

/// Like [`bound_to`], for an abstract name.
pub fn bound_to_name(name: &[u8]) -> Result<Option<Place>> {
    find(SHOW_NAME, NAME, &[b"\0", name].concat())
}

/// Returns the unix socket that has this attribute with this value.
fn find(show: u32, attribute: u16, wanted: &[u8]) -> Result<Option<Place>> {
    let netlink = netlink()?;
    let mut body = [0; 24];
    body[0] = LOCAL;
    body[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    body[12..16].copy_from_slice(&show.to_ne_bytes());
    request(&netlink, DUMP, &body)?;
    let device = fstat(&netlink)?.st_dev;
    dump(&netlink, |body| {
        let mut rest = body.get(UNIX..)?;
        while let [a, b, c, d, ..] = *rest {
            let length = usize::from(u16::from_ne_bytes([a, b]));
            if u16::from_ne_bytes([c, d]) == attribute && rest.get(4..length)? == wanted {
                return Some((device, word(body, 4).into()));
            }
            rest = rest.get(length.next_multiple_of(4)..)?;
        }
        None
    })
}

/// Returns the device of a file as the kernel writes it there: stat(2) has the bits in another order.
fn kernel_device(device: u64) -> u32 {
    libc::major(device) << 20 | libc::minor(device)
}

fn netlink() -> Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)
}

fn request(netlink: &OwnedFd, how: u16, body: &[u8]) -> Result<()> {
    let length = u32::try_from(HEAD + body.len()).map_err(|_| Errno::EMSGSIZE)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([BY_FAMILY.to_ne_bytes(), how.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend(body);
    retry(|| send(netlink.as_raw_fd(), &message, MsgFlags::empty())).map(drop)
}

/// Reads the answers to a dump, and returns the first result of `look`. The rest is then left unread.
fn dump<T>(netlink: &OwnedFd, mut look: impl FnMut(&[u8]) -> Option<T>) -> Result<Option<T>> {
    let mut answers = vec![0; LARGEST];
    loop {
        let length = retry(|| recv(netlink.as_raw_fd(), &mut answers, MsgFlags::empty()))?;
        let mut rest = &answers[..length];
        while let Some((kind, body, after)) = next(rest) {
            match kind {
                libc::NLMSG_DONE => return Ok(None),
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
fn next(bytes: &[u8]) -> Option<(i32, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes.get(..HEAD)?, 0)).ok()?;
    let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((i32::from(kind), bytes.get(HEAD..length)?, after))
}

fn failure(body: &[u8]) -> Result<()> {
    let number = body.get(..4).map_or(0, |_| word(body, 0).cast_signed());
    if number == 0 { Ok(()) } else { Err(Errno::from_raw(-number)) }
}

/// Returns the 32 bits at this place, which must be there.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns a `struct inet_diag_req_v2` for TCP.
fn inet(own: SocketAddr, other: SocketAddr, states: u32) -> [u8; 56] {
    let mut request = [0; 56];
    request[..2].copy_from_slice(&[if own.is_ipv4() { FOUR } else { SIX }, TCP]);
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
