//! Options of every verb that can create: permission bits, and who may have been there first.

use std::fmt::Display;

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use crate::exit::{Cause, Exit, bare};
use crate::sys::users::Database;

/// How an object is created.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Creating")]
pub struct Creating {
    /// Permission bits of a new object, in octal
    ///
    /// 0600 if left out; whatever the umask is.
    #[arg(short, long, value_parser = mode)]
    pub mode: Option<u32>,
    /// Trust an object that belongs to another user
    ///
    /// Without it, what exists and belongs to neither the caller nor root is not taken for the caller's own: somebody
    /// can have been there first.
    #[arg(long)]
    pub foreign: bool,
    /// Whether one that exists is refused, as `create -x` does.
    #[arg(skip)]
    pub exclusive: bool,
}

impl Creating {
    /// The permission bits of what is created.
    pub fn bits(&self) -> u32 {
        self.mode.unwrap_or(0o600)
    }

    /// Checks that what exists has the permission bits that were asked for.
    ///
    /// # Errors
    /// Status 4, with both.
    pub fn expect_mode(&self, is: u32) -> Result<()> {
        match self.mode {
            Some(asked) if asked != is & 0o777 => {
                Err(differs(format!("mode {:04o}", is & 0o777), format!("{asked:04o}")).into())
            }
            _ => Ok(()),
        }
    }

    /// Opens what exists, or creates it: whichever of several callers is first. `find` returns it with its owners,
    /// which are checked before `accept` uses it. `create` fails with `EEXIST` if another process was faster.
    ///
    /// # Errors
    /// Those of the three, but it tries again if `find` or `accept` fails with `ENOENT` or `EIDRM`, and if `create`
    /// fails with `EIDRM`: another process has removed it.
    pub fn open_or_create<T, U, O: IntoIterator<Item = u32>>(
        self,
        mut find: impl FnMut() -> Result<(T, O)>,
        mut accept: impl FnMut(T) -> Result<U>,
        mut create: impl FnMut() -> Result<U>,
    ) -> Result<U> {
        loop {
            if !self.exclusive {
                let accepted = find().and_then(|(found, owners)| {
                    self.trust(owners)?;
                    accept(found)
                });
                match accepted {
                    Err(error) if matches!(bare(&error), Some(Errno::ENOENT | Errno::EIDRM)) => {}
                    accepted => return accepted,
                }
            }
            match create() {
                Err(error) if bare(&error) == Some(Errno::EEXIST) && !self.exclusive => {}
                Err(error) if bare(&error) == Some(Errno::EIDRM) => {}
                created => return created,
            }
        }
    }

    /// Whether what exists may be taken for one's own: all of its owners, a System V object's creator among them, are
    /// the caller or root, or `--foreign` says so.
    ///
    /// # Errors
    /// Status 5, with whom it belongs to.
    pub fn trust(&self, owners: impl IntoIterator<Item = u32>) -> Result<(), Cause> {
        let caller = nix::unistd::geteuid().as_raw();
        let mut strangers = owners.into_iter().filter(|uid| ![0, caller].contains(uid));
        let Some(uid) = strangers.next().filter(|_| !self.foreign) else {
            return Ok(());
        };
        let words = format!("it exists and belongs to {}", user(uid));
        Err(Cause::new(Exit::Denied, words).hint("--foreign takes it all the same"))
    }
}

/// The failure of `create` where what exists is not as asked.
pub fn differs(is: impl Display, asked: impl Display) -> Cause {
    Cause::new(Exit::Exists, format!("it exists with {is}, not {asked}"))
}

/// Whether a missing object is made.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Creating")]
pub struct Making {
    /// Make it if it is missing
    #[arg(long)]
    create: bool,
    /// How it is made.
    #[command(flatten)]
    pub creating: Creating,
}

impl Making {
    /// How it is to be made, if it is.
    pub fn wanted(self) -> Option<Creating> {
        self.create.then_some(self.creating)
    }
}

/// A user in a message: the name, else the number.
pub fn user(uid: u32) -> String {
    let name = Database::Passwd.names(&[uid]).remove(&uid);
    name.unwrap_or_else(|| format!("uid {uid}"))
}

/// Reads permission bits, 0 to 777 in octal.
///
/// # Errors
/// Words that say what is wrong.
pub fn mode(text: &str) -> Result<u32, String> {
    let is_octal = !text.is_empty() && text.chars().all(|c| c.is_digit(8));
    let bits = is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.filter(|bits| *bits <= 0o777).ok_or_else(|| "permission bits are octal, 0 to 777, as in 0660".into())
}

#[cfg(test)]
#[path = "../../tests/units/args/creating.rs"]
mod tests;
