//! `sem rm`.

mod idle;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use self::idle::Idle;
use super::context;
use super::people::{Person, count, holders, waiters};
use crate::applets::Verb;
use crate::exit::{Cause, Exit};
use crate::objects::remove::Removing;
use crate::semset::{self, Purpose, holding};
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::Set;
use crate::target::{Form, Target};

/// One that is held or waited on is left alone without --force; with it, waiters are woken with a message and status 3.
/// The kernel does not know who holds a plain semaphore.
///
/// --unused removes slots and locks that no process holds or waits on: the TARGETs, or, as in rm --unused --older-than 7d --yes,
/// all of the caller's. It reports what it keeps and why; that is no failure.
#[derive(Args)]
// All of the caller's can be meant.
#[command(mut_arg("targets", |arg| arg.required(false).required_unless_present("unused")))]
pub struct Remove {
    #[command(flatten)]
    removing: Removing,
    #[command(flatten)]
    idle: Idle,
}

impl Verb for Remove {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove semaphores";
    const EXAMPLES: &'static str = "
# Gone, whether it was there or not
ipcbox sem rm build --missing-ok
# Slots that no process holds or waits for
ipcbox sem create build --slots 4
ipcbox sem rm build --unused
";

    fn run(self) -> Result<Exit> {
        if self.idle.is_wanted() {
            return self.idle.remove(&self.removing);
        }
        let remove = |target: &Target| match target.form() {
            Form::Posix => self.posix(target),
            _ => semset::find(target).and_then(|set| self.system_v(set)),
        };
        self.removing.each(remove, context)
    }
}

impl Remove {
    fn system_v(&self, set: Set) -> Result<()> {
        if self.removing.force {
            return Ok(set.remove()?);
        }
        match set.values() {
            Ok((_, values)) => {
                if let Some(words) = in_use(set, &values)? {
                    bail!(Cause::new(Exit::Failed, words).hint(Removing::HINT));
                }
                remove_idle(set, Purpose::of(&values))
            }
            // Its owner may remove it without being able to read it.
            Err(Errno::EACCES) => Ok(set.remove()?),
            Err(errno) => Err(errno.into()),
        }
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

/// Who holds a set or waits on it, in words.
fn in_use(set: Set, values: &[u16]) -> Result<Option<String>, Errno> {
    let list = |people: Vec<Person>| {
        let people: Vec<String> = people.iter().map(Person::to_string).collect();
        (!people.is_empty()).then(|| people.join(", "))
    };
    let mut held = holders(set, values)?;
    if !held.is_empty() {
        // What only a holder has whose process has exited is free.
        holding::end_needless(set);
        held = holders(set, &set.values()?.1)?;
    }
    if let Some(people) = list(held) {
        return Ok(Some(format!("it is held by {people}")));
    }
    if !semset::is_awaited(values) && count(set, values.len())? == 0 {
        return Ok(None);
    }
    let people = list(waiters(set, values)?);
    Ok(people.map(|people| format!("it is waited on by {people}")))
}

/// Removes a set that no process holds. Slots and a lock are taken whole first: a caller that took one at this moment would go on
/// holding what the next one creates again.
fn remove_idle(set: Set, purpose: Option<Purpose>) -> Result<()> {
    match purpose.map_or(Ok(()), |purpose| holding::seize(set, purpose)) {
        Err(Errno::EAGAIN) => {
            let words = "another process has just taken it";
            Err(Cause::new(Exit::Failed, words).hint(Removing::HINT).into())
        }
        // Its owner may remove it without being able to alter it.
        Ok(()) | Err(Errno::EACCES) => Ok(set.remove()?),
        Err(errno) => Err(errno.into()),
    }
}
