//! `sem hold`: slots or a lock for as long as a process lives.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::run::{LOCKED, missed, not_taken, slots};
use super::{doing, system_v};
use crate::applets::Verb;
use crate::args::command::not_forked;
use crate::args::creating::Creating;
use crate::args::numbers::{count, pid};
use crate::args::process::unopened;
use crate::args::waiting::Waiting;
use crate::exit::{Cause, Exit};
use crate::sync::lock::Lock;
use crate::sync::slots::Slots;
use crate::sys::holder::{Unheld, start};
use crate::sys::process;
use crate::sys::wait::Patience;
use crate::target::Target;

/// For a critical section of many commands: takes, prints the pid of a small process that holds what was taken, and
/// returns. The holder ends, and gives it back, when the process PID ends ($$ is the script), or when it gets SIGTERM.
///
/// The holder keeps none of the caller's descriptors, so that $(…) returns. sem stat --holders shows the number of its slot.
#[derive(Args)]
pub struct Hold {
    /// The slots or the lock
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The process to hold it for
    #[arg(value_name = "PID", value_parser = pid, allow_negative_numbers = true)]
    pid: i32,
    /// Make N slots if missing; if there, they must be N
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    slots: Option<u16>,
    /// Take a lock instead of a slot
    #[arg(long, conflicts_with = "slots")]
    lock: bool,
    /// Share the lock with others that share it
    #[arg(short, long, requires = "lock")]
    shared: bool,
    /// Take K slots at once
    #[arg(long, value_name = "K", value_parser = count, conflicts_with = "lock", allow_negative_numbers = true)]
    take: Option<u16>,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    waiting: Waiting,
}

/// What there is to hold.
enum Held {
    Slots(Slots, u16),
    Lock(Lock, bool),
}

impl Held {
    fn take(&self, patience: Patience) -> nix::Result<()> {
        match self {
            Self::Slots(slots, count) => slots.take(*count, patience).map(drop),
            Self::Lock(lock, shared) => lock.take(*shared, patience),
        }
    }
}

impl Verb for Hold {
    const NAME: &'static str = "hold";
    const SUMMARY: &'static str = "Hold a slot or a lock until the process PID ends";
    const EXAMPLES: &'static str = "
# One instance of this script, until it ends
ipcbox sem hold nightly $$ --slots 1 -nq || exit 0
";

    fn run(self) -> Result<Exit> {
        doing("hold", &self.target, self.hold())?;
        Ok(Exit::Done)
    }
}

impl Hold {
    fn hold(&self) -> Result<()> {
        let deadline = self.waiting.start();
        let process = process::open(self.pid).map_err(|errno| unopened(self.pid, errno))?;
        let held = self.find()?;
        let why = |unheld| match unheld {
            Unheld::NotTaken(errno) => match held {
                Held::Slots(_, count) => not_taken(errno, count, &deadline),
                Held::Lock(..) => missed(errno, &deadline, LOCKED),
            },
            Unheld::NotStarted(errno) => not_started(errno).into(),
            Unheld::Ended => unopened(self.pid, Errno::ESRCH).into(),
        };
        let holder = start(process.as_fd(), || held.take(deadline.patience)).map_err(why)?;
        self.waiting.answer(holder.pid.to_string().as_bytes())?;
        holder.release().map_err(why).context("it was lost")
    }

    fn find(&self) -> Result<Held> {
        if self.lock {
            system_v(&self.target)?;
            let lock = Lock::find_or_make(&self.target, self.creating)?;
            return Ok(Held::Lock(lock, self.shared));
        }
        let count = self.take.unwrap_or(1);
        let slots = slots(&self.target, self.slots, count, self.creating)?;
        if let Some(wanted) = self.slots {
            slots.expect(&self.target, wanted)?;
        }
        Ok(Held::Slots(slots, count))
    }
}

fn not_started(errno: Errno) -> Cause {
    match errno {
        Errno::ECHILD => Cause::told(errno, "its holder was killed"),
        errno => not_forked(errno, "no holder could be started"),
    }
}
