//! `pipe tee`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::pipeline::board::Board;
use super::pipeline::cmdline::Line;
use super::pipeline::fanout::{Consumer, Fanout};
use super::pipeline::report::Reporting;
use super::pipeline::stage::Readers;
use super::pipeline::{Crew, Policy, Work, unmade};
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::report::{shown, unwritable};
use crate::sys::child::Standard;
use crate::sys::deadline::Deadline;
use crate::sys::written::{Before, opened};
use crate::sys::{fds, pipe, transfer};
use crate::text::quote;

/// Copies standard input to FILEs and commands, at the pace of the slowest consumer. With -o - or without CMD, pipe tee
/// also writes to standard output.
///
/// A consumer that closes its input early is dropped. If a write fails (disk full, for example), pipe tee reports the
/// error, drops the consumer and later exits with status 1. If no write fails, pipe tee exits with the status of the
/// last failed command.
#[derive(Args)]
pub struct Tee {
    /// Write to FILE ('-' is standard output)
    #[arg(short = 'o', value_name = "FILE")]
    outputs: Vec<OsString>,
    /// Append to each FILE instead of truncating it
    #[arg(long)]
    append: bool,
    /// Stop if a consumer fails or closes its input early
    #[arg(long)]
    fail_fast: bool,
    /// Draw a progress line for each consumer
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    line: Line,
}

impl Verb for Tee {
    const NAME: &'static str = "tee";
    const SUMMARY: &'static str = "Copy standard input to files and commands";
    const EXAMPLES: &'static str = "
# Reverse and count the same lines
seq 5 | ipcbox pipe tee --shell 'tac >down' 'wc -l'
";
    const RUNS: Runs = Runs::Optionally;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Failed, "a write failed, or any other failure"),
        (Exit::Missing, "no such file or directory"),
        (Exit::Denied, "permission denied"),
        (Exit::Command(0), "exit status of the last failed command, or 0 if none failed"),
    ];

    fn run(self) -> Result<Exit> {
        if let stray @ [first, ..] = self.line.stray() {
            let wrong = format!("unexpected argument '{}'; -o names a file", first.display());
            let files = stray.iter().map(|file| format!("-o {}", quote(&file.to_string_lossy())));
            let hint = format!("use {}", files.collect::<Vec<_>>().join(" "));
            bail!(Cause::new(Exit::Usage, wrong).hint(hint));
        }
        let words = if self.line.is_empty() { Vec::new() } else { self.line.split(Self::NAME)? };
        let (commands, outcome) = self.reporting.find(words, "consumer", &Limit::default())?;
        let size = transfer::left(fds::stdin()).context("cannot read standard input")?;
        let to_stdout = commands.is_empty() || self.outputs.iter().any(|output| output == "-");
        let standard = to_stdout.then(standard_output).transpose()?;
        let mut consumers = self.files()?;
        consumers.extend(standard);
        let policy = Policy {
            verb: Self::NAME,
            strict: false,
            fail_fast: self.fail_fast,
            readers: Readers::None,
            work: Work::Feeds,
        };
        let mut crew = Crew::new(policy, &Limit::default())?;
        let launched = crew.launch(|crew| {
            consumers.extend(start(crew, commands, to_stdout)?);
            let board = if self.progress { Board::new(size) } else { None };
            Fanout::new(consumers, self.fail_fast, board)
        });
        let mut fanout = match launched {
            Ok(fanout) => fanout,
            Err(error) => return outcome.report(&mut crew).and(Err(error)),
        };
        let copied = fanout.copy(&mut crew);
        let failed = fanout.failed;
        drop(fanout);
        if copied.is_err() {
            crew.end();
        }
        crew.mind()?;
        let reported = outcome.report(&mut crew);
        copied?;
        reported?;
        match crew.finish(None)? {
            Exit::Done if failed => Ok(Exit::Failed),
            exit => Ok(exit),
        }
    }
}

impl Tee {
    fn files(&self) -> Result<Vec<Consumer>> {
        let files = self.outputs.iter().filter(|output| *output != "-");
        let before = if self.append { Before::Stays } else { Before::Goes };
        let open = |path: &OsString| {
            let name = shown(path);
            let file = opened(path, before, Deadline::Forever).map_err(unwritable);
            let file = file.with_context(|| format!("cannot write to {name}"))?;
            Ok(Consumer::new(name, file, None)?)
        };
        files.map(open).collect()
    }
}

fn standard_output() -> Result<Consumer> {
    let name = "standard output".to_owned();
    let unwritten = format!("cannot write to {name}");
    let writes = fds::can_write(fds::stdout()).and_then(|()| fds::copy_of(1));
    writes.and_then(|fd| Consumer::new(name, fd, None)).context(unwritten)
}

/// Starts the commands, each with a pipe as standard input.
fn start(crew: &mut Crew, commands: Vec<Command>, to_stdout: bool) -> Result<Vec<Consumer>> {
    let mut consumers = Vec::new();
    for command in commands {
        let (read, write): (OwnedFd, OwnedFd) = pipe::new().map_err(unmade)?;
        pipe::set_blocking(&read)?;
        let standard = Standard { input: Some(read.as_fd()), output: to_stdout.then(fds::stderr), error: None };
        crew.add(command, standard)?;
        let name = crew.stages.last().map_or_else(String::new, ToString::to_string);
        consumers.push(Consumer::new(name, write, crew.stages.len().checked_sub(1))?);
    }
    Ok(consumers)
}
