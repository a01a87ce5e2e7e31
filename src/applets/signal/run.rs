//! `signal run`: CMD with other dispositions, translated signals, a reaper, and no descendant left behind.

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

/// With --ignore, --block, --default and --parent-death alone the box becomes CMD. With any other option it stays and
/// minds CMD: what can be caught it forwards, translated by --map; CMD is in a process group of its own, which is given
/// the terminal's foreground where the box has it, and stops and goes on together with the box, which --max-time does
/// not wait for. What the terminal sends goes to that group, and --map and --on do not see it; everything else goes to
/// CMD alone, which is continued where it is stopped and would not hear HUP, INT, QUIT or TERM. The exit status is
/// CMD's, and the box dies by the signal that CMD died by; as init of a pid namespace, which cannot, it ends with
/// 128+N.
///
/// --forward group sends what arrives to CMD's process group, and --forward tree to CMD and all below it, in whatever
/// session; a value that came along does not go to a group.
///
/// --kill-tree leaves no descendant of CMD alive when CMD ends, or when --max-time and its last --then are over. With
/// --max-time all of them get each step, and its time, before KILL; with --then also those that CMD leaves when it ends
/// by itself (--max-time 0 --then TERM:2s sets no limit). It needs the /proc of its own pid namespace. What the box was
/// the parent of before CMD is left alone. Where the box itself is killed (SIGKILL), CMD is killed with it, but its
/// descendants are out of reach; only a pid namespace ends those too. A program that multiplies without end and faster
/// than it can be stopped can only be held by a cgroup.
///
/// --on runs its text by /bin/sh when the signal comes, one at a time, besides what --map says (HUP= drops it);
/// IPCBOX_SIGNAL and IPCBOX_PID in its environment are the signal and CMD. The box waits for it before it ends; what
/// CMD would get goes to it when CMD has ended, that of --max-time too.
///
/// A set-uid CMD loses --parent-death; it goes by the thread that started the box.
#[derive(Args)]
pub struct Run {
    /// Signals that CMD ignores, as INT,TERM
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    ignore: Vec<Signal>,
    /// Signals that CMD has blocked
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    block: Vec<Signal>,
    /// Signals that CMD does not ignore
    #[arg(long, value_name = "L", value_parser = catchable, value_delimiter = ',')]
    default: Vec<Signal>,
    #[command(flatten)]
    rules: Rules,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Run CMD with other dispositions, translated signals and no orphans";
    const EXAMPLES: &'static str = "
# A CI step that leaves no process behind
ipcbox signal run --kill-tree -- sh -c 'sleep 9 &'
# An interrupt where TERM comes
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
            return self.become_it(command, &dispositions);
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

    fn become_it(&self, command: Command, dispositions: &[(Signal, Disposition)]) -> Result<Exit> {
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

    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()> {
        let refuse = |words: String| bail!(Cause::new(Exit::Usage, words));
        for signal in &self.ignore {
            let name = name(*signal);
            if self.default.contains(signal) {
                return refuse(format!("{name} cannot be ignored and have its default action"));
            }
            if self.rules.map.iter().any(|pair| pair.0 == *signal) {
                return refuse(format!("{name} cannot be translated and ignored; {name}= drops it"));
            }
            if self.rules.map.iter().any(|pair| pair.1 == Some(*signal)) {
                return refuse(format!("{name} cannot be what another one is translated to, and ignored"));
            }
        }
        for (at, Pair(signal, _)) in self.rules.map.iter().enumerate() {
            if self.rules.map[..at].iter().any(|pair| pair.0 == *signal) {
                return refuse(format!("{} is translated twice", name(*signal)));
            }
        }
        for (at, On(signal, _)) in self.rules.on.iter().enumerate() {
            if self.rules.on[..at].iter().any(|on| on.0 == *signal) {
                return refuse(format!("{} has two command lines", name(*signal)));
            }
        }
        Ok(())
    }
}
