//! One of several commands, and whether it has failed.

use std::ffi::OsString;
use std::fmt;
use std::time::{Duration, Instant};

use crate::supervise::command::Command;
use crate::sys::child::Usage;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::Signal;

/// A command that was started.
pub struct Stage {
    command: Command,
    pub pid: i32,
    started: Instant,
    /// How it exited; `None` while it runs.
    pub end: Option<End>,
}

pub struct End {
    pub ended: Ended,
    /// Whether ipcbox terminated it, after another failure or at the time limit.
    pub by_ipcbox: bool,
    /// How long it ran.
    pub wall: Duration,
    pub usage: Usage,
}

impl Stage {
    /// Returns a stage that runs from now on.
    pub fn new(command: Command, pid: i32) -> Self {
        Self { command, pid, started: Instant::now(), end: None }
    }

    pub fn finish(&mut self, ended: Ended, usage: Usage, by_ipcbox: bool) {
        self.end = Some(End { ended, by_ipcbox, wall: self.started.elapsed(), usage });
    }

    pub const fn runs(&self) -> bool {
        self.end.is_none()
    }

    pub fn argv(&self) -> &[OsString] {
        self.command.words()
    }

    pub const fn command(&self) -> &Command {
        &self.command
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.argv() {
            // With --shell only the line was typed.
            [shell, option, line] if shell == "/bin/sh" && option == "-c" => {
                write!(f, "{}", line.display())
            }
            _ => write!(f, "{}", self.command),
        }
    }
}

/// What the exit of a stage means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It still runs, or its verdict depends on a stage that does.
    Open,
    Well,
    /// It did not succeed, which does not count as a failure.
    Forgiven,
    Failed,
}

/// Which stage reads what a stage writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    Next,
    /// The other one of two.
    Other,
    None,
}

impl Readers {
    const fn of(self, stage: usize) -> Option<usize> {
        match self {
            Self::Next => Some(stage + 1),
            Self::Other => Some(1 - stage),
            Self::None => None,
        }
    }
}

/// Whether it was killed by SIGPIPE, or is a shell whose last command was (status 141).
fn by_sigpipe(ended: Ended) -> bool {
    ended.status() == Ended::Killed(Signal::PIPE).status()
}

/// Returns the verdict on stage `which`: killed by SIGPIPE, it has not failed if its reader succeeded or was forgiven.
pub fn judge(ends: &[Option<&End>], which: usize, readers: Readers) -> Verdict {
    let Some(end) = ends[which] else { return Verdict::Open };
    match end.ended {
        Ended::Exited(0) => return Verdict::Well,
        _ if end.by_ipcbox => return Verdict::Forgiven,
        ended if by_sigpipe(ended) => {}
        _ => return Verdict::Failed,
    }
    let mut at = which;
    // With `Readers::Other` the readers form a circle.
    for _ in ends {
        match readers.of(at).and_then(|reader| Some((reader, ends.get(reader)?))) {
            None => return Verdict::Failed,
            Some((_, None)) => return Verdict::Open,
            Some((reader, Some(end))) => match end.ended {
                Ended::Exited(0) => return Verdict::Forgiven,
                ended if by_sigpipe(ended) && !end.by_ipcbox => at = reader,
                _ => return Verdict::Failed,
            },
        }
    }
    Verdict::Failed
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/pipe/pipeline/stage.rs"]
mod tests;
