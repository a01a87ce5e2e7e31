//! Datagrams: received whole with their sender, and sent to a name. Nothing here blocks.

use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::sys::socket::{MsgFlags, SockaddrLike, SockaddrStorage, UnixAddr, recv, sendto};

use super::name::Name;
use super::{Credentials, pass};
use crate::sys::interrupt::retry;

/// The sender of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its name. A unix socket without one cannot be answered.
    pub name: Name,
    /// Its process, for a unix socket that was bound by this process.
    pub process: Option<Credentials>,
}

/// Receives one datagram into `bytes`, which it replaces.
///
/// # Errors
/// `EAGAIN`: none waits.
pub fn receive(socket: impl AsFd, bytes: &mut Vec<u8>) -> Result<Sender> {
    let fd = socket.as_fd().as_raw_fd();
    // With this flag the kernel returns the size of the whole datagram.
    let ask = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let size = retry(|| recv(fd, &mut [], ask))?;
    bytes.resize(size, 0);
    let came = pass::message(socket.as_fd(), bytes)?;
    bytes.truncate(came.length);
    Ok(Sender { name: came.from, process: came.process })
}

/// Sends one datagram to this name.
///
/// # Errors
/// `EAGAIN`: the receiver has no room. `EMSGSIZE`: it is too long.
pub fn send_to(socket: impl AsFd, bytes: &[u8], to: &Name) -> Result<()> {
    let address: Box<dyn SockaddrLike> = match to {
        Name::Unnamed => Box::new(UnixAddr::new_unnamed()),
        Name::Path(path) => Box::new(UnixAddr::new(path)?),
        Name::Abstract(name) => Box::new(UnixAddr::new_abstract(name)?),
        Name::Inet(address) => Box::new(SockaddrStorage::from(*address)),
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    retry(|| sendto(socket.as_fd().as_raw_fd(), bytes, &*address, flags)).map(drop)
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/datagram.rs"]
mod tests;
