//! `fifo create`.

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::path::Fifo;
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::timeout::Quiet;
use crate::exit::{Cause, Exit, bare, each};
use crate::sys::errno;

/// Prints nothing. Accepts an existing FIFO, but exits with status 4 if its mode differs from --mode. Fails if the path
/// is not a FIFO.
#[derive(Args)]
pub struct Create {
    /// Paths of the FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    /// Create missing directories
    #[arg(short, long, num_args = 0, default_missing_value = "true")]
    parents: Option<bool>,
    /// Fail with status 4 if the FIFO exists
    #[arg(short = 'x', long, num_args = 0, default_missing_value = "true")]
    exclusive: Option<bool>,
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
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Missing, "the parent directory does not exist")];

    fn run(self) -> Result<Exit> {
        each(&self.fifos, |fifo| context("create", fifo, self.create(fifo)))
    }
}

impl Create {
    fn create(&self, fifo: &Fifo) -> Result<()> {
        if self.parents.is_some() {
            std::fs::create_dir_all(fifo.directory()).map_err(|error| match errno(error) {
                // A file is in the way.
                Errno::EEXIST => Errno::ENOTDIR,
                errno => errno,
            })?;
        }
        // It is most likely new, so it is created first: to look for it would be one more system call.
        let made = match fifo.open_or_create(Creating { exclusive: true, ..self.creating }) {
            Err(error) if bare(&error) == Some(Errno::EEXIST) && self.exclusive.is_none() => {
                fifo.open_or_create(self.creating)
            }
            made => made,
        };
        match made {
            Ok((seen, _)) => self.creating.expect_mode(seen.mode),
            Err(error) if error.downcast_ref() == Some(&Errno::ENOENT) => {
                let cause = Cause::from_errno(Errno::ENOENT, "the parent directory does not exist");
                Err(cause.hint("add --parents to create the directory").into())
            }
            Err(error) => Err(error),
        }
    }
}
