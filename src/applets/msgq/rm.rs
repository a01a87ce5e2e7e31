//! `msgq rm`.

use anyhow::{Result, bail};
use clap::Args;

use super::context;
use super::queue::find;
use super::stat::{Object, Waiter, waiters};
use crate::applets::Verb;
use crate::exit::{Cause, Exit};
use crate::objects::remove::Removing;
use crate::sys::posix::mq;
use crate::sys::process;
use crate::target::{Form, Target};

/// The messages in it go with it. A queue that somebody is seen to wait on is left alone without --force; with it, who waits on
/// a System V queue is woken with a message and status 3, and who has a POSIX queue open keeps it until the last one
/// closes it.
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
            _ => Ok(find(target)?.remove()?),
        }
    }
}

fn idle(target: &Target) -> Result<()> {
    // Its owner may remove it without being able to look at it.
    let Ok(object) = Object::look(target) else { return Ok(()) };
    let people = waiters(&object, &process::blocked().unwrap_or_default());
    if people.is_empty() {
        return Ok(());
    }
    let people: Vec<String> = people.iter().map(Waiter::to_string).collect();
    let words = format!("it is waited on by {}", people.join(", "));
    bail!(Cause::new(Exit::Failed, words).hint(Removing::HINT))
}
