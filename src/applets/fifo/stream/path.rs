//! A FIFO on the command line: a path.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::builder::{MapValueParser, PathBufValueParser, TypedValueParser, ValueParserFactory};
use nix::errno::Errno;

use crate::args::creating::{Creating, Making, user};
use crate::exit::{Cause, Exit, bare};
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fifo::{self, Kind, Seen};

/// Mode bits of a directory such as `/tmp`: everyone may create files, but remove only their own.
const STICKY_AND_OPEN: u32 = 0o1002;

/// The path of a FIFO, which may not exist yet.
#[derive(Debug, Clone)]
pub struct Fifo(PathBuf);

impl fmt::Display for Fifo {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

impl ValueParserFactory for Fifo {
    type Parser = MapValueParser<PathBufValueParser, fn(PathBuf) -> Self>;

    fn value_parser() -> Self::Parser {
        PathBufValueParser::new().map(Self)
    }
}

/// A FIFO that this call created, removed on drop.
#[derive(Debug)]
pub struct Made<'a>(pub &'a Fifo, pub Seen);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        match self.0.remove(&self.1) {
            // Another process has removed it.
            Ok(()) | Err(Errno::ENOENT) => {}
            // No failure of the call: its work is done.
            Err(errno) => output::warn(format!("cannot remove {}: {}", self.0, Cause::plain(errno))),
        }
    }
}

impl Fifo {
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn directory(&self) -> &Path {
        match self.0.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Removes the FIFO if it is still `seen`.
    ///
    /// # Errors
    /// `ENOENT`: the path is free, or another file has taken its place.
    pub fn remove(&self, seen: &Seen) -> nix::Result<()> {
        fifo::remove(self.directory(), self.0.file_name().unwrap_or_default(), seen)
    }

    pub fn has_directory(&self) -> bool {
        fifo::directory(self.directory()).is_ok()
    }

    /// Returns what is at the path.
    ///
    /// # Errors
    /// Status 4 if it is not a FIFO.
    pub fn look(&self) -> Result<Seen> {
        let seen = fifo::look(&self.0)?;
        let words = match seen.kind {
            Kind::Fifo => return Ok(seen),
            Kind::Regular => "a regular file",
            Kind::Directory => "a directory",
            Kind::Link => "a symbolic link (not followed)",
            Kind::Device => "a device",
            Kind::Socket => "a socket",
        };
        bail!(Cause::new(Exit::Exists, format!("the path is {words}, not a FIFO")))
    }

    /// Creates it if `--create` was given and it is missing, and returns what was created.
    pub fn create_if(&self, making: Making) -> Result<Option<Seen>> {
        let Some(creating) = making.wanted() else { return Ok(None) };
        let (seen, is_new) = self.open_or_create(creating)?;
        Ok(is_new.then_some(seen))
    }

    /// Returns the one that exists, or creates it, and whether it was created here.
    pub fn open_or_create(&self, creating: Creating) -> Result<(Seen, bool)> {
        let find = || {
            let seen = self.look()?;
            Ok((seen, [seen.uid]))
        };
        let create = || match fifo::make(&self.0, creating.bits()) {
            Ok(()) => {
                let seen = self.look().inspect_err(|_| {
                    // The caller does not know that it was created, and would leave it behind.
                    let _ = fifo::look(&self.0).and_then(|seen| self.remove(&seen));
                });
                Ok((seen?, true))
            }
            // The words of a bare ENOENT, "no such FIFO", would be wrong.
            Err(errno @ Errno::ENOENT) if self.has_directory() => bail!(Cause::plain(errno)),
            Err(errno) => {
                if errno == Errno::EEXIST && creating.exclusive {
                    // If it is not a FIFO, that is the better message.
                    self.look().map_err(|error| {
                        if bare(&error) == Some(Errno::ENOENT) { Errno::EIDRM.into() } else { error }
                    })?;
                }
                bail!(errno)
            }
        };
        creating.open_or_create(find, |seen| Ok((seen, false)), create)
    }

    /// Refuses a FIFO of another user in a sticky directory that everyone may write to, as protected_fifos of the
    /// kernel does: that user may have put it there to be mistaken for the caller's own.
    fn trust(&self, seen: &Seen, foreign: bool) -> Result<()> {
        let uid = seen.uid;
        if foreign || uid == 0 || uid == nix::unistd::geteuid().as_raw() {
            return Ok(());
        }
        if fifo::directory(self.directory())?.mode & STICKY_AND_OPEN != STICKY_AND_OPEN {
            return Ok(());
        }
        let words = format!("owned by {} in a world-writable directory", user(uid));
        bail!(Cause::new(Exit::Denied, words).hint("add --foreign to use the FIFO anyway"))
    }

    /// Opens the FIFO by `open`, after checks; if it is replaced in between, checks again.
    fn open(&self, foreign: bool, open: impl Fn(&Path) -> nix::Result<OwnedFd>) -> Result<(OwnedFd, Seen)> {
        loop {
            let seen = self.look().map_err(|error| match bare(&error) {
                Some(Errno::ENOENT) if self.has_directory() => {
                    Cause::from_errno(Errno::ENOENT, "no such FIFO").hint("add --create to create the FIFO").into()
                }
                _ => error,
            })?;
            self.trust(&seen, foreign)?;
            let fd = open(&self.0)?;
            let opened = fifo::behind(&fd)?;
            if opened.is(&seen) && opened.kind == Kind::Fifo {
                return Ok((fd, seen));
            }
        }
    }

    /// Opens the FIFO for reading, without waiting for a writer.
    pub fn open_to_read(&self, foreign: bool) -> Result<(OwnedFd, Seen)> {
        self.open(foreign, fifo::open_to_read)
    }

    /// Waits for a reader and opens the FIFO for writing.
    ///
    /// # Errors
    /// `EAGAIN`: no reader opened it before the deadline.
    pub fn open_to_write(&self, foreign: bool, deadline: Deadline) -> Result<(OwnedFd, Seen)> {
        self.open(foreign, |path| fifo::open_to_write(path, deadline))
    }
}
