//! `sem run`: run CMD while holding a slot.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::semaphore::file::{Asked, FromFile};
use super::semaphore::{not_taken, slots};
use crate::applets::{Runs, Verb};
use crate::args::creating::Creating;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::in_use::Wanted;
use crate::semset::slots::{Many, Slots};
use crate::semset::waited;
use crate::supervise::command::Command;
use crate::target::Target;

/// Waits for a free slot and runs CMD. The kernel releases the slot when CMD exits or is killed. Background processes
/// that CMD leaves behind do not hold the slot. CMD gets the lowest free slot, and finds the slot number (1 to N) in
/// IPCBOX_SLOT. With --take, IPCBOX_SLOT lists the numbers of all slots taken, separated by commas. A caller that takes
/// several slots at once can starve while others keep taking single slots.
#[derive(Args)]
pub struct Run {
    /// Set of job slots
    #[arg(value_name = "TARGET", value_parser = Target::or_file())]
    target: Target,
    /// Create N slots if needed; fail if the number differs
    #[arg(long, value_name = "N", value_parser = count)]
    slots: Option<u16>,
    /// Change the number of slots to N (from --slots N)
    ///
    /// A larger N applies at once. A smaller N takes effect as slots become free.
    #[arg(long, requires = "slots")]
    resize: bool,
    /// Take K slots at once (default: 1)
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    take: u16,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Run CMD while holding a slot";
    const EXAMPLES: &'static str = r"
# Run at most four jobs at a time, whichever process starts them
seq 8 | xargs -P 8 -n 1 \
  ipcbox sem run build --slots 4 -- expr 2 +
# Give each job its own port
ipcbox sem run ports --slots 4 -- \
  sh -c 'echo $((5000 + IPCBOX_SLOT))'
";
    const RUNS: Runs = Runs::Command;
    const WRITES: bool = false;

    fn run(mut self) -> Result<Exit> {
        let timeout = &self.timeout;
        let command = Command::find(std::mem::take(&mut self.command))?;
        if let Some(path) = self.target.file() {
            let taken = context("take", &self.target, self.take_from(path))?;
            let added = [("IPCBOX_SLOT", taken.numbers())];
            return taken.run(&command, &added);
        }
        let numbers = context("take", &self.target, self.take(timeout))?;
        let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
        match command.replace(&[("IPCBOX_SLOT", numbers.join(","))])? {}
    }
}

impl Run {
    fn take_from(&self, path: &Path) -> Result<FromFile> {
        if self.resize {
            let cause = Cause::new(Exit::Usage, "the number of slots in a file is fixed");
            bail!(cause.hint("omit --resize, or use a name instead of a file"));
        }
        let wanted = Wanted::Slots(self.take);
        let asked = Asked { target: &self.target, path, wanted, slots: self.slots, creating: self.creating };
        asked.take(&self.timeout)
    }

    fn take(&self, timeout: &Timeout) -> Result<Vec<u16>> {
        let mut slots = slots(&self.target, self.slots, self.take, self.creating)?;
        match self.slots {
            Some(wanted) if self.resize => self.resize(&mut slots, wanted, timeout)?,
            Some(wanted) => {
                slots
                    .expect(&self.target, wanted)
                    .map_err(|cause| cause.hint("add --resize to change the number of slots"))?;
            }
            None => {}
        }
        let take = |deadline| slots.take(self.take, deadline);
        waited::take(&self.target, slots.set, Wanted::Slots(self.take), timeout, take)
            .map_err(|error| not_taken(error, slots.set, self.take))
    }

    fn resize(&self, slots: &mut Slots, wanted: u16, timeout: &Timeout) -> Result<()> {
        slots.expect_room(wanted)?;
        let mut notice = waited::notice(&self.target, slots.set, Wanted::Slots(1), timeout);
        let resized = notice.during(timeout.deadline(), |deadline| slots.resize(wanted, deadline));
        resized.map_err(|errno| match errno {
            Errno::EAGAIN => {
                let left = format!("the set still has {}, not {wanted}", Many(slots.capacity));
                waited::missed(slots.set, Wanted::Slots(1), timeout).note(&left).into()
            }
            errno => errno.into(),
        })
    }
}
