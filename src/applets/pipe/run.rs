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

/// Runs the stages, each reading what the one before it writes.
///
/// The status is that of the last stage that failed, 0 if none did. A stage that died of SIGPIPE after its reader ended well has
/// not failed, unless --strict, nor has a shell whose last command did, which is status 141; nor has one that the box ended
/// because another one had failed. Every command is looked up before any is started: where one is not found (127) or cannot be
/// executed (126), nothing has run.
///
/// --report writes a JSON object a line for each stage: stage argv pid status signal forgiven wall_s user_s system_s max_rss_bytes,
/// null where it did not run. FILE can be /dev/fd/N, or a FIFO, whose reader is waited for, at most --max-time. A symbolic link is
/// refused.
///
/// Where the box is in the foreground of its terminal the stages stay in its process group, so that the terminal's INT, QUIT and TSTP
/// reach them; the box ignores INT and QUIT, and tells how they ended: where INT has ended the stage whose status counts, by INT, which
/// ends a shell's loop too. Elsewhere the stages are one new group, which gets the terminal when the job does. TERM, HUP and
/// what else is sent to the box goes on to all stages.
///
/// When the box ends, however that is, the stages are killed: but not one that is set-uid, nor what a stage has started itself.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    line: Line,
    /// A stage that SIGPIPE ended has failed
    #[arg(long)]
    strict: bool,
    /// End the others as soon as one has failed
    #[arg(long)]
    fail_fast: bool,
    /// How much each pipe is to hold, or max
    #[arg(long, value_name = "SIZE", value_parser = capacity::parse)]
    capacity: Option<Capacity>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    reporting: Reporting,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Run a pipeline, and fail where a stage has failed";
    const EXAMPLES: &'static str = r#"
# The status is that of the stage that failed
ipcbox pipe run -- sort /etc/passwd ::: head -n 3
ipcbox pipe run --shell 'exit 3' cat || echo "$?"
"#;
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last stage that failed; 0 if none did")];

    fn run(self) -> Result<Exit> {
        let words = self.line.split(Self::NAME)?;
        let (commands, outcome) = self.reporting.find(words, STAGE, &self.limit)?;
        if let (Some(capacity), true) = (self.capacity, commands.len() > 1) {
            // Before anything has run.
            capacity.give(&pipe::new()?.0).context(RESIZE)?;
        }
        let policy =
            Policy { strict: self.strict, fail_fast: self.fail_fast, readers: Readers::Next, work: Work::Minds };
        let mut crew = Crew::new(policy, &self.limit)?;
        let launched = crew.launch(|crew| self.start(crew, commands));
        let ended = launched.and_then(|()| crew.mind());
        outcome.report(&mut crew)?;
        ended?;
        crew.finish(None)
    }
}

const RESIZE: &str = "cannot resize the pipes";

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
