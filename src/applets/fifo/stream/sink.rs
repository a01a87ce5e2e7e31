//! Standard output: what lies in a FIFO goes there without passing through this process where the kernel can move it.

use std::os::fd::AsFd;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::fifo::{Kind, behind};
use crate::sys::wait;
use crate::sys::{fds, pipe};

/// The most that is read at once where it passes through this process.
const BUFFER: usize = 64 << 10;
/// The most that is asked of the kernel at once; no pipe holds more.
const ALL: usize = 1 << 30;

/// Standard output, and what is known of it.
#[derive(Debug)]
pub struct Sink {
    /// The kernel does not move bytes there: a file that is appended to, some devices.
    copies: bool,
    buffer: Vec<u8>,
    /// A socket or a terminal, which is written to without waiting: it does not tell how much it takes.
    outlet: Option<Outlet>,
    /// What was taken and the outlet has not taken yet.
    held: Vec<u8>,
}

/// What came of trying to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// So many were moved.
    Moved(usize),
    /// There is nothing now.
    Empty,
    /// There is the beginning of a record, which is left where it is.
    Part,
    /// There is nothing, and nobody to write more.
    End,
    /// There is something, but standard output takes nothing now.
    Full,
}

impl Sink {
    /// Standard output as it is.
    pub fn new() -> Result<Self> {
        let stdout = fds::stdout();
        let is_outlet = fds::is_terminal(stdout) || behind(stdout)?.kind == Kind::Socket;
        let outlet = is_outlet.then(|| fds::copy_of(1).and_then(Outlet::new)).transpose()?;
        Ok(Self { copies: false, buffer: Vec::new(), outlet, held: Vec::new() })
    }

    /// Whether calls that move bytes there may wait themselves.
    pub const fn may_wait(&self) -> bool {
        self.outlet.is_none()
    }

    /// How many bytes were taken and are still to be written.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Forgets what is held.
    pub fn give_up(&mut self) {
        self.held.clear();
    }

    /// Writes these bytes; holds what cannot be written without waiting.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.outlet.is_none() {
            return output::print(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.deliver()
    }

    /// Writes what is held, as far as it can be written without waiting.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn deliver(&mut self) -> Result<()> {
        let Some(outlet) = &self.outlet else { return Ok(()) };
        while !self.held.is_empty() {
            match outlet.write(&self.held) {
                Ok(count) => drop(self.held.drain(..count)),
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(unwritten(errno)),
            }
        }
        Ok(())
    }

    /// Passes on what lies in `fifo`, at most `most` bytes.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn pass(&mut self, fifo: impl AsFd, most: usize) -> Result<Flow> {
        if self.outlet.is_some() {
            if room_now()?.is_none() {
                return Ok(Flow::Full);
            }
            let (flow, bytes) = self.read(fifo, most.min(pipe::ATOMIC))?;
            let bytes = bytes.to_vec();
            self.put(&bytes)?;
            return Ok(flow);
        }
        if !self.copies {
            match pipe::splice(&fifo, fds::stdout(), most.min(ALL)) {
                Ok(0) => return Ok(Flow::End),
                Ok(count) => return Ok(Flow::Moved(count)),
                Err(Errno::EAGAIN) if pipe::unread(&fifo)? > 0 => return Ok(Flow::Full),
                Err(Errno::EAGAIN) => return Ok(Flow::Empty),
                Err(Errno::EINVAL) => self.copies = true,
                Err(errno) => return Err(unwritten(errno)),
            }
        }
        let (flow, bytes) = self.read(fifo, most)?;
        output::print(bytes)?;
        Ok(flow)
    }

    /// The same for a FIFO that [is waited for](pipe::let_wait), and all of it; standard output is waited for too. `None`: a signal
    /// that is caught has come.
    ///
    /// # Errors
    /// `EAGAIN`: the time is over.
    pub fn pass_in_time(&mut self, fifo: impl AsFd, deadline: Deadline) -> Result<Option<Flow>> {
        if !self.copies {
            match pipe::splice_in_time(&fifo, fds::stdout(), ALL, deadline) {
                Ok(None) => return Ok(None),
                Ok(Some(0)) => return Ok(Some(Flow::End)),
                Ok(Some(count)) => return Ok(Some(Flow::Moved(count))),
                Err(Errno::EAGAIN) => bail!(Errno::EAGAIN),
                Err(Errno::EINVAL) => self.copies = true,
                Err(errno) => return Err(unwritten(errno)),
            }
        }
        self.buffer.resize(BUFFER, 0);
        let Some(count) = wait::interruptible(deadline, || fds::read_once(&fifo, &mut self.buffer))? else {
            return Ok(None);
        };
        output::print(&self.buffer[..count])?;
        Ok(Some(if count == 0 { Flow::End } else { Flow::Moved(count) }))
    }

    /// Reads what lies in `fifo`, at most `most` bytes, into memory.
    pub fn read(&mut self, fifo: impl AsFd, most: usize) -> Result<(Flow, &[u8])> {
        self.buffer.resize(BUFFER, 0);
        let most = most.min(BUFFER);
        match fds::read(fifo, &mut self.buffer[..most]) {
            Ok(0) => Ok((Flow::End, &[])),
            Ok(count) => Ok((Flow::Moved(count), &self.buffer[..count])),
            Err(Errno::EAGAIN) => Ok((Flow::Empty, &[])),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// How many bytes standard output takes now without waiting, at least one; `None`: none.
pub fn room_now() -> Result<Option<usize>> {
    if room(Deadline::Now) == Err(Errno::EAGAIN) {
        return Ok(None);
    }
    let stdout = fds::stdout();
    let Ok(capacity) = pipe::capacity(stdout) else { return Ok(Some(BUFFER)) };
    Ok(Some(capacity.saturating_sub(pipe::unread(stdout)?).max(1)))
}

/// Waits until standard output takes more. `None`: a signal that is caught has come.
///
/// # Errors
/// `EAGAIN`: it did not in time.
pub fn room(deadline: Deadline) -> Result<Option<()>, Errno> {
    wait::room(fds::stdout(), deadline)
}

fn unwritten(errno: Errno) -> Error {
    Error::from(errno).context("cannot write to standard output")
}
