//! `shm create`.

use anyhow::{Result, bail};
use clap::Args;

use super::object::{create_segment, if_missing, segment, system_v, unnamed};
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::creating::{Creating, differs};
use crate::args::size;
use crate::args::timeout::Quiet;
use crate::exit::{Cause, Exit};
use crate::sys::posix::shm as posix;
use crate::sys::sysv::shm::Stat;
use crate::target::{Form, Target};

/// Prints the id, or the name of a POSIX object. It is made of zeros. One that exists must have
/// this size, and the mode if one is given, or the status is 4; it is left as it is. The space of a POSIX object is
/// reserved at once; that of a segment is promised.
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

    fn run(mut self) -> Result<Exit> {
        self.creating.exclusive = self.exclusive;
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
        let find = || {
            let stat = posix::look(name)?;
            Ok(((stat.size, stat.mode), [stat.uid]))
        };
        let create = || Ok(unnamed(self.size)?.publish(name, self.creating.bits())?);
        self.creating.open_or_create(find, |found| self.compare(found), create)?;
        Ok(self.target.to_string())
    }

    fn system_v(&self) -> Result<String> {
        if self.size == 0 {
            bail!(Cause::new(Exit::Usage, "a segment has at least one byte"));
        }
        let find = || -> Result<_> {
            let stat = segment(&self.target)?.stat()?;
            Ok((stat, stat.perm.owners()))
        };
        let accept = |stat: Stat| self.compare((stat.size, stat.perm.mode)).map(|()| stat.id);
        let create = || Ok(create_segment(&self.target, self.size, self.creating, self.huge)?.id());
        let id = match self.target.form() {
            Form::Private => create(),
            _ => {
                self.creating.open_or_create(|| find().map_err(|error| if_missing(error, &self.target)), accept, create)
            }
        };
        Ok(id?.to_string())
    }

    /// Checks that one that exists is as asked.
    fn compare(&self, (size, mode): (u64, u32)) -> Result<()> {
        if size != self.size {
            bail!(differs(format!("{size} bytes"), self.size));
        }
        self.creating.expect_mode(mode)
    }
}
