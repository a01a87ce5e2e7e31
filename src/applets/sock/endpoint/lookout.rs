//! Whether servers accept, found out without connecting where the kernel knows.
//!
//! A server that is connected to for a test logs a failure, and a server of one connection is used up. A closed port
//! that is connected to in a loop is connected to itself at some time.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use super::client::{FAR, FIRST, NEAR, wrong_type};
use super::{addresses, directory, explain_path, not_a_socket, or_file, servers};
use crate::args::address::{Address, Endpoint, Host};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, Failures};
use crate::objects::users;
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fifo::Kind;
use crate::sys::inotify::Watch;
use crate::sys::socket::diag::Diag;
use crate::sys::socket::{self, Peer, SocketFile, Type};
use crate::sys::wait::{Want, has};

/// The longest pause for a stale file. Its replacement is an event, but a process that creates a socket creates the file
/// first.
const STALE: Duration = Duration::from_secs(1);
/// How long another machine may take to answer before it is tried again.
const ANSWER: Duration = Duration::from_secs(3);

const NONE: Presence = Presence::Lacks("no server");
const DEAF: Presence = Presence::Lacks("a socket that does not listen");

/// What is known about the server of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It accepts.
    Accepts,
    /// It has accepted a connection.
    Accepted,
    /// It does not accept; this is there instead.
    Lacks(&'static str),
}

/// What a [`Lookout`] is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Awaited {
    /// That servers do not accept any more.
    pub gone: bool,
    /// One address is enough.
    pub any: bool,
}

/// The addresses of servers, watched together.
pub struct Lookout<'a> {
    spots: Vec<Spot<'a>>,
    awaited: Awaited,
    inquiry: Inquiry,
}

/// Which addresses to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of which something may have changed.
    Due,
    /// All.
    All,
}

/// One address.
struct Spot<'a> {
    address: &'a Address,
    presence: Presence,
    /// The directory of a path.
    watch: Option<Watch>,
    /// Connections to other machines that are being established.
    attempts: Vec<(SocketAddr, OwnedFd)>,
    pause: Duration,
    due: Deadline,
}

impl<'a> Lookout<'a> {
    /// Begins with nothing known.
    pub fn new(addresses: impl IntoIterator<Item = &'a Address>, awaited: Awaited) -> Self {
        let spot = |address| Spot {
            address,
            presence: NONE,
            watch: None,
            attempts: Vec::new(),
            pause: FIRST,
            due: Deadline::Now,
        };
        Self { spots: addresses.into_iter().map(spot).collect(), awaited, inquiry: Inquiry::default() }
    }

    /// Asks about the addresses, and returns whether they are as awaited.
    ///
    /// # Errors
    /// A file that is not a socket, a socket of another type, or one that may not be connected to.
    pub fn look(&mut self, which: Which, timeout: &Timeout) -> Result<bool> {
        let gone = self.awaited.gone;
        let mut failures = Vec::new();
        for spot in &mut self.spots {
            if which == Which::All || spot.is_due()? {
                match spot.look(&mut self.inquiry, timeout) {
                    Ok(seen) => spot.plan(seen, gone),
                    Err(error) => failures.push(error.context(cannot(spot.address))),
                }
            }
        }
        if !failures.is_empty() {
            bail!(Failures(failures));
        }
        if !self.is_over() || self.spots.len() == 1 {
            return Ok(self.is_over());
        }
        // One that accepted a while ago can have exited.
        for spot in &mut self.spots {
            if spot.presence == Presence::Accepts {
                let seen = spot.look(&mut self.inquiry, timeout)?;
                spot.plan(seen, gone);
            }
        }
        Ok(self.is_over())
    }

    fn is_over(&self) -> bool {
        let missing = self.missing().count();
        if self.awaited.any { missing < self.spots.len() } else { missing == 0 }
    }

    /// Returns the addresses that are not as awaited, and why.
    pub fn missing(&self) -> impl Iterator<Item = (&'a Address, Presence)> {
        let is_missing = |spot: &&Spot<'a>| matches!(spot.presence, Presence::Lacks(_)) != self.awaited.gone;
        self.spots.iter().filter(is_missing).map(|spot| (spot.address, spot.presence))
    }

    /// Returns the events that can be changes.
    pub fn events(&self) -> Vec<(BorrowedFd<'_>, Want)> {
        self.spots.iter().flat_map(Spot::events).collect()
    }

    /// Returns when to ask again without an event.
    pub fn due(&self) -> Deadline {
        self.spots.iter().fold(Deadline::Forever, |due, spot| due.earlier(spot.due))
    }
}

/// Returns the failure that a server was not as awaited in time.
pub fn late(address: &Address, seen: Presence, timeout: &Timeout) -> Error {
    let (still, after) = (timeout.still(), timeout.after());
    let cause = match seen {
        Presence::Lacks(words) => or_file(timeout.expired(format!("{still} {words}{after}").trim_start()), address),
        Presence::Accepts | Presence::Accepted => {
            let by = if timeout.is_silent() { None } else { users::list(&servers(address)) };
            let by = by.map_or_else(String::new, |users| format!(": {users}"));
            timeout.expired(format!("a server{still} accepts{after}{by}"))
        }
    };
    Error::from(cause).context(cannot(address))
}

/// Returns the context of a failure.
pub fn cannot(address: &Address) -> String {
    format!("cannot wait for {address}")
}

impl Spot<'_> {
    fn events(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Want)> {
        let watched = self.watch.iter().map(|watch| (watch.as_fd(), Want::Readable));
        watched.chain(self.attempts.iter().map(|(_, socket)| (socket.as_fd(), Want::Writable)))
    }

    fn is_due(&self) -> Result<bool> {
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

    /// Plans when to ask again.
    fn plan(&mut self, seen: Presence, gone: bool) {
        if seen != self.presence {
            self.pause = FIRST;
        }
        self.presence = seen;
        let longest = match self.address.endpoint() {
            _ if !gone && !matches!(seen, Presence::Lacks(_)) => None,
            Endpoint::Path(_, path) if !gone && seen != DEAF => {
                if self.watch.is_none() {
                    self.watch = Watch::files_of(directory(path)).ok();
                    if self.watch.is_some() {
                        // A file can have come before the watch.
                        self.due = Deadline::Now;
                        return;
                    }
                }
                match self.watch {
                    Some(_) if seen == NONE => None,
                    Some(_) => Some(STALE),
                    None => Some(NEAR),
                }
            }
            Endpoint::Inet(..) if !self.attempts.is_empty() => {
                self.due = Deadline::after(ANSWER);
                return;
            }
            Endpoint::Inet(_, Host::Name(_), _) => Some(FAR),
            Endpoint::Inet(_, Host::Number(ip), _) if !socket::is_own(*ip) => Some(FAR),
            _ => Some(NEAR),
        };
        self.due = longest.map_or(Deadline::Forever, |_| Deadline::after(self.pause));
        self.pause = longest.map_or(FIRST, |longest| longest.min(self.pause * 2));
    }

    fn look(&mut self, inquiry: &mut Inquiry, timeout: &Timeout) -> Result<Presence> {
        if let Some(watch) = &self.watch
            && !watch.clear()?
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
        let ips = match addresses(host, Some(timeout)) {
            Err(error) if Exit::of(&error) == Exit::Missing => return Ok(Presence::Lacks("an unknown host")),
            ips => ips?,
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

/// Questions to sock_diag(7). If it refuses one, connecting is the test from then on.
#[derive(Default)]
struct Inquiry {
    tcp: Option<Diag>,
    udp: Option<Diag>,
    is_refused: bool,
}

impl Inquiry {
    /// Returns whether a port of this machine has a listener; `None` if that is unknown.
    fn port(&mut self, kind: Type, at: SocketAddr) -> Option<bool> {
        let known = if kind == Type::Dgram { &mut self.udp } else { &mut self.tcp };
        if known.is_none() && !self.is_refused {
            match Diag::open(kind) {
                Ok(diag) => *known = Some(diag),
                Err(errno) => {
                    self.is_refused = true;
                    let why = Cause::plain(errno);
                    output::warn(format!("sock_diag is not available: {why}; connecting to the server instead"));
                }
            }
        }
        // A failure means that this machine lacks the family.
        known.as_ref()?.listener(at).ok().map(|socket| socket.is_some())
    }
}
