//! Whether a peer has closed a connection.
//!
//! EOF from the peer can mean that it only ends sending. A unix socket reports the difference, and for a TCP connection
//! within this machine sock_diag(7) knows it. Otherwise only a reset or a failing write shows it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::socket::diag::Diag;
use crate::sys::socket::{self, Type};
use crate::sys::wait::{Want, has};

/// How to learn that a peer that has ended sending has closed the connection. poll(2) reports a reset, and for a unix
/// socket every close.
pub enum Sight {
    /// poll(2) is enough, or only a failing write shows it.
    Poll,
    /// The two addresses of a TCP connection within this machine.
    Local(Diag, SocketAddr, SocketAddr),
}

impl Sight {
    /// Looks while the peer has the connection: later, a peer that sock_diag(7) does not know could be one that it never
    /// knew, for example of another network namespace.
    pub fn of(socket: &OwnedFd) -> nix::Result<Self> {
        // After a reset there is no peer.
        let addresses = socket::own_address(socket)?.zip(socket::peer_address(socket).ok().flatten());
        let local = addresses.filter(|(own, peer)| peer.ip().is_loopback() || peer.ip() == own.ip());
        let Some(((own, peer), diag)) = local.zip(Diag::open(Type::Stream).ok()) else { return Ok(Self::Poll) };
        let is_known = matches!(diag.tcp(peer, own), Ok(Some(_)));
        Ok(if is_known { Self::Local(diag, own, peer) } else { Self::Poll })
    }

    /// Whether the peer has closed the connection.
    pub fn is_closed(&self, socket: &OwnedFd) -> nix::Result<bool> {
        if has(socket.as_fd(), Want::PeerClosed)? {
            return Ok(true);
        }
        match self {
            // Its socket is gone, or no process has it.
            Self::Local(diag, own, peer) => Ok(diag.tcp(*peer, *own)?.is_none_or(|socket| socket.inode == 0)),
            Self::Poll => Ok(false),
        }
    }
}
