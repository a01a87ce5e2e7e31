//! `shm rm`.

use anyhow::{Context, Result};
use clap::Args;

use super::object::segment;
use super::stat::tell_unseen;
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

/// One that a process is seen to have attached, mapped or open is left alone without --force. Where others may use a POSIX object
/// it is told how many processes could not be looked at, which takes the right to trace them. With --force the name or key is free at
/// once, and the memory when its last user ends.
#[derive(Args)]
pub struct Rm {
    #[command(flatten)]
    removing: Removing,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove segments and POSIX objects";
    const EXAMPLES: &'static str = "
# Gone, whether it was there or not
ipcbox shm rm board --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Failed, "in use (see --force), or any other failure")];

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
            // The first process, which in most systems nobody may look at, is taken to use nothing.
            let unseen = index.unseen.iter().filter(|pid| **pid != 1).count();
            if unseen > 0 && stat.mode & 0o077 != 0 {
                tell_unseen(&target.to_string(), "processes", unseen as u64);
            }
        }
        posix::remove(target.typed())?;
        clean_up((&stat).into())
    }
}

/// What killed writers left goes with the object.
fn clean_up(object: journal::Object) -> Result<()> {
    Journal::new(object).remove().context("it is removed, but not what a killed writer left of it")
}
