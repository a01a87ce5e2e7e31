//! Connecting to an address.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{addresses, directory, explain_path, inherited, missing, not_a_socket, or_file};
use crate::args::address::{Address, Endpoint, Host};
use crate::args::creating::user;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::fifo::{self, Kind};
use crate::sys::inotify::Watch;
use crate::sys::socket::diag::Diag;
use crate::sys::socket::{self, Peer, SocketFile, Type};
use crate::sys::wait;
use crate::text::quote;

/// The first pause before another attempt, for servers whose start is no event.
pub const FIRST: Duration = Duration::from_millis(1);
/// The longest one on this machine.
pub const NEAR: Duration = Duration::from_millis(20);
/// The longest one for other machines, and for names.
pub const FAR: Duration = Duration::from_millis(250);
/// The pause while a local port has no listener, before TCP is tried all the same: a firewall can pass connections on.
const BLIND: Duration = Duration::from_secs(1);

/// A client of a server that may be missing.
pub struct Client<'a> {
    /// The server.
    pub address: &'a Address,
    /// Whether a missing server is waited for.
    pub awaits: bool,
    /// Whether the server may belong to any user.
    pub foreign: bool,
    /// How long to wait.
    pub timeout: &'a Timeout,
}

/// A connected socket.
pub struct Connection {
    /// The socket. It blocks.
    pub socket: OwnedFd,
    /// Whether other processes may share it, so that its flags must stay as they are.
    pub is_shared: bool,
}

impl Client<'_> {
    /// Connects.
    pub fn connect(&self) -> Result<Connection> {
        let connected = self.open();
        let socket = connected.with_context(|| format!("cannot connect to {}", self.address))?;
        Ok(Connection { socket, is_shared: matches!(self.address.endpoint(), Endpoint::Inherited(_)) })
    }

    fn open(&self) -> Result<OwnedFd> {
        let awaits = self.awaits && !matches!(self.address.endpoint(), Endpoint::Inherited(_));
        let deadline = self.timeout.deadline();
        let mut notice = Notice::verbose(self.timeout, || format!("{}: no server yet", self.address));
        let mut ports = Ports::new(self);
        let mut pause = FIRST;
        let mut watch: Option<Watch> = None;
        loop {
            // A process that was stopped past the deadline still finds a server that came before it.
            let is_last = deadline.is_over();
            match self.attempt(deadline, &mut ports) {
                Err(error) if awaits && Exit::of(&error) == Exit::Missing => {}
                connected => return connected,
            }
            if is_last {
                let (still, after) = (self.timeout.still(), self.timeout.after());
                bail!(self.timeout.expired(format!("{still} no server{after}").trim_start()));
            }
            // A file that comes between this attempt and the watch is found by the next attempt.
            let was_watched = watch.take();
            if was_watched.is_none() {
                watch = self.watch();
            }
            if watch.is_none() {
                notice.begin(deadline);
                if let Some(watch) = was_watched {
                    wait::ready(&[watch.as_fd()], deadline)?;
                } else {
                    wait::any(&[], Deadline::after(pause).earlier(deadline))?;
                    pause = self.longest_pause().min(pause * 2);
                }
            }
        }
    }

    /// Watches the directory of a path at which no file is.
    fn watch(&self) -> Option<Watch> {
        let Endpoint::Path(_, path) = self.address.endpoint() else { return None };
        let is_missing = fifo::look(path) == Err(Errno::ENOENT);
        if is_missing { Watch::files_of(directory(path)).ok() } else { None }
    }

    fn longest_pause(&self) -> Duration {
        match self.address.endpoint() {
            Endpoint::Inet(_, Host::Number(ip), _) if !ip.is_loopback() => FAR,
            Endpoint::Inet(_, Host::Name(_), _) => FAR,
            _ => NEAR,
        }
    }

    fn attempt(&self, deadline: Deadline, ports: &mut Ports) -> Result<OwnedFd> {
        match self.address.endpoint() {
            Endpoint::Path(kind, path) => self.at_path(*kind, path, deadline),
            Endpoint::Abstract(kind, name) => self.at_name(*kind, name, deadline),
            Endpoint::Inet(kind, host, port) => {
                let ips = addresses(host, Some(self.timeout))?;
                ports.begin();
                self.at_port(*kind, &ips, *port, deadline, ports)
            }
            Endpoint::Inherited(number) => connected(*number),
        }
    }

    fn at_path(&self, kind: Type, path: &Path, deadline: Deadline) -> Result<OwnedFd> {
        let file = SocketFile::open(path).map_err(|errno| explain_path(path, errno))?;
        if file.seen.kind != Kind::Socket {
            bail!(not_a_socket(path, file.seen.kind));
        }
        let peer = Peer::File(&file);
        let socket = self.reach(kind, &peer, deadline).map_err(|errno| match errno {
            Errno::ECONNREFUSED => missing(errno, "no server has the socket, which is stale"),
            Errno::EPROTOTYPE => wrong_type(kind, &peer, &path.display().to_string()),
            Errno::EAGAIN => self.full(),
            errno => explain_path(path, errno),
        })?;
        // The file of a datagram socket shows its creator, a connection shows its server.
        let owner = if kind == Type::Dgram { (file.seen.uid, None) } else { server(&socket)? };
        self.trust(owner)?;
        Ok(socket)
    }

    fn at_name(&self, kind: Type, name: &[u8], deadline: Deadline) -> Result<OwnedFd> {
        let peer = Peer::Abstract(name);
        let socket = self.reach(kind, &peer, deadline).map_err(|errno| match errno {
            Errno::ECONNREFUSED => or_file(missing(errno, "no server"), self.address),
            Errno::EPROTOTYPE => wrong_type(kind, &peer, &format!("@{}", String::from_utf8_lossy(name))),
            Errno::EAGAIN => self.full(),
            errno => Cause::plain(errno),
        })?;
        if kind != Type::Dgram {
            self.trust(server(&socket)?)?;
        }
        Ok(socket)
    }

    /// Tries each address until one answers. Time is left for those after it.
    fn at_port(&self, kind: Type, ips: &[IpAddr], port: u16, deadline: Deadline, ports: &Ports) -> Result<OwnedFd> {
        let mut failed = Vec::new();
        for (ip, after) in ips.iter().zip((0..ips.len()).rev()) {
            let at = SocketAddr::new(*ip, port);
            let share = deadline.left().filter(|left| !left.is_zero() && after > 0);
            let share = u32::try_from(after + 1).ok().and_then(|parts| share?.checked_div(parts));
            let until = share.map_or(deadline, Deadline::after);
            if !ports.may_connect(at) {
                failed.push(Errno::ECONNREFUSED);
                continue;
            }
            match self.reach(kind, &Peer::Inet(at), until) {
                Ok(socket) => return Ok(socket),
                Err(errno) => failed.push(errno),
            }
        }
        // A family that this machine does not have is not the reason.
        let absent = [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL, Errno::ENETUNREACH];
        let reason = failed.iter().find(|errno| !absent.contains(errno)).or(failed.first());
        let errno = reason.copied().unwrap_or(Errno::EADDRNOTAVAIL);
        Err(match errno {
            Errno::EAGAIN => self.timeout.missed("no answer"),
            Errno::ECONNREFUSED => missing(errno, "no server listens on this port"),
            Errno::EHOSTUNREACH => missing(errno, "the host is unreachable"),
            Errno::ENETUNREACH => missing(errno, "the network is unreachable"),
            Errno::ETIMEDOUT => missing(errno, "the host does not answer"),
            errno => Cause::plain(errno),
        }
        .into())
    }

    fn reach(&self, kind: Type, peer: &Peer, deadline: Deadline) -> nix::Result<OwnedFd> {
        let why = if matches!(peer, Peer::Inet(_)) { "no answer yet" } else { "the backlog of the server is full" };
        let mut notice = Notice::verbose(self.timeout, || format!("{}: {why}", self.address));
        socket::connect(kind, peer, deadline, &mut || drop(notice.begin(deadline)))
    }

    fn full(&self) -> Cause {
        let (still, after) = (self.timeout.still(), self.timeout.after());
        self.timeout.expired(format!("the backlog of the server is{still} full{after}"))
    }

    /// Refuses the server of another user, who can have been there first.
    fn trust(&self, (uid, pid): (u32, Option<i32>)) -> Result<()> {
        if self.foreign || [0, geteuid().as_raw()].contains(&uid) {
            return Ok(());
        }
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let words = format!("the server belongs to {}{pid}", user(uid));
        bail!(Cause::new(Exit::Denied, words).hint("add --foreign to accept it"))
    }
}

/// Returns the failure that the server at `place` has a socket of another type.
pub fn wrong_type(kind: Type, peer: &Peer, place: &str) -> Cause {
    let is_dgram = socket::connect(Type::Dgram, peer, Deadline::Now, &mut || ()).is_ok();
    let (words, prefix) = match kind {
        _ if is_dgram => ("the server takes datagrams", "dgram"),
        Type::Stream => ("the server takes messages, not a stream", "seqpacket"),
        Type::Seqpacket => ("the server takes a stream, not messages", "unix"),
        Type::Dgram => ("the server takes connections, not datagrams", "unix"),
    };
    let cause = Cause::from_errno(Errno::EPROTOTYPE, words).exit(Exit::Exists);
    cause.hint(format!("use {}", quote(&format!("{prefix}:{place}"))))
}

/// Returns the user of a server, and its pid if that is of this pid namespace.
fn server(socket: &OwnedFd) -> Result<(u32, Option<i32>)> {
    let server = socket::credentials(socket)?;
    Ok((server.uid, Some(server.pid).filter(|pid| *pid > 0)))
}

fn connected(number: i32) -> Result<OwnedFd> {
    let socket = inherited(number)?;
    if socket::is_listening(&socket)? {
        bail!(Cause::new(Exit::Exists, "the socket is listening, not connected"));
    }
    socket::peer_address(&socket).map_err(|errno| missing(errno, "the socket is not connected"))?;
    Ok(socket)
}

/// When to connect to a local port that a server is awaited at. Each attempt on a closed port could occupy it for a
/// moment, and connect TCP to itself.
struct Ports {
    diag: Option<Diag>,
    is_blind: bool,
    next_blind: Instant,
}

impl Ports {
    fn new(client: &Client) -> Self {
        let is_port = matches!(client.address.endpoint(), Endpoint::Inet(Type::Stream, ..));
        let diag = (client.awaits && is_port).then(|| Diag::open(Type::Stream).ok()).flatten();
        Self { diag, is_blind: true, next_blind: Instant::now() }
    }

    /// Begins an attempt.
    fn begin(&mut self) {
        let now = Instant::now();
        self.is_blind = self.next_blind <= now;
        if self.is_blind {
            self.next_blind = now + BLIND;
        }
    }

    fn may_connect(&self, at: SocketAddr) -> bool {
        let is_free = |diag: &Diag| matches!(diag.listener(at), Ok(None));
        self.is_blind || !at.ip().is_loopback() || !self.diag.as_ref().is_some_and(is_free)
    }
}
