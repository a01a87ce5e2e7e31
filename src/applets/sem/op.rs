//! `sem op`: an array of operations in one step.

use std::collections::BTreeSet;
use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::semaphore::{expired, missing};
use super::{context, plain, system_v};
use crate::applets::{Runs, Verb};
use crate::args::numbers::indexes;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output::notice::Notice;
use crate::semset;
use crate::supervise::command::Command;
use crate::sys::sysv::sem::{self, Set};
use crate::target::Target;

/// Performs all operations in the given order, or none of them. For example, 0:-1 takes 1 from semaphore 0, and 1:+2
/// adds 2 to semaphore 1. The operation 2:0 waits until semaphore 2 is 0, and 0..3:-1 takes 1 from each of semaphores 0
/// to 3. An operation with a final n, such as 0:-1n, fails instead of waiting. A final u, as in 0:-1u, undoes the
/// operation when CMD exits or, without CMD, when sem op exits.
#[derive(Args)]
pub struct Op {
    /// Semaphore, or set of semaphores
    #[arg(value_name = "TARGET", value_parser = Target::no_file())]
    target: Target,
    /// Operations such as 0:-1, 0..3:+1, 2:0 or 0:-1nu
    #[arg(value_name = "INDEX:DELTA", required = true, value_parser = operations)]
    operations: Vec<Operations>,
    /// Undo all operations when CMD exits
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    timeout: Timeout,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Operations(Vec<sem::Op>);

fn operations(text: &str) -> Result<Operations, String> {
    let written = || "expected INDEX:DELTA, for example 0:-1, 0..3:+1, 2:0 or 0:-1nu".to_owned();
    let (range, rest) = text.split_once(':').ok_or_else(written)?;
    let end = rest.trim_end_matches(['n', 'u']).len();
    let (number, flags) = rest.split_at(end);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(written());
    }
    let delta = number.parse().ok().filter(|delta| *delta >= -32767);
    let delta = delta.ok_or("expected a number from -32767 to 32767")?;
    let op = |index| {
        let op = sem::Op::new(index, delta);
        let op = if flags.contains('n') { op.nowait() } else { op };
        if flags.contains('u') { op.undo() } else { op }
    };
    Ok(Operations(indexes(range)?.map(op).collect()))
}

impl Verb for Op {
    const NAME: &'static str = "op";
    const SUMMARY: &'static str = "Perform several operations in one atomic step";
    const EXAMPLES: &'static str = "
# Move one item from semaphore 0 to semaphore 1
ipcbox sem create store --value 5,0
ipcbox sem op store 0:-1 1:+1
";
    const RUNS: Runs = Runs::Optionally;
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but is not a plain semaphore")];

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let given = !self.command.is_empty();
        let command = given.then(|| Command::find(self.command)).transpose()?;
        let undo = |op: sem::Op| if self.undo { op.undo() } else { op };
        let ops = self.operations.into_iter().flat_map(|word| word.0).map(undo);
        let ops: Vec<sem::Op> = ops.collect();
        let operate = || {
            system_v(&self.target)?;
            let set = semset::find(&self.target).map_err(|error| missing(error, &self.target))?;
            plain(&self.target, set)?;
            let mut notice = Notice::verbose(timeout, || format!("{}: {}", self.target, state(set, &ops, timeout)));
            let done = notice.during(timeout.deadline(), |deadline| set.operate(&ops, deadline));
            done.map_err(|errno| expired(errno.into(), timeout, || state(set, &ops, timeout)))
        };
        context("operate on", &self.target, operate())?;
        match command {
            None => Ok(Exit::Done),
            Some(command) => match command.replace(&[])? {},
        }
    }
}

/// Returns the values of the semaphores in `ops`: "the values are still 0=1 2=5 after 2s".
fn state(set: Set, ops: &[sem::Op], timeout: &Timeout) -> String {
    const LISTED: usize = 8;
    let (still, after) = (timeout.still(), timeout.after());
    let indexes: BTreeSet<u16> = ops.iter().map(|op| op.index()).collect();
    let value = |index: u16| set.value(index).map_or_else(|_| "unknown".into(), |value| value.to_string());
    if let (Some(index), 1) = (indexes.first(), indexes.len()) {
        return format!("semaphore {index} is{still} {}{after}", value(*index));
    }
    let values: Vec<String> = indexes.iter().take(LISTED).map(|index| format!("{index}={}", value(*index))).collect();
    let more = if indexes.len() > LISTED { " …" } else { "" };
    format!("the values are{still} {}{more}{after}", values.join(" "))
}

#[cfg(test)]
#[path = "../../../tests/units/applets/sem/op.rs"]
mod tests;
