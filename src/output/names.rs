//! The names of owners and groups in records, looked up once for all records.

use std::collections::{BTreeSet, HashMap};

use super::Cell;
use crate::sys::users::Database;

/// User and group names by id.
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Looks up pairs of uid and gid.
    pub fn of(ids: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let (users, groups): (BTreeSet<u32>, BTreeSet<u32>) = ids.into_iter().unzip();
        let names = |database: Database, ids: BTreeSet<u32>| database.names(&ids.into_iter().collect::<Vec<_>>());
        Self { users: names(Database::Passwd, users), groups: names(Database::Group, groups) }
    }

    /// Returns a user's name, else the number.
    pub fn user(&self, uid: u32) -> Cell {
        cell(&self.users, uid)
    }

    /// Returns a group's name, else the number.
    pub fn group(&self, gid: u32) -> Cell {
        cell(&self.groups, gid)
    }
}

fn cell(names: &HashMap<u32, String>, id: u32) -> Cell {
    Cell::Text(names.get(&id).cloned().unwrap_or_else(|| id.to_string()))
}
