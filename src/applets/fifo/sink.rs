//! Standard output: what lies in a FIFO goes there without passing through this process where the kernel can move it.

use std::os::fd::AsFd;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use crate::output;
use crate::sys::wait::{self, Patience};
use crate::sys::{fds, pipe};

/// The most that is read at once where it passes through this process.
const BUFFER: usize = 64 << 10;
/// The most that is asked of the kernel at once; no pipe holds more.
const ALL: usize = 1 << 30;

/// Standard output, and what is known of it.
#[derive(Debug, Default)]
pub struct Sink {
    /// The kernel does not move bytes there: a file that is appended to, some devices.
    copies: bool,
    buffer: Vec<u8>,
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
    /// Passes on what lies in `fifo`, at most `most` bytes.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn pass(&mut self, fifo: impl AsFd, most: usize) -> Result<Flow> {
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
    pub fn pass_in_time(&mut self, fifo: impl AsFd, patience: Patience) -> Result<Option<Flow>> {
        if !self.copies {
            match pipe::splice_in_time(&fifo, fds::stdout(), ALL, patience) {
                Ok(None) => return Ok(None),
                Ok(Some(0)) => return Ok(Some(Flow::End)),
                Ok(Some(count)) => return Ok(Some(Flow::Moved(count))),
                Err(Errno::EAGAIN) => bail!(Errno::EAGAIN),
                Err(Errno::EINVAL) => self.copies = true,
                Err(errno) => return Err(unwritten(errno)),
            }
        }
        self.buffer.resize(BUFFER, 0);
        let Some(count) =
            wait::interruptible(patience, || fds::read_once(&fifo, &mut self.buffer))?
        else {
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
    if room(Patience::Never) == Err(Errno::EAGAIN) {
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
pub fn room(patience: Patience) -> Result<Option<()>, Errno> {
    wait::room(fds::stdout(), patience)
}

fn unwritten(errno: Errno) -> Error {
    Error::from(errno).context("cannot write to standard output")
}
