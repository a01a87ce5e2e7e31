//! `sem lock`: run CMD while holding a lock.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::semaphore::file::Asked;
use super::{context, system_v};
use crate::applets::{Runs, Verb};
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output::in_use::Wanted;
use crate::semset::lock;
use crate::semset::waited;
use crate::supervise::command::Command;
use crate::target::Target;

/// Takes the lock and runs CMD. The kernel releases the lock when CMD exits or is killed. The lock is created if
/// needed. Callers get the lock in order of arrival: a request for a shared lock never overtakes an earlier request for
/// an exclusive lock.
#[derive(Args)]
pub struct Lock {
    /// Lock
    #[arg(value_name = "TARGET", value_parser = Target::or_file())]
    target: Target,
    /// Take a shared lock instead of an exclusive one
    #[arg(short, long)]
    shared: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Lock {
    const NAME: &'static str = "lock";
    const SUMMARY: &'static str = "Run CMD while holding an exclusive or shared lock";
    const EXAMPLES: &'static str = "
# Allow one writer at a time
ipcbox sem lock notes -- sh -c 'echo done >>notes'
# Share the lock with other readers; wait at most 10 seconds for it
ipcbox sem lock notes --shared -w 10s -- cat notes
";
    const RUNS: Runs = Runs::Command;
    const WRITES: bool = false;

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let command = Command::find(self.command)?;
        if let Some(path) = self.target.file() {
            let wanted = Wanted::Lock { shared: self.shared };
            let asked = Asked { target: &self.target, path, wanted, slots: None, creating: self.creating };
            return context("lock", &self.target, asked.take(timeout))?.run(&command, &[]);
        }
        let take = || {
            system_v(&self.target)?;
            let lock = lock::RwLock::open_or_create(&self.target, self.creating)?;
            let take = |deadline| lock.take(self.shared, deadline);
            waited::take(&self.target, lock.set, Wanted::Lock { shared: self.shared }, timeout, take)
        };
        context("lock", &self.target, take())?;
        match command.replace(&[])? {}
    }
}
