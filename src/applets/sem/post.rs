//! `sem post`: the V operation.

use anyhow::Result;
use clap::Args;

use super::context;
use super::semaphore::One;
use crate::applets::Verb;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::Exit;

/// Adds K to the value and wakes waiters. The increase is not undone when the caller exits. Because sem post never
/// waits, --timeout and --nonblock have no effect.
#[derive(Args)]
pub struct Post {
    #[command(flatten)]
    one: One,
    /// Add K to the value (default: 1)
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    by: u16,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Post {
    const NAME: &'static str = "post";
    const ALIASES: &'static [&'static str] = &["v"];
    const SUMMARY: &'static str = "Add to the value, and wake waiters (V)";
    const EXAMPLES: &'static str = "
# Let three callers pass
ipcbox sem create door
ipcbox sem post door --by 3
";
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but is not a plain semaphore")];

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let post = || {
            if self.one.posix(self.by != 1)? {
                return Ok(self.one.open("post to")?.post()?);
            }
            self.one.operate(self.by.cast_signed(), timeout)
        };
        context("post to", &self.one.target, post())?;
        Ok(Exit::Done)
    }
}
