//! `sem lock`: take the lock, then become CMD.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::{context, system_v};
use crate::applets::{Runs, Verb};
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::semset::lock;
use crate::semset::waited::{self, Wanted};
use crate::supervise::command::Command;
use crate::target::Target;

/// Takes the lock, made if it is missing, and becomes CMD, which keeps it until it ends, however it ends. Whoever comes
/// first has it first: a caller that waits to have it alone is not overtaken by others that share it.
#[derive(Args)]
pub struct Lock {
    /// The lock
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Share it with others that share it
    #[arg(short, long)]
    shared: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Lock {
    const NAME: &'static str = "lock";
    const SUMMARY: &'static str = "Take a lock, alone or shared, then become CMD";
    const EXAMPLES: &'static str = "
# One writer at a time
ipcbox sem lock notes -- sh -c 'echo done >>notes'
# Readers share it, and wait for ten seconds at most
ipcbox sem lock notes --shared -w 10s -- cat notes
";
    const RUNS: Runs = Runs::Command;
    const WRITES: bool = false;

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let command = Command::find(self.command)?;
        let take = || {
            system_v(&self.target)?;
            let lock = lock::Lock::open_or_create(&self.target, self.creating)?;
            let take = |deadline| lock.take(self.shared, deadline);
            waited::take(&self.target, lock.set, Wanted::Lock { shared: self.shared }, timeout, take)
        };
        context("lock", &self.target, take())?;
        match command.replace(&[])? {}
    }
}
