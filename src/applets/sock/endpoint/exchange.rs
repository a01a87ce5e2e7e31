//! Both directions of a connection: standard input to the peer, and the peer to standard output, until EOF of both. Or
//! only the first one, until the peer's kernel has everything.
//!
//! One poll(2) waits for what each direction lacks: input, or room. No flag of a descriptor that other processes share
//! is changed: only a socket of this process is non-blocking.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;

use super::client::Connection;
use super::direction::{Direction, Phase};
use super::or_refused;
use super::sight::Sight;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::errno;
use crate::sys::fds::{self, Outlet};
use crate::sys::fifo::{self, Kind};
use crate::sys::pipe;
use crate::sys::signal::{self, Signal};
use crate::sys::socket::{self, end_receiving, end_sending, pending_error};
use crate::sys::transfer::{self, BUFFER, Failure, Mover};
use crate::sys::wait::{Want, any};
use crate::text::counted;

/// The first pause between two looks at a TCP peer that has ended sending, doubled up to the longest.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The most bytes of a small file.
const SMALL: u64 = BUFFER as u64;

/// The failures after which the connection is lost.
pub const LOST: [Errno; 5] =
    [Errno::EPIPE, Errno::ECONNRESET, Errno::ETIMEDOUT, Errno::EHOSTUNREACH, Errno::ENETUNREACH];

/// Follows a number of bytes of standard input in a message.
pub const OF_INPUT: &str = " of standard input";

/// How to send without printing a reply.
pub struct Sending {
    /// Limits the wait for room, not for input.
    pub timeout: Timeout,
    /// Explains it.
    pub notice: Notice,
    /// Whether an inherited connection is half-closed at the end.
    pub ends: bool,
}

/// Copies both directions until EOF.
///
/// # Errors
/// Status 3: the connection was reset, or the peer has closed it without taking all input.
pub fn run(connection: &Connection) -> Result<()> {
    pipe::widen(fds::stdout());
    exchange(connection, (fds::stdin(), OF_INPUT), fds::copy_of(1)?, None)
}

/// Sends everything from a file until EOF, then half-closes the connection. `words` follow a number of its bytes in a
/// message. What the peer sends is discarded. An inherited connection is only written to, because its owner reads the
/// replies.
///
/// # Errors
/// Those of [`run`], and a timeout.
pub fn send(connection: &Connection, from: BorrowedFd, words: &'static str, sending: Sending) -> Result<()> {
    let nothing = File::options().write(true).open("/dev/null").context("cannot open /dev/null")?;
    exchange(connection, (from, words), nothing.into(), Some(sending))
}

fn exchange(
    connection: &Connection,
    (from, words): (BorrowedFd, &'static str),
    to: OwnedFd,
    sending: Option<Sending>,
) -> Result<()> {
    let Connection { socket, is_shared } = connection;
    pipe::widen(from);
    let copy = socket.try_clone().map_err(|error| Cause::plain(errno(error)))?;
    let mut reply = Mover::between(socket, Outlet::new(to)?)?;
    let mut request;
    if *is_shared {
        reply = reply.copying();
        request = Mover::between(from, Outlet::new(copy)?)?;
    } else {
        socket::never_block(socket)?;
        request = Mover::between(from, Outlet::plain(copy))?;
    }
    // splice(2) from a socket that blocks can block. For a small file, the pipe between costs more than a copy.
    let is_small = || matches!(transfer::left(from), Ok(Some(..=SMALL)));
    if fifo::behind(from)?.kind == Kind::Socket || is_small() {
        request = request.copying();
    }
    pipe::block_sigpipe()?;
    let is_read = sending.is_none() || !is_shared;
    let sight = if is_read { Sight::of(socket)? } else { Sight::Poll };
    let (request, mut reply) = (Direction::new(from, request), Direction::new(socket.as_fd(), reply));
    if !is_read {
        reply.next = Phase::Over;
    }
    let is_tcp = socket::own_address(socket)?.is_some();
    let waits = |sending: &Sending| is_tcp && !is_shared && sending.timeout.deadline() != Deadline::Now;
    let settles = sending.as_ref().is_some_and(waits);
    let is_shared = *is_shared;
    Exchange { socket, is_tcp, is_shared, sight, request, reply, words, sending, settles, lost: None, pause: FIRST }
        .run()
}

struct Exchange<'a> {
    socket: &'a OwnedFd,
    is_tcp: bool,
    is_shared: bool,
    sight: Sight,
    request: Direction<'a>,
    reply: Direction<'a>,
    /// The name of the input in messages.
    words: &'static str,
    /// `None`: the reply is printed.
    sending: Option<Sending>,
    /// Whether to wait until the peer's kernel has everything: TCP loses the rest if the peer resets the connection.
    settles: bool,
    /// Why the connection is lost.
    lost: Option<Errno>,
    pause: Duration,
}

impl Exchange<'_> {
    fn run(mut self) -> Result<()> {
        while !self.is_done()? {
            self.wait()?;
            if self.peer_may_be_gone() && self.sight.is_closed(self.socket)? {
                return self.closed();
            }
            if self.request.next == Phase::Move {
                self.send()?;
            }
            if self.reply.next == Phase::Move {
                self.receive()?;
            }
        }
        match self.lost {
            Some(errno) => bail!(self.cause(Some(errno))),
            None if self.sending.is_none() => self.settle(),
            // The error would be missing for the processes that share the socket.
            None if self.is_shared => Ok(()),
            None => self.leave(),
        }
    }

    /// Takes what the peer has sent to a unix socket, and makes it fail to send more: unread data would make the end of
    /// the connection a reset.
    fn leave(&mut self) -> Result<()> {
        if !self.is_tcp {
            end_receiving(self.socket)?;
            while !self.reply.is_over() && self.lost.is_none() {
                self.receive()?;
            }
        }
        let error = self.lost.or(pending_error(self.socket).err());
        error.map_or(Ok(()), |errno| Err(self.cause(Some(errno)).into()))
    }

    fn is_done(&mut self) -> Result<bool> {
        if self.sending.is_none() || !self.request.is_over() {
            return Ok(self.request.is_over() && self.reply.is_over());
        }
        if self.settles {
            self.lost = self.lost.or(pending_error(self.socket).err());
        }
        Ok(self.lost.is_some() || self.is_taken()?)
    }

    /// Whether the kernel of the peer has everything.
    fn is_taken(&self) -> Result<bool> {
        // EOF counts as a byte. It can be acknowledged later than the bytes before it.
        Ok(!self.settles || socket::unsent(self.socket)? <= 1)
    }

    /// Whether the peer has ended sending before this side has.
    fn peer_may_be_gone(&self) -> bool {
        self.reply.is_over() && !self.request.is_over()
    }

    /// Waits until a direction can move bytes, or the peer may have closed the connection. While one can, only looks
    /// whether the other one can too.
    fn wait(&mut self) -> Result<()> {
        let wants = [self.request.wants(), self.reply.wants()];
        let is_waiting = wants.map(|wanted| wanted.is_some());
        let mut polled: Vec<(BorrowedFd, Want)> = wants.into_iter().flatten().collect();
        let mut deadline = Deadline::Forever;
        if self.peer_may_be_gone() {
            polled.push((self.socket.as_fd(), Want::PeerClosed));
            if let Sight::Local(..) = self.sight {
                deadline = Deadline::after(self.pause);
                self.pause = LONGEST.min(self.pause * 2);
            }
        }
        if self.request.is_over() && self.settles {
            deadline = Deadline::after(self.pause);
            self.pause = LONGEST.min(self.pause * 2);
        }
        if [self.request.next, self.reply.next].contains(&Phase::Move) {
            deadline = Deadline::Now;
        }
        let ready = match &mut self.sending {
            Some(sending) if self.request.next == Phase::Input => {
                sending.timeout.uncounted(|| any(&polled, deadline))?
            }
            Some(sending) if self.request.next != Phase::Move => {
                let limit = sending.timeout.deadline();
                let _wait = sending.notice.begin(limit);
                any(&polled, deadline.earlier(limit))?
            }
            _ => any(&polled, deadline)?,
        };
        let has_room = ready.first() == Some(&true);
        if let Some(sending) = &self.sending
            && (self.request.next == Phase::Room && !has_room || self.request.is_over() && !self.is_taken()?)
            && sending.timeout.deadline().is_over()
        {
            bail!(self.late(&sending.timeout));
        }
        let mut ready = ready.into_iter();
        for (direction, is_waiting) in [&mut self.request, &mut self.reply].into_iter().zip(is_waiting) {
            if is_waiting && ready.next() == Some(true) {
                direction.wake();
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        match self.request.turn() {
            Ok(()) if self.request.is_over() && !self.stays_open() => match end_sending(self.socket) {
                // The peer has reset the connection.
                Err(Errno::ENOTCONN) => {
                    let why = pending_error(self.socket).err();
                    self.lost.get_or_insert(why.unwrap_or(Errno::ECONNRESET));
                }
                ended => ended?,
            },
            Ok(()) => {}
            Err(Failure::Write(errno)) if LOST.contains(&errno) => {
                // What the peer has sent before can still be read.
                let _ = end_sending(self.socket);
                self.lost = Some(errno);
            }
            Err(Failure::Write(errno)) => bail!(self.cause(Some(errno))),
            Err(Failure::Read(errno)) => return Err(Error::from(errno).context("cannot read standard input")),
        }
        Ok(())
    }

    /// Whether the connection must stay as it is at EOF.
    fn stays_open(&self) -> bool {
        self.is_shared && self.sending.as_ref().is_some_and(|sending| !sending.ends)
    }

    fn receive(&mut self) -> Result<()> {
        match self.reply.turn() {
            Ok(()) => {}
            Err(Failure::Read(errno)) => {
                self.lost.get_or_insert(errno);
                self.request.next = Phase::Over;
            }
            Err(Failure::Write(errno)) => {
                // A filter whose reader has gone dies of SIGPIPE.
                signal::let_in(Signal::PIPE)?;
                return Err(Error::from(errno).context("cannot write to standard output"));
            }
        }
        Ok(())
    }

    /// The peer has closed the connection, and everything that it sent is written. Input that waits is lost.
    fn closed(&self) -> Result<()> {
        let reset = pending_error(self.socket).err();
        match self.sending {
            _ if reset.is_some() || self.has_input()? => Err(self.cause(reset).into()),
            Some(_) => Ok(()),
            None => self.settle(),
        }
    }

    fn has_input(&self) -> Result<bool> {
        let from = self.request.from;
        if self.request.mover.has_rest() || transfer::left(from)?.is_some() {
            return Ok(true);
        }
        match pipe::unread(from) {
            Ok(count) => Ok(count > 0),
            // A device.
            Err(_) => Ok(pipe::has_bytes(from)?),
        }
    }

    /// Waits until everything that was sent is taken, by the peer if the socket is a unix one, by its kernel if it is
    /// TCP. A peer that ended sending may instead have reset the connection, or still do so.
    fn settle(&self) -> Result<()> {
        let mut pause = Duration::from_millis(1);
        loop {
            let unsent = socket::unsent(self.socket)?;
            // A peer that closes its socket reports the error before it drops what it has not read.
            if let Err(errno) = pending_error(self.socket) {
                bail!(self.cause(Some(errno)));
            }
            if unsent == 0 {
                return Ok(());
            }
            any(&[], Deadline::after(pause))?;
            pause = LONGEST.min(pause * 2);
        }
    }

    fn moved(&self) -> String {
        counted(usize::try_from(self.request.moved).unwrap_or(usize::MAX), "byte")
    }

    fn late(&self, timeout: &Timeout) -> Cause {
        let (still, after) = (timeout.still(), timeout.after());
        let words = if self.request.is_over() { " unconfirmed data" } else { " no room" };
        let cause = timeout.expired(format!("{still}{words}{after}").trim_start());
        cause.note(&format!("{} sent", self.moved()))
    }

    /// Adds the hint to the loss of a connection on which the server has sent nothing.
    fn or_refused(&self, cause: Cause) -> Cause {
        if self.is_tcp || self.is_shared || self.reply.moved > 0 { cause } else { or_refused(cause, self.socket) }
    }

    fn cause(&self, errno: Option<Errno>) -> Cause {
        let after = format!("after {}{}", self.moved(), self.words);
        let lost = |errno, words: &str| Cause::from_errno(errno, format!("{words} {after}")).exit(Exit::Missing);
        match errno {
            None => self.or_refused(Cause::new(Exit::Missing, format!("the peer closed the connection {after}"))),
            Some(errno @ Errno::EPIPE) => self.or_refused(lost(errno, "the peer closed the connection")),
            Some(errno @ Errno::ECONNRESET) => self.or_refused(lost(errno, "the peer reset the connection")),
            Some(errno) if LOST.contains(&errno) => lost(errno, "the peer stopped answering"),
            Some(errno) => Cause::plain(errno),
        }
    }
}
