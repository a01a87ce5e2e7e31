//! `--mode` and `--owner` of every `set`.

use clap::Args;

use super::creating::mode;
use crate::sys::sysv::Change;
use crate::sys::users::Database;

/// What every `set` can change about an object.
#[derive(Args)]
pub struct Ownership {
    /// Set the permission bits, in octal
    #[arg(short, long, value_parser = mode)]
    mode: Option<u32>,
    /// Set the owner and, if GROUP is given, the group
    #[arg(long, value_name = "USER[:GROUP]", value_parser = parse)]
    owner: Option<Owner>,
}

impl Ownership {
    /// Returns the change in the form that the kernel expects.
    pub fn change(&self) -> Change {
        Change { uid: self.owner.map(|owner| owner.uid), gid: self.owner.and_then(|owner| owner.gid), mode: self.mode }
    }
}

/// A new owner, and a new group if one was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: Option<u32>,
}

/// Parses a user and a group, each a name or a number.
///
/// # Errors
/// The expected syntax, or which of the two does not exist.
pub fn parse(text: &str) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let find = |database: Database, what: &str, name: &str| match name {
        "" => Err("expected USER or USER:GROUP".into()),
        _ => database.id(name).ok_or_else(|| format!("no {what} '{name}'")),
    };
    Ok(Owner {
        uid: find(Database::Passwd, "user", user)?,
        gid: group.map(|name| find(Database::Group, "group", name)).transpose()?,
    })
}

#[cfg(test)]
#[path = "../../tests/units/args/owner.rs"]
mod tests;
