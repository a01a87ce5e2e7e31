//! The content of a file: one line, `ipcbox slots 4` or `ipcbox lock`.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::bytes::LINE;
use super::{MOST, unlocked};
use crate::exit::{Cause, Exit, words};
use crate::sys::deadline::Deadline;
use crate::sys::record_lock::{Mode, lock, unlock};
use crate::sys::regular;
use crate::text::counted;

/// The first word of a file.
const MAGIC: &str = "ipcbox ";
/// The longest line.
const LONGEST: usize = 32;

/// How long the creator of a file may take to write its line, which is its next system call.
const BIRTH: Duration = Duration::from_secs(1);

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// This number of slots.
    Slots(u16),
    /// A lock.
    Lock,
}

impl Kept {
    /// Returns how many exclusive holders it can have.
    pub const fn capacity(self) -> u16 {
        match self {
            Self::Slots(capacity) => capacity,
            Self::Lock => 1,
        }
    }

    /// Reads the content of a file.
    fn parse(content: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(content).ok()?.strip_prefix(MAGIC)?.strip_suffix('\n')?;
        if line == "lock" {
            return Some(Self::Lock);
        }
        let digits = line.strip_prefix("slots ")?;
        let number = digits.parse().ok().filter(|number| (1..=MOST).contains(number))?;
        (digits == number.to_string()).then_some(Self::Slots(number))
    }

    /// Returns the content of its file.
    fn line(self) -> String {
        match self {
            Self::Slots(number) => format!("{MAGIC}slots {number}\n"),
            Self::Lock => format!("{MAGIC}lock\n"),
        }
    }
}

/// For messages: `4 slots`, `a lock`.
impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Slots(number) => f.write_str(&counted((*number).into(), "slot")),
            Self::Lock => f.write_str("a lock"),
        }
    }
}

/// The content of a file.
#[derive(PartialEq, Eq)]
pub(super) enum Written {
    Nothing,
    Kept(Kept),
    Other,
}

pub(super) fn written(file: &OwnedFd) -> nix::Result<Written> {
    let content = regular::start(file, LONGEST)?;
    Ok(match Kept::parse(&content) {
        Some(kept) => Written::Kept(kept),
        None if content.is_empty() => Written::Nothing,
        None => Written::Other,
    })
}

/// Returns the failure that a file has another content.
pub(super) fn other() -> Cause {
    Cause::new(Exit::Exists, "the file contains something other than slots or a lock").hint("use another path")
}

/// Writes the line of an empty file, unless another process has done it, and returns what the file holds.
pub(super) fn initialise(file: &OwnedFd, kept: Kept) -> Result<Kept> {
    lock(file, LINE, Mode::Exclusive, Deadline::after(BIRTH)).map_err(|errno| match errno {
        Errno::EAGAIN => Cause::new(Exit::Failed, "another process is about to write the first line"),
        errno => unlocked(file, errno),
    })?;
    let kept = match written(file)? {
        Written::Kept(kept) => kept,
        Written::Other => bail!(other()),
        Written::Nothing => {
            regular::fill(file, kept.line().as_bytes()).map_err(|errno| match errno {
                Errno::EFBIG => Cause::from_errno(errno, "the file size limit is too low"),
                errno => Cause::from_errno(errno, format!("cannot write the first line: {}", words(errno))),
            })?;
            kept
        }
    };
    unlock(file, LINE)?;
    Ok(kept)
}

#[cfg(test)]
#[path = "../../tests/units/fileset/content.rs"]
mod tests;
