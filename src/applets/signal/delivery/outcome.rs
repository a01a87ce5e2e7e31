//! The fate of a process, as `join` and `send --wait` print it.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::args::signals::name;
use crate::output::{Cell, Column};
use crate::sys::process::wait_status::{Ended, Stage, of_reaped, of_zombie};
use crate::sys::signal::Signal;

/// A process and its fate.
pub struct Outcome {
    pub pid: i32,
    /// Its command line before it exited.
    pub command: Option<String>,
    pub fate: Fate,
}

#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Alive,
    /// It exited, with unknown status.
    Ended,
    /// It exited with this status.
    Known(Ended),
}

impl Fate {
    /// The fate of a process that has exited.
    pub fn of(ended: Option<Ended>) -> Self {
        ended.map_or(Self::Ended, Self::Known)
    }
}

impl Outcome {
    fn result(&self) -> &'static str {
        match self.fate {
            Fate::Alive => "alive",
            Fate::Ended => "ended",
            Fate::Known(Ended::Exited(_)) => "exited",
            Fate::Known(Ended::Killed(_)) => "killed",
        }
    }

    fn killed(&self, get: impl Fn(Signal) -> Cell) -> Cell {
        match self.fate {
            Fate::Known(Ended::Killed(signal)) => get(signal),
            _ => Cell::Absent,
        }
    }

    fn status(&self) -> Cell {
        match self.fate {
            Fate::Alive => Cell::Absent,
            Fate::Ended => Cell::Unknown,
            Fate::Known(ended) => ended.status().into(),
        }
    }
}

pub const COLUMNS: [Column<Outcome>; 6] = [
    Column::new("pid", |r| r.pid.into()),
    Column::new("result", |r| Cell::word(r.result())),
    Column::new("status", Outcome::status),
    Column::new("signal", |r| r.killed(|signal| Cell::Text(name(signal)))),
    Column::detail("number", |r| r.killed(|signal| signal.number().into())),
    Column::detail("command", |r| Cell::known(r.command.clone(), Cell::Text)),
];

/// Returns how a process exited, as far as that can be read at this stage; `None` if it may be known later.
pub fn ended(pid: i32, fd: BorrowedFd, stage: Stage) -> Option<Result<Ended, Errno>> {
    match stage {
        Stage::Runs => None,
        Stage::Zombie => of_zombie(pid, fd).map(Ok),
        Stage::Reaped => Some(of_reaped(fd)),
    }
}
