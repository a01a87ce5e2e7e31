//! `msgq set`.

use anyhow::{Result, bail};
use clap::Args;

use super::context;
use super::create::{change, room};
use super::queue::{find, only_system_v};
use crate::applets::Verb;
use crate::args::owner::Ownership;
use crate::exit::{Cause, Exit};
use crate::objects::errors::ungiven;
use crate::objects::find::owner;
use crate::sys::posix::mq;
use crate::sys::sysv::{Change, Kind};
use crate::target::{Form, Target};

/// The limits of a POSIX queue are fixed when it is made. A System V queue can be made smaller than what is in it: then
/// nothing more fits until enough was taken. More than kernel.msgmnb needs CAP_SYS_RESOURCE.
#[derive(Args)]
pub struct Set {
    /// The queue
    #[arg(value_name = "TARGET")]
    target: Target,
    /// System V: bytes of data that fit
    #[arg(long, value_name = "SIZE", value_parser = room)]
    max_bytes: Option<u64>,
    #[command(flatten)]
    ownership: Ownership,
}

impl Verb for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "Set limit, permission bits and owner";
    const EXAMPLES: &'static str = "
# Access for the group
ipcbox msgq create jobs
ipcbox msgq set jobs --mode 660
";

    fn run(self) -> Result<Exit> {
        context("set", &self.target, self.set())?;
        Ok(Exit::Done)
    }
}

impl Set {
    fn set(&self) -> Result<()> {
        let wanted = self.ownership.change();
        if wanted == Change::default() && self.max_bytes.is_none() {
            bail!(Cause::new(Exit::Usage, "nothing to set was given").hint("--max-bytes, --mode or --owner"));
        }
        if *self.target.form() == Form::Posix {
            let why = "the limits of a POSIX queue are fixed when it is made";
            only_system_v(&self.target, self.max_bytes.is_some(), why)?;
            return mq::look(self.target.typed())?
                .change(wanted)
                .map_err(|errno| ungiven(errno, wanted, owner(&self.target, Kind::Msg)));
        }
        change(find(&self.target)?, wanted, self.max_bytes)
    }
}
