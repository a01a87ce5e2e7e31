//! A CMD after `--`, which the box becomes.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fmt;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use crate::exit::{Cause, Exit};
use crate::sys::exec;

/// A command that was found.
#[derive(Debug)]
pub struct Command {
    path: CString,
    words: Vec<OsString>,
}

impl Command {
    /// Looks a command up before anything is taken for it.
    ///
    /// # Errors
    /// Status 127 where it is not found, 126 where it is no file that may be executed.
    pub fn find(words: Vec<OsString>) -> Result<Self> {
        let name = words.first().cloned().unwrap_or_default();
        let found = exec::find(&name).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Cause::told(errno, "command not found").exit(Exit::NotFound)
            }
            errno => Cause::plain(errno).exit(Exit::NotExecutable),
        });
        let path = found.with_context(|| format!("cannot run {}", name.display()))?;
        Ok(Self { path, words })
    }

    /// Becomes it, with `added` in its environment.
    ///
    /// # Errors
    /// Returns only where that failed, with status 126.
    pub fn replace(self, added: &[(&str, String)]) -> Result<Infallible> {
        let errno = self.execute(added);
        Err(self.unrunnable(errno))
    }

    /// The same in a child, which has nobody to tell. Returns only where that failed.
    #[must_use]
    pub fn execute(&self, added: &[(&str, String)]) -> Errno {
        exec::replace(&self.path, &self.words, added)
    }

    /// The failure to become it.
    #[must_use]
    pub fn unrunnable(&self, errno: Errno) -> Error {
        let cause = match errno {
            Errno::ENOENT => Cause::told(errno, "its interpreter or loader is missing"),
            Errno::ENOEXEC => Cause::told(errno, "it is neither a program nor begins with #!"),
            errno => Cause::plain(errno),
        };
        Error::from(cause.exit(Exit::NotExecutable)).context(format!("cannot run {self}"))
    }
}

/// Its name as it was typed.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.words.first().cloned().unwrap_or_default().display())
    }
}
