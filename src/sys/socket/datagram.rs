//! Datagrams: received whole with their sender, and sent to a name. Nothing here blocks.

use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrLike, SockaddrStorage, recv, sendto};

use super::name::Name;
use super::{Credentials, Peer, pass};
use crate::sys::interrupt::retry;

/// The sender of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its name. A unix socket without one cannot be answered.
    pub name: Name,
    /// Its process, for a unix socket that was bound by this process.
    pub process: Option<Credentials>,
}

/// Room for datagrams of every sender that has not raised SO_SNDBUF above the default limit, net.core.wmem_max.
const ROOM: usize = 512 << 10;

/// Receives one datagram into `buffer`, which grows to its size, and returns its length. If other processes receive from
/// the socket too, the datagram can be another one than the one whose size was asked for.
///
/// # Errors
/// `EAGAIN`: none waits. `EMSGSIZE`: such a datagram was longer than the buffer, and is lost.
pub fn receive(socket: impl AsFd, buffer: &mut Vec<u8>) -> Result<(usize, Sender)> {
    let fd = socket.as_fd().as_raw_fd();
    // With this flag the kernel returns the size of the whole datagram.
    let ask = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let size = retry(|| recv(fd, &mut [], ask))?;
    if buffer.len() < size.max(ROOM) {
        *buffer = vec![0; size.max(ROOM)];
    }
    let came = pass::message(socket.as_fd(), buffer)?;
    if came.is_short {
        return Err(Errno::EMSGSIZE);
    }
    Ok((came.length, Sender { name: came.from, process: came.process }))
}

/// Sends one datagram to this peer, or to the first of its addresses.
///
/// # Errors
/// `EAGAIN`: the receiver has no room. `EMSGSIZE`: it is too long.
pub fn send_to(socket: impl AsFd, bytes: &[u8], to: &Peer) -> Result<()> {
    let address: Box<dyn SockaddrLike> = match to {
        Peer::Inet([first, ..]) => Box::new(SockaddrStorage::from(*first)),
        unix => Box::new(unix.unix_address()?),
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    retry(|| sendto(socket.as_fd().as_raw_fd(), bytes, &*address, flags)).map(drop)
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/datagram.rs"]
mod tests;
