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

/// If the limit of a System V queue is set below its current size, no message can be sent until enough messages have
/// been received. A limit above kernel.msgmnb needs CAP_SYS_RESOURCE. The limits of a POSIX queue cannot be changed.
#[derive(Args)]
pub struct Set {
    /// Queue to change
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Limit the data in the queue to SIZE (System V)
    #[arg(long, value_name = "SIZE", value_parser = room)]
    max_bytes: Option<u64>,
    #[command(flatten)]
    ownership: Ownership,
}

impl Verb for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "Change the limit, mode or owner of a queue";
    const EXAMPLES: &'static str = "
# Let the group use the queue
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
            bail!(Cause::new(Exit::Usage, "there is nothing to change").hint("ipcbox msgq set --help"));
        }
        if *self.target.form() == Form::Posix {
            let why = "the limits of a POSIX queue are fixed when it is created";
            only_system_v(&self.target, self.max_bytes.is_some(), why)?;
            return mq::look(self.target.typed())?
                .change(wanted)
                .map_err(|errno| ungiven(errno, wanted, owner(&self.target, Kind::Msg)));
        }
        change(find(&self.target)?, wanted, self.max_bytes)
    }
}
