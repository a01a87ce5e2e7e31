//! A FIFO as the user names it: a path.

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

/// The bits of a directory in which all may make files, and remove only their own.
const STICKY_AND_OPEN: u32 = 0o1002;

/// A path where a FIFO is, or is to be.
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

/// A FIFO that was made here, and is removed when this is dropped.
#[derive(Debug)]
pub struct Made<'a>(pub &'a Fifo, pub Seen);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        match self.0.remove(&self.1) {
            // Somebody else has removed it.
            Ok(()) | Err(Errno::ENOENT) => {}
            // The work was done all the same.
            Err(errno) => output::warn(format!("cannot remove {}: {}", self.0, Cause::plain(errno))),
        }
    }
}

impl Fifo {
    /// The path as it was typed.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory that it is in.
    pub fn directory(&self) -> &Path {
        match self.0.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Removes it, where it is still the one that was seen.
    ///
    /// # Errors
    /// `ENOENT`: it is not; somebody may have put something else in its place.
    pub fn remove(&self, seen: &Seen) -> nix::Result<()> {
        fifo::remove(self.directory(), self.0.file_name().unwrap_or_default(), seen)
    }

    /// Whether that is there.
    pub fn has_directory(&self) -> bool {
        fifo::directory(self.directory()).is_ok()
    }

    /// What is there, which has to be a FIFO.
    ///
    /// # Errors
    /// Status 4 where it is something else, which is said.
    pub fn look(&self) -> Result<Seen> {
        let seen = fifo::look(&self.0)?;
        let words = match seen.kind {
            Kind::Fifo => return Ok(seen),
            Kind::Regular => "a regular file",
            Kind::Directory => "a directory",
            Kind::Link => "a symbolic link, which is not followed",
            Kind::Device => "a device",
            Kind::Socket => "a socket",
        };
        bail!(Cause::new(Exit::Exists, format!("it is {words}, not a FIFO")))
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
                    // Nobody else would remove it.
                    let _ = fifo::look(&self.0).and_then(|seen| self.remove(&seen));
                });
                Ok((seen?, true))
            }
            // Not that there is no FIFO.
            Err(errno @ Errno::ENOENT) if self.has_directory() => bail!(Cause::plain(errno)),
            Err(errno) => {
                if errno == Errno::EEXIST && creating.exclusive {
                    // Anything but a FIFO is named.
                    self.look().map_err(|error| {
                        if bare(&error) == Some(Errno::ENOENT) { Errno::EIDRM.into() } else { error }
                    })?;
                }
                bail!(errno)
            }
        };
        creating.open_or_create(find, |seen| Ok((seen, false)), create)
    }

    /// Whether a FIFO may be used that somebody else can have put there to be mistaken for one's own: as the kernel's
    /// protected_fifos, for those in sticky directories that all may write.
    fn trust(&self, seen: &Seen, foreign: bool) -> Result<()> {
        let uid = seen.uid;
        if foreign || uid == 0 || uid == nix::unistd::geteuid().as_raw() {
            return Ok(());
        }
        if fifo::directory(self.directory())?.mode & STICKY_AND_OPEN != STICKY_AND_OPEN {
            return Ok(());
        }
        let words = format!("it lies where all may write and belongs to {}", user(uid));
        bail!(Cause::new(Exit::Denied, words).hint("--foreign takes it all the same"))
    }

    /// Opens it by `open`, and makes sure that what was opened is the FIFO that was looked at.
    fn open(&self, foreign: bool, open: impl Fn(&Path) -> nix::Result<OwnedFd>) -> Result<(OwnedFd, Seen)> {
        loop {
            let seen = self.look()?;
            self.trust(&seen, foreign)?;
            let fd = open(&self.0)?;
            let opened = fifo::behind(&fd)?;
            // Else it was replaced between the two.
            if opened.is(&seen) && opened.kind == Kind::Fifo {
                return Ok((fd, seen));
            }
        }
    }

    /// Opens it for reading, without waiting.
    pub fn open_to_read(&self, foreign: bool) -> Result<(OwnedFd, Seen)> {
        self.open(foreign, fifo::open_to_read)
    }

    /// Opens it for writing once there is a reader.
    ///
    /// # Errors
    /// `EAGAIN`: none came in time.
    pub fn open_to_write(&self, foreign: bool, deadline: Deadline) -> Result<(OwnedFd, Seen)> {
        self.open(foreign, |path| fifo::open_to_write(path, deadline))
    }
}
