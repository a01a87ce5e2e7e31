//! `pipe resize`.

use std::ffi::OsString;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::pipeline::capacity::{self, Capacity};
use super::pipeline::target::PipeTarget;
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit, each};
use crate::output;
use crate::supervise::command::Command;

/// Sets the capacity of pipes to at least SIZE bytes. The kernel rounds SIZE up to a power-of-two number of pages.
/// Without PIPE, resizes standard input and output if they are pipes.
///
/// Prints each new capacity. If CMD is given, ipcbox prints nothing and replaces itself with CMD. If a pipe cannot be
/// resized, CMD does not run. A pipe keeps its data, so its capacity cannot shrink below the amount of data in it.
#[derive(Args)]
pub struct Resize {
    /// New capacity in bytes, or 'max' for the maximum
    #[arg(value_name = "SIZE", value_parser = capacity::parse, allow_negative_numbers = true)]
    size: Capacity,
    /// Pipes: FD, PID:FD or the path of a FIFO
    #[arg(value_name = "PIPE")]
    ends: Vec<PipeTarget>,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

impl Verb for Resize {
    const NAME: &'static str = "resize";
    const SUMMARY: &'static str = "Set the capacity of pipes, then run CMD";
    const EXAMPLES: &'static str = "
# Enlarge a pipe whose reader is sometimes slow
seq 10 | ipcbox pipe resize 256K 0 -- wc -l
";
    const RUNS: Runs = Runs::Optionally;

    fn run(self) -> Result<Exit> {
        let command = match &self.command[..] {
            [] => None,
            words => Some(Command::find(words.to_vec())?),
        };
        let ends = if self.ends.is_empty() { PipeTarget::standard(0..2) } else { self.ends };
        if ends.is_empty() {
            let cause = Cause::new(Exit::Failed, "neither standard input nor output is a pipe");
            bail!(cause.hint("name a pipe as PID:FD"));
        }
        let mut given = String::new();
        let outcome = each(&ends, |end| {
            let resized = end.fd().and_then(|fd| self.size.give(fd));
            let bytes = resized.with_context(|| format!("cannot resize {end}"))?;
            let _ = writeln!(given, "{bytes}");
            Ok(())
        });
        match command {
            Some(command) if outcome.is_ok() => match command.replace(&[])? {},
            Some(_) => {}
            None => output::print(given.as_bytes())?,
        }
        outcome
    }
}
