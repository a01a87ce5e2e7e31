//! `shm set`: a word, or size, pinning, permission bits and owner.

use anyhow::{Result, bail};
use clap::Args;

use super::object::atomic_word::{Place, value};
use super::object::{no_space, segment, system_v};
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::owner::Ownership;
use crate::args::size;
use crate::exit::{Cause, Exit};
use crate::objects::errors::{unchanged, ungiven};
use crate::objects::find::owner;
use crate::semset::journal::Journal;
use crate::sys::posix::shm::{self as posix, Object};
use crate::sys::sysv::{Change, Kind};
use nix::errno::Errno;

/// With a VALUE a word gets it, in one atomic step, and who waits for the word is woken. With options only, the
/// object's attributes change; no other tool changes those of a segment.
///
/// The size of a segment is for ever. A POSIX object is made longer by zeros whose space is reserved, and shorter
/// under whoever maps it: touching what is gone ends those programs by SIGBUS.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Set {
    #[command(flatten)]
    place: Place,
    /// The word's new value
    #[arg(value_name = "VALUE", value_parser = value, allow_negative_numbers = true)]
    value: Option<i64>,
    /// New size (POSIX)
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: Option<u64>,
    /// Keep it from being swapped out (System V)
    #[arg(long, conflicts_with = "unpin")]
    pin: bool,
    /// Let it be swapped out again
    #[arg(long)]
    unpin: bool,
    /// Create it if it is missing, a page of zeros
    #[arg(long, requires = "value")]
    create: bool,
    /// Trust an object that belongs to another user
    #[arg(hide_short_help = true, long, requires = "create")]
    foreign: bool,
    #[command(flatten)]
    ownership: Ownership,
}

impl Verb for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "Set a word, or size, pinning, permission bits and owner";
    const EXAMPLES: &'static str = "
# Begin anew
ipcbox shm add counter --create
ipcbox shm set counter 0
";

    fn run(self) -> Result<Exit> {
        let Self { place, value, .. } = &self;
        let change = self.ownership.change();
        let pinned = self.pin || self.unpin;
        let nothing = value.is_none() && self.size.is_none() && !pinned && change == Change::default();
        let refused = if nothing {
            let hint = "a VALUE, --size, --pin, --unpin, --mode or --owner";
            Err(Cause::new(Exit::Usage, "nothing to set was given").hint(hint).into())
        } else {
            self.allow()
        };
        context("set", &place.target, refused)?;
        if let Some(value) = value {
            let open = || {
                let memory = if self.create { place.open_or_create(self.creating())? } else { place.open(true)? };
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
    /// How a missing object is made. Its permission bits may deny its owner what is done first: they are set last.
    const fn creating(&self) -> Creating {
        Creating { mode: None, foreign: self.foreign, exclusive: false }
    }

    /// Refuses what the family has not, before anything is set.
    fn allow(&self) -> Result<()> {
        if self.pin || self.unpin {
            system_v(&self.place.target, "a POSIX object cannot be pinned: mlock is for one process")?;
        }
        if self.size.is_some() && !is_posix(&self.place.target) {
            let words = "the kernel cannot change the size of a segment";
            bail!(Cause::new(Exit::Usage, words).hint("a POSIX object, /name, can be resized"));
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
                    Cause::from_errno(errno, "it is more than this user may pin").hint("ulimit -l is the limit, in KiB")
                }
                Errno::EPERM if self.may_not_pin() => {
                    Cause::from_errno(errno, "this user may pin nothing").hint("ulimit -l is 0")
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

    /// Whether EPERM was about the limit rather than the owner.
    fn may_not_pin(&self) -> bool {
        owner(&self.place.target, Kind::Shm) == Some(nix::unistd::geteuid().as_raw())
    }
}
