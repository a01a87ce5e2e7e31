//! The commands on a command line: separated by `:::`, or with `--shell` one in each argument.

use std::ffi::{OsStr, OsString};

use anyhow::{Error, Result, bail};
use clap::Args;

use crate::exit::{Cause, Exit};
use crate::output;
use crate::supervise::command::Command;
use crate::text::quote;

/// The command that runs each line with `--shell`.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The commands as they were typed.
#[derive(Debug, Clone, Args)]
pub struct Line {
    /// Run each argument as a command line of /bin/sh
    #[arg(long)]
    pub shell: bool,
    /// Separate commands with WORD (default: :::)
    #[arg(long, value_name = "WORD", default_value = ":::")]
    sep: OsString,
    /// Command lines to run with --shell
    #[arg(value_name = "CMDLINE")]
    lines: Vec<OsString>,
    /// Commands separated by :::, run without a shell
    #[arg(value_name = "CMD", last = true)]
    words: Vec<OsString>,
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.words.is_empty()
    }

    /// The arguments before `--` that are not options, unless `--shell` was given.
    pub fn stray(&self) -> &[OsString] {
        if self.shell { &[] } else { &self.lines }
    }

    /// Returns the words of each command.
    ///
    /// # Errors
    /// There is none, or an empty one.
    pub fn split(&self, verb: &str) -> Result<Vec<Vec<OsString>>> {
        let wrong = |words: String| Cause::new(Exit::Usage, words);
        let sep = self.sep.display();
        let usual = format!("ipcbox pipe {verb} -- CMD {sep} CMD");
        if let Some(first) = self.stray().first() {
            let first = quote(&first.to_string_lossy());
            bail!(wrong("the command goes after '--'".into()).hint(format!("put -- before {first}")));
        }
        if self.is_empty() {
            bail!(wrong("CMD is missing".into()).hint(usual));
        }
        let stages: Vec<Vec<OsString>> = if self.shell {
            let line = |line: &OsString| {
                let words = SHELL.map(OsString::from).into_iter();
                words.chain([line.clone()]).collect()
            };
            self.lines.iter().chain(&self.words).map(line).collect()
        } else {
            self.words.split(|word| *word == self.sep).map(<[_]>::to_vec).collect()
        };
        for (number, stage) in (1..).zip(&stages) {
            let is_blank = |line: &OsStr| line.to_str().is_some_and(|line| line.trim().is_empty());
            match stage.last() {
                None => bail!(wrong(format!("command {number} is empty")).hint(usual)),
                Some(line) if self.shell && is_blank(line) => {
                    bail!(wrong(format!("command {number} is empty")))
                }
                Some(line) if self.shell && *line == self.sep => {
                    bail!(wrong(format!("unexpected '{sep}': with --shell, each argument is a command")))
                }
                Some(_) => {}
            }
        }
        Ok(stages)
    }
}

pub fn look_up(stages: &[Vec<OsString>]) -> Vec<Result<Command>> {
    stages.iter().map(|argv| Command::find(argv.clone()).and_then(Command::with_interpreter)).collect()
}

/// Returns the commands if all were found.
///
/// # Errors
/// Reports each missing command but the last, and returns the error of that one.
pub fn all(stages: Vec<Result<Command>>) -> Result<Vec<Command>> {
    let (found, missing): (Vec<_>, Vec<_>) = stages.into_iter().partition(Result::is_ok);
    let mut missing: Vec<Error> = missing.into_iter().filter_map(Result::err).collect();
    let Some(last) = missing.pop() else {
        return Ok(found.into_iter().filter_map(Result::ok).collect());
    };
    missing.iter().for_each(output::report);
    Err(last)
}
