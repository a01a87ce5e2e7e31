//! Reading one source: a client is accepted, or messages, bytes or whole lines are taken.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use super::inlet::{Incoming, Inlet, LONG, Remaining, STUCK};
use super::{Most, Receiving, warn_of_dropped};
use crate::applets::sock::endpoint::allow::{Origin, refuse};
use crate::applets::sock::endpoint::exchange::LOST;
use crate::applets::sock::endpoint::listener::{LACKING, Listener};
use crate::applets::sock::endpoint::{missing, too_long};
use crate::exit::Exit;
use crate::output::{self, print};
use crate::sys::deadline::Deadline;
use crate::sys::socket::{self, datagram, stream};
use crate::sys::wait::{Want, has};
use crate::text::{counted, whole};

/// The most messages, or reads, of one source before the others are looked at.
const TURN: usize = 64;

impl Receiving {
    pub(super) fn accept(&mut self, listener: &Listener, address: &OsStr) -> Result<Remaining> {
        if listener.is_shared && !has(listener.as_fd(), Want::Readable)? {
            return Ok(Remaining::Nothing);
        }
        let connection = match listener.accept() {
            Ok(connection) => connection,
            Err(Errno::ECONNABORTED) => return Ok(Remaining::More),
            Err(Errno::EAGAIN) => return Ok(Remaining::Nothing),
            // A listener whose backlog is empty now.
            Err(Errno::EINVAL) if self.is_closed => return Ok(Remaining::Nothing),
            Err(errno) if LACKING.contains(&errno) && self.open().any(Inlet::is_connection) => {
                self.lacks = true;
                return Ok(Remaining::Nothing);
            }
            Err(errno) => return Err(Error::from(errno).context("cannot accept a client")),
        };
        let origin = match self.gate.admit(&connection) {
            Ok(origin) => origin,
            Err(cause) if Exit::of(&cause.clone().into()) == Exit::Denied => {
                refuse("client", address, cause);
                return Ok(Remaining::More);
            }
            // It has reset the connection.
            Err(_) if socket::peer_name(&connection) == Err(Errno::ENOTCONN) => return Ok(Remaining::More),
            Err(cause) => bail!(Error::from(cause).context("cannot accept a client")),
        };
        self.connected(address.to_owned(), connection, false, origin)?;
        Ok(self.enough())
    }

    /// Closes what listens once there is a connection or a message, if one is enough.
    fn enough(&mut self) -> Remaining {
        if self.most != Most::One {
            return Remaining::More;
        }
        for inlet in &mut self.inlets {
            if inlet.as_ref().is_some_and(|inlet| !inlet.is_connection()) {
                *inlet = None;
            }
        }
        Remaining::Over
    }

    pub(super) fn datagrams(&mut self, listener: &Listener, address: &OsStr) -> Result<Remaining> {
        let (mut text, mut next) = (Vec::new(), Remaining::More);
        for _ in 0..TURN {
            let (length, sender) = match datagram::receive(listener, &mut self.datagram) {
                Ok(came) => came,
                Err(Errno::EAGAIN) => {
                    next = Remaining::Nothing;
                    break;
                }
                Err(Errno::EMSGSIZE) => bail!(too_long()),
                Err(errno) => bail!(errno),
            };
            let origin = match self.gate.admit_sender(sender.clone()) {
                // The owner of an inherited socket decides who can send to it.
                Err(_) if listener.is_shared && sender.process.is_none() => Origin::of(sender.name, None),
                Ok(origin) => origin,
                Err(cause) => {
                    refuse("datagram", address, cause);
                    continue;
                }
            };
            text.extend(self.layout.message(address, &origin, &self.datagram[..length]));
            self.moved(1);
            next = self.enough();
            if next == Remaining::Over || self.has_all() {
                break;
            }
        }
        print(&text)?;
        if next == Remaining::Over {
            warn_of_dropped(listener);
        }
        Ok(next)
    }

    pub(super) fn packets(&mut self, socket: &OwnedFd, origin: &Origin, address: &OsStr) -> Result<Remaining> {
        let (mut text, mut next) = (Vec::new(), Remaining::More);
        for _ in 0..TURN {
            match datagram::receive(socket, &mut self.datagram) {
                // EOF has no sender.
                Ok((0, sender)) if sender.process.is_none() => next = Remaining::Over,
                Ok((length, _)) => {
                    text.extend(self.layout.message(address, origin, &self.datagram[..length]));
                    self.moved(1);
                }
                Err(Errno::EAGAIN) => next = Remaining::Nothing,
                // The packets before are still there.
                Err(Errno::ECONNRESET) => {}
                Err(Errno::EMSGSIZE) => bail!(too_long()),
                Err(errno) => bail!(errno),
            }
            if next != Remaining::More || self.has_all() {
                break;
            }
        }
        print(&text)?;
        Ok(next)
    }

    /// Counts lines or messages.
    fn moved(&mut self, count: u64) {
        self.has_moved = true;
        self.count += count;
        if self.most == Most::Endless && self.timeout.deadline() != Deadline::Now {
            self.timeout = self.timeout.again();
        }
    }

    pub(super) fn stream(&mut self, incoming: &mut Incoming, address: &OsStr, has_ended: bool) -> Result<Remaining> {
        let came = match self.most {
            Most::Count(wanted) => self.lines(incoming, wanted, has_ended)?,
            Most::One | Most::Endless => stream::take(&incoming.socket, &mut self.buffer),
        };
        match came {
            Ok(0) => {
                print(&incoming.wording.finish())?;
                if incoming.is_inside {
                    self.moved(1);
                }
                Ok(Remaining::Over)
            }
            Ok(count) => {
                incoming.taken += count as u64;
                incoming.last = Instant::now();
                self.moved(0);
                print(&incoming.wording.add(&self.buffer[..count]))?;
                Ok(Remaining::More)
            }
            Err(Errno::EAGAIN) => Ok(Remaining::Nothing),
            Err(errno) if !LOST.contains(&errno) => bail!(errno),
            Err(errno) => {
                print(&incoming.wording.finish())?;
                let bytes = counted(usize::try_from(incoming.taken).unwrap_or(usize::MAX), "byte");
                let cause = missing(errno, &format!("the peer reset the connection after {bytes}"));
                if self.most == Most::One {
                    bail!(cause);
                }
                let context = format!("cannot receive all data from {}", address.display());
                output::report(&Error::from(cause).context(context));
                Ok(Remaining::Over)
            }
        }
    }
    /// Takes whole lines, as many as are wanted, into the buffer. `EAGAIN`: there is none.
    fn lines(&mut self, incoming: &mut Incoming, wanted: u64, has_ended: bool) -> Result<nix::Result<usize>> {
        if !incoming.is_shared {
            return self.whole_lines(incoming, wanted, has_ended);
        }
        if !incoming.is_inside {
            match stream::lock(&incoming.socket, self.timeout.deadline()) {
                Err(Errno::EAGAIN) => {
                    let (still, after) = (self.timeout.still(), self.timeout.after());
                    bail!(self.timeout.expired(format!("another reader is{still} taking a line{after}")));
                }
                // A signal.
                Err(Errno::EINTR) => return Ok(Err(Errno::EAGAIN)),
                locked => locked?,
            }
        }
        let came = self.whole_lines(incoming, wanted, has_ended);
        if !incoming.is_inside {
            stream::unlock(&incoming.socket)?;
        }
        came
    }

    fn whole_lines(&mut self, incoming: &mut Incoming, wanted: u64, has_ended: bool) -> Result<nix::Result<usize>> {
        let came = stream::peek(&incoming.socket, &mut self.buffer);
        let Ok(came @ 1..) = came else {
            incoming.part = None;
            return Ok(came);
        };
        let (mut bytes, lines) = whole(&self.buffer[..came], self.layout.end(), wanted - self.count);
        if lines == 0 {
            let since = *incoming.part.get_or_insert_with(Instant::now);
            let is_due = has_ended || came >= LONG || since.elapsed() >= STUCK;
            if !incoming.is_inside && !is_due {
                return Ok(Err(Errno::EAGAIN));
            }
            bytes = came;
        }
        (incoming.is_inside, incoming.part) = (lines == 0, None);
        let mut taken = 0;
        while taken < bytes {
            match stream::take(&incoming.socket, &mut self.buffer[taken..bytes])? {
                0 => break,
                count => taken += count,
            }
        }
        self.moved(lines);
        Ok(Ok(taken))
    }
}
