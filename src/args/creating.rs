//! Options of every verb that can create an object: its permission bits, and whose existing object is accepted.

use std::fmt::Display;

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use crate::exit::{Cause, Exit, bare};
use crate::sys::users::Database;

/// How an object is created.
#[derive(Debug, Clone, Copy, Args)]
pub struct Creating {
    /// Create the object with this mode (default: 0600)
    ///
    /// The mode is octal, and the umask does not change it.
    #[arg(short, long, value_parser = mode, help_heading = "Creating")]
    pub mode: Option<u32>,
    /// Accept an object that belongs to another user
    ///
    /// Without --foreign, an existing object is refused unless you or root own it, because another user may have
    /// created it first.
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Creating")]
    pub foreign: Option<bool>,
    /// Refuses an existing object, as `create -x` does.
    #[arg(skip)]
    pub exclusive: bool,
}

impl Creating {
    /// Returns the permission bits of a new object.
    pub fn bits(&self) -> u32 {
        self.mode.unwrap_or(0o600)
    }

    /// Checks that an existing object has the requested permission bits.
    ///
    /// # Errors
    /// Status 4, with both values.
    pub fn expect_mode(&self, is: u32) -> Result<()> {
        match self.mode {
            Some(asked) if asked != is & 0o777 => {
                Err(differs(format!("mode {:04o}", is & 0o777), format!("{asked:04o}")).into())
            }
            _ => Ok(()),
        }
    }

    /// Opens the object, or creates it if this caller is the first. `find` returns it with its owners, which are
    /// checked before `accept` uses it. `create` fails with `EEXIST` if another process was faster.
    ///
    /// # Errors
    /// Those of the three. It tries again if `find` or `accept` fails with `ENOENT` or `EIDRM`, or `create` with
    /// `EIDRM`, because then another process has removed the object.
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

    /// Checks that the caller or root owns (and created, in System V) an existing object. `--foreign` accepts any.
    ///
    /// # Errors
    /// Status 5, with the owner.
    pub fn trust(&self, owners: impl IntoIterator<Item = u32>) -> Result<(), Cause> {
        let mut strangers = owners.into_iter().filter(|uid| *uid != 0 && *uid != nix::unistd::geteuid().as_raw());
        let Some(uid) = strangers.next().filter(|_| self.foreign.is_none()) else {
            return Ok(());
        };
        let words = format!("already exists and is owned by {}", user(uid));
        Err(Cause::new(Exit::Denied, words).hint("add --foreign to use the object anyway"))
    }
}

/// Returns the failure of `create` on an object that exists with another value than requested.
pub fn differs(is: impl Display, asked: impl Display) -> Cause {
    Cause::new(Exit::Exists, format!("already exists with {is}, not {asked}"))
}

/// Whether a missing object is created.
#[derive(Debug, Clone, Copy, Args)]
pub struct Making {
    /// Create the object if it does not exist
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Creating")]
    create: Option<bool>,
    /// How it is created.
    #[command(flatten)]
    pub creating: Creating,
}

impl Making {
    /// Returns how to create it, if `--create` was given.
    pub fn wanted(self) -> Option<Creating> {
        self.create.map(|_| self.creating)
    }
}

/// Returns a user for a message: the name, or the number if there is no name.
pub fn user(uid: u32) -> String {
    let name = Database::Passwd.names(&[uid]).remove(&uid);
    name.unwrap_or_else(|| format!("uid {uid}"))
}

/// Parses permission bits, 0 to 777 in octal.
///
/// # Errors
/// The expected syntax.
pub fn mode(text: &str) -> Result<u32, String> {
    let is_octal = !text.is_empty() && text.chars().all(|c| c.is_digit(8));
    let bits = is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.filter(|bits| *bits <= 0o777).ok_or_else(|| "expected permission bits in octal, such as 0660".into())
}

#[cfg(test)]
#[path = "../../tests/units/args/creating.rs"]
mod tests;
