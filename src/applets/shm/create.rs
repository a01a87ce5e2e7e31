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
use crate::output;
use crate::sys::posix::shm as posix;
use crate::sys::sysv::shm::Stat;
use crate::target::{Form, Target};

/// Prints the id of a segment, or the name of a POSIX object. An existing object is accepted if its size and, with
/// --mode, its mode match the options; otherwise, nothing changes and the status is 4. A POSIX object's memory is
/// reserved at once; a segment's memory is allocated as it is used.
#[derive(Args)]
pub struct Create {
    /// Object to create, or 'private' for a segment without a key
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Create the object with this size: 4096, 64K, 2G
    ///
    /// SIZE 64K means 65,536 bytes, and 64KB means 64,000 bytes.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: u64,
    /// Fail with status 4 if the object exists
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
    const SUMMARY: &'static str = "Create a segment or POSIX object filled with zeros";
    const EXAMPLES: &'static str = "
# Create a segment that the group may use
ipcbox shm create board --size 64K --mode 660
";

    fn run(mut self) -> Result<Exit> {
        self.creating.exclusive = self.exclusive;
        self.quiet.can_answer()?;
        if self.size == 0 && !is_posix(&self.target) {
            bail!(Cause::new(Exit::Usage, "--size: expected at least 1 byte"));
        }
        let created = if is_posix(&self.target) { self.posix() } else { self.system_v() };
        let name = context("create", &self.target, created)?;
        // Also that of an object which another program created.
        output::remember(&self.target);
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

    fn compare(&self, (size, mode): (u64, u32)) -> Result<()> {
        if size != self.size {
            bail!(differs(format!("{size} bytes"), self.size));
        }
        self.creating.expect_mode(mode)
    }
}
