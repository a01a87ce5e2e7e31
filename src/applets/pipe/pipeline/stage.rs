//! One command of several that the box minds, and what became of it.

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
    /// Its process.
    pub pid: i32,
    started: Instant,
    /// What became of it.
    pub end: Option<End>,
}

/// How a stage ended.
pub struct End {
    /// How.
    pub ended: Ended,
    /// Whether the box ended it, because of another one or of the time.
    pub by_box: bool,
    /// How long it ran.
    pub wall: Duration,
    /// What it used.
    pub usage: Usage,
}

impl Stage {
    /// One that runs.
    pub fn new(command: Command, pid: i32) -> Self {
        Self { command, pid, started: Instant::now(), end: None }
    }

    /// It ended.
    pub fn finish(&mut self, ended: Ended, usage: Usage, by_box: bool) {
        self.end = Some(End { ended, by_box, wall: self.started.elapsed(), usage });
    }

    /// Whether it has not ended.
    pub const fn runs(&self) -> bool {
        self.end.is_none()
    }

    /// What it was started as.
    pub fn argv(&self) -> &[OsString] {
        self.command.words()
    }

    /// The command.
    pub const fn command(&self) -> &Command {
        &self.command
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.argv() {
            // What --shell runs.
            [shell, option, line] if shell == "/bin/sh" && option == "-c" => {
                write!(f, "{}", line.display())
            }
            _ => write!(f, "{}", self.command),
        }
    }
}

/// What a stage's end means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has not ended, or whether it failed depends on one that has not.
    Open,
    /// It ended well.
    Well,
    /// It did not, and that is no failure.
    Forgiven,
    /// It failed.
    Failed,
}

/// Who reads what a stage writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// The next one.
    Next,
    /// The other one of two.
    Other,
    /// None of them.
    Nobody,
}

impl Readers {
    const fn of(self, stage: usize) -> Option<usize> {
        match self {
            Self::Next => Some(stage + 1),
            Self::Other => Some(1 - stage),
            Self::Nobody => None,
        }
    }
}

/// Whether SIGPIPE ended it, or the last command of what is a shell, which says so by its status.
fn by_sigpipe(ended: Ended) -> bool {
    ended.status() == Ended::Killed(Signal::PIPE).status()
}

/// What the end of stage `which` means: one that SIGPIPE ended has not failed if its reader ended well, or was
/// forgiven.
pub fn judge(ends: &[Option<&End>], which: usize, readers: Readers) -> Verdict {
    let Some(end) = ends[which] else { return Verdict::Open };
    match end.ended {
        Ended::Exited(0) => return Verdict::Well,
        _ if end.by_box => return Verdict::Forgiven,
        ended if by_sigpipe(ended) => {}
        _ => return Verdict::Failed,
    }
    let mut at = which;
    // Two that read each other's output could go round for ever.
    for _ in ends {
        match readers.of(at).and_then(|reader| Some((reader, ends.get(reader)?))) {
            None => return Verdict::Failed,
            Some((_, None)) => return Verdict::Open,
            Some((reader, Some(end))) => match end.ended {
                Ended::Exited(0) => return Verdict::Forgiven,
                ended if by_sigpipe(ended) && !end.by_box => at = reader,
                _ => return Verdict::Failed,
            },
        }
    }
    Verdict::Failed
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/pipe/pipeline/stage.rs"]
mod tests;
