//! `--allow` and `--mode`: which clients a server accepts.
//!
//! The kernel knows the process at the other end of a unix socket. For TCP within this machine, sock_diag(7) knows the
//! user of the other end, unless its process has closed it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::listener::Listener;
use crate::args::creating::{mode, user};
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::socket::datagram::Sender;
use crate::sys::socket::diag::Diag;
use crate::sys::socket::name::Name;
use crate::sys::socket::{self, Credentials, Type};
use crate::sys::users::Database;

/// Who may connect.
#[derive(Debug, Clone, Args)]
pub struct Access {
    /// Create a path with this mode (default: 0600)
    ///
    /// The mode is octal, and the umask does not change it. A client needs write permission to connect.
    #[arg(short, long, value_parser = mode)]
    mode: Option<u32>,
    /// Accept clients of user WHO: a name, a uid, or any
    ///
    /// By default, only you and root may connect to a unix socket, and every user of this machine to a port. --allow
    /// USER limits a port to USER, you and root. An address that other hosts can reach needs
    /// --allow any.
    #[arg(long, value_name = "WHO", value_parser = allowed)]
    allow: Vec<Allowed>,
}

/// A user, or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Any,
    User(u32),
}

fn allowed(text: &str) -> Result<Allowed, String> {
    match text {
        "any" => Ok(Allowed::Any),
        "" => Err("expected a user, a uid, or any".into()),
        name => Database::Passwd.id(name).map(Allowed::User).ok_or_else(|| format!("no user '{name}'")),
    }
}

impl Access {
    /// Returns the permission bits of a path.
    pub fn bits(&self) -> u32 {
        self.mode.unwrap_or(0o600)
    }

    /// Whether any user may connect.
    pub fn is_any(&self) -> bool {
        self.allow.contains(&Allowed::Any)
    }

    /// Prepares to decide about the clients of these listeners.
    ///
    /// # Errors
    /// The user of their clients cannot be found out.
    pub fn gate(&self, listeners: &[Listener]) -> Result<Gate> {
        let mut uids = vec![0, geteuid().as_raw()];
        uids.extend(self.allow.iter().filter_map(|who| if let Allowed::User(uid) = who { Some(*uid) } else { None }));
        let mut gate = Gate { uids, is_any: self.is_any(), diag: None };
        if self.allow.is_empty() || gate.is_any {
            return Ok(gate);
        }
        for listener in listeners.iter().filter(|listener| listener.inet.is_some()) {
            let context = || format!("cannot find out the users of clients at {}", listener.shown.display());
            if listener.kind == Type::Dgram {
                let cause = Cause::new(Exit::Usage, "UDP does not report the user of a sender").hint("use --allow any");
                return Err(cause).with_context(context);
            }
            gate.diag = Some(Diag::open(Type::Stream).with_context(context)?);
        }
        Ok(gate)
    }
}

/// The decision about each client.
#[derive(Debug)]
pub struct Gate {
    uids: Vec<u32>,
    is_any: bool,
    /// Set if the users of TCP clients matter.
    diag: Option<Diag>,
}

/// The other end of a connection, or the sender of a datagram, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its address, or the name of its socket.
    pub name: Name,
    /// Its process, unless that is of another pid namespace.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

impl Origin {
    /// Returns the one with this name and process.
    pub fn of(name: Name, process: Option<Credentials>) -> Self {
        let pid = process.map(|process| process.pid).filter(|pid| *pid > 0);
        Self { name, pid, uid: process.map(|process| process.uid), gid: process.map(|process| process.gid) }
    }

    /// Returns the variables for CMD. One that is unknown is empty, so that it is not inherited.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        vec![
            ("IPCBOX_PEER", self.name.to_string()),
            ("IPCBOX_PEER_PID", self.pid.map_or_else(String::new, |pid| pid.to_string())),
            ("IPCBOX_PEER_UID", number(self.uid)),
            ("IPCBOX_PEER_GID", number(self.gid)),
        ]
    }
}

impl Gate {
    /// Returns the client of a connection.
    ///
    /// # Errors
    /// It is not accepted, or has gone.
    pub fn admit(&self, connection: &OwnedFd) -> Result<Origin, Cause> {
        let name = socket::peer_name(connection).map_err(Cause::plain)?;
        if let Name::Inet(_) = name {
            let uid = self.diag.as_ref().map(|diag| owner(diag, connection)).transpose()?;
            uid.map_or(Ok(()), |uid| self.allows(uid, None))?;
            return Ok(Origin { uid, ..Origin::of(name, None) });
        }
        let process = socket::credentials(connection).map_err(Cause::plain)?;
        self.admit_process(name, Some(process))
    }

    /// Returns the sender of a datagram.
    ///
    /// # Errors
    /// It is not accepted.
    pub fn admit_sender(&self, sender: Sender) -> Result<Origin, Cause> {
        if let Name::Inet(_) = sender.name {
            return Ok(Origin::of(sender.name, None));
        }
        self.admit_process(sender.name, sender.process)
    }

    fn admit_process(&self, name: Name, process: Option<Credentials>) -> Result<Origin, Cause> {
        let origin = Origin::of(name, process);
        match origin.uid {
            Some(uid) => self.allows(uid, origin.pid)?,
            None if self.is_any => {}
            None => return Err(Cause::new(Exit::Denied, "the user is unknown")),
        }
        Ok(origin)
    }

    fn allows(&self, uid: u32, pid: Option<i32>) -> Result<(), Cause> {
        if self.is_any || self.uids.contains(&uid) {
            return Ok(());
        }
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let cause = Cause::new(Exit::Denied, format!("access is not allowed for {}{pid}", user(uid)));
        Err(cause.hint(format!("use --allow {uid} to accept this user")))
    }
}

/// Reports a client or a datagram that is not accepted.
pub fn refuse(what: &str, address: &OsStr, cause: Cause) {
    output::report(&Error::from(cause).context(format!("cannot accept a {what} at {}", address.display())));
}

/// Returns the user of the client of a TCP connection within this machine.
fn owner(diag: &Diag, connection: &OwnedFd) -> Result<u32, Cause> {
    let find = || match (socket::peer_address(connection)?, socket::own_address(connection)?) {
        (Some(peer), Some(own)) => diag.tcp(peer, own),
        _ => Err(Errno::EAFNOSUPPORT),
    };
    // A socket that its process has closed reads as that of root.
    match find().map_err(Cause::plain)?.filter(|socket| socket.inode != 0) {
        Some(socket) => Ok(socket.uid),
        None => Err(Cause::new(Exit::Denied, "the user is unknown, because the client has closed the connection")),
    }
}
