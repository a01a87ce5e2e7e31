//! `shm rm`.

use anyhow::{Context, Result};
use clap::Args;

use super::object::segment;
use super::stat::warn_unseen;
use super::{context, is_posix};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::objects::State;
use crate::objects::remove::{Removing, refuse};
use crate::objects::users::mappers;
use crate::semset::journal::{self, Journal};
use crate::sys::holders;
use crate::sys::posix::shm as posix;
use crate::target::Target;

/// Without --force, shm rm does not remove an object that a process has attached, mapped or open. With --force, shm rm
/// frees the name or key at once; the memory is freed when the last process that uses the object exits. If other users
/// may use a POSIX object, a warning shows how many processes the caller may not inspect.
#[derive(Args)]
pub struct Rm {
    #[command(flatten)]
    removing: Removing,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove segments and POSIX objects";
    const EXAMPLES: &'static str = "
# Remove an object, if it exists
ipcbox shm rm board --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "the object is in use (see --force), or any other failure")];

    fn run(self) -> Result<Exit> {
        let remove = |target: &Target| {
            if is_posix(target) { self.posix(target) } else { self.system_v(target) }
        };
        self.removing.each(remove, context)
    }
}

impl Rm {
    fn system_v(&self, target: &Target) -> Result<()> {
        let segment = segment(target)?;
        let stat = segment.stat()?;
        if !self.removing.force && stat.attached > 0 {
            refuse("attached", &mappers(&State::Segment(stat).into(), &holders::index(&[]).unwrap_or_default()))?;
        }
        segment.remove()?;
        clean_up((&stat).into())
    }

    fn posix(&self, target: &Target) -> Result<()> {
        let stat = posix::look(target.typed())?;
        if !self.removing.force {
            let index = holders::index(&[(stat.device, stat.inode)]).unwrap_or_default();
            refuse("in use", &mappers(&State::Memory(stat).into(), &index))?;
            // An ordinary user can never inspect process 1, which is assumed to use nothing.
            let unseen = index.unseen.iter().filter(|pid| **pid != 1).count();
            if unseen > 0 && stat.mode & 0o077 != 0 {
                warn_unseen(&target.to_string(), "processes", unseen as u64);
            }
        }
        posix::remove(target.typed())?;
        clean_up((&stat).into())
    }
}

/// Removes what killed writers left of an object.
fn clean_up(object: journal::Subject) -> Result<()> {
    Journal::new(object).remove().context("the object was removed, but not the copy that a killed writer left")
}
