//! `fifo rm`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::path::Fifo;
use crate::applets::Verb;
use crate::exit::{Cause, Exit, each};
use crate::objects::remove::refused;
use crate::objects::users;

/// Without --force, fifo rm does not remove a FIFO that a process has open or is waiting to open. After fifo rm
/// --force, a process that has the FIFO open can still use it. Processes of other users are visible only with
/// privilege.
#[derive(Args)]
pub struct Rm {
    /// Paths of the FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    /// Remove the FIFO even if it is in use
    #[arg(long)]
    force: bool,
    /// Do not fail if the FIFO does not exist
    #[arg(long)]
    missing_ok: bool,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove FIFOs, and nothing else";
    const EXAMPLES: &'static str = "
# Remove a FIFO if it exists
ipcbox fifo rm log --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Failed, "the FIFO is in use (see --force), or any other failure"),
        (Exit::Exists, "the path is not a FIFO"),
    ];

    fn run(self) -> Result<Exit> {
        each(&self.fifos, |fifo| match self.remove(fifo) {
            Err(error) if self.missing_ok && error.downcast_ref() == Some(&Errno::ENOENT) => Ok(()),
            removed => context("remove", fifo, removed),
        })
    }
}

impl Rm {
    fn remove(&self, fifo: &Fifo) -> Result<()> {
        let seen = fifo.look()?;
        if !self.force
            && let Some(users) = users::list(&users::at_fifo(&seen).0)
        {
            bail!(refused(format!("in use by {users}")));
        }
        fifo.remove(&seen).map_err(|errno| match errno {
            Errno::EACCES => Cause::from_errno(errno, "the parent directory is not writable").into(),
            errno => errno.into(),
        })
    }
}
