//! Addresses for a server that ipcbox starts. No other process gets them.

use std::hash::{DefaultHasher, Hasher};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::slice;

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;

use super::listener::{self, Listener, Opening, used};
use super::{directory, explain_path, explain_refusal};
use crate::args::address::{Address, Endpoint, Host};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::objects::users;
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fifo;
use crate::sys::socket::takeover::{Refused, remove};
use crate::sys::socket::{self, Type};

/// The permission bits of a path.
const MODE: u32 = 0o600;

/// An address, and what keeps it for the server.
pub struct Claim {
    /// The address, with its port.
    pub address: Address,
    /// The port.
    pub port: Option<u16>,
    /// The sockets that keep a port, or that the server gets.
    pub sockets: Vec<Listener>,
    /// Abstract names that stand for the address.
    guards: Vec<OwnedFd>,
}

impl Claim {
    /// Keeps an address to which the server binds a socket itself.
    pub fn reserve(address: &Address, timeout: &Timeout) -> Result<Self> {
        if let Endpoint::Inet(.., port) = address.endpoint() {
            let held = listener::reserve(slice::from_ref(address))?;
            // The kernel gives a port that it chooses to one socket only, but one that is named to all that share it.
            let own = held.iter().filter_map(|held| held.inet).filter(|_| *port != 0);
            let guards = own.map(|at| guard(&[at.to_string().as_bytes()])).collect::<Result<_>>();
            return Self::of(address, held, guards.with_context(|| cannot(address))?);
        }
        let guard = match address.endpoint() {
            Endpoint::Path(kind, path) => Self::path(*kind, path, timeout),
            Endpoint::Abstract(kind, name) => Self::name(*kind, name),
            _ => Err(Cause::new(Exit::Usage, "a descriptor cannot be reserved")
                .hint("use --pass to pass the socket")
                .into()),
        };
        Self::of(address, Vec::new(), vec![guard.with_context(|| cannot(address))?])
    }

    fn path(kind: Type, path: &Path, timeout: &Timeout) -> Result<OwnedFd> {
        let directory = fifo::directory(directory(path)).map_err(|errno| explain_path(path, errno))?;
        let name = path.file_name().unwrap_or_default().as_bytes();
        let guard = guard(&[&directory.device.to_ne_bytes(), &directory.inode.to_ne_bytes(), name])?;
        free(kind, path, Some(timeout))?;
        Ok(guard)
    }

    fn name(kind: Type, name: &[u8]) -> Result<OwnedFd> {
        let guard = guard(&[name])?;
        match socket::bind_abstract(kind, name, false) {
            Ok(_) => Ok(guard),
            Err(Errno::EADDRINUSE) => bail!(used(&users::at_name(name))),
            Err(errno) => bail!(errno),
        }
    }

    /// Listens at an address.
    pub fn listen(address: &Address, timeout: &Timeout) -> Result<Self> {
        if let Endpoint::Inet(_, Host::Number(ip), _) = address.endpoint()
            && !ip.to_canonical().is_loopback()
        {
            let words = format!("other hosts can connect to {ip}");
            let cause = Cause::new(Exit::Usage, words).hint("use tcp:localhost:PORT, or omit --pass");
            return Err(cause).with_context(|| cannot(address));
        }
        let opening = Opening { mode: MODE, is_open: false, takes_files: true, timeout: Some(timeout) };
        Self::of(address, listener::open(slice::from_ref(address), &opening)?, Vec::new())
    }

    fn of(address: &Address, sockets: Vec<Listener>, guards: Vec<OwnedFd>) -> Result<Self> {
        let shown = sockets.first().map_or_else(|| address.typed().to_owned(), |socket| socket.shown.clone());
        let port = sockets.iter().find_map(|socket| socket.inet).map(|inet| inet.port());
        Ok(Self { address: Address::parse(shown).map_err(Error::from)?, port, sockets, guards })
    }

    /// Removes what a server has left at a path.
    pub fn clear(&self) {
        let Endpoint::Path(kind, path) = self.address.endpoint() else { return };
        if !self.guards.is_empty()
            && let Err(error) = free(*kind, path, None)
        {
            output::warn(format!("cannot remove {}: {error}", self.address));
        }
    }
}

fn cannot(address: &Address) -> String {
    format!("cannot reserve {address}")
}

/// Removes a stale socket.
///
/// # Errors
/// The path is in use, or is not that of a socket.
fn free(kind: Type, path: &Path, timeout: Option<&Timeout>) -> Result<(), Cause> {
    let deadline = timeout.map_or(Deadline::Forever, Timeout::deadline);
    match remove(path, false, deadline, &mut |_| ()) {
        Ok(()) | Err(Refused::Failed(Errno::ENOENT)) => Ok(()),
        Err(refused) => {
            let in_use = |path: &Path| used(&users::at_socket(path));
            Err(explain_refusal(kind, path, refused, timeout, in_use))
        }
    }
}

/// Binds an abstract name that stands for an address, so that another caller is refused before its server has the
/// address. The name disappears with ipcbox.
fn guard(parts: &[&[u8]]) -> Result<OwnedFd> {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write(part);
    }
    let name = format!("ipcbox-with {:016x}", hasher.finish());
    match socket::bind_abstract(Type::Dgram, name.as_bytes(), false) {
        Err(Errno::EADDRINUSE) => bail!(used(&users::at_name(name.as_bytes()))),
        guard => Ok(guard?),
    }
}
