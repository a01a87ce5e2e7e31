//! `signal run`: CMD with other dispositions, translated signals, a time limit and no descendant left alive.

use std::ffi::OsString;
use std::os::unix::process::parent_id;

use anyhow::{Result, bail};
use clap::Args;

use super::delivery::translate::{On, Pair, Rules, Translator};
use crate::applets::{Runs, Verb};
use crate::args::signals::{catchable, name};
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::sys::signal::{self, Disposition, Signal, block, on_parents_death, set_disposition};

/// Runs CMD and exits with its status, or kills itself with the signal that killed CMD. If only --ignore, --block,
/// --default or --parent-death are given, ipcbox replaces itself with CMD; otherwise, it remains the parent of CMD and
/// forwards signals to CMD. CMD gets its own process group. If ipcbox is in the foreground, CMD is too. Signals from
/// keys such as ^C reach CMD directly, and bypass --map and --on.
#[derive(Args)]
pub struct Run {
    /// Ignore these signals in CMD, for example INT,TERM
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    ignore: Vec<Signal>,
    /// Block these signals in CMD
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    block: Vec<Signal>,
    /// Reset these signals in CMD to their default action
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    default: Vec<Signal>,
    #[command(flatten)]
    rules: Rules,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Run CMD with signal handling, a time limit and cleanup";
    const EXAMPLES: &'static str = "
# Run a CI step that leaves no process behind
ipcbox signal run --kill-tree -- sh -c 'sleep 9 &'
# Translate TERM to INT for a program
ipcbox signal run --map TERM=INT -- echo started
";
    const RUNS: Runs = Runs::Command;
    const WRITES: bool = false;

    fn run(mut self) -> Result<Exit> {
        self.check()?;
        let command = Command::find(std::mem::take(&mut self.command))?;
        let dispositions = self.dispositions();
        let block = self.block.iter().copied().collect();
        if !self.rules.need_a_parent() {
            return self.execute(command, &dispositions);
        }
        Translator::start(command, self.rules, &dispositions, block)?.run()
    }
}

impl Run {
    fn dispositions(&self) -> Vec<(Signal, Disposition)> {
        let with = |signals: &[Signal], disposition| {
            signals.iter().map(move |signal| (*signal, disposition)).collect::<Vec<_>>()
        };
        let ignored = with(&self.ignore, Disposition::Ignore);
        ignored.into_iter().chain(with(&self.default, Disposition::Default)).collect()
    }

    fn execute(&self, command: Command, dispositions: &[(Signal, Disposition)]) -> Result<Exit> {
        let parent = parent_id();
        for (signal, disposition) in dispositions {
            set_disposition(*signal, *disposition)?;
        }
        block(self.block.iter().copied().collect())?;
        if let Some(signal) = self.rules.parent_death {
            on_parents_death(signal)?;
            if parent_id() != parent {
                signal::kill(std::process::id().cast_signed(), signal)?;
            }
        }
        match command.replace(&[])? {}
    }

    /// Refuses contradictory options.
    fn check(&self) -> Result<()> {
        let refuse = |words: String| bail!(Cause::new(Exit::Usage, words));
        for signal in &self.ignore {
            let name = name(*signal);
            if self.default.contains(signal) {
                return refuse(format!("--ignore and --default both name {name}"));
            }
            if self.rules.map.iter().any(|pair| pair.0 == *signal) {
                return refuse(format!("--ignore and --map both name {name} (--map {name}= drops it)"));
            }
            if self.rules.map.iter().any(|pair| pair.1 == Some(*signal)) {
                return refuse(format!("--map translates a signal to {name}, which --ignore ignores"));
            }
        }
        for (at, Pair(signal, _)) in self.rules.map.iter().enumerate() {
            if self.rules.map[..at].iter().any(|pair| pair.0 == *signal) {
                return refuse(format!("--map names {} twice", name(*signal)));
            }
        }
        for (at, On(signal, _)) in self.rules.on.iter().enumerate() {
            if self.rules.on[..at].iter().any(|on| on.0 == *signal) {
                return refuse(format!("--on names {} twice", name(*signal)));
            }
        }
        Ok(())
    }
}
