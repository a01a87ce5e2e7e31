//! Sockets: creating, binding, listening, accepting and connecting.
//!
//! A unix socket at a path is reached through `/proc/self/fd`. Its path can then have any length, a final symbolic link
//! is not followed, and the file that was checked is the one that is connected to.
//!
//! Every socket is close-on-exec and blocks, unless a function documents the opposite.
#![allow(unsafe_code)]

mod connecting;
pub mod datagram;
pub mod diag;
pub mod listed;
pub mod message;
pub mod name;
pub mod owners;
pub mod pass;
mod routes;
pub mod stream;
pub mod takeover;

use std::ffi::{OsStr, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::socket::sockopt::{AcceptConn, PassCred, PeerCredentials, ReuseAddr, SockType as TypeOf, SocketError};
use nix::sys::socket::{
    self as calls, AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, UnixAddr, accept4, bind,
    getpeername, getsockname, getsockopt, setsockopt, socketpair,
};
use nix::sys::stat::{Mode, fstat};

pub use self::connecting::{begin, connect, connect_as, established};
use self::name::Name;
use super::fds::flags;
use super::fifo::Seen;
use super::interrupt::retry;

/// How many connections wait to be accepted. The kernel lowers it to `/proc/sys/net/core/somaxconn`.
const BACKLOG: i32 = 4096;
/// The longest abstract name, in bytes.
pub const ABSTRACT_MAX: usize = 107;

/// The type of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A stream of bytes: SOCK_STREAM, and TCP.
    Stream,
    /// Messages without a connection: SOCK_DGRAM, and UDP.
    Dgram,
    /// A connection of messages: SOCK_SEQPACKET.
    Seqpacket,
}

impl Type {
    const fn number(self) -> SockType {
        match self {
            Self::Stream => SockType::Stream,
            Self::Dgram => SockType::Datagram,
            Self::Seqpacket => SockType::SeqPacket,
        }
    }
}

/// The file of a unix socket, or another file in its place, opened by O_PATH.
#[derive(Debug)]
pub struct SocketFile {
    fd: OwnedFd,
    /// Its attributes.
    pub seen: Seen,
}

impl SocketFile {
    /// Opens the file at a path. A final symbolic link is not followed.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_at(AT_FDCWD, path.as_os_str())
    }

    fn open_at(directory: impl AsFd, name: &OsStr) -> Result<Self> {
        let fd = openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
        let seen = fstat(&fd)?.into();
        Ok(Self { fd, seen })
    }

    fn address(&self) -> Result<UnixAddr> {
        UnixAddr::new(format!("/proc/self/fd/{}", self.fd.as_raw_fd()).as_str())
    }

    /// Returns whether a process has the socket, listening or not. Nothing reaches that process: a datagram socket tries
    /// to connect, which a socket of another type refuses.
    ///
    /// # Errors
    /// `EACCES`: the caller may not connect to it, and no process of this network namespace has it.
    pub fn is_live(&self) -> Result<bool> {
        let probe = unix(Type::Dgram)?;
        match calls::connect(probe.as_raw_fd(), &self.address()?) {
            Err(Errno::ECONNREFUSED) => Ok(false),
            // Of another type, or a datagram socket that is connected to another one.
            Ok(()) | Err(Errno::EPROTOTYPE | Errno::EPERM) => Ok(true),
            Err(Errno::EACCES) if matches!(diag::bound_to(self), Ok(Some(_))) => Ok(true),
            Err(errno) => Err(errno),
        }
    }
}

/// What a client connects to.
#[derive(Debug, Clone, Copy)]
pub enum Peer<'a> {
    /// A unix socket that has a file.
    File(&'a SocketFile),
    /// A unix socket with an abstract name.
    Abstract(&'a [u8]),
    /// TCP, or UDP for [`Type::Dgram`], at the first of these addresses that answers.
    Inet(&'a [SocketAddr]),
}

impl Peer<'_> {
    fn unix_address(&self) -> Result<UnixAddr> {
        match self {
            Self::File(file) => file.address(),
            Self::Abstract(name) => UnixAddr::new_abstract(name),
            Self::Inet(_) => Err(Errno::EAFNOSUPPORT),
        }
    }
}

/// Checks that a unix socket accepts connections, or datagrams. Nothing reaches its process: for a client that is
/// connected already, the kernel returns `EISCONN` only after it has found a server that listens.
///
/// # Errors
/// Those of [`connect`]. A full backlog is no error.
pub fn accepts(kind: Type, peer: &Peer) -> Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (client, _other) = socketpair(AddressFamily::Unix, kind.number(), None, flags)?;
    match calls::connect(client.as_raw_fd(), &peer.unix_address()?) {
        Ok(()) | Err(Errno::EISCONN | Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Creates a unix socket.
pub fn unix(kind: Type) -> Result<OwnedFd> {
    calls::socket(AddressFamily::Unix, kind.number(), SockFlag::SOCK_CLOEXEC, None)
}

/// Creates a unix socket for a server, which takes descriptors or refuses them. Datagrams carry their sender.
fn unix_server(kind: Type, takes_files: bool) -> Result<OwnedFd> {
    let socket = unix(kind)?;
    if !takes_files {
        pass::take_files(&socket, false);
    }
    if kind == Type::Dgram {
        pass_credentials(&socket)?;
    }
    Ok(socket)
}

fn inet(kind: Type, address: SocketAddr, more: SockFlag) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    calls::socket(family, kind.number(), SockFlag::SOCK_CLOEXEC | more, None)
}

/// Binds a new socket to an abstract name, and listens unless it is for datagrams. Without `takes_files`, clients cannot
/// attach descriptors.
///
/// # Errors
/// `EADDRINUSE`: a process has a socket with this name.
pub fn bind_abstract(kind: Type, name: &[u8], takes_files: bool) -> Result<OwnedFd> {
    let socket = unix_server(kind, takes_files)?;
    bind(socket.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    listen(socket, kind)
}

/// Binds a new TCP socket that listens, or a UDP socket. Port 0 is replaced by a free port.
///
/// # Errors
/// `EADDRINUSE`: another socket has the port. `EADDRNOTAVAIL`: the address does not belong to this machine.
pub fn bind_inet(kind: Type, address: SocketAddr) -> Result<OwnedFd> {
    listen(reserve_inet(kind, address)?, kind)
}

/// Like [`bind_inet`], without listening: another socket can bind the port if it has SO_REUSEADDR, too.
pub fn reserve_inet(kind: Type, address: SocketAddr) -> Result<OwnedFd> {
    let socket = inet(kind, address, SockFlag::empty())?;
    if kind == Type::Stream {
        // A server can be restarted while connections of the last one are in TIME_WAIT.
        setsockopt(&socket, ReuseAddr, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

fn listen(socket: OwnedFd, kind: Type) -> Result<OwnedFd> {
    if kind != Type::Dgram {
        calls::listen(&socket, Backlog::new(BACKLOG)?)?;
    }
    Ok(socket)
}

/// Makes the backlog of a TCP listener full, if a connection is in it.
pub fn admit_no_more(listener: impl AsFd) -> Result<()> {
    calls::listen(&listener, Backlog::new(0)?)
}

/// Returns how many connections are in the backlog of a TCP listener, TCP_INFO.
pub fn pending(listener: impl AsFd) -> Result<u32> {
    // The last one, tcpi_unacked; bytes fill the first two.
    const COUNT: usize = 7;
    let numbers = numbers::<COUNT>(listener.as_fd(), libc::IPPROTO_TCP, libc::TCP_INFO)?;
    Ok(numbers[COUNT - 1])
}

/// Accepts a connection, accept4(2).
///
/// # Errors
/// `EAGAIN`: none waits, and the listener does not block. `EMFILE`: it stays in the backlog.
pub fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    let fd = retry(|| accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC))?;
    // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Returns whether an address belongs to this machine.
pub fn is_own(ip: IpAddr) -> bool {
    let binds = || bind_inet(Type::Dgram, SocketAddr::new(ip, 0)).is_ok();
    ip.is_loopback() || binds() && routes::is_local(ip).unwrap_or(true)
}

/// Returns the address that the kernel connects to. The unspecified address reaches this machine.
pub fn reached(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Makes calls on a socket fail with `EAGAIN` instead of blocking. Only for a socket that no other process shares.
pub fn never_block(socket: impl AsFd) -> Result<()> {
    fcntl(&socket, FcntlArg::F_SETFL(flags(&socket)? | OFlag::O_NONBLOCK)).map(drop)
}

fn set_blocking(socket: impl AsFd) -> Result<()> {
    super::pipe::set_blocking(socket)
}

/// Returns the error that has come since the last call on a socket, SO_ERROR.
pub fn pending_error(socket: impl AsFd) -> Result<()> {
    match getsockopt(&socket, SocketError)? {
        0 => Ok(()),
        number => Err(Errno::from_raw(number)),
    }
}

/// Ends what is sent: the peer gets EOF, and can still send.
pub fn end_sending(socket: impl AsFd) -> Result<()> {
    calls::shutdown(socket.as_fd().as_raw_fd(), Shutdown::Write)
}

/// Takes nothing more: what the peer sends fails. A unix listener refuses new clients. What has come already can still be
/// read or accepted.
pub fn end_receiving(socket: impl AsFd) -> Result<()> {
    calls::shutdown(socket.as_fd().as_raw_fd(), Shutdown::Read)
}

/// A process at the other end of a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Its pid, 0 if it is of another pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Returns the process at the other end of a connected unix socket, SO_PEERCRED: the one that called listen(2) last, or
/// the one that called connect(2).
pub fn credentials(socket: impl AsFd) -> Result<Credentials> {
    let peer = getsockopt(&socket, PeerCredentials)?;
    Ok(Credentials { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() })
}

/// Returns the type of a socket.
///
/// # Errors
/// `ENOTSOCK`: it is not one.
pub fn type_of(socket: impl AsFd) -> Result<Type> {
    Ok(match getsockopt(&socket, TypeOf)? {
        SockType::Datagram => Type::Dgram,
        SockType::SeqPacket => Type::Seqpacket,
        _ => Type::Stream,
    })
}

/// Returns whether a socket listens.
pub fn is_listening(socket: impl AsFd) -> Result<bool> {
    getsockopt(&socket, AcceptConn)
}

/// Returns the address of a TCP or UDP socket; `None` for other families.
pub fn own_address(socket: impl AsFd) -> Result<Option<SocketAddr>> {
    Ok(own_name(socket)?.inet())
}

/// Returns the address of the peer of a TCP or UDP socket; `None` for other families.
///
/// # Errors
/// `ENOTCONN`: it is not connected.
pub fn peer_address(socket: impl AsFd) -> Result<Option<SocketAddr>> {
    Ok(peer_name(socket)?.inet())
}

/// Returns the name of a socket.
pub fn own_name(socket: impl AsFd) -> Result<Name> {
    getsockname::<SockaddrStorage>(socket.as_fd().as_raw_fd()).map(|address| Name::of(&address))
}

/// Returns the name of the peer of a socket.
///
/// # Errors
/// `ENOTCONN`: it is not connected.
pub fn peer_name(socket: impl AsFd) -> Result<Name> {
    getpeername::<SockaddrStorage>(socket.as_fd().as_raw_fd()).map(|address| Name::of(&address))
}

/// Makes each message of a unix socket carry its sender. EOF carries none.
pub fn pass_credentials(socket: impl AsFd) -> Result<()> {
    setsockopt(&socket, PassCred, &true)
}

/// Returns how many datagrams the kernel has dropped because the socket had no room, SO_MEMINFO.
pub fn dropped(socket: impl AsFd) -> Result<u32> {
    const COUNT: usize = 9;
    // The last one, SK_MEMINFO_DROPS.
    Ok(numbers::<COUNT>(socket.as_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO)?[COUNT - 1])
}

/// Returns the first numbers of an option, getsockopt(2).
fn numbers<const COUNT: usize>(socket: BorrowedFd, level: c_int, option: c_int) -> Result<[u32; COUNT]> {
    let mut numbers = [0; COUNT];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    let into = numbers.as_mut_ptr().cast();
    // SAFETY: the call writes at most `length` bytes to the numbers, which live through it.
    Errno::result(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, into, &raw mut length) })?;
    Ok(numbers)
}

/// Returns the number of sent bytes that the peer has not taken, SIOCOUTQ: its process for unix, its kernel for TCP.
pub fn unsent(socket: impl AsFd) -> Result<usize> {
    let mut count: c_int = 0;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the request writes one int, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/mod.rs"]
mod tests;
