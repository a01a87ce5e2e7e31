//! `pipe tee`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::crew::{Crew, Rules, Work, unmade};
use super::fanout::{Consumer, Fanout};
use super::line::{Line, all, look_up};
use super::stage::Readers;
use crate::applets::{Runs, Verb};
use crate::args::command::Command;
use crate::args::limit::Limit;
use crate::exit::{Cause, Exit};
use crate::sys::child::Standard;
use crate::sys::{fds, pipe, transfer};

/// Copies standard input to all FILEs and commands at once, and to standard output where there is no command or -o - names it.
///
/// What commands print goes to standard output, or to standard error where standard output carries the data. A consumer that stops reading is
/// left out, and the others go on; a slow one slows the rest, and nobody loses a byte. So does standard output that is closed
/// early. One that cannot be written to, as on a full disk, is told and left out; the status is then 1 where no command failed.
///
/// It waits for every command, and ends with the status of the last one that failed, 0 if none did. With --fail-fast the first
/// command that fails, and the first consumer that is left out, ends all. Every command is looked up before any is started, and
/// every FILE opened. Up to eight consumers have pipes of 1 MiB where the user may, which makes for fewer turns.
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

    fn run(self) -> Result<Exit> {
        let commands = if self.line.is_empty() {
            Vec::new()
        } else {
            all(look_up(self.line.split(Self::NAME)?))?
        };
        transfer::left(fds::stdin()).context("cannot read standard input")?;
        let to_stdout = commands.is_empty() || self.outputs.iter().any(|output| output == "-");
        let to_itself = to_stdout.then(standard_output).transpose()?;
        let mut consumers = self.files()?;
        consumers.extend(to_itself);
        let rules = Rules {
            strict: false,
            fail_fast: self.fail_fast,
            readers: Readers::Nobody,
            work: Work::Feeds,
        };
        let mut crew = Crew::new(rules, &Limit::default())?;
        let started = crew.launch(|crew| start(crew, commands, to_stdout))?;
        consumers.extend(started);
        let mut fanout = match Fanout::new(consumers, self.fail_fast) {
            Ok(fanout) => fanout,
            Err(error) => {
                crew.end_all()?;
                return Err(error);
            }
        };
        let copied = fanout.copy(&mut crew);
        let failed = fanout.failed;
        drop(fanout);
        if copied.is_err() {
            crew.end();
        }
        crew.mind()?;
        copied?;
        match crew.finish(None)? {
            Exit::Done if failed => Ok(Exit::Failed),
            exit => Ok(exit),
        }
    }
}

impl Tee {
    fn files(&self) -> Result<Vec<Consumer>> {
        let files = self.outputs.iter().filter(|output| *output != "-");
        let open = |path: &OsString| {
            let mut how = OpenOptions::new();
            how.create(true).append(self.append).write(true).truncate(!self.append);
            let opened: std::io::Result<File> = how.open(path);
            let file = opened.map_err(|error| {
                Cause::plain(Errno::from_raw(error.raw_os_error().unwrap_or_default()))
            });
            let name = path.display().to_string();
            let file = file.with_context(|| format!("cannot write to {name}"))?;
            Ok(Consumer::new(name, file.into())?)
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
        pipe::let_wait(&read)?;
        let standard = Standard {
            input: Some(read.as_fd()),
            output: to_stdout.then(fds::stderr),
            error: None,
        };
        crew.add(command, standard)?;
        let name = crew.stages.last().map_or_else(String::new, ToString::to_string);
        consumers.push(Consumer::new(name, write)?);
    }
    Ok(consumers)
}
