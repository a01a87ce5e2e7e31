//! `sem barrier`.

use anyhow::Result;
use clap::Args;

use super::semaphore::expired;
use super::{context, system_v};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output::notice::Notice;
use crate::semset::barrier;
use crate::sys::deadline::Deadline;
use crate::target::Target;

/// Waits until N callers have arrived; then all of them return. The barrier is created if needed. A barrier can be
/// reused at once for the next round. A caller that times out or is killed is not counted.
#[derive(Args)]
pub struct Barrier {
    /// Barrier
    #[arg(value_name = "TARGET", value_parser = Target::no_file())]
    target: Target,
    /// Number of callers to wait for
    #[arg(value_name = "N", value_parser = count, allow_negative_numbers = true)]
    parties: u16,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Barrier {
    const NAME: &'static str = "barrier";
    const SUMMARY: &'static str = "Wait until N callers have arrived, then return";
    const EXAMPLES: &'static str = r#"
# Start three jobs; no job continues before all are ready
for part in a b c; do
  ipcbox sem barrier ready 3 && echo "$part runs" &
done
wait
"#;
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but is not a barrier for N callers")];

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let meet = || {
            system_v(&self.target)?;
            let mut barrier = barrier::CyclicBarrier::open_or_create(&self.target, self.parties, self.creating)?;
            let arrived = |barrier: &barrier::CyclicBarrier| barrier.arrived().saturating_add(1).min(self.parties);
            let deadline = timeout.deadline();
            if timeout.is_verbose() && deadline != Deadline::Now && arrived(&barrier) < self.parties {
                let state = || format!("{}: {}", self.target, have_arrived(arrived(&barrier), self.parties));
                Notice::verbose(timeout, state).begin(deadline);
            }
            barrier.meet(deadline).map_err(|errno| {
                expired(errno.into(), timeout, || late(timeout, arrived(&barrier).min(self.parties - 1), self.parties))
            })
        };
        context("meet at", &self.target, meet())?;
        Ok(Exit::Done)
    }
}

/// Returns why it timed out. This caller counts as one of those that arrived.
fn late(timeout: &Timeout, arrived: u16, parties: u16) -> String {
    if timeout.still().is_empty() {
        format!("only {}", have_arrived(arrived, parties))
    } else {
        timeout.within(&format!("only {arrived} of {parties} arrived"))
    }
}

fn have_arrived(arrived: u16, parties: u16) -> String {
    let have = if arrived == 1 { "has" } else { "have" };
    format!("{arrived} of {parties} {have} arrived")
}
