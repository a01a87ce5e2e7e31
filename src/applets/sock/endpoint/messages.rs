//! Sending messages: datagrams, and the packets of a connection. None is cut.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::client::{Client, Connection, FIRST, NEAR};
use super::{missing, or_refused};
use crate::args::address::{Endpoint, Host};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, sysctl};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::socket::{
    self, Peer, Type, end_receiving, end_sending, message, own_address, peer_address, pending_error,
};
use crate::sys::wait;

/// Sends messages on one socket.
pub struct Messages<'a> {
    client: Client<'a>,
    connection: Connection,
    kind: Type,
    is_udp: bool,
    /// The most bytes of a message.
    pub most: usize,
    /// Limits the wait for room, not for input.
    pub timeout: Timeout,
    notice: Notice,
    /// The messages that were sent.
    pub sent: u64,
}

impl<'a> Messages<'a> {
    /// Prepares sending on a socket of this type, to which the client has connected.
    pub fn new(client: Client<'a>, connection: Connection, kind: Type) -> Result<Self> {
        let (most, timeout) = (message::most(&connection.socket)?, *client.timeout);
        let is_udp = own_address(&connection.socket)?.is_some();
        let notice = Notice::verbose(&timeout, || format!("{}: the queue of the server is full", client.address));
        Ok(Self { client, connection, kind, is_udp, most, timeout, notice, sent: 0 })
    }

    /// Returns the failure to send a message of this length.
    pub fn too_long(&self, length: u64) -> Cause {
        let cause = Cause::from_errno(Errno::EMSGSIZE, format!("{length} bytes exceed the limit of {}", self.most));
        let grows = !self.is_udp && !self.connection.is_shared;
        if grows { cause.hint(sysctl("net.core.wmem_default", length + 32)) } else { cause }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Status 3: no server, or no longer. A timeout: its queue was full.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.most {
            bail!(self.too_long(bytes.len() as u64));
        }
        self.put(bytes)?;
        if self.is_udp {
            self.confirm(bytes)?;
        }
        self.sent += 1;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        loop {
            match message::put(&self.connection.socket, bytes) {
                Ok(()) => return Ok(()),
                Err(Errno::EAGAIN) => self.wait_for_room()?,
                Err(errno) => bail!(self.explain(errno, bytes.len())),
            }
        }
    }

    fn wait_for_room(&mut self) -> Result<()> {
        let limit = self.timeout.deadline();
        let _wait = self.notice.begin(limit);
        match wait::room(self.connection.socket.as_fd(), limit) {
            Err(Errno::EAGAIN) => {
                let (still, after) = (self.timeout.still(), self.timeout.after());
                bail!(self.timeout.expired(format!("the queue of the server is{still} full{after}")))
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Checks that a process had the port of a message: within a machine, the kernel reports at once that none has. As
    /// long as that is the first message, the other family of `localhost` is tried, and --await repeats it.
    fn confirm(&mut self, bytes: &[u8]) -> Result<()> {
        let mut pause = FIRST;
        while let Err(errno) = self.error() {
            if errno != Errno::ECONNREFUSED || self.sent > 0 || self.connection.is_shared {
                bail!(self.explain(errno, bytes.len()));
            }
            if !self.try_other_family() {
                let limit = self.timeout.deadline();
                match self.client.reaching.awaits {
                    false => bail!(self.explain(errno, bytes.len())),
                    true if limit.is_over() => {
                        let (still, after) = (self.timeout.still(), self.timeout.after());
                        bail!(self.timeout.expired(format!("{still} no server{after}").trim_start()))
                    }
                    true => wait::any(&[], Deadline::after(pause).earlier(limit))?,
                };
                pause = NEAR.min(pause * 2);
                self.connection = Client { timeout: &self.timeout, ..self.client }.connect()?;
            }
            self.put(bytes)?;
        }
        Ok(())
    }

    /// Returns the error that came with the last message. For a shared socket, it would be missing for its other
    /// processes.
    fn error(&self) -> nix::Result<()> {
        if self.connection.is_shared { Ok(()) } else { pending_error(&self.connection.socket) }
    }

    /// Connects to the IPv6 address of `localhost` after its IPv4 address.
    fn try_other_family(&mut self) -> bool {
        let Endpoint::Inet(kind, Host::Localhost, port) = *self.client.address.endpoint() else { return false };
        let is_first = matches!(peer_address(&self.connection.socket), Ok(Some(SocketAddr::V4(_))));
        let other = [(Ipv6Addr::LOCALHOST, port).into()];
        let other = Peer::Inet(&other);
        let other = is_first.then(|| socket::connect(kind, &other, Deadline::Now, &mut || ()).ok()).flatten();
        other.map(|socket| self.connection.socket = socket).is_some()
    }

    fn explain(&self, errno: Errno, length: usize) -> Cause {
        match errno {
            Errno::ECONNREFUSED if self.is_udp => missing(errno, "no server listens on this port"),
            Errno::ECONNREFUSED => missing(errno, "no process has the socket any more"),
            Errno::EPIPE => self.or_refused(missing(errno, "the peer closed the connection")),
            Errno::ECONNRESET => self.or_refused(missing(errno, "the peer reset the connection")),
            Errno::EMSGSIZE => self.too_long(length as u64),
            errno => Cause::plain(errno),
        }
    }

    fn or_refused(&self, cause: Cause) -> Cause {
        if self.connection.is_shared { cause } else { or_refused(cause, &self.connection.socket) }
    }

    /// Ends sending. `ends`: an inherited connection is half-closed.
    ///
    /// # Errors
    /// Status 3: the peer has closed the connection without taking all messages.
    pub fn finish(&self, ends: bool) -> Result<()> {
        let socket = &self.connection.socket;
        if self.kind == Type::Seqpacket && self.connection.is_shared {
            return if ends { Ok(end_sending(socket)?) } else { Ok(()) };
        }
        if self.kind == Type::Seqpacket {
            // Unread packets would make the end of the connection a reset.
            end_receiving(socket)?;
            self.drop_replies().map_err(|errno| self.explain(errno, 0))?;
        }
        Ok(())
    }

    fn drop_replies(&self) -> nix::Result<()> {
        while message::discard(&self.connection.socket)? > 0 {}
        Ok(())
    }
}
