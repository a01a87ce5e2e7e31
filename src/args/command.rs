//! A CMD after `--`, which the box becomes.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

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
        let errno = exec::replace(&self.path, &self.words, added);
        let cause = match errno {
            Errno::ENOENT => Cause::told(errno, "its interpreter or loader is missing"),
            Errno::ENOEXEC => Cause::told(errno, "it is neither a program nor begins with #!"),
            errno => Cause::plain(errno),
        };
        let name = self.words.first().cloned().unwrap_or_default();
        Err(Error::from(cause.exit(Exit::NotExecutable)))
            .with_context(|| format!("cannot run {}", name.display()))
    }
}

/// Puts `payload` in the place of every word that is `{}` and nothing else, and tells whether there was one.
///
/// # Errors
/// It would be put somewhere and has a NUL, which no argument can have.
pub fn fill(words: &mut [OsString], payload: &[u8]) -> Result<bool, Cause> {
    let mut places = words.iter_mut().filter(|word| *word == "{}").peekable();
    let found = places.peek().is_some();
    if found && payload.contains(&0) {
        return Err(Cause::new(Exit::Failed, "it has a NUL and cannot be an argument"));
    }
    for place in places {
        OsStr::from_bytes(payload).clone_into(place);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_replaced_where_they_are_a_word() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let mut line = words("a {} --b={} {}");
        assert_eq!(fill(&mut line, b"x\n"), Ok(true));
        assert_eq!(line, words("a x\n --b={} x\n"));
        assert_eq!(fill(&mut line, b"\0"), Ok(false));
        assert!(fill(&mut words("{}"), b"a\0b").is_err());
    }
}
