//! One direction of a connection.

use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::deadline::Deadline;
use crate::sys::pipe;
use crate::sys::transfer::{ALL, Failure, Flow, Mover};
use crate::sys::wait::{Want, has};

/// What a direction does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
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
pub struct Direction<'a> {
    pub from: BorrowedFd<'a>,
    pub mover: Mover,
    pub next: Phase,
    /// What it waited for when poll(2) reported that.
    woken: Option<Phase>,
    /// Bytes moved.
    pub moved: u64,
}

impl<'a> Direction<'a> {
    pub const fn new(from: BorrowedFd<'a>, mover: Mover) -> Self {
        Self { from, mover, next: Phase::Input, woken: None, moved: 0 }
    }

    pub fn is_over(&self) -> bool {
        self.next == Phase::Over
    }

    /// Returns what to wait for.
    pub fn wants(&self) -> Option<(BorrowedFd<'_>, Want)> {
        match self.next {
            Phase::Input => Some((self.from, Want::Readable)),
            Phase::Room => Some((self.mover.to().as_fd(), Want::Writable)),
            Phase::Move | Phase::Over => None,
        }
    }

    pub fn wake(&mut self) {
        self.woken = Some(self.next);
        self.next = Phase::Move;
    }

    /// Moves bytes once.
    pub fn turn(&mut self) -> Result<(), Failure> {
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
