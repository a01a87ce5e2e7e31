//! `pipe duplex`.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use clap::Args;

use super::pipeline::cmdline::{Line, all, look_up};
use super::pipeline::stage::Readers;
use super::pipeline::{Crew, Policy, Work, unmade};
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit};
use crate::supervise::Event;
use crate::supervise::escalation::Limit;
use crate::sys::child::Standard;
use crate::sys::deadline::Deadline;
use crate::sys::pipe;
use crate::sys::process::{Waiting, at_pipes, shows_calls};

/// Connects the standard output of each command to the standard input of the other. Exits with the status of the last
/// command that failed, or with 0 if none failed.
///
/// Many programs buffer their output if it is a pipe, so both commands may wait for input forever. To avoid a deadlock,
/// run the commands with stdbuf -oL. If --max-time expires, the message shows which command was blocked.
#[derive(Args)]
pub struct Duplex {
    #[command(flatten)]
    line: Line,
    #[command(flatten)]
    limit: Limit,
}

impl Verb for Duplex {
    const NAME: &'static str = "duplex";
    const SUMMARY: &'static str = "Run two commands that read each other's output";
    const EXAMPLES: &'static str = r#"
# Let the first command ask and the second one answer
ipcbox pipe duplex --shell \
  'echo 6 7; read -r answer; echo "$answer" >&2' \
  'read -r a b; echo $((a * b))'
"#;
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last failed command, or 0 if none failed")];

    fn run(self) -> Result<Exit> {
        let stages = self.line.split(Self::NAME)?;
        if stages.len() != 2 {
            return Err(Cause::new(Exit::Usage, format!("duplex takes 2 commands, not {}", stages.len())).into());
        }
        let commands = all(look_up(&stages))?;
        let policy =
            Policy { verb: Self::NAME, strict: false, fail_fast: false, readers: Readers::Other, work: Work::Minds };
        let mut crew = Crew::new(policy, &self.limit)?;
        let inodes = crew.launch(|crew| {
            let pipes = [pipe::for_commands().map_err(unmade)?, pipe::for_commands().map_err(unmade)?];
            let [first, second] = &pipes;
            let ends = [(&first.0, &second.1), (&second.0, &first.1)];
            for (command, (input, output)) in commands.into_iter().zip(ends) {
                let (input, output) = (Some(input.as_fd()), Some(output.as_fd()));
                crew.add(command, Standard { input, output, error: None })?;
            }
            Ok([inode(&first.0)?, inode(&second.0)?])
        })?;
        let mut blocked = String::new();
        while crew.runs() {
            let event = crew.next(&[], Deadline::Forever)?;
            if matches!(event, Event::Due) && !crew.is_ending() {
                blocked = describe(&crew, &inodes);
            }
            crew.handle(event)?;
        }
        crew.finish(Some(&blocked).filter(|words| !words.is_empty()).map(String::as_str))
    }
}

fn inode(pipe: &OwnedFd) -> Result<u64> {
    Ok(nix::sys::stat::fstat(pipe)?.st_ino)
}

/// Describes which command is blocked on which, as far as `/proc` shows it.
fn describe(crew: &Crew, inodes: &[u64; 2]) -> String {
    let found = at_pipes(inodes);
    let state = |which: usize| {
        let (own, other) = (&crew.stages[which], &crew.stages[1 - which]);
        let (reads, writes) = (Waiting::Reads(which), Waiting::Writes(1 - which));
        if !own.runs() {
            format!("{own} had exited")
        } else if found.contains(&reads) {
            format!("{own} was blocked reading from {other}")
        } else if found.contains(&writes) {
            format!("{own} was blocked writing to {other}")
        } else if !shows_calls(own.pid) {
            format!("/proc does not show whether {own} was blocked")
        } else {
            format!("{own} was not blocked")
        }
    };
    format!("{}; {}", state(0), state(1))
}
