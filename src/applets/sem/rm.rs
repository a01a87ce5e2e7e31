//! `sem rm`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::doing;
use super::people::{Person, holders, waiters};
use crate::applets::Verb;
use crate::args::explain::is_gone;
use crate::exit::{Cause, Exit, each};
use crate::sync;
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::Set;
use crate::target::{Form, Target};

/// One that somebody has or waits on is left alone without --force; with it, who waits is woken with a message and
/// status 3. Who has a plain semaphore is not known to the kernel.
#[derive(Args)]
pub struct Remove {
    /// The sets and POSIX semaphores
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// Also what is held or waited on
    #[arg(long)]
    force: bool,
    /// What is not there counts as removed
    #[arg(long)]
    missing_ok: bool,
}

impl Verb for Remove {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove semaphores";

    fn run(self) -> Result<Exit> {
        each(&self.targets, |target| {
            let removed = if *target.form() == Form::Posix {
                self.posix(target)
            } else {
                sync::find(target).and_then(|set| self.system_v(set))
            };
            match removed {
                Err(error) if self.missing_ok && is_gone(&error, target) => Ok(()),
                removed => doing("remove", target, removed),
            }
        })
    }
}

impl Remove {
    fn system_v(&self, set: Set) -> Result<()> {
        if !self.force {
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
        if !self.force {
            let waiters = match posix::look(target.typed()) {
                Ok(stat) => stat.waiters,
                Err(Errno::EACCES | Errno::EINVAL) => 0,
                Err(errno) => return Err(errno.into()),
            };
            let waiters = (waiters > 0).then(|| Person::unknown(true, waiters));
            idle("waited on by", waiters.as_slice())?;
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
    bail!(Cause::new(Exit::Failed, words).hint("--force removes it all the same"))
}
