//! Listening at addresses.

use std::cell::Cell;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::unistd::getpid;

use super::{addresses, explain_refusal, inherited};
use crate::args::address::{Address, Endpoint, Host};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::objects::users::{self, User};
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::socket::takeover::{Bound, PATIENCE};
use crate::sys::socket::{self, Type, bind_inet, reserve_inet};
use crate::sys::wait::interruptible;

/// How many free ports of one family are tried in the other one.
const ATTEMPTS: usize = 64;
/// How long accept(2) may block if another process has taken the connection.
const TAKEN: Duration = Duration::from_millis(10);

/// Failures of accept(2) for lack of a descriptor or of memory. The connection stays in the backlog.
pub const LACKING: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS];

/// Binds a socket to an address of TCP or UDP.
type Binding = fn(Type, SocketAddr) -> nix::Result<OwnedFd>;

/// How to listen.
pub struct Opening<'a> {
    /// The permission bits of a path.
    pub mode: u32,
    /// Whether other hosts may connect.
    pub is_open: bool,
    /// Whether clients of a unix socket may attach descriptors.
    pub takes_files: bool,
    /// How long to wait for the lock of a directory, and for the addresses of a name.
    pub timeout: Option<&'a Timeout>,
}

/// A socket that listens, or that receives datagrams. Dropping it removes its path.
#[derive(Debug)]
pub struct Listener {
    /// The address as typed, with the port that it has.
    pub shown: OsString,
    /// The type of its socket.
    pub kind: Type,
    /// Its address if it is of TCP or UDP.
    pub inet: Option<SocketAddr>,
    /// Whether other processes may share it, so that its flags must stay as they are.
    pub is_shared: bool,
    /// After the stop of a TCP server: how many clients are still accepted.
    rest: Cell<Option<u32>>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    AtPath(Bound),
    Other(OwnedFd),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::AtPath(bound) => bound.socket.as_fd(),
            Socket::Other(socket) => socket.as_fd(),
        }
    }
}

impl Listener {
    /// Accepts a connection of a listener that is ready.
    ///
    /// # Errors
    /// `EAGAIN`: another process has taken the connection. `EMFILE`: it stays in the backlog. `EINVAL`: after the stop, none
    /// is left.
    pub fn accept(&self) -> nix::Result<OwnedFd> {
        if self.is_shared {
            return interruptible(Deadline::after(TAKEN), || socket::accept(self))?.ok_or(Errno::EAGAIN);
        }
        if self.rest.get() == Some(0) {
            return Err(Errno::EINVAL);
        }
        let connection = socket::accept(self)?;
        self.rest.update(|rest| rest.map(|rest| rest - 1));
        Ok(connection)
    }

    /// Moves its descriptors to numbers that are not below this one.
    pub fn move_above(&mut self, lowest: i32) -> nix::Result<()> {
        match &mut self.socket {
            Socket::AtPath(bound) => bound.move_above(lowest)?,
            Socket::Other(socket) => *socket = fds::copy_above(&*socket, lowest)?,
        }
        Ok(())
    }

    /// Accepts only the clients that are connected already, and removes its name.
    pub fn stop(&self) {
        self.close();
        if !self.is_shared && self.inet.is_some() && self.kind != Type::Dgram {
            // A client that connects now would be reset with the port. One that does not reach the backlog is refused.
            let _ = socket::admit_no_more(self);
            self.rest.set(socket::pending(self).ok());
        }
    }

    /// Removes its name, so that no new client comes. A unix listener still accepts those in its backlog.
    pub fn close(&self) {
        if let Socket::AtPath(bound) = &self.socket
            && let Err(errno) = bound.remove()
        {
            output::warn(format!("cannot remove {}: {}", self.shown.display(), Cause::plain(errno)));
        }
        if !self.is_shared && self.inet.is_none() {
            // A socket that does not listen refuses this, and needs nothing else.
            let _ = socket::end_receiving(self);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Listens at each address. `localhost` and names can take several sockets, all with the same port.
pub fn open(at: &[Address], how: &Opening) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in at {
        let opened = how.open(address);
        listeners.extend(opened.with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}

/// Returns the addresses of which the kernel has chosen the port.
pub fn chosen<'a>(listeners: &'a [Listener], typed: &[Address]) -> Vec<&'a OsString> {
    let mut shown: Vec<_> = listeners.iter().map(|listener| &listener.shown).collect();
    shown.retain(|shown| typed.iter().all(|address| address.typed() != shown.as_os_str()));
    // The two sockets of localhost have one address.
    shown.dedup();
    shown
}

/// Binds sockets of TCP to each address that do not listen. Another process can still bind their ports and listen, if it
/// sets SO_REUSEADDR.
pub fn reserve(at: &[Address]) -> Result<Vec<Listener>> {
    let mut held = Vec::new();
    for address in at {
        let context = || format!("cannot reserve {address}");
        let Endpoint::Inet(Type::Stream, host, port) = address.endpoint() else {
            let cause = Cause::new(Exit::Usage, "only a TCP port can be reserved, such as tcp:localhost:0");
            return Err(cause).with_context(context);
        };
        let bound = addresses(host, None).and_then(|ips| at_port(Type::Stream, host, &ips, *port, reserve_inet));
        for socket in bound.with_context(context)? {
            held.push(listener(address, Type::Stream, Socket::Other(socket), false)?);
        }
    }
    Ok(held)
}

fn listener(address: &Address, kind: Type, socket: Socket, is_shared: bool) -> nix::Result<Listener> {
    let inet = match &socket {
        Socket::AtPath(_) => None,
        Socket::Other(socket) => socket::own_address(socket)?,
    };
    let is_chosen = matches!(address.endpoint(), Endpoint::Inet(.., 0));
    let shown = inet.filter(|_| is_chosen).map(|inet| with_port(address, inet.port()));
    Ok(Listener {
        shown: shown.unwrap_or_else(|| address.typed().to_owned()),
        kind,
        inet,
        is_shared,
        rest: Cell::new(None),
        socket,
    })
}

impl Opening<'_> {
    fn open(&self, address: &Address) -> Result<Vec<Listener>> {
        Ok(match address.endpoint() {
            Endpoint::Path(kind, path) => {
                let patience = Deadline::after(PATIENCE);
                let deadline = self.timeout.map_or(patience, |timeout| timeout.deadline_or(patience));
                let bound = Bound::take(path, *kind, self.takes_files, self.mode, deadline);
                let in_use = |path: &Path| used(&users::at_socket(path));
                let bound = bound.map_err(|refused| explain_refusal(*kind, path, refused, self.timeout, in_use));
                vec![listener(address, *kind, Socket::AtPath(bound?), false)?]
            }
            Endpoint::Abstract(kind, name) => {
                let bound = socket::bind_abstract(*kind, name, self.takes_files).map_err(|errno| match errno {
                    Errno::EADDRINUSE => used(&users::at_name(name)),
                    errno => Cause::plain(errno),
                });
                vec![listener(address, *kind, Socket::Other(bound?), false)?]
            }
            Endpoint::Inet(kind, host, port) => {
                let ips = addresses(host, self.timeout)?;
                ips.iter().try_for_each(|ip| self.admits(*ip))?;
                let bound = at_port(*kind, host, &ips, *port, bind_inet)?.into_iter();
                bound
                    .map(|socket| listener(address, *kind, Socket::Other(socket), false))
                    .collect::<nix::Result<_>>()?
            }
            Endpoint::Inherited(number) => {
                let socket = listening(*number)?;
                let shared = listener(address, socket::type_of(&socket)?, Socket::Other(socket), true)?;
                shared.inet.map_or(Ok(()), |inet| self.admits(inet.ip()))?;
                vec![shared]
            }
        })
    }

    /// Refuses an address that other hosts reach, unless the user wants that.
    fn admits(&self, ip: IpAddr) -> Result<()> {
        if self.is_open || ip.to_canonical().is_loopback() {
            return Ok(());
        }
        let words = format!("other hosts can connect to {ip}");
        bail!(Cause::new(Exit::Usage, words).hint("add --allow any to accept other hosts, or use tcp:localhost:PORT"))
    }
}

/// Returns the address as typed, with this port instead of 0.
fn with_port(address: &Address, port: u16) -> OsString {
    let typed = address.to_string();
    let host = typed.rsplit_once(':').map_or(typed.as_str(), |(host, _)| host);
    format!("{host}:{port}").into()
}

/// Returns the failure on an address that a live process has.
pub fn used(users: &[User]) -> Cause {
    let own = Some(getpid().as_raw());
    let by = match users::list(users) {
        _ if users.iter().any(|user| user.pid() == own) => " by this call (address given twice?)".into(),
        Some(users) => format!(" by {users}"),
        None => String::new(),
    };
    Cause::from_errno(Errno::EADDRINUSE, format!("it is in use{by}")).exit(Exit::Exists)
}

/// Listens at the same port of each address. A port that is free in one family can be in use in the other one.
fn at_port(kind: Type, host: &Host, ips: &[IpAddr], port: u16, bind: Binding) -> Result<Vec<OwnedFd>> {
    // Kept until the end, so that the kernel does not choose the same port once more.
    let mut spoiled = Vec::new();
    loop {
        let mut bound = Vec::new();
        let failed = bind_each(kind, ips, port, bind, &mut bound).err();
        match failed {
            None => return Ok(bound),
            Some((Errno::EADDRINUSE, _)) if port == 0 && !bound.is_empty() && spoiled.len() < ATTEMPTS => {
                spoiled.push(bound);
            }
            Some((Errno::EADDRINUSE, at)) => bail!(used(&users::at_port(at))),
            Some((errno @ Errno::EADDRNOTAVAIL, _)) => {
                let words = match host {
                    Host::Number(_) => "the address does not belong to this machine",
                    _ => "no address of the host belongs to this machine",
                };
                bail!(Cause::from_errno(errno, words));
            }
            Some((errno @ Errno::EACCES, at)) => {
                bail!(Cause::from_errno(errno, format!("permission denied; port {} is privileged", at.port())));
            }
            Some((errno, _)) => bail!(errno),
        }
    }
}

/// A family that this machine does not have, or an address that it lacks, fails only if there is no other.
fn bind_each(
    kind: Type,
    ips: &[IpAddr],
    mut port: u16,
    bind: Binding,
    bound: &mut Vec<OwnedFd>,
) -> Result<(), (Errno, SocketAddr)> {
    let mut absent = None;
    for ip in ips {
        let at = SocketAddr::new(*ip, port);
        match bind(kind, at).and_then(|socket| Ok((socket::own_address(&socket)?, socket))) {
            Ok((own, socket)) => {
                port = own.map_or(port, |own| own.port());
                bound.push(socket);
            }
            Err(errno @ (Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)) => absent = Some((errno, at)),
            Err(errno) => return Err((errno, at)),
        }
    }
    absent.filter(|_| bound.is_empty()).map_or(Ok(()), Err)
}

fn listening(number: i32) -> Result<OwnedFd> {
    let socket = inherited(number)?;
    if socket::type_of(&socket)? != Type::Dgram && !socket::is_listening(&socket)? {
        bail!(Cause::new(Exit::Exists, "the socket is not listening"));
    }
    Ok(socket)
}
