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

/// Removes FIFOs and nothing else. One that somebody has open or is about to open is left alone without --force; with it,
/// they keep what they have open, and who opens the path later finds nothing. Seen are the processes of the same user, or all with
/// the privilege.
#[derive(Args)]
pub struct Rm {
    /// The FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    /// Also what is in use
    #[arg(long)]
    force: bool,
    /// What is not there counts as removed
    #[arg(long)]
    missing_ok: bool,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove FIFOs, and nothing else";
    const EXAMPLES: &'static str = "
# Gone, whether it was there or not
ipcbox fifo rm log --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Failed, "in use (see --force), or any other failure")];

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
            bail!(refused(format!("it is in use by {users}")));
        }
        fifo.remove(&seen).map_err(|errno| match errno {
            Errno::EACCES => Cause::from_errno(errno, "its directory may not be written to").into(),
            errno => errno.into(),
        })
    }
}
