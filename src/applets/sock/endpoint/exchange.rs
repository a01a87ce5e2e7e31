//! Both directions of a connection: standard input to the peer, and the peer to standard output, until EOF of both.
//!
//! One poll(2) waits for what each direction lacks: input, or room. No flag of a descriptor that other processes share
//! is changed: only a socket of this process is non-blocking.
//!
//! # When the peer has closed
//! EOF from the peer can mean that it only ends sending. A unix socket reports the difference, and for a TCP connection
//! within this machine sock_diag(7) knows it. Otherwise only a reset or a failing write shows it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use super::client::Connection;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::errno;
use crate::sys::fds::{self, Outlet};
use crate::sys::fifo::{self, Kind};
use crate::sys::pipe;
use crate::sys::signal::{self, Signal};
use crate::sys::socket::diag::Diag;
use crate::sys::socket::{self, end_sending, pending_error};
use crate::sys::transfer::{self, ALL, Failure, Flow, Mover};
use crate::sys::wait::{Want, any, has};
use crate::text::counted;

/// The first pause between two looks at a TCP peer that has ended sending, doubled up to the longest.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The failures of a write after which the connection is lost.
const LOST: [Errno; 5] = [Errno::EPIPE, Errno::ECONNRESET, Errno::ETIMEDOUT, Errno::EHOSTUNREACH, Errno::ENETUNREACH];

/// What a direction does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Wait for input.
    Input,
    /// Wait for room.
    Room,
    /// Move bytes.
    Move,
    /// Nothing: it has ended.
    Over,
}

/// One direction.
struct Direction<'a> {
    from: BorrowedFd<'a>,
    mover: Mover,
    next: Phase,
    /// What it waited for when poll(2) reported that.
    woken: Option<Phase>,
    /// Bytes moved.
    moved: u64,
}

impl<'a> Direction<'a> {
    const fn new(from: BorrowedFd<'a>, mover: Mover) -> Self {
        Self { from, mover, next: Phase::Input, woken: None, moved: 0 }
    }

    fn is_over(&self) -> bool {
        self.next == Phase::Over
    }

    /// Returns what to wait for.
    fn wants(&self) -> Option<(BorrowedFd<'_>, Want)> {
        match self.next {
            Phase::Input => Some((self.from, Want::Readable)),
            Phase::Room => Some((self.mover.to().as_fd(), Want::Writable)),
            Phase::Move | Phase::Over => None,
        }
    }

    fn wake(&mut self) {
        self.woken = Some(self.next);
        self.next = Phase::Move;
    }

    /// Moves bytes once.
    fn turn(&mut self) -> Result<(), Failure> {
        let Self { from, mover, next, woken, moved } = self;
        let woken = woken.take();
        *next = Phase::Over;
        let most = if mover.copies() && pipe::is_pipe(mover.to()) {
            // A pipe that blocks takes this many bytes at once if it has room.
            if !has(mover.to().as_fd(), Want::Writable).map_err(Failure::Write)? {
                *next = Phase::Room;
                return Ok(());
            }
            pipe::ATOMIC
        } else {
            ALL
        };
        *next = match mover.turn(*from, most, Deadline::Now)? {
            Flow::Moved(count) => {
                *moved += count as u64;
                if mover.reads_next() { Phase::Input } else { Phase::Move }
            }
            Flow::Empty => Phase::Input,
            Flow::Full => Phase::Room,
            Flow::End => Phase::Over,
            Flow::Signal => Phase::Move,
        };
        // splice(2) does not go beyond urgent data of TCP, which is ready all the same.
        if woken == Some(*next) && !mover.copies() {
            mover.copy_from_now_on().map_err(Failure::Read)?;
        }
        Ok(())
    }
}

/// How to learn that a peer that has ended sending has closed the connection. poll(2) reports a reset, and for a unix
/// socket every close.
enum Sight {
    /// poll(2) is enough, or only a failing write shows it.
    Poll,
    /// The two addresses of a TCP connection within this machine.
    Local(Diag, SocketAddr, SocketAddr),
}

impl Sight {
    /// Looks while the peer has the connection: later, a peer that sock_diag(7) does not know could be one that it never
    /// knew, for example of another network namespace.
    fn of(socket: &OwnedFd) -> nix::Result<Self> {
        // After a reset there is no peer.
        let addresses = socket::own_address(socket)?.zip(socket::peer_address(socket).ok().flatten());
        let local = addresses.filter(|(own, peer)| peer.ip().is_loopback() || peer.ip() == own.ip());
        let Some(((own, peer), diag)) = local.zip(Diag::open().ok()) else { return Ok(Self::Poll) };
        let is_known = matches!(diag.tcp(peer, own), Ok(Some(_)));
        Ok(if is_known { Self::Local(diag, own, peer) } else { Self::Poll })
    }

    /// Whether the peer has closed the connection.
    fn is_closed(&self, socket: &OwnedFd) -> nix::Result<bool> {
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

/// Copies both directions until EOF.
///
/// # Errors
/// Status 3: the connection was reset, or the peer has closed it without taking all input.
pub fn run(connection: &Connection) -> Result<()> {
    let socket = &connection.socket;
    let outlet = Outlet::new(fds::copy_of(1)?)?;
    pipe::widen(fds::stdin());
    pipe::widen(fds::stdout());
    let copy = socket.try_clone().map_err(|error| Cause::plain(errno(error)))?;
    let mut reply = Mover::between(socket, outlet)?;
    let mut request;
    if connection.is_shared {
        reply = reply.copying();
        request = Mover::between(fds::stdin(), Outlet::new(copy)?)?;
    } else {
        socket::never_block(socket)?;
        request = Mover::between(fds::stdin(), Outlet::plain(copy))?;
    }
    // splice(2) from a socket that blocks can block.
    if fifo::behind(fds::stdin())?.kind == Kind::Socket {
        request = request.copying();
    }
    pipe::block_sigpipe()?;
    let sight = Sight::of(socket)?;
    let (request, reply) = (Direction::new(fds::stdin(), request), Direction::new(socket.as_fd(), reply));
    Exchange { socket, sight, request, reply, lost: None, pause: FIRST }.run()
}

struct Exchange<'a> {
    socket: &'a OwnedFd,
    sight: Sight,
    request: Direction<'a>,
    reply: Direction<'a>,
    /// Why the connection is lost.
    lost: Option<Errno>,
    pause: Duration,
}

impl Exchange<'_> {
    fn run(mut self) -> Result<()> {
        while !self.request.is_over() || !self.reply.is_over() {
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
            None => self.settle(),
        }
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
        if [self.request.next, self.reply.next].contains(&Phase::Move) {
            deadline = Deadline::Now;
        }
        let mut ready = any(&polled, deadline)?.into_iter();
        for (direction, is_waiting) in [&mut self.request, &mut self.reply].into_iter().zip(is_waiting) {
            if is_waiting && ready.next() == Some(true) {
                direction.wake();
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        match self.request.turn() {
            Ok(()) if self.request.is_over() => match end_sending(self.socket) {
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
        if reset.is_some() || self.has_input()? { Err(self.cause(reset).into()) } else { self.settle() }
    }

    fn has_input(&self) -> Result<bool> {
        let stdin = fds::stdin();
        if self.request.mover.has_rest() || transfer::left(stdin)?.is_some() {
            return Ok(true);
        }
        match pipe::unread(stdin) {
            Ok(count) => Ok(count > 0),
            // A device.
            Err(_) => Ok(pipe::has_bytes(stdin)?),
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

    fn cause(&self, errno: Option<Errno>) -> Cause {
        let count = usize::try_from(self.request.moved).unwrap_or(usize::MAX);
        let after = format!("after {} of standard input", counted(count, "byte"));
        let lost = |errno, words: &str| Cause::from_errno(errno, format!("{words} {after}")).exit(Exit::Missing);
        match errno {
            None => Cause::new(Exit::Missing, format!("the peer closed the connection {after}")),
            Some(errno @ Errno::EPIPE) => lost(errno, "the peer closed the connection"),
            Some(errno @ Errno::ECONNRESET) => lost(errno, "the peer reset the connection"),
            Some(errno) if LOST.contains(&errno) => lost(errno, "the peer stopped answering"),
            Some(errno) => Cause::plain(errno),
        }
    }
}
