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

/// The messages in it go with it. A queue that somebody is seen to wait on is left alone without --force; with it, who
/// waits on a System V queue is woken with a message and status 3, and who has a POSIX queue open keeps it until the
/// last one closes it.
#[derive(Args)]
pub struct Rm {
    #[command(flatten)]
    removing: Removing,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove queues";
    const EXAMPLES: &'static str = "
# Gone, whether it was there or not
ipcbox msgq rm jobs --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Failed, "in use (see --force), or any other failure")];

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
    // Its owner may remove it without being able to look at it.
    let Ok(object) = find::one(target, Kind::Msg) else { return Ok(()) };
    refuse("waited on", &users::queue_waiters(&object, &process::blocked().unwrap_or_default()))
}
