//! Collects the output of a command while it runs.
//!
//! The command prints into a pipe, not a file: if it opened `/dev/stdout` again, a file would be truncated and its
//! earlier output overwritten. SIGIO announces output, so that a process that is waiting for something else can
//! [read](Collected::gather) it before the pipe is full.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::Result;
use nix::errno::Errno;

use super::{fds, pipe};

/// The output of one command: the read end of its pipe, and the output read so far.
#[derive(Debug)]
pub struct Collected {
    /// `None` once no process can write to the pipe, or the output could not be stored.
    from: Option<OwnedFd>,
    spool: File,
    failed: Option<Errno>,
}

impl Collected {
    /// Returns an empty collection and the descriptor for the command to print to. Opens all descriptors it will need.
    pub fn new() -> Result<(Self, OwnedFd)> {
        let (from, to) = pipe::new()?;
        pipe::set_blocking(&to)?;
        Ok((Self { from: Some(from), spool: fds::spool()?, failed: None }, to))
    }

    /// Makes SIGIO announce output. Call it once the command runs: closing the pipe of a failed one sends SIGIO too.
    pub fn begin(&mut self) -> Result<()> {
        self.from.as_ref().map(pipe::signal_when_readable).transpose()?;
        self.gather();
        Ok(())
    }

    /// Reads what is in the pipe. A failure to store it is returned by [`finish`](Self::finish).
    pub fn gather(&mut self) {
        let Some(from) = &self.from else { return };
        match pipe::take_all(from) {
            Ok(Some(bytes)) => {
                if let Err(errno) = fds::write_all(&self.spool, &bytes) {
                    (self.failed, self.from) = (Some(errno), None);
                }
            }
            Ok(None) => self.from = None,
            Err(errno) => (self.failed, self.from) = (Some(errno), None),
        }
    }

    /// Returns the output of a command that has exited, and the pipe if its descendants can still write to it.
    pub fn finish(mut self) -> (File, Result<()>, Option<Leftover>) {
        self.gather();
        (self.spool, self.failed.map_or(Ok(()), Err), self.from.map(Leftover))
    }
}

/// The pipe of a command that has exited, kept open because SIGPIPE would kill descendants that write to it.
#[derive(Debug)]
pub struct Leftover(OwnedFd);

impl Leftover {
    /// Discards what is in the pipe, and returns whether a descendant can still write to it.
    pub fn is_open(&self) -> bool {
        matches!(pipe::take_all(&self.0), Ok(Some(_)))
    }
}
