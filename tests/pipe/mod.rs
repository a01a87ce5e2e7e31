//! `pipe`: pipelines and their statuses, fan-out, merging, two-way pipes, the meter, and the state of pipes.

use crate::support::{BINARY, Call};

mod duplex;
mod merge;
mod meter;
mod progress;
mod run;
mod sigpipe;
mod stat;
mod storms;
mod table;
mod tee;
mod terminal;

/// A call of `ipcbox pipe` with these words.
fn pipe(words: &[&str]) -> Call {
    Call::new(BINARY).arg("pipe").args(words)
}

/// The children of a process.
fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    text.unwrap_or_default().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}
