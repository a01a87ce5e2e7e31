//! `--mode` and `--owner` of every `set`.

use clap::Args;

use super::creating::mode;
use crate::sys::sysv::Change;
use crate::sys::users::Database;

/// What every `set` can change of an object.
#[derive(Args)]
pub struct Ownership {
    /// New permission bits, in octal
    #[arg(short, long, value_parser = mode)]
    mode: Option<u32>,
    /// New owner, and group
    #[arg(long, value_name = "USER[:GROUP]", value_parser = parse)]
    owner: Option<Owner>,
}

impl Ownership {
    /// The change as the kernel takes it.
    pub fn change(&self) -> Change {
        Change { uid: self.owner.map(|owner| owner.uid), gid: self.owner.and_then(|owner| owner.gid), mode: self.mode }
    }
}

/// A new owner, and a new group where one was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: Option<u32>,
}

/// Reads a user and a group, each a name or a number.
///
/// # Errors
/// Words that say which of the two nobody is called.
pub fn parse(text: &str) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let find = |database: Database, what: &str, name: &str| match name {
        "" => Err(format!("the {what} is missing; write USER or USER:GROUP")),
        _ => database.id(name).ok_or_else(|| format!("there is no {what} '{name}'")),
    };
    Ok(Owner {
        uid: find(Database::Passwd, "user", user)?,
        gid: group.map(|name| find(Database::Group, "group", name)).transpose()?,
    })
}

#[cfg(test)]
#[path = "../../tests/units/args/owner.rs"]
mod tests;
