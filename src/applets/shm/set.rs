//! `shm set`: the value of a word, or the size, pinning, permission bits and owner of the object.

use anyhow::{Result, bail};
use clap::Args;

use super::object::atomic_word::{Place, value};
use super::object::{creatable, no_space, segment, system_v};
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::owner::Ownership;
use crate::args::size;
use crate::exit::{Cause, Exit, ulimit};
use crate::objects::errors::{unchanged, ungiven};
use crate::objects::find::owner;
use crate::semset::journal::Journal;
use crate::sys::posix::shm::{self as posix, Object};
use crate::sys::sysv::{Change, Kind};
use nix::errno::Errno;

/// With VALUE, sets a word atomically and wakes the processes that wait on the word. Options change the object itself.
///
/// The size of a segment cannot be changed. A POSIX object can grow or shrink. When an object grows, the new bytes are
/// zero and their memory is reserved. When an object shrinks, a program that accesses memory beyond the new end is
/// killed by SIGBUS.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Set {
    #[command(flatten)]
    place: Place,
    /// New value of the word
    #[arg(value_name = "VALUE", value_parser = value, allow_negative_numbers = true)]
    value: Option<i64>,
    /// Set the size (POSIX)
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: Option<u64>,
    /// Keep the segment from being swapped out (System V)
    #[arg(long, conflicts_with = "unpin")]
    pin: bool,
    /// Allow the segment to be swapped out again
    #[arg(long)]
    unpin: bool,
    /// Create a missing object (one page of zeros)
    #[arg(long, requires = "value", help_heading = "Creating")]
    create: bool,
    /// Accept an object that belongs to another user
    ///
    /// Without --foreign, an existing object is refused unless you or root own it, because another user may have
    /// created it first.
    #[arg(long, num_args = 0, default_missing_value = "true", requires = "create", help_heading = "Creating")]
    foreign: Option<bool>,
    #[command(flatten)]
    ownership: Ownership,
}

impl Verb for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "Set a word, or change the size, pinning, mode or owner";
    const EXAMPLES: &'static str = "
# Set a counter back to 0
ipcbox shm add counter --create
ipcbox shm set counter 0
";

    fn run(self) -> Result<Exit> {
        let Self { place, value, .. } = &self;
        let change = self.ownership.change();
        let pinned = self.pin || self.unpin;
        let nothing = value.is_none() && self.size.is_none() && !pinned && change == Change::default();
        let refused = if nothing {
            Err(Cause::new(Exit::Usage, "there is nothing to change").hint("ipcbox shm set --help").into())
        } else {
            self.allow()
        };
        context("set", &place.target, refused)?;
        if let Some(value) = value {
            let open = || {
                let memory = if self.create {
                    place.open_or_create(self.creating())?
                } else {
                    place
                        .open(true)
                        .map_err(|error| creatable(error, &place.target, "add --create to create the object"))?
                };
                self.resize()?;
                Ok(memory)
            };
            place.with("set", &[*value], true, open, |word| word.store(*value))?;
        } else {
            context("set", &place.target, self.resize())?;
        }
        context("set", &place.target, self.attributes(change))?;
        Ok(Exit::Done)
    }
}

impl Set {
    /// How a missing object is created: without the mode, which may deny its owner the first write. That is set last.
    const fn creating(&self) -> Creating {
        Creating { mode: None, foreign: self.foreign, exclusive: false }
    }

    /// Refuses options that the family does not have, before anything changes.
    fn allow(&self) -> Result<()> {
        if self.pin || self.unpin {
            system_v(&self.place.target, "a POSIX object cannot be pinned")?;
        }
        if self.size.is_some() && !is_posix(&self.place.target) {
            let words = "the kernel cannot change the size of a segment";
            let name = self.place.target.name().map_or("NAME".into(), |name| name.display().to_string());
            bail!(Cause::new(Exit::Usage, words).hint(format!("use /{name}, a POSIX object")));
        }
        Ok(())
    }

    fn resize(&self) -> Result<()> {
        if let Some(size) = self.size {
            let object = Object::open(self.place.target.typed(), true)?;
            object.resize(size).map_err(|errno| no_space(errno, size))?;
        }
        Ok(())
    }

    fn attributes(&self, change: Change) -> Result<()> {
        let target = &self.place.target;
        if is_posix(target) {
            return posix::change(target.typed(), change)
                .map_err(|errno| ungiven(errno, change, owner(target, Kind::Shm)));
        }
        if self.pin || self.unpin {
            segment(target)?.pin(self.pin).map_err(|errno| match errno {
                Errno::ENOMEM => {
                    Cause::from_errno(errno, "the size exceeds what this user may pin").hint(self.more_pinned())
                }
                Errno::EPERM if self.may_not_pin() => {
                    Cause::from_errno(errno, "this user may not pin memory").hint(self.more_pinned())
                }
                errno => super::explain(target, errno),
            })?;
        }
        if change != Change::default() {
            let segment = segment(target)?;
            let set = segment.stat().and_then(|stat| Journal::new((&stat).into()).keep(|| segment.change(change)));
            set.map_err(|errno| unchanged(errno, segment.stat().is_ok()))?;
        }
        Ok(())
    }

    /// Whether `EPERM` is about `RLIMIT_MEMLOCK` rather than the owner.
    /// Returns the hint that lets this user pin the segment too.
    fn more_pinned(&self) -> String {
        let size = segment(&self.place.target).ok().and_then(|segment| Some(segment.stat().ok()?.size));
        ulimit('l', 1024, size.unwrap_or(0))
    }

    fn may_not_pin(&self) -> bool {
        owner(&self.place.target, Kind::Shm) == Some(nix::unistd::geteuid().as_raw())
    }
}
