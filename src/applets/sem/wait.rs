//! `sem wait`: the P operation.

use anyhow::Result;
use clap::Args;

use super::context;
use super::semaphore::{One, expired};
use crate::applets::Verb;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output::notice::Notice;
use crate::sys::interrupt;

/// Waits until the value is at least K, then subtracts K. The decrease is not undone, even if the caller is killed. For
/// a slot or lock that is released automatically, use sem run or sem lock.
#[derive(Args)]
pub struct Wait {
    #[command(flatten)]
    one: One,
    /// Subtract K from the value (default: 1)
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    by: u16,
    /// Wait until the value is 0, and do not change it
    #[arg(long, conflicts_with = "by")]
    zero: bool,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const ALIASES: &'static [&'static str] = &["p"];
    const SUMMARY: &'static str = "Wait until the value is at least K, then subtract K (P)";
    const EXAMPLES: &'static str = "
# Wait until another process posts the semaphore
ipcbox sem create door
( sleep 0.1; ipcbox sem post door ) &
ipcbox sem wait door -w 10s
";
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but is not a plain semaphore")];

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let delta = if self.zero { 0 } else { -self.by.cast_signed() };
        let wait = || {
            if self.one.posix(self.zero || self.by != 1)? {
                let semaphore = self.one.open("wait for")?;
                let mut notice =
                    Notice::verbose(timeout, || format!("{}: {}", self.one.target, self.one.state(delta, timeout)));
                let taken = notice.during(timeout.deadline(), |deadline| semaphore.wait(deadline))?;
                return Ok(taken.map_or_else(interrupt::end, Ok)?);
            }
            self.one.operate(delta, timeout)
        };
        let outcome = wait().map_err(|error| expired(error, timeout, || self.one.state(delta, timeout)));
        context("wait for", &self.one.target, outcome)?;
        Ok(Exit::Done)
    }
}
