//! What a command prints, collected while it runs.
//!
//! It prints into a pipe and not into a file: a command that opens `/dev/stdout` again would truncate a file, and write
//! over what it printed before. SIGIO announces that something was written, so that a process that waits for something
//! else can [take](Collected::gather) it before the pipe is full.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::Result;
use nix::errno::Errno;

use super::{fds, pipe};

/// The output of one command: the read end of its pipe, and what has come from there.
#[derive(Debug)]
pub struct Collected {
    /// None once nobody can write to it any more, or what comes cannot be kept.
    from: Option<OwnedFd>,
    spool: File,
    failed: Option<Errno>,
}

impl Collected {
    /// Nothing yet; and where the command prints to. All descriptors that it takes are had from the start.
    pub fn new() -> Result<(Self, OwnedFd)> {
        let (from, to) = pipe::new()?;
        pipe::set_blocking(&to)?;
        Ok((Self { from: Some(from), spool: fds::spool()?, failed: None }, to))
    }

    /// The command has begun: from now on SIGIO announces what it prints. Not before, since closing the pipe of one
    /// that could not be started would send the signal too.
    pub fn begin(&mut self) -> Result<()> {
        self.from.as_ref().map(pipe::signal_when_readable).transpose()?;
        self.gather();
        Ok(())
    }

    /// Takes what lies in the pipe now. What cannot be kept is a failure that [`finish`](Self::finish) returns.
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

    /// The command has ended: returns what it printed, and what its descendants may still write to.
    ///
    /// # Errors
    /// Why the rest of it could not be kept.
    pub fn finish(mut self) -> (File, Result<()>, Option<Leftover>) {
        self.gather();
        (self.spool, self.failed.map_or(Ok(()), Err), self.from.map(Leftover))
    }
}

/// The pipe of a command that has ended. It stays open as long as a descendant can write to it, which SIGPIPE would end
/// otherwise.
#[derive(Debug)]
pub struct Leftover(OwnedFd);

impl Leftover {
    /// Drops what lies in the pipe, and returns whether a descendant can still write to it.
    pub fn is_open(&self) -> bool {
        matches!(pipe::take_all(&self.0), Ok(Some(_)))
    }
}
