//! The names of owners, groups and System V objects in records, looked up once for all records.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use super::{Cell, warn};
use crate::sys::users::Database;
use crate::target::Target;
use crate::target::remembered::{self, Remembered};

/// User and group names by id, and the names of objects.
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    /// The names of System V objects, read when the first one is shown.
    pub objects: Remembered,
}

impl Names {
    /// Looks up pairs of uid and gid.
    pub fn of(ids: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let (users, groups): (BTreeSet<u32>, BTreeSet<u32>) = ids.into_iter().unzip();
        let names = |database: Database, ids: BTreeSet<u32>| database.names(&ids.into_iter().collect::<Vec<_>>());
        let (users, groups) = (names(Database::Passwd, users), names(Database::Group, groups));
        Self { users, groups, objects: Remembered::default() }
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

/// Remembers the name in a TARGET for lists, before its object is created. Warns if an object has another name with the
/// same key. A second call for the same TARGET does nothing.
pub fn remember(target: &Target) {
    static DONE: Mutex<Vec<Target>> = Mutex::new(Vec::new());
    let Ok(mut done) = DONE.lock() else { return };
    if done.contains(target) {
        return;
    }
    done.push(target.clone());
    for other in remembered::remember(target) {
        warn(format!("{target} has the same key as {}, so both names stand for the same objects", other.display()));
    }
}

fn cell(names: &HashMap<u32, String>, id: u32) -> Cell {
    Cell::Text(names.get(&id).cloned().unwrap_or_else(|| id.to_string()))
}
