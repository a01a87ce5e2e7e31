//! `sem rm`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::doing;
use super::people::{Person, holders, waiters};
use crate::applets::Verb;
use crate::args::removing::Removing;
use crate::exit::{Cause, Exit};
use crate::sync;
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::Set;
use crate::target::{Form, Target};

/// One that somebody has or waits on is left alone without --force; with it, who waits is woken with a message and
/// status 3. Who has a plain semaphore is not known to the kernel.
#[derive(Args)]
pub struct Remove {
    #[command(flatten)]
    removing: Removing,
}

impl Verb for Remove {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove semaphores";
    const EXAMPLES: &'static str = "
# Gone, whether it was there or not
ipcbox sem rm build --missing-ok
";

    fn run(self) -> Result<Exit> {
        let remove = |target: &Target| match target.form() {
            Form::Posix => self.posix(target),
            _ => sync::find(target).and_then(|set| self.system_v(set)),
        };
        self.removing.each(remove, doing)
    }
}

impl Remove {
    fn system_v(&self, set: Set) -> Result<()> {
        if !self.removing.force {
            match set.values() {
                Ok((_, values)) => {
                    idle("held by", &holders(set, &values)?)?;
                    idle("waited on by", &waiters(set, values.len())?)?;
                }
                // Its owner may remove it without being able to read it.
                Err(Errno::EACCES) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(set.remove()?)
    }

    fn posix(&self, target: &Target) -> Result<()> {
        if !self.removing.force {
            let waiters = match posix::look(target.typed()) {
                Ok(stat) => stat.waiters,
                Err(Errno::EACCES | Errno::EINVAL | Errno::ELOOP | Errno::ENXIO) => 0,
                Err(errno) => return Err(errno.into()),
            };
            if waiters > 0 {
                let words = format!("{waiters} wait for it, or were killed while they waited");
                bail!(Cause::new(Exit::Failed, words).hint(Removing::HINT));
            }
        }
        Ok(posix::unlink(target.typed())?)
    }
}

fn idle(how: &str, people: &[Person]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let people: Vec<String> = people.iter().map(Person::to_string).collect();
    let words = format!("it is {how} {}", people.join(", "));
    bail!(Cause::new(Exit::Failed, words).hint(Removing::HINT))
}
