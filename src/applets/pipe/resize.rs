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

/// Gives pipes another capacity, at least SIZE bytes: the kernel rounds up to a power of two of pages. SIZE can be max,
/// which is /proc/sys/fs/pipe-max-size. What is in a pipe stays; it cannot get smaller than that.
///
/// Without FD or PATH it is standard input and output, those of them that are pipes. It prints what the kernel gave, a
/// line each, or becomes CMD and prints nothing. A size that could not be set is a failure, and CMD is not run then. FD
/// can be PID:FD too. A FIFO has a pipe only while somebody has it open, and loses the size with it.
#[derive(Args)]
pub struct Resize {
    /// The capacity, or max
    #[arg(value_name = "SIZE", value_parser = capacity::parse, allow_negative_numbers = true)]
    size: Capacity,
    /// The pipes: FD or a path
    #[arg(value_name = "PIPE")]
    ends: Vec<PipeTarget>,
    /// What to become then
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

impl Verb for Resize {
    const NAME: &'static str = "resize";
    const SUMMARY: &'static str = "Let pipes hold more or less, then run CMD";
    const EXAMPLES: &'static str = "
# A pipe with more room, for a reader that comes in fits
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
            bail!(cause.hint("name one: a descriptor, PID:FD, or a FIFO"));
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
