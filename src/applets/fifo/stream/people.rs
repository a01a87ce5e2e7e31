//! Who has a FIFO open, and who is still blocked in opening it.

use crate::output::Cell;
use crate::sys::fifo::Seen;
use crate::sys::holders::{self, Object, Open};
use crate::sys::{blocked_open, process};

/// A process at a FIFO.
pub struct Person {
    /// The process.
    pub pid: i32,
    /// Reads from it, or will.
    pub reads: bool,
    /// Writes to it, or will.
    pub writes: bool,
    /// The descriptors by which it has it open; none of one that is still blocked in open(2).
    pub open: Vec<Open>,
    command: Option<String>,
}

impl Person {
    /// What it does, in a word.
    const fn state(&self) -> &'static str {
        if self.open.is_empty() { "opening" } else { "open" }
    }

    /// As part of a record.
    pub fn record(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("pid", Cell::pid(self.pid)),
            ("state", Cell::word(self.state())),
            ("command", Cell::known(self.command.clone(), Cell::Text)),
        ]
    }
}

/// As in a message: `4711 (cat f)`.
impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{} ({command})", self.pid),
            None => write!(f, "{}", self.pid),
        }
    }
}

/// The processes at a FIFO.
pub struct People {
    /// Those that may be looked at.
    pub seen: Vec<Person>,
    /// How many processes may not.
    pub unseen: usize,
}

/// The processes at a FIFO but this one.
pub fn at(fifo: &Seen) -> People {
    let object = Object::File { device: fifo.device, inode: fifo.inode };
    let users = holders::by(object).unwrap_or_default();
    let open = users.seen.into_iter().map(|user| Person {
        pid: user.pid,
        reads: user.open.iter().any(|open| open.reads),
        writes: user.open.iter().any(|open| open.writes),
        command: process::command(user.pid),
        open: user.open,
    });
    let opening = blocked_open::of(fifo.device, fifo.inode).into_iter().map(|opening| Person {
        pid: opening.pid,
        reads: opening.reads,
        writes: opening.writes,
        command: process::command(opening.pid),
        open: Vec::new(),
    });
    let this = std::process::id().cast_signed();
    let seen = open.chain(opening).filter(|person| person.pid != this).collect();
    People { seen, unseen: users.unseen }
}
