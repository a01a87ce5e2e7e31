//! Names of users and groups.
//!
//! They are read from `/etc/passwd` and `/etc/group`. getent(1) is called once for ids or names that are missing there.
//! In a static binary the C library's getpwuid(3) would load modules, and it crashes for a uid that no file has.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use super::child::{self, Group, Standard};
use super::{exec, pipe};

/// Answers so far. Each id is looked up once, however often it is listed.
static ASKED: Mutex<BTreeMap<(Database, u32), Option<String>>> = Mutex::new(BTreeMap::new());

/// A database of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Database {
    /// Users, passwd(5).
    Passwd,
    /// Groups, group(5).
    Group,
}

impl Database {
    const fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
        }
    }

    /// Returns the names of these ids. Ids without a name are left out.
    pub fn names(self, ids: &[u32]) -> HashMap<u32, String> {
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<u32> = ids.iter().copied().filter(|id| !asked.contains_key(&(self, *id))).collect();
        if !new.is_empty() {
            let found = self.ask(&new);
            asked.extend(new.into_iter().map(|id| ((self, id), found.get(&id).cloned())));
        }
        ids.iter().filter_map(|id: &u32| Some((*id, asked.get(&(self, *id))?.clone()?))).collect()
    }

    fn ask(self, ids: &[u32]) -> HashMap<u32, String> {
        let mut found: HashMap<u32, String> =
            entries(&self.file()).filter(|(_, id)| ids.contains(id)).map(|(name, id)| (id, name.to_owned())).collect();
        let missing = ids.iter().filter(|id| !found.contains_key(id));
        let missing: Vec<String> = missing.map(u32::to_string).collect();
        if !missing.is_empty() {
            let answer = self.getent(&missing);
            found.extend(entries(&answer).map(|(name, id)| (id, name.to_owned())));
        }
        found
    }

    /// Returns the id of a name. A number stands for itself, unless it is a name.
    pub fn id(self, name: &str) -> Option<u32> {
        let of = |text: &str| entries(text).find(|(n, _)| *n == name).map(|(_, id)| id);
        // The highest number is not an id: to system calls it means "no change".
        let number = || name.parse().ok().filter(|id| *id != u32::MAX);
        // getent would take such a name for an option.
        let asked = || (!name.starts_with('-')).then(|| self.getent(&[name.to_owned()]));
        of(&self.file()).or_else(number).or_else(|| of(&asked()?))
    }

    fn file(self) -> String {
        let bytes = std::fs::read(format!("/etc/{}", self.name())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn getent(self, keys: &[String]) -> String {
        self.asked(keys).unwrap_or_default()
    }

    fn asked(self, keys: &[String]) -> Option<String> {
        let words = ["getent", self.name()].into_iter().chain(keys.iter().map(String::as_str));
        let words: Vec<OsString> = words.map(OsString::from).collect();
        let (from, to) = pipe::for_commands().ok()?;
        let nothing = File::open("/dev/null").ok()?;
        let program = exec::find(&words[0]).ok()?;
        let standard = Standard { input: Some(nothing.as_fd()), output: Some(to.as_fd()), error: None };
        let child = child::start_program(&program, &words, &[], standard, Group::Same).ok()?;
        drop(to);
        let mut answer = Vec::new();
        let read = File::from(from).read_to_end(&mut answer);
        let _ = child::reap(child);
        read.ok().map(|_| String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Returns the name and the id on each line: the first and the third field of both passwd(5) and group(5).
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
#[path = "../../tests/units/sys/users.rs"]
mod tests;
