//! Connecting with a deadline.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::poll::PollFd;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{self as calls, SockFlag, SockaddrStorage, UnixAddr, bind, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Peer, Type, inet, never_block, own_address, peer_address, pending_error, set_blocking, unix};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt;
use crate::sys::wait::{Ends, Wake, Want, poll};

/// How long one address of several is tried alone.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects a new socket. Calls `waits` before it blocks. A datagram socket gets a name, so that it can be answered.
///
/// # Errors
/// `EAGAIN`: not connected at the deadline, for example because the backlog is full. `EINTR`: a
/// [caught](interrupt::catch) signal came. `ECONNREFUSED`: no server, or TCP has connected the socket to itself.
/// `EPROTOTYPE`: the server's socket is of another type.
pub fn connect(kind: Type, peer: &Peer, deadline: Deadline, waits: &mut dyn FnMut()) -> Result<OwnedFd> {
    match peer {
        Peer::Inet(addresses) => connect_inet(kind, addresses, deadline, waits),
        unix => connect_unix(kind, &unix.unix_address()?, deadline, waits),
    }
}

/// Like [`connect`], with a unix stream socket that is bound to this abstract name first.
pub fn connect_as(name: &[u8], peer: &Peer, deadline: Deadline, waits: &mut dyn FnMut()) -> Result<OwnedFd> {
    let to = peer.unix_address()?;
    let socket = unix(Type::Stream)?;
    bind(socket.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    connect_bound(socket, &to, deadline, waits)
}

fn connect_unix(kind: Type, to: &UnixAddr, deadline: Deadline, waits: &mut dyn FnMut()) -> Result<OwnedFd> {
    let socket = unix(kind)?;
    if kind == Type::Dgram {
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
    }
    connect_bound(socket, to, deadline, waits)
}

/// The kernel has no event for room in the backlog of a unix socket. Only a blocking connect(2) waits for it, and
/// SO_SNDTIMEO limits that.
fn connect_bound(socket: OwnedFd, to: &UnixAddr, deadline: Deadline, waits: &mut dyn FnMut()) -> Result<OwnedFd> {
    never_block(&socket)?;
    let mut is_waiting = false;
    let mut is_last = deadline == Deadline::Now;
    loop {
        match calls::connect(socket.as_raw_fd(), to) {
            Err(Errno::EAGAIN | Errno::EINTR) if interrupt::any() => return Err(Errno::EINTR),
            Err(Errno::EAGAIN) if is_last => return Err(Errno::EAGAIN),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            done => {
                done?;
                break;
            }
        }
        if !is_waiting {
            waits();
            set_blocking(&socket)?;
            is_waiting = true;
        }
        match deadline.left() {
            // The last attempt starts after the deadline: a process that was stopped past it may find room.
            Some(left) if left.is_zero() => {
                never_block(&socket)?;
                is_last = true;
            }
            // The kernel counts ticks, so it returns some milliseconds late.
            Some(left) => {
                let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1);
                setsockopt(&socket, SendTimeout, &TimeVal::microseconds(micros))?;
            }
            None => {}
        }
    }
    set_blocking(&socket)?;
    setsockopt(&socket, SendTimeout, &TimeVal::microseconds(0))?;
    Ok(socket)
}

/// Tries several addresses at the same time, but gives each some time alone: a server that listens at several of them
/// would accept a connection for each.
fn connect_inet(kind: Type, to: &[SocketAddr], deadline: Deadline, waits: &mut dyn FnMut()) -> Result<OwnedFd> {
    let mut attempts: Vec<OwnedFd> = Vec::new();
    let mut failures = Vec::new();
    let mut is_waiting = false;
    let mut rest = to.iter();
    loop {
        match rest.next().map(|to| begin(kind, *to)) {
            Some(Ok(attempt)) => attempts.push(attempt),
            Some(Err(errno)) => failures.push(errno),
            None => {}
        }
        if attempts.is_empty() && rest.len() == 0 {
            return Err(reason(&failures));
        }
        if attempts.is_empty() {
            continue;
        }
        let mut is_over = over(&attempts, Deadline::Now)?;
        if is_over.is_none() && deadline != Deadline::Now {
            if !std::mem::replace(&mut is_waiting, true) {
                waits();
            }
            let parts = u32::try_from(rest.len() + 1).unwrap_or(u32::MAX);
            let share = deadline.left().map_or(HEAD_START, |left| HEAD_START.min(left / parts));
            is_over = over(&attempts, if rest.len() == 0 { deadline } else { Deadline::after(share) })?;
        }
        match is_over.map(|place| attempts.swap_remove(place)) {
            Some(attempt) => match established(&attempt) {
                Ok(()) => {
                    set_blocking(&attempt)?;
                    return Ok(attempt);
                }
                Err(errno) => failures.push(errno),
            },
            None if rest.len() == 0 => return Err(Errno::EAGAIN),
            None => {}
        }
    }
}

/// Waits until one of these attempts is over, and returns its index; `None` at the deadline.
fn over(attempts: &[OwnedFd], deadline: Deadline) -> Result<Option<usize>> {
    let mut polled: Vec<PollFd> = attempts.iter().map(|attempt| Want::Writable.of(attempt.as_fd())).collect();
    match poll(&mut polled, deadline, Ends::BySignal)? {
        Wake::Ready(place) => Ok(Some(place)),
        Wake::Late => Ok(None),
        Wake::Signal => Err(Errno::EINTR),
    }
}

/// Returns why no address was reached. A family or an address that this machine does not have is not the reason if
/// there is another one.
fn reason(failures: &[Errno]) -> Errno {
    let absent = [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL, Errno::ENETUNREACH];
    let reason = failures.iter().find(|errno| !absent.contains(errno)).or(failures.first());
    reason.copied().unwrap_or(Errno::ECONNREFUSED)
}

/// Begins to connect a new TCP or UDP socket, which does not block. The attempt is over once it is writable; then
/// [`established`] returns the outcome.
pub fn begin(kind: Type, to: SocketAddr) -> Result<OwnedFd> {
    let socket = inet(kind, to, SockFlag::SOCK_NONBLOCK)?;
    match calls::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Returns the failure of an attempt that is over.
///
/// # Errors
/// Those of [`connect`].
pub fn established(socket: &OwnedFd) -> Result<()> {
    pending_error(socket)?;
    refuse_self(socket)
}

/// If no process has an ephemeral port, the kernel can choose the same port for the client, and connects it to itself.
fn refuse_self(socket: &OwnedFd) -> Result<()> {
    // After a reset there is no peer.
    let peer = peer_address(socket).ok().flatten();
    if peer.is_some() && peer == own_address(socket)? { Err(Errno::ECONNREFUSED) } else { Ok(()) }
}
