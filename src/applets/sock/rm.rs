//! `sock rm`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::endpoint::{explain_path, not_a_socket};
use crate::applets::Verb;
use crate::args::creating::user;
use crate::exit::{Cause, Exit, each};
use crate::objects::remove::refused;
use crate::objects::users::{self, User};
use crate::sys::fifo;
use crate::sys::holders::Holder;
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
                Err(Refused::NotASocket(kind)) => not_a_socket(path, kind),
                Err(Refused::InUse) => in_use(path),
                Err(Refused::Locked(pids)) => locked(&pids),
                Err(Refused::Disturbed) => Cause::new(Exit::Failed, "another process has just replaced it"),
                Err(Refused::Failed(errno @ (Errno::EACCES | Errno::EPERM))) => denied(path, errno),
                Err(Refused::Failed(errno)) => explain_path(path, errno),
            };
            Err(Error::from(cause)).with_context(|| format!("cannot remove {}", path.display()))
        })
    }
}

fn in_use(path: &Path) -> Cause {
    let users = users::list(&users::at_socket(path));
    refused(users.map_or_else(|| "it is in use".into(), |users| format!("it is in use by {users}")))
}

fn locked(pids: &[i32]) -> Cause {
    let holder = |pid: &i32| User::from(Holder { pid: *pid, mappings: 0, open: Vec::new() });
    let users: Vec<User> = pids.iter().map(holder).collect();
    let by = users::list(&users).map_or_else(String::new, |users| format!(" by {users}"));
    Cause::new(Exit::Failed, format!("its directory is still locked after 5s{by}"))
}

fn denied(path: &Path, errno: Errno) -> Cause {
    match fifo::look(path) {
        Ok(seen) if seen.uid != geteuid().as_raw() => {
            Cause::from_errno(errno, format!("permission denied; owned by {}", user(seen.uid)))
        }
        _ => Cause::from_errno(errno, "its directory must be readable and writable"),
    }
}
