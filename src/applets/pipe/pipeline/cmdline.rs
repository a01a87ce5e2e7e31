//! The stages of a command line: words with `:::` between them, or, with `--shell`, a word each.

use std::ffi::{OsStr, OsString};

use anyhow::{Error, Result, bail};
use clap::Args;

use crate::exit::{Cause, Exit};
use crate::output;
use crate::supervise::command::Command;

/// What runs each line under `--shell`.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The stages that the user wrote.
#[derive(Debug, Clone, Args)]
pub struct Line {
    /// Each word is a stage: a command line for /bin/sh
    #[arg(long)]
    pub shell: bool,
    /// The word between stages instead of :::
    #[arg(long, value_name = "WORD", default_value = ":::")]
    sep: OsString,
    /// With --shell: the command line of each stage
    #[arg(value_name = "CMDLINE")]
    lines: Vec<OsString>,
    /// The commands, run as given, with ::: between them
    #[arg(value_name = "CMD", last = true)]
    words: Vec<OsString>,
}

impl Line {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.words.is_empty()
    }

    /// The words of each stage.
    ///
    /// # Errors
    /// There is none, or an empty one.
    pub fn split(&self, verb: &str) -> Result<Vec<Vec<OsString>>> {
        let wrong = |words: String| Cause::new(Exit::Usage, words);
        let sep = self.sep.display();
        let usual = format!("pipe {verb} -- CMD… {sep} CMD…");
        if let (false, Some(first)) = (self.shell, self.lines.first()) {
            let words = format!("'{}' stands before '--', where a command comes after it", first.display());
            bail!(wrong(words).hint(format!("{usual}; or --shell")));
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
                None => bail!(wrong(format!("stage {number} is empty")).hint(usual)),
                Some(line) if self.shell && is_blank(line) => {
                    bail!(wrong(format!("stage {number} is empty")))
                }
                Some(line) if self.shell && *line == self.sep => {
                    bail!(wrong(format!("with --shell each word is a stage, without {sep} between them")))
                }
                Some(_) => {}
            }
        }
        Ok(stages)
    }
}

/// Looks all of them up.
pub fn look_up(stages: &[Vec<OsString>]) -> Vec<Result<Command>> {
    stages.iter().map(|argv| Command::find(argv.clone()).and_then(Command::with_interpreter)).collect()
}

/// The commands, if all were found.
///
/// # Errors
/// Each one that was not is told; the last gives the status.
pub fn all(stages: Vec<Result<Command>>) -> Result<Vec<Command>> {
    let (found, missing): (Vec<_>, Vec<_>) = stages.into_iter().partition(Result::is_ok);
    let mut missing: Vec<Error> = missing.into_iter().filter_map(Result::err).collect();
    let Some(last) = missing.pop() else {
        return Ok(found.into_iter().filter_map(Result::ok).collect());
    };
    missing.iter().for_each(output::report);
    Err(last)
}
