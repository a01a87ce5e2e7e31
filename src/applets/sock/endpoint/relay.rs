//! Anonymous pipes in place of the standard files of a caller, for the server of another user, and the copying between
//! them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Error, Result};
use nix::errno::Errno;

use super::direction::{Direction, Phase};
use crate::sys::deadline::Deadline;
use crate::sys::fds::{self, Outlet};
use crate::sys::fifo::{self, Kind};
use crate::sys::signal::{self, Signal};
use crate::sys::transfer::{Failure, Mover};
use crate::sys::wait::{Want, any_or_signal};
use crate::sys::{interrupt, pipe};

/// The ends of the pipes that the caller keeps.
pub struct Pipes {
    input: Option<OwnedFd>,
    output: OwnedFd,
    error: OwnedFd,
}

impl Pipes {
    /// Creates them. Also returns the ends for CMD, in the order of the standard files.
    pub fn new() -> nix::Result<(Self, [OwnedFd; 3])> {
        let [(read, input), (output, write), (error, also)] = [pipe::new()?, pipe::new()?, pipe::new()?];
        let theirs = [read, write, also];
        theirs.iter().try_for_each(pipe::set_blocking)?;
        Ok((Self { input: Some(input), output, error }, theirs))
    }

    /// Prepares to copy. Standard input is left alone unless `reads`.
    pub fn relay(&mut self, reads: bool) -> Result<Relay<'_>> {
        pipe::block_sigpipe()?;
        let mut directions = Vec::new();
        for (from, to) in [(&self.output, 1), (&self.error, 2)] {
            directions.push(Direction::new(from.as_fd(), Mover::between(from, Outlet::new(fds::copy_of(to)?)?)?));
        }
        if let Some(input) = self.input.take().filter(|_| reads) {
            let mover = Mover::between(fds::stdin(), Outlet::plain(input))?;
            // splice(2) from a socket that blocks can block.
            let is_socket = fifo::behind(fds::stdin())?.kind == Kind::Socket;
            directions.push(Direction::new(fds::stdin(), if is_socket { mover.copying() } else { mover }));
        }
        Ok(Relay(directions))
    }
}

/// Standard output, standard error, and then standard input.
#[derive(Default)]
pub struct Relay<'a>(Vec<Direction<'a>>);

impl Relay<'_> {
    /// Waits until the socket has input, a signal comes, or bytes can be moved, and moves them once. Returns whether it
    /// has.
    pub fn turn(&mut self, socket: Option<BorrowedFd>, mut deadline: Deadline) -> Result<bool> {
        let mut polled: Vec<(BorrowedFd, Want)> = socket.into_iter().map(|socket| (socket, Want::Readable)).collect();
        for direction in &self.0 {
            polled.extend(direction.wants());
            if direction.next == Phase::Move {
                deadline = Deadline::Now;
            }
        }
        let ready = any_or_signal(&polled, deadline)?;
        let mut ready = ready.into_iter().skip(usize::from(socket.is_some()));
        for direction in self.0.iter_mut().filter(|direction| direction.wants().is_some()) {
            if ready.next() == Some(true) {
                direction.wake();
            }
        }
        let mut has_moved = false;
        for (at, direction) in self.0.iter_mut().enumerate().filter(|(_, direction)| direction.next == Phase::Move) {
            has_moved = true;
            match direction.turn() {
                Ok(()) => {}
                // CMD does not read its input.
                Err(Failure::Write(Errno::EPIPE)) if at == 2 => {}
                Err(Failure::Read(errno)) if at == 2 => {
                    return Err(Error::from(errno).context("cannot read standard input"));
                }
                Err(Failure::Read(errno) | Failure::Write(errno)) => {
                    // A filter whose reader has gone dies of SIGPIPE.
                    signal::let_in(Signal::PIPE)?;
                    return Err(Error::from(errno).context("cannot write the output of CMD"));
                }
            }
        }
        // CMD reads EOF when the input is closed. The outputs stay in place.
        if self.0.get(2).is_some_and(Direction::is_over) {
            self.0.truncate(2);
        }
        Ok(has_moved)
    }

    /// Copies what CMD has printed before it exited.
    pub fn drain(mut self) -> Result<()> {
        self.0.truncate(2);
        while !self.0.is_empty() {
            interrupt::take()?;
            let is_full = self.0.iter().any(|direction| direction.next == Phase::Room);
            if !self.turn(None, if is_full { Deadline::Forever } else { Deadline::Now })? {
                break;
            }
        }
        Ok(())
    }
}
