//! `shm create`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::object::{is_missing, make_segment, segment, system_v, unnamed};
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::creating::{Creating, differs};
use crate::args::size;
use crate::args::timeout::Quiet;
use crate::exit::{Cause, Exit};
use crate::sys::posix::shm as posix;
use crate::sys::sysv::shm::Stat;
use crate::target::Target;

/// Prints the id, or the name of a POSIX object. It is made of zeros. One that exists must have
/// this size, and the mode if one is given, or the status is 4; it is left as it is. The space of a POSIX object is reserved at once; that of a segment is promised.
#[derive(Args)]
pub struct Create {
    /// The segment or POSIX object; private for a segment without a key
    #[arg(value_name = "TARGET")]
    target: Target,
    /// How large: 4096, 64K, 2G, or 64KB for 64,000
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: u64,
    /// Fail with status 4 if it is there already
    #[arg(short = 'x', long)]
    exclusive: bool,
    /// Use huge pages (System V)
    #[arg(long)]
    huge: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    quiet: Quiet,
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Make a segment or a POSIX object of zeros";
    const EXAMPLES: &'static str = "
# A segment for the group
ipcbox shm create board --size 64K --mode 660
";

    fn run(self) -> Result<Exit> {
        self.quiet.can_answer()?;
        let made = if is_posix(&self.target) { self.posix() } else { self.system_v() };
        let name = context("create", &self.target, made)?;
        self.quiet.answer(name.as_bytes())?;
        Ok(Exit::Done)
    }
}

impl Create {
    fn posix(&self) -> Result<String> {
        if self.huge {
            system_v(&self.target, "a POSIX object has no huge pages")?;
        }
        let name = self.target.typed();
        loop {
            match posix::look(name) {
                Err(Errno::ENOENT) => {}
                found => {
                    let stat = found?;
                    self.allow(&[stat.uid], stat.size, stat.mode)?;
                    break;
                }
            }
            match unnamed(self.size)?.publish(name, self.creating.bits()) {
                Err(Errno::EEXIST) => {}
                published => break published?,
            }
        }
        Ok(self.target.to_string())
    }

    fn system_v(&self) -> Result<String> {
        if self.size == 0 {
            bail!(Cause::new(Exit::Usage, "a segment has at least one byte"));
        }
        loop {
            if let Some(stat) = self.find()? {
                self.allow(&stat.perm.owners(), stat.size, stat.perm.mode)?;
                return Ok(stat.id.to_string());
            }
            if let Some(made) = make_segment(&self.target, self.size, self.creating, self.huge)? {
                return Ok(made.id().to_string());
            }
        }
    }

    /// The segment that is there already. An id that is none names nothing that could be made.
    fn find(&self) -> Result<Option<Stat>> {
        if *self.target.form() == crate::target::Form::Private {
            return Ok(None);
        }
        match segment(&self.target).and_then(|segment| Ok(segment.stat()?)) {
            Err(error) if is_missing(&error, &self.target) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether one that is there is what was asked for.
    fn allow(&self, owners: &[u32], size: u64, mode: u32) -> Result<()> {
        if self.exclusive {
            bail!(Errno::EEXIST);
        }
        self.creating.trust(owners.iter().copied())?;
        if size != self.size {
            bail!(differs(format!("{size} bytes"), self.size));
        }
        Ok(self.creating.expect_mode(mode)?)
    }
}
