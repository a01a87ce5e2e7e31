//! Opening what an address names, and copying both directions of a connection.

pub mod allow;
pub mod claim;
pub mod client;
mod direction;
pub mod exchange;
pub mod frame;
pub mod half_open;
pub mod handover;
pub mod listener;
pub mod lookout;
pub mod messages;
pub mod printing;
pub mod receiving;
pub mod relay;
pub mod reply;
pub mod server;
mod sight;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::args::address::{Address, Endpoint, Host};
use crate::args::creating::user;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::objects::users::{self, User};
use crate::supervise::command::not_forked;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::fifo::{self, Kind};
use crate::sys::holders::Holder;
use crate::sys::hosts::{self, Unresolved};
use crate::sys::socket::takeover::{PATIENCE, Refused};
use crate::sys::socket::{self, Type, reached, type_of};
use crate::text::quote;

/// Explains a failed call on the file of a socket.
pub fn explain_path(path: &Path, errno: Errno) -> Cause {
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT if fifo::directory(directory(path)) == Err(errno) => cause("the parent directory does not exist"),
        // A socket is reached through /proc.
        Errno::ENOENT if fifo::look(path).is_ok() && fifo::directory(Path::new("/proc/self/fd")).is_err() => {
            cause("/proc is not mounted").exit(Exit::Failed)
        }
        Errno::ENOENT => cause("no such socket"),
        Errno::ENOTDIR => cause("a part of the path is not a directory"),
        Errno::EISDIR => cause("the path ends in a directory"),
        Errno::ENAMETOOLONG => cause("the path, or a name in it, is too long"),
        Errno::EACCES => match fifo::look(path) {
            Ok(seen) if seen.uid != geteuid().as_raw() => {
                cause(&format!("permission denied; owned by {}", user(seen.uid)))
            }
            _ => Cause::plain(errno),
        },
        errno => Cause::plain(errno),
    }
}

/// Explains why a path was not taken for a socket of this type, or not removed. `in_use` is the failure on the socket of a live process.
pub fn explain_refusal(
    kind: Type,
    path: &Path,
    refused: Refused,
    timeout: Option<&Timeout>,
    in_use: impl FnOnce(&Path) -> Cause,
) -> Cause {
    match refused {
        Refused::NotASocket(found) => not_a_socket(kind, path, found),
        Refused::InUse => in_use(path),
        Refused::Locked(pids) => locked(&pids, timeout),
        Refused::Disturbed => Cause::new(Exit::Failed, "another process has just replaced the socket"),
        Refused::Failed(errno @ (Errno::EACCES | Errno::EPERM)) => denied(path, errno),
        Refused::Failed(errno) => explain_path(path, errno),
    }
}

/// Returns ` by 812 (cc)` for these processes, if there are any.
pub fn by(pids: &[i32]) -> String {
    let holder = |pid: &i32| User::from(Holder { pid: *pid, mappings: 0, open: Vec::new() });
    let users: Vec<User> = pids.iter().map(holder).collect();
    users::list(&users).map_or_else(String::new, |users| format!(" by {users}"))
}

fn locked(pids: &[i32], timeout: Option<&Timeout>) -> Cause {
    let by = by(pids);
    match timeout.filter(|timeout| timeout.deadline() != Deadline::Forever) {
        Some(timeout) => timeout.expired(format!("the directory is{} locked{}{by}", timeout.still(), timeout.after())),
        None => Cause::new(Exit::Failed, format!("the directory is still locked after {}s{by}", PATIENCE.as_secs())),
    }
}

fn denied(path: &Path, errno: Errno) -> Cause {
    match fifo::look(path) {
        Ok(seen) if seen.uid != geteuid().as_raw() => {
            Cause::from_errno(errno, format!("permission denied; owned by {}", user(seen.uid)))
        }
        Ok(seen) if seen.kind == Kind::Socket && seen.mode & 0o200 == 0 => {
            let words = format!("mode {:04o} does not allow testing whether the socket is stale", seen.mode);
            Cause::from_errno(errno, words).hint(format!("chmod u+w {}", quote(&path.display().to_string())))
        }
        _ => Cause::from_errno(errno, "the directory must be readable and writable"),
    }
}

/// Returns the addresses of a host, in the order in which to try them.
pub fn addresses(host: &Host, timeout: Option<&Timeout>) -> Result<Vec<IpAddr>> {
    let name = match host {
        Host::Number(ip) => return Ok(vec![*ip]),
        Host::Localhost => return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        Host::Name(name) => name,
    };
    let found = hosts::find(name, timeout.map_or(Deadline::Forever, Timeout::deadline));
    found.map_err(|why| unresolved(name, why, timeout))
}

/// Explains why a name has no address.
fn unresolved(name: &str, why: Unresolved, timeout: Option<&Timeout>) -> Error {
    match (why, timeout) {
        (Unresolved::Unknown, _) => Cause::new(Exit::Missing, format!("no address is known for {name}")).into(),
        (Unresolved::NoGetent, _) => {
            let words = format!("{name} is not in /etc/hosts, and getent is not installed");
            Cause::new(Exit::Failed, words).hint("use the IP address of the host").into()
        }
        (Unresolved::NotStarted(errno), _) => {
            let cause = not_forked(errno, "getent could not be started").exit(Exit::Failed);
            Error::from(cause).context(format!("cannot look up {name}"))
        }
        (Unresolved::Failed(Errno::EAGAIN), Some(timeout)) => timeout.missed("the host was not looked up").into(),
        (Unresolved::Failed(errno), _) => Error::from(errno).context(format!("cannot look up {name}")),
    }
}

/// Returns the failure on what is missing.
pub fn missing(errno: Errno, words: &str) -> Cause {
    Cause::from_errno(errno, words).exit(Exit::Missing)
}

/// Returns the failure on a file that is not a socket; `kind` is the type of the one that was expected.
pub fn not_a_socket(kind: Type, path: &Path, found: Kind) -> Cause {
    let words = match found {
        Kind::Fifo => "a FIFO",
        Kind::Regular => "a regular file",
        Kind::Directory => "a directory",
        Kind::Link => "a symbolic link (not followed)",
        Kind::Device | Kind::Socket => "a device",
    };
    let cause = Cause::new(Exit::Exists, format!("the path is {words}, not a socket"));
    match std::fs::canonicalize(path) {
        Ok(target) if found == Kind::Link => {
            let prefix = match kind {
                Type::Stream => "",
                Type::Dgram => "dgram:",
                Type::Seqpacket => "seqpacket:",
            };
            cause.hint(format!("use {}", quote(&format!("{prefix}{}", target.display()))))
        }
        _ => cause,
    }
}

/// Returns a copy of a socket that the caller has inherited.
pub fn inherited(number: i32) -> Result<OwnedFd, Cause> {
    let socket = fds::copy_of(number).map_err(|errno| missing(errno, "the descriptor is not open"))?;
    let not_one = |errno| Cause::from_errno(errno, "the descriptor is not a socket").exit(Exit::Exists);
    type_of(&socket).map(|_| socket).map_err(not_one)
}

/// Adds the hint to a failure on a name that the file of a socket has.
pub fn or_file(cause: Cause, address: &Address) -> Cause {
    match file_of(address) {
        Some(path) => cause.hint(format!("use {path} for the file")),
        None => cause,
    }
}

/// Returns the state of an address without a server.
pub fn no_server_yet(address: &Address) -> String {
    let file = file_of(address).map(|path| format!(" (use {path} for the file)"));
    format!("no server yet{}", file.unwrap_or_default())
}

/// Returns the path of the socket that has the text of a name, if there is one.
fn file_of(address: &Address) -> Option<String> {
    let typed = address.typed();
    let is_name = matches!(address.endpoint(), Endpoint::Abstract(..)) && !typed.as_bytes().contains(&b'@');
    let is_socket = || fifo::look(Path::new(typed)).is_ok_and(|seen| seen.kind == Kind::Socket);
    (is_name && is_socket()).then(|| quote(&format!("./{address}")))
}

/// Adds the hint to the loss of a connection to a unix server, which may refuse the users that it does not know.
pub fn or_refused(cause: Cause, socket: &OwnedFd) -> Cause {
    let own = geteuid();
    match socket::credentials(socket) {
        Ok(server) if !own.is_root() && server.uid != own.as_raw() => {
            cause.hint(format!("start the server with --allow {own} if it refuses your user"))
        }
        _ => cause,
    }
}

/// Returns the processes that have the server's socket open, as far as they can be inspected.
pub fn servers(address: &Address) -> Vec<User> {
    match address.endpoint() {
        Endpoint::Path(_, path) => users::at_socket(path),
        Endpoint::Abstract(_, name) => users::at_name(name),
        Endpoint::Inet(Type::Stream, host, port) => {
            let ip = if let Host::Number(ip) = host { *ip } else { Ipv4Addr::LOCALHOST.into() };
            users::at_port(SocketAddr::new(reached(ip), *port))
        }
        _ => Vec::new(),
    }
}

/// Returns the failure on a datagram that was longer than the one before it, which another process has received.
pub fn too_long() -> Cause {
    Cause::from_errno(Errno::EMSGSIZE, "a datagram was lost, because it was too long for the buffer")
}

/// Returns the directory of a path.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
