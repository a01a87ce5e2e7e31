//! `pipe run`.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use clap::Args;

use super::pipeline::capacity::{self, Capacity};
use super::pipeline::cmdline::Line;
use super::pipeline::report::Reporting;
use super::pipeline::stage::Readers;
use super::pipeline::{Crew, Policy, Work, unmade};
use crate::applets::{Runs, Verb};
use crate::exit::Exit;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::report::STAGE;
use crate::sys::child::Standard;
use crate::sys::pipe;

/// Each stage reads the output of the previous one. Exits with the status of the last stage that failed, or with 0 if
/// none failed, like pipefail in bash.
///
/// A stage killed by SIGPIPE does not count as failed if its reader succeeded. If any command is not found, none of the
/// commands runs.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    line: Line,
    /// Treat a stage killed by SIGPIPE as failed
    #[arg(long)]
    strict: bool,
    /// Stop all stages as soon as one of them fails
    #[arg(long)]
    fail_fast: bool,
    /// Set the capacity of each pipe to SIZE (or 'max')
    #[arg(long, value_name = "SIZE", value_parser = capacity::parse)]
    capacity: Option<Capacity>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    reporting: Reporting,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Run a pipeline that fails if a stage fails";
    const EXAMPLES: &'static str = r#"
# Exit with the status of the stage that failed
ipcbox pipe run -- sort /etc/passwd ::: head -n 3
ipcbox pipe run --shell 'exit 3' cat || echo "$?"
"#;
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last failed stage, or 0 if none failed")];

    fn run(self) -> Result<Exit> {
        let words = self.line.split(Self::NAME)?;
        let (commands, outcome) = self.reporting.find(words, STAGE, &self.limit)?;
        if let (Some(capacity), true) = (self.capacity, commands.len() > 1) {
            // A refused size is reported before any command starts.
            capacity.give(&pipe::new()?.0).context(RESIZE)?;
        }
        let policy = Policy {
            verb: Self::NAME,
            strict: self.strict,
            fail_fast: self.fail_fast,
            readers: Readers::Next,
            work: Work::Minds,
        };
        let mut crew = Crew::new(policy, &self.limit)?;
        let launched = crew.launch(|crew| self.start(crew, commands));
        let outlived = launched.and_then(|()| crew.mind());
        outcome.report(&mut crew)?;
        outlived?;
        crew.finish(None)
    }
}

const RESIZE: &str = "cannot set the capacity of the pipes";

impl Run {
    fn start(&self, crew: &mut Crew, commands: Vec<Command>) -> Result<()> {
        let last = commands.len() - 1;
        let mut input: Option<OwnedFd> = None;
        for (at, command) in commands.into_iter().enumerate() {
            let next = if at < last { Some(self.connect()?) } else { None };
            let (next_input, output) = next.unzip();
            let standard = Standard {
                input: input.as_ref().map(AsFd::as_fd),
                output: output.as_ref().map(AsFd::as_fd),
                error: None,
            };
            crew.add(command, standard)?;
            input = next_input;
        }
        Ok(())
    }

    fn connect(&self) -> Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe::for_commands().map_err(unmade)?;
        if let Some(capacity) = self.capacity {
            capacity.give(&read).context(RESIZE)?;
        }
        Ok((read, write))
    }
}
