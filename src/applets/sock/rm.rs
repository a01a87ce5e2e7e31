//! `sock rm`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::errno::Errno;

use super::endpoint::explain_refusal;
use crate::applets::Verb;
use crate::exit::{Cause, Exit, each};
use crate::objects::remove::refused;
use crate::objects::users;
use crate::sys::socket::takeover::{Refused, remove};

/// A socket file is stale if no process has the socket open, for example because its server was killed.
///
/// Without --force, rm refuses to remove a socket that a process has open. With --force, that process keeps its
/// connections, but new clients can no longer reach it.
#[derive(Args)]
pub struct Rm {
    /// Paths of the sockets
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Remove it even if it is in use
    #[arg(long)]
    force: bool,
    /// Do not fail if it does not exist
    #[arg(long)]
    missing_ok: bool,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove stale sockets, and nothing else";
    const EXAMPLES: &'static str = "
# Remove the socket of a killed server, if there is one
ipcbox sock rm db.sock --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Failed, "in use (see --force), or any other failure"),
        (Exit::Missing, "no such socket"),
        (Exit::Exists, "the path is not a socket"),
    ];

    fn run(self) -> Result<Exit> {
        each(&self.paths, |path| {
            let cause = match remove(path, self.force) {
                Ok(()) => return Ok(()),
                Err(Refused::Failed(Errno::ENOENT)) if self.missing_ok => return Ok(()),
                Err(refused) => explain_refusal(path, refused, in_use),
            };
            Err(Error::from(cause)).with_context(|| format!("cannot remove {}", path.display()))
        })
    }
}

fn in_use(path: &Path) -> Cause {
    let users = users::list(&users::at_socket(path));
    refused(users.map_or_else(|| "it is in use".into(), |users| format!("it is in use by {users}")))
}
