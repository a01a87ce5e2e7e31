//! One input to many consumers by tee(2) and splice(2), inside the kernel, each at its own pace within a round.
//!
//! In a round tee(2) duplicates the bytes at the front of the input into an empty pipe for each consumer. Only the last
//! consumer takes them from the input itself. The next round starts when all pipes are drained.

use std::fs::File;
use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use crate::applets::pipe::pipeline::board::{Board, Tally};
use crate::applets::pipe::pipeline::{Crew, unmade};
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::transfer::{ALL, Flow, Mover};
use crate::sys::wait::Want;
use crate::sys::{fds, pipe, terminal};

/// Up to this many pipes are widened: past 64 MiB in a user's pipes (pipe-user-pages-soft) new ones are small.
const FEW: usize = 8;

/// A command or file that gets all bytes.
pub struct Consumer {
    tally: Tally,
    mover: Mover,
    /// Its own pipe. The last consumer has none.
    between: Option<(OwnedFd, OwnedFd)>,
    /// Bytes of this round that it has not taken yet.
    pending: usize,
}

impl Consumer {
    /// Returns a consumer that writes to `to`, which `stage` reads if it is a command.
    pub fn new(name: String, to: OwnedFd, stage: Option<usize>) -> nix::Result<Self> {
        let tally = Tally::new(name, stage);
        Ok(Self { tally, mover: Mover::new(Outlet::new(to)?), between: None, pending: 0 })
    }

    /// Moves to it what it takes without blocking.
    ///
    /// # Errors
    /// `EPIPE`: it has closed its input.
    fn feed(&mut self, input: BorrowedFd) -> nix::Result<()> {
        while self.pending > 0 {
            let from = self.between.as_ref().map_or(input, |(read, _)| read.as_fd());
            match self.mover.turn(from, self.pending, Deadline::Now)? {
                Flow::Moved(count) => {
                    self.pending -= count;
                    self.tally.taken += count as u64;
                }
                Flow::End => return Err(Errno::EPIPE),
                Flow::Empty | Flow::Full | Flow::Signal => break,
            }
        }
        Ok(())
    }

    fn leave(mut self) -> Tally {
        self.tally.left = Some(Instant::now());
        self.tally
    }
}

/// The pipe that standard input is moved into if it is not a pipe itself.
struct Own {
    read: OwnedFd,
    /// `None` after EOF of standard input.
    write: Option<Mover>,
}

/// The consumers and their input.
pub struct Fanout {
    consumers: Vec<Consumer>,
    /// Those that have left.
    gone: Vec<Tally>,
    board: Option<Board>,
    own: Option<Own>,
    /// Capacity of the pipe that is duplicated.
    capacity: usize,
    /// `/dev/null`, for bytes of a consumer that has gone.
    null: Mover,
    fail_fast: bool,
    /// Whether a write failed, or a consumer closed early although that is a failure.
    pub failed: bool,
}

impl Fanout {
    pub fn new(mut consumers: Vec<Consumer>, fail_fast: bool, board: Option<Board>) -> Result<Self> {
        for (number, consumer) in consumers.iter_mut().enumerate() {
            consumer.tally.number = number;
        }
        let mut own = None;
        if !pipe::is_pipe(fds::stdin()) {
            let (read, write) = pipe::new().map_err(unmade)?;
            own = Some(Own { read, write: Some(Mover::new(Outlet::plain(write))) });
        }
        let input = input(own.as_ref());
        if consumers.len() <= FEW {
            pipe::widen(input);
            for consumer in &consumers {
                pipe::widen(consumer.mover.to());
            }
        }
        let wanted = pipe::capacity(input)?;
        let mut least = wanted;
        let others = consumers.len().saturating_sub(1);
        for consumer in &mut consumers[..others] {
            let (read, write) = pipe::new().map_err(unmade)?;
            let capacity = pipe::set_capacity(&write, wanted).or_else(|_| pipe::capacity(&write))?;
            least = least.min(capacity);
            consumer.between = Some((read, write));
        }
        // The first tee(2) of a round decides how many bytes it has, and the other pipes must hold as many.
        for (_, write) in consumers.iter().filter_map(|consumer| consumer.between.as_ref()) {
            pipe::set_capacity(write, least)?;
        }
        let null = File::options().write(true).open("/dev/null");
        let null = Mover::new(Outlet::plain(null.context("cannot open /dev/null")?.into()));
        let (gone, capacity, failed) = (Vec::new(), wanted, false);
        Ok(Self { consumers, gone, board, own, capacity, null, fail_fast, failed })
    }

    /// Copies until EOF, or until no consumer is left, or the crew is being terminated.
    pub fn copy(&mut self, crew: &mut Crew) -> Result<()> {
        let copied = self.rounds(crew);
        self.show(crew, true);
        copied
    }

    fn rounds(&mut self, crew: &mut Crew) -> Result<()> {
        while !self.consumers.is_empty() {
            // With an input that never blocks, events would never be waited for.
            crew.catch_up()?;
            self.show(crew, false);
            if crew.is_ending() {
                break;
            }
            match self.share() {
                Ok(0) => break,
                Ok(_) => self.drain(crew)?,
                Err(Errno::EAGAIN) => self.fill(crew)?,
                Err(errno) => return Err(unread(errno)),
            }
        }
        Ok(())
    }

    /// Starts a round. Returns how many bytes it has, 0 at EOF.
    fn share(&mut self) -> nix::Result<usize> {
        let input = input(self.own.as_ref());
        let mut round = None;
        let betweens = self.consumers.iter().filter_map(|consumer| consumer.between.as_ref());
        for (_, write) in betweens {
            let count = pipe::tee(input, write, round.unwrap_or(ALL))?;
            if count == 0 {
                return Ok(0);
            }
            round = Some(count);
        }
        let round = if let Some(round) = round {
            round
        } else {
            // Two calls find EOF without tee(2). The other order would lose what a writer writes and closes in between.
            let left = pipe::is_left(input)?;
            match pipe::unread(input)? {
                0 if left => return Ok(0),
                0 => return Err(Errno::EAGAIN),
                unread => unread,
            }
        };
        for consumer in &mut self.consumers {
            consumer.pending = round;
        }
        if self.consumers.iter().all(|consumer| consumer.between.is_some()) {
            // The last consumer, which would take them, has gone.
            self.discard(round)?;
        }
        Ok(round)
    }

    /// Waits for input, and moves it into the own pipe if there is one.
    fn fill(&mut self, crew: &mut Crew) -> Result<()> {
        if self.own.is_some() && terminal::stop_behind(fds::stdin()).map_err(unread)? {
            return Ok(());
        }
        let mut wanted = vec![(fds::stdin(), Want::Readable)];
        wanted.extend(self.consumers.iter().map(|consumer| (consumer.mover.to().as_fd(), Want::PeerClosed)));
        // `None`: after a signal, the process may be in the background of the terminal that it reads.
        let Some(came) = crew.turn(&wanted, self.deadline())? else { return Ok(()) };
        drop(wanted);
        let mut closed = came[1..].iter();
        let before = self.gone.len();
        let gone = self.consumers.extract_if(.., |_| closed.next() == Some(&true));
        self.gone.extend(gone.map(Consumer::leave));
        if self.gone.len() > before {
            self.lost(crew);
        }
        let Some(own) = self.own.as_mut().filter(|_| came[0]) else { return Ok(()) };
        let Some(write) = &mut own.write else { return Ok(()) };
        let flow = write.turn(fds::stdin(), self.capacity, Deadline::Now);
        if flow.map_err(|failure| unread(failure.into()))? == Flow::End {
            own.write = None;
        }
        Ok(())
    }

    /// Completes a round: every consumer takes its bytes, or is dropped.
    fn drain(&mut self, crew: &mut Crew) -> Result<()> {
        loop {
            let input = input(self.own.as_ref());
            let mut over = 0;
            let mut left = false;
            let is_gone = |consumer: &mut Consumer| match consumer.feed(input) {
                Ok(()) => false,
                Err(errno) => {
                    if consumer.between.is_none() {
                        over = consumer.pending - consumer.mover.held().len();
                    }
                    left = true;
                    consumer.tally.failed = errno != Errno::EPIPE;
                    if consumer.tally.failed {
                        self.board.iter_mut().for_each(Board::clear);
                        let error = Error::from(Cause::plain(errno));
                        output::report(&error.context(format!("cannot write to {}", consumer.tally.name)));
                    }
                    self.failed |= consumer.tally.failed;
                    true
                }
            };
            self.gone.extend(self.consumers.extract_if(.., is_gone).map(Consumer::leave));
            if left {
                self.discard(over).map_err(unread)?;
                self.lost(crew);
            }
            if crew.is_ending() || self.consumers.iter().all(|consumer| consumer.pending == 0) {
                return Ok(());
            }
            let wanted: Vec<_> = self
                .consumers
                .iter()
                .map(|consumer| {
                    let want = if consumer.pending > 0 { Want::Writable } else { Want::PeerClosed };
                    (consumer.mover.to().as_fd(), want)
                })
                .collect();
            crew.turn(&wanted, self.deadline())?;
            drop(wanted);
            self.show(crew, false);
        }
    }

    fn deadline(&self) -> Deadline {
        self.board.as_ref().map_or(Deadline::Forever, Board::deadline)
    }

    /// Draws a frame if one is due, or the final one.
    fn show(&mut self, crew: &mut Crew, done: bool) {
        let Some(board) = &mut self.board else { return };
        if take(&mut crew.resumes) > 0 {
            // The shell has reported the stop.
            board.leave();
        }
        if done || board.is_due() {
            let tallies = self.consumers.iter_mut().map(|consumer| &mut consumer.tally);
            let mut tallies: Vec<_> = tallies.chain(&mut self.gone).collect();
            tallies.sort_by_key(|tally| tally.number);
            board.draw(&mut tallies, &crew.stages, done);
        }
    }

    fn discard(&mut self, mut count: usize) -> nix::Result<()> {
        while count > 0
            && let Flow::Moved(moved) = self.null.turn(input(self.own.as_ref()), count, Deadline::Now)?
        {
            count -= moved;
        }
        Ok(())
    }

    /// Handles that consumers have gone.
    fn lost(&mut self, crew: &mut Crew) {
        if self.fail_fast {
            self.failed = true;
            crew.end();
        }
    }
}

fn input(own: Option<&Own>) -> BorrowedFd<'_> {
    own.map_or(fds::stdin(), |own| own.read.as_fd())
}

fn unread(errno: Errno) -> Error {
    Error::from(Cause::plain(errno).exit(Exit::Command(1))).context("cannot read standard input")
}
