//! `msgq rm`.

use anyhow::Result;
use clap::Args;

use super::context;
use super::queue;
use crate::applets::Verb;
use crate::exit::Exit;
use crate::objects::remove::{Removing, refuse};
use crate::objects::{find, users};
use crate::sys::posix::mq;
use crate::sys::process;
use crate::sys::sysv::Kind;
use crate::target::{Form, Target};

/// Without --force, msgq rm does not remove a queue that a process is waiting on. With --force, processes that wait on
/// a System V queue fail with status 3. A removed POSIX queue loses its name, but exists until the last process closes
/// it.
#[derive(Args)]
pub struct Rm {
    #[command(flatten)]
    removing: Removing,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove queues and the messages in them";
    const EXAMPLES: &'static str = "
# Remove a queue, if it exists
ipcbox msgq rm jobs --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "the queue is in use (see --force), or any other failure")];

    fn run(self) -> Result<Exit> {
        self.removing.each(|target| self.remove(target), context)
    }
}

impl Rm {
    fn remove(&self, target: &Target) -> Result<()> {
        if !self.removing.force {
            idle(target)?;
        }
        match target.form() {
            Form::Posix => Ok(mq::unlink(target.typed())?),
            _ => Ok(queue::find(target)?.remove()?),
        }
    }
}

fn idle(target: &Target) -> Result<()> {
    // The mode can keep its owner from reading it, but not from removing it.
    let Ok(object) = find::one(target, Kind::Msg) else { return Ok(()) };
    refuse("waited on", &users::queue_waiters(&object, &process::blocked().unwrap_or_default()))
}
