//! `sem barrier`.

use anyhow::Result;
use clap::Args;

use super::semaphore::missed;
use super::{context, system_v};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::semset::barrier;
use crate::target::Target;

/// Waits until N callers have come, and then all leave. It is made if it is missing, and can be used again at once,
/// round after round. A caller that times out or dies is not counted.
#[derive(Args)]
pub struct Barrier {
    /// The barrier
    #[arg(value_name = "TARGET")]
    target: Target,
    /// How many meet
    #[arg(value_name = "N", value_parser = count, allow_negative_numbers = true)]
    parties: u16,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Barrier {
    const NAME: &'static str = "barrier";
    const SUMMARY: &'static str = "Meet N callers; all leave together";
    const EXAMPLES: &'static str = r#"
# Three parties: none goes on before all are there
for part in a b c; do
  ipcbox sem barrier ready 3 && echo "$part goes" &
done
wait
"#;
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "it exists, but is not a barrier for N callers")];

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let meet = || {
            system_v(&self.target)?;
            let barrier = barrier::Barrier::open_or_create(&self.target, self.parties, self.creating)?;
            let met = barrier.meet(timeout.deadline());
            met.map_err(|errno| missed(errno, timeout, "not all have come"))
        };
        context("meet at", &self.target, meet())?;
        Ok(Exit::Done)
    }
}
