//! `sem run` and `sem lock`: take, then become CMD.

use std::ffi::OsString;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::{context, system_v};
use crate::applets::{Runs, Verb};
use crate::args::creating::Creating;
use crate::args::numbers::count;
use crate::args::waiting::{Deadline, Waiting};
use crate::exit::{Cause, Exit, is_late};
use crate::semset::slots::{Many, Slots};
use crate::semset::{lock, waited};
use crate::supervise::command::Command;
use crate::sys::wait::Patience;
use crate::target::Target;

/// Takes a slot, waiting for one where all are taken, and becomes CMD, which keeps it until it ends, however it ends: the
/// kernel gives it back. What CMD leaves running in the background does not keep it.
///
/// CMD finds the number of its slot, 1 to N, in IPCBOX_SLOT: the lowest that no other holder has; with --take K all K,
/// separated by commas. Who takes several at once can be overtaken for ever by those who take one, since the kernel
/// reserves nothing.
#[derive(Args)]
pub struct Run {
    /// The slots
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Make N slots if missing; if there, they must be N
    #[arg(long, value_name = "N", value_parser = count)]
    slots: Option<u16>,
    /// Make it N: more at once, less as they come free
    #[arg(long, requires = "slots")]
    resize: bool,
    /// Take K slots at once
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    take: u16,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    waiting: Waiting,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const SUMMARY: &'static str = "Take a slot, then become CMD";
    const EXAMPLES: &'static str = r"
# Four at a time, whoever starts them
seq 8 | xargs -P 8 -n 1 \
  ipcbox sem run build --slots 4 -- expr 2 +
# Each with a port of its own
ipcbox sem run ports --slots 4 -- \
  sh -c 'echo $((5000 + IPCBOX_SLOT))'
";
    const RUNS: Runs = Runs::Command;
    const WRITES: bool = false;

    fn run(mut self) -> Result<Exit> {
        let deadline = self.waiting.start();
        let command = Command::find(std::mem::take(&mut self.command))?;
        let numbers = context("take", &self.target, self.take(&deadline))?;
        let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
        match command.replace(&[("IPCBOX_SLOT", numbers.join(","))])? {}
    }
}

impl Run {
    fn take(&self, deadline: &Deadline) -> Result<Vec<u16>> {
        let mut slots = slots(&self.target, self.slots, self.take, self.creating)?;
        match self.slots {
            Some(wanted) if self.resize => self.resize(&mut slots, wanted, deadline)?,
            Some(wanted) => {
                slots
                    .expect(&self.target, wanted)
                    .map_err(|cause| cause.hint(format!("--resize makes it {wanted}")))?;
            }
            None => {}
        }
        let take = |patience| slots.take(self.take, patience);
        waited::take(&self.target, slots.set, self.take, deadline, NO_SLOT, take)
            .map_err(|error| not_taken(error, self.take))
    }

    fn resize(&self, slots: &mut Slots, wanted: u16, deadline: &Deadline) -> Result<()> {
        match slots.resize(wanted, &deadline.never()) {
            Err(error) if deadline.patience != Patience::Never && is_late(&error) => {}
            outcome => return outcome,
        }
        let mut notice = waited::notice(&self.target, slots.set, 1, deadline);
        let _wait = notice.begin();
        slots.resize(wanted, deadline)
    }
}

/// Why a caller has no slots in time.
pub const NO_SLOT: &str = "no slot came free";

/// Why a caller has no slots.
pub fn not_taken(error: Error, count: u16) -> Error {
    if error.downcast_ref() == Some(&Errno::EDOM) {
        let words = format!("there are fewer than {count} slots, so that {count} never come free");
        return Cause::new(Exit::Failed, words).into();
    }
    error
}

/// What a caller that waits for a lock is told.
pub const LOCKED: &str = "it was not unlocked";

/// `EAGAIN` as what it means: not in time.
pub fn missed(errno: Errno, deadline: &Deadline, what: &str) -> Error {
    match errno {
        Errno::EAGAIN => deadline.missed(what).into(),
        errno => errno.into(),
    }
}

/// The slots behind `target`, made where `capacity` says how many.
pub fn slots(target: &Target, capacity: Option<u16>, take: u16, creating: Creating) -> Result<Slots> {
    system_v(target)?;
    let Some(capacity) = capacity else {
        return Slots::find(target).map_err(|error| match error.downcast_ref() {
            Some(errno @ Errno::ENOENT) => {
                Cause::from_errno(*errno, "no such semaphore set").hint("--slots N makes it with N slots").into()
            }
            _ => error,
        });
    };
    if take > capacity {
        bail!(Cause::new(Exit::Usage, format!("{take} at once never come free of {}", Many(capacity))));
    }
    Ok(Slots::find_or_make(target, capacity, creating)?.0)
}

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
    waiting: Waiting,
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
        let deadline = self.waiting.start();
        let command = Command::find(self.command)?;
        let take = || {
            system_v(&self.target)?;
            let lock = lock::Lock::find_or_make(&self.target, self.creating)?;
            let take = |patience| lock.take(self.shared, patience);
            waited::take(&self.target, lock.set, 1, &deadline, LOCKED, take)
        };
        context("lock", &self.target, take())?;
        match command.replace(&[])? {}
    }
}
