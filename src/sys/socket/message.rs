//! Messages on a connected socket: datagrams and packets. Nothing here blocks.

use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::sys::socket::{MsgFlags, getsockopt, recv, send, sockopt::SndBuf};

use super::own_address;
use crate::sys::interrupt::retry;

/// The most bytes of a UDP message over IPv4 and over IPv6: 65535 without the headers.
const FOUR: usize = 65_507;
const SIX: usize = 65_527;
/// What the kernel needs of the buffer for a message between unix sockets.
const OVERHEAD: usize = 32;

/// Sends a message.
///
/// # Errors
/// `EAGAIN`: no room. `EMSGSIZE`: it is longer than [`most`]. `ECONNREFUSED`: no process has the other socket, which
/// UDP reports after the message before. `EPIPE`: the peer has closed the connection, and SIGPIPE is blocked.
pub fn put(socket: impl AsFd, bytes: &[u8]) -> Result<()> {
    retry(|| send(socket.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT)).map(drop)
}

/// Receives a message that is dropped, and returns the number of its first bytes; 0 at EOF.
pub fn discard(socket: impl AsFd) -> Result<usize> {
    retry(|| recv(socket.as_fd().as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT))
}

/// Returns the most bytes of a message on a socket.
pub fn most(socket: impl AsFd) -> Result<usize> {
    Ok(match own_address(&socket)? {
        Some(address) if address.is_ipv4() => FOUR,
        Some(_) => SIX,
        None => getsockopt(&socket, SndBuf)?.saturating_sub(OVERHEAD),
    })
}
