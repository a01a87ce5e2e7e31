//! `sem rm`.

use std::path::Path;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};
use nix::errno::Errno;

use super::context;
use super::semaphore::idle::{Idle, in_use, remove_idle, remove_idle_file};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::fileset::SlotFile;
use crate::objects::remove::{Removing, refused};
use crate::semset::{self, Purpose, holding};
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::Set;
use crate::target::{Form, Target};
use crate::text::counted;

/// Without --force, sem rm does not remove a semaphore that is held or waited on. With --force, processes that wait on
/// a removed semaphore fail with status 3. The kernel does not know the holders of a plain semaphore.
///
/// --unused removes only slots and locks that no process uses. Without TARGET, --unused checks all slots and locks of
/// the caller. With --unused, sem rm reports which objects it keeps, and why. Keeping an object does not count as a
/// failure.
#[derive(Args)]
// Without TARGET, --unused means all of the caller's.
#[command(mut_arg("targets", |arg| arg.required(false).value_parser(Target::or_file())))]
#[command(group(ArgGroup::new("chosen").args(["targets", "unused"]).multiple(true).required(true)))]
pub struct Rm {
    #[command(flatten)]
    removing: Removing,
    #[command(flatten)]
    idle: Idle,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove semaphores";
    const EXAMPLES: &'static str = "
# Remove slots, if they exist
ipcbox sem rm build --missing-ok
# Remove slots that no process holds or waits for
ipcbox sem create build --slots 4
ipcbox sem rm build --unused
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "the object is in use (see --force), or any other failure")];

    fn run(self) -> Result<Exit> {
        if self.idle.is_wanted() {
            return self.idle.remove(&self.removing);
        }
        let remove = |target: &Target| match target.form() {
            Form::File => self.file(Path::new(target.typed())),
            Form::Posix => self.posix(target),
            _ => semset::find(target).and_then(|set| self.system_v(set)),
        };
        self.removing.each(remove, context)
    }
}

impl Rm {
    fn file(&self, path: &Path) -> Result<()> {
        if self.removing.force {
            return if SlotFile::remove_empty(path, true)? { Ok(()) } else { Ok(SlotFile::look(path)?.remove(true)?) };
        }
        remove_idle_file(path)?.map_or(Ok(()), |words| Err(refused(words).into()))
    }

    fn system_v(&self, set: Set) -> Result<()> {
        if self.removing.force {
            return Ok(holding::remove(set)?);
        }
        match set.values() {
            Ok((_, values)) => {
                if let Some(words) = in_use(set, &values)? {
                    bail!(refused(words));
                }
                remove_idle(set, Purpose::of(&values))
            }
            // Its owner may remove it without permission to read it.
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
                bail!(refused(format!(
                    "the semaphore has {}, including killed ones",
                    counted(waiters as usize, "waiter")
                )));
            }
        }
        Ok(posix::unlink(target.typed())?)
    }
}
