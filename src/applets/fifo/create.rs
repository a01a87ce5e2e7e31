//! `fifo create`.

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::path::Fifo;
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::timeout::Quiet;
use crate::exit::{Cause, Exit, each};
use crate::sys::errno;

/// Prints nothing. A FIFO that exists is accepted, unless --mode asks for another mode (status 4). Anything else at the
/// path is an error.
#[derive(Args)]
pub struct Create {
    /// Paths of the FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    /// Create missing directories
    #[arg(short, long)]
    parents: bool,
    /// Fail with status 4 if it exists
    #[arg(short = 'x', long)]
    exclusive: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    _quiet: Quiet,
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Create FIFOs";
    const EXAMPLES: &'static str = "
# Create a FIFO that the group may write to
ipcbox fifo create control --mode 660
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Missing, "the directory does not exist")];

    fn run(self) -> Result<Exit> {
        each(&self.fifos, |fifo| context("create", fifo, self.create(fifo)))
    }
}

impl Create {
    fn create(&self, fifo: &Fifo) -> Result<()> {
        if self.parents {
            std::fs::create_dir_all(fifo.directory()).map_err(|error| match errno(error) {
                // A file is in the way.
                Errno::EEXIST => Errno::ENOTDIR,
                errno => errno,
            })?;
        }
        match fifo.open_or_create(Creating { exclusive: self.exclusive, ..self.creating }) {
            Ok((seen, _)) => self.creating.expect_mode(seen.mode),
            Err(error) if error.downcast_ref() == Some(&Errno::ENOENT) => {
                let cause = Cause::from_errno(Errno::ENOENT, "its directory does not exist");
                Err(cause.hint("add --parents to create it").into())
            }
            Err(error) => Err(error),
        }
    }
}
