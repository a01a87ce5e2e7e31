//! One address of a server that is waited for.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use super::super::client::{FAR, FIRST, NEAR, UNSEEN, wrong_type};
use super::super::{addresses, directory, explain_path, not_a_socket};
use super::Presence;
use super::inquiry::Inquiry;
use super::naming::Naming;
use crate::args::address::{Address, Endpoint, Host};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::fifo::Kind;
use crate::sys::inotify::Watch;
use crate::sys::socket::{self, Peer, SocketFile, Type};
use crate::sys::wait::{Want, has};

/// The longest pause for a stale file. Its replacement is an event, but a process that creates a socket creates the file
/// first.
const STALE: Duration = Duration::from_secs(1);
/// How long another machine may take to answer before it is tried again.
const ANSWER: Duration = Duration::from_secs(3);

const NONE: Presence = Presence::Lacks("no server");
const DEAF: Presence = Presence::Lacks("a socket that does not listen");

/// One address.
pub struct Spot<'a> {
    /// The address.
    pub address: &'a Address,
    /// What is known about its server.
    pub presence: Presence,
    /// Why the server cannot be as awaited.
    pub failure: Option<Error>,
    /// The directory of a path, and when to look it up again: no event comes if the path leads to another directory, for
    /// example because a link in it was replaced.
    watch: Option<(Watch, Deadline)>,
    naming: Naming,
    /// Connections to other machines that are being established.
    attempts: Vec<(SocketAddr, OwnedFd)>,
    pause: Duration,
    /// When to ask again without an event.
    pub due: Deadline,
}

impl<'a> Spot<'a> {
    /// Begins with nothing known.
    pub const fn new(address: &'a Address) -> Self {
        Self {
            address,
            presence: NONE,
            failure: None,
            watch: None,
            naming: Naming::new(),
            attempts: Vec::new(),
            pause: FIRST,
            due: Deadline::Now,
        }
    }

    /// Returns the events that can be changes.
    pub fn events(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Want)> {
        let watched = self.watch.iter().map(|(watch, _)| (watch.as_fd(), Want::Readable));
        let watched = watched.chain(self.naming.event().map(|answer| (answer, Want::Readable)));
        watched.chain(self.attempts.iter().map(|(_, socket)| (socket.as_fd(), Want::Writable)))
    }

    /// Returns whether something may have changed.
    pub fn is_due(&self) -> Result<bool> {
        if self.due.is_over() {
            return Ok(true);
        }
        for (fd, want) in self.events() {
            if has(fd, want)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the server is not as awaited.
    pub const fn is_missing(&self, gone: bool) -> bool {
        self.failure.is_some()
            || match self.presence {
                Presence::Unresolved => true,
                Presence::Lacks(_) => !gone,
                Presence::Accepts | Presence::Accepted => gone,
            }
    }

    /// Plans another look after a failure.
    pub fn fail(&mut self, failure: Error) {
        self.failure = Some(failure);
        self.due = Deadline::after(STALE);
    }

    /// Plans when to ask again.
    pub fn plan(&mut self, seen: Presence, gone: bool) {
        self.failure = None;
        if seen != self.presence {
            self.pause = FIRST;
        }
        self.presence = seen;
        let longest = match self.address.endpoint() {
            // Its answer is an event.
            _ if seen == Presence::Unresolved => None,
            _ if !gone && !matches!(seen, Presence::Lacks(_)) => None,
            Endpoint::Path(_, path) if !gone && seen != DEAF => {
                if self.watch.is_none() {
                    let watch = Watch::files_of(directory(path)).ok();
                    self.watch = watch.map(|watch| (watch, Deadline::after(UNSEEN)));
                    if self.watch.is_some() {
                        // A file can have come before the watch.
                        self.due = Deadline::Now;
                        return;
                    }
                }
                match &self.watch {
                    Some((_, again)) if seen == NONE => {
                        self.due = *again;
                        return;
                    }
                    Some(_) => Some(STALE),
                    None => Some(NEAR),
                }
            }
            Endpoint::Inet(..) if !self.attempts.is_empty() => {
                self.due = Deadline::after(ANSWER);
                return;
            }
            Endpoint::Inet(_, Host::Name(_), _) => Some(FAR),
            Endpoint::Inet(_, Host::Number(ip), _) if !socket::is_own(socket::reached(*ip)) => Some(FAR),
            _ => Some(NEAR),
        };
        self.due = longest.map_or(Deadline::Forever, |_| Deadline::after(self.pause));
        self.pause = longest.map_or(FIRST, |longest| longest.min(self.pause * 2));
    }

    /// Asks about the server.
    pub fn look(&mut self, inquiry: &mut Inquiry, timeout: &Timeout) -> Result<Presence> {
        if let Some((watch, again)) = &self.watch
            && (!watch.clear()? || again.is_over())
        {
            self.watch = None;
        }
        match self.address.endpoint() {
            Endpoint::Path(kind, path) => at_path(*kind, path),
            Endpoint::Abstract(kind, name) => {
                let peer = Peer::Abstract(name);
                match socket::accepts(*kind, &peer) {
                    Ok(()) => Ok(Presence::Accepts),
                    Err(Errno::ECONNREFUSED | Errno::EPERM) => Ok(NONE),
                    Err(Errno::EPROTOTYPE) => {
                        bail!(wrong_type(*kind, &peer, &format!("@{}", String::from_utf8_lossy(name))))
                    }
                    Err(errno) => bail!(errno),
                }
            }
            Endpoint::Inet(kind, host, port) => self.at_port(*kind, host, *port, inquiry, timeout),
            Endpoint::Inherited(_) => bail!(Cause::new(Exit::Usage, "a descriptor is not the address of a server")),
        }
    }

    fn at_port(
        &mut self,
        kind: Type,
        host: &Host,
        port: u16,
        inquiry: &mut Inquiry,
        timeout: &Timeout,
    ) -> Result<Presence> {
        let ips = match host {
            Host::Name(name) => match self.naming.look(name, timeout)? {
                None => return Ok(Presence::Unresolved),
                Some(none) if none.is_empty() => return Ok(Presence::Lacks("an unknown host")),
                Some(found) => found,
            },
            host => addresses(host, Some(timeout))?,
        };
        let mut lacks = NONE;
        for ip in ips {
            let ip = socket::reached(ip);
            let at = SocketAddr::new(ip, port);
            let known = if socket::is_own(ip) { inquiry.port(kind, at) } else { None };
            match known {
                Some(true) => return Ok(Presence::Accepts),
                Some(false) => {}
                None if kind == Type::Dgram => {
                    bail!(Cause::new(Exit::Failed, "only sock_diag can detect a UDP server, and only on this machine"))
                }
                None => match self.attempt(at)? {
                    Presence::Lacks(words) => lacks = Presence::Lacks(words),
                    accepts => return Ok(accepts),
                },
            }
        }
        Ok(lacks)
    }

    /// Connects to another machine, without waiting for its answer.
    fn attempt(&mut self, at: SocketAddr) -> Result<Presence> {
        let place = self.attempts.iter().position(|(to, _)| *to == at);
        let begun = match place {
            Some(place) => Ok(self.attempts.swap_remove(place).1),
            None => socket::begin(Type::Stream, at),
        };
        let over = begun.and_then(|socket| {
            if has(socket.as_fd(), Want::Writable)? {
                return socket::established(&socket);
            }
            // Without an answer in time, it is begun again.
            if place.is_none() || !self.due.is_over() {
                self.attempts.push((at, socket));
            }
            Err(Errno::EINPROGRESS)
        });
        match over {
            Ok(()) => Ok(Presence::Accepted),
            Err(Errno::EINPROGRESS | Errno::ETIMEDOUT) => Ok(Presence::Lacks("no answer")),
            Err(Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => Ok(NONE),
            Err(Errno::EHOSTUNREACH | Errno::ENETUNREACH) => Ok(Presence::Lacks("an unreachable host")),
            Err(errno) => bail!(Cause::plain(errno)),
        }
    }
}

fn at_path(kind: Type, path: &Path) -> Result<Presence> {
    let file = match SocketFile::open(path) {
        Err(Errno::ENOENT) => return Ok(NONE),
        file => file.map_err(|errno| explain_path(path, errno))?,
    };
    if file.seen.kind != Kind::Socket {
        bail!(not_a_socket(kind, path, file.seen.kind));
    }
    let peer = Peer::File(&file);
    match socket::accepts(kind, &peer) {
        Ok(()) => Ok(Presence::Accepts),
        Err(Errno::ECONNREFUSED) if file.is_live()? => Ok(DEAF),
        Err(Errno::ECONNREFUSED) => Ok(Presence::Lacks("a stale socket")),
        // A datagram socket that is connected to another one.
        Err(Errno::EPERM) => Ok(DEAF),
        Err(Errno::EPROTOTYPE) => bail!(wrong_type(kind, &peer, &path.display().to_string())),
        Err(errno) => bail!(explain_path(path, errno)),
    }
}
