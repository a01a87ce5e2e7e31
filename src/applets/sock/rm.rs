//! `sock rm`.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::errno::Errno;

use super::endpoint::{by, explain_path, explain_refusal};
use crate::applets::Verb;
use crate::args::address::{Address, Endpoint};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, each};
use crate::objects::remove::refused;
use crate::objects::users;
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::socket::takeover::{PATIENCE, Refused, remove};
use crate::sys::socket::{self, Peer, Type};
use crate::text::quote;

/// A socket file is stale if no process has the socket open, for example because its server was killed.
///
/// Without --force, rm refuses to remove a socket that a process has open. With --force, that process keeps its
/// connections, but new clients can no longer reach it. --timeout limits the wait for the lock of a directory
/// (default: 5s).
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
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const SUMMARY: &'static str = "Remove stale sockets, and nothing else";
    const EXAMPLES: &'static str = "
# Remove the socket of a killed server, if there is one
ipcbox sock rm ./db.sock --missing-ok
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Failed, "in use (see --force), or any other failure"),
        (Exit::Missing, "no such socket"),
        (Exit::Exists, "the path is not a socket"),
    ];

    fn run(self) -> Result<Exit> {
        let deadline = self.timeout.deadline_or(Deadline::after(PATIENCE));
        each(&self.paths, |path| {
            let waits = &mut |pids: &[i32]| {
                let what = || format!("{}: the directory is locked{}", path.display(), by(pids));
                drop(Notice::verbose(&self.timeout, what).begin(deadline));
            };
            let cause = match remove(path, self.force, deadline, waits) {
                Ok(()) => return Ok(()),
                Err(Refused::Failed(Errno::ENOENT)) => match address(path, self.missing_ok) {
                    None if self.missing_ok => return Ok(()),
                    None => explain_path(path, Errno::ENOENT),
                    Some(hint) => explain_path(path, Errno::ENOENT).hint(hint),
                },
                Err(refused) => explain_refusal(Type::Stream, path, refused, Some(&self.timeout), in_use),
            };
            Err(Error::from(cause)).with_context(|| format!("cannot remove {}", path.display()))
        })
    }
}

/// Returns the hint for an address in place of a path. If the path may be missing, a live name is no reason to fail.
fn address(path: &Path, may_be_missing: bool) -> Option<String> {
    let text = path.as_os_str().as_bytes();
    match Address::parse(path.into()).ok()?.endpoint() {
        Endpoint::Path(_, inner) if inner != path => Some(format!("use {}", quote(&inner.display().to_string()))),
        Endpoint::Abstract(kind, name)
            if text.contains(&b'@')
                || !may_be_missing && socket::accepts(*kind, &Peer::Abstract(name)) != Err(Errno::ECONNREFUSED) =>
        {
            Some("stop its server: a name has no file, and disappears with its server".into())
        }
        _ => None,
    }
}

fn in_use(path: &Path) -> Cause {
    let users = users::list(&users::at_socket(path));
    refused(users.map_or_else(|| "it is in use".into(), |users| format!("it is in use by {users}")))
}
