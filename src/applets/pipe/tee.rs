//! `pipe tee`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use clap::Args;

use super::pipeline::cmdline::Line;
use super::pipeline::fanout::{Consumer, Fanout};
use super::pipeline::report::Reporting;
use super::pipeline::stage::Readers;
use super::pipeline::{Crew, Policy, Work, unmade};
use crate::applets::{Runs, Verb};
use crate::exit::Exit;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::report::{shown, unwritable};
use crate::sys::child::Standard;
use crate::sys::deadline::Deadline;
use crate::sys::written::{Before, opened};
use crate::sys::{fds, pipe, transfer};

/// Copies standard input to all FILEs and commands at once, and to standard output where there is no command or -o - names it.
///
/// What commands print goes to standard output, or to standard error where standard output carries the data. A consumer that stops reading is
/// left out, and the others go on; a slow one slows the rest, and nobody loses a byte. So does standard output that is closed
/// early. One that cannot be written to, as on a full disk, is told and left out; the status is then 1 where no command failed.
///
/// It waits for every command, and ends with the status of the last one that failed, 0 if none did. With --fail-fast the first
/// command that fails, and the first consumer that is left out, ends all. Every command is looked up before any is started, and
/// every FILE opened. A FILE that is a FIFO waits for its reader; a symbolic link is refused. Up to eight consumers have pipes of 1 MiB where the user may, which makes for fewer turns.
///
/// --report writes a JSON object a line for each command: consumer argv pid status signal wall_s user_s system_s max_rss_bytes.
/// FILE is as of pipe run.
///
/// INT, TERM, HUP and QUIT end the copying at once, wherever it is. Commands that run get the signal and then the end of their input;
/// tee waits for them and ends by that signal, so that what they make of a part is not taken for the whole. The second
/// one, a tenth of a second later or more, ends tee at once, and its commands with it. Other signals go on to the commands. Where none
/// runs, every signal does what it does to any filter.
#[derive(Args)]
pub struct Tee {
    /// Write to FILE too; - is standard output
    #[arg(short = 'o', value_name = "FILE")]
    outputs: Vec<OsString>,
    /// Add to the FILEs instead of writing them anew
    #[arg(long)]
    append: bool,
    /// End all as soon as one has failed or stopped reading
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    line: Line,
}

impl Verb for Tee {
    const NAME: &'static str = "tee";
    const SUMMARY: &'static str = "Copy standard input to files and commands at once";
    const EXAMPLES: &'static str = "
# Sort and count at once
seq 5 | ipcbox pipe tee --shell 'tac >down' 'wc -l'
";
    const RUNS: Runs = Runs::Optionally;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last command that failed; 0 if none did")];

    fn run(self) -> Result<Exit> {
        let words = if self.line.is_empty() { Vec::new() } else { self.line.split(Self::NAME)? };
        let (commands, outcome) = self.reporting.find(words, "consumer", &Limit::default())?;
        transfer::left(fds::stdin()).context("cannot read standard input")?;
        let to_stdout = commands.is_empty() || self.outputs.iter().any(|output| output == "-");
        let to_itself = to_stdout.then(standard_output).transpose()?;
        let mut consumers = self.files()?;
        consumers.extend(to_itself);
        let policy = Policy { strict: false, fail_fast: self.fail_fast, readers: Readers::Nobody, work: Work::Feeds };
        let mut crew = Crew::new(policy, &Limit::default())?;
        let launched = crew.launch(|crew| {
            consumers.extend(start(crew, commands, to_stdout)?);
            Fanout::new(consumers, self.fail_fast)
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
        let told = outcome.report(&mut crew);
        copied?;
        told?;
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
            Ok(Consumer::new(name, file)?)
        };
        files.map(open).collect()
    }
}

fn standard_output() -> Result<Consumer> {
    let name = "standard output".to_owned();
    let unwritten = format!("cannot write to {name}");
    let writes = fds::can_write(fds::stdout()).and_then(|()| fds::copy_of(1));
    writes.and_then(|fd| Consumer::new(name, fd)).context(unwritten)
}

/// Starts the commands, each reading a pipe.
fn start(crew: &mut Crew, commands: Vec<Command>, to_stdout: bool) -> Result<Vec<Consumer>> {
    let mut consumers = Vec::new();
    for command in commands {
        let (read, write): (OwnedFd, OwnedFd) = pipe::new().map_err(unmade)?;
        pipe::set_blocking(&read)?;
        let standard = Standard { input: Some(read.as_fd()), output: to_stdout.then(fds::stderr), error: None };
        crew.add(command, standard)?;
        let name = crew.stages.last().map_or_else(String::new, ToString::to_string);
        consumers.push(Consumer::new(name, write)?);
    }
    Ok(consumers)
}
