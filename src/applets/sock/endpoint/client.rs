//! Connecting to an address.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{addresses, directory, explain_path, inherited, missing, no_server_yet, not_a_socket, or_file, servers};
use crate::args::address::{Address, Endpoint, Host};
use crate::args::creating::user;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, words};
use crate::objects::users::{self, User};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::fifo::{self, Kind};
use crate::sys::inotify::Watch;
use crate::sys::socket::diag::{Diag, peer_uid};
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
/// How long the addresses of a name are used without another lookup, which starts a process.
pub const LOOKUP: Duration = Duration::from_secs(1);
/// How long to wait for an event in a directory before the path is tried all the same.
pub const UNSEEN: Duration = Duration::from_secs(1);

/// Which servers a client waits for and accepts.
#[derive(Clone, Copy, Args)]
pub struct Reaching {
    /// Wait for a server that does not exist yet
    #[arg(long = "await")]
    pub awaits: bool,
    /// Accept a server that belongs to another user
    ///
    /// Without --foreign, a unix server is refused unless you or root run it, because another user may have created it
    /// first.
    #[arg(long)]
    foreign: bool,
}

/// A client of a server that may be missing.
pub struct Client<'a> {
    /// The server.
    pub address: &'a Address,
    /// Which one it may be.
    pub reaching: Reaching,
    /// How long to wait.
    pub timeout: &'a Timeout,
    /// The abstract name of a client that calls.
    pub name: Option<&'a [u8]>,
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
        let awaits = self.reaching.awaits && !matches!(self.address.endpoint(), Endpoint::Inherited(_));
        let deadline = self.timeout.deadline();
        let mut known = Known::new(self);
        let mut pause = FIRST;
        let mut watch: Option<Watch> = None;
        loop {
            // A process that was stopped past the deadline still finds a server that came before it.
            let is_last = deadline.is_over();
            match self.attempt(deadline, &mut known) {
                Err(error) if awaits && Exit::of(&error) == Exit::Missing => {}
                connected => return connected,
            }
            if is_last {
                let (still, after) = (self.timeout.still(), self.timeout.after());
                let cause = self.timeout.expired(format!("{still} no server{after}").trim_start());
                bail!(or_file(cause, self.address));
            }
            // A file that comes between this attempt and the watch is found by the next attempt.
            let was_watched = watch.take();
            if was_watched.is_none() {
                watch = self.watch();
            }
            if watch.is_none() {
                known.notice(self, || no_server_yet(self.address)).begin(deadline);
                if let Some(watch) = was_watched {
                    // No event comes if the path leads to another directory, for example because a link in it was
                    // replaced.
                    wait::ready(&[watch.as_fd()], Deadline::after(UNSEEN).earlier(deadline))?;
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

    fn attempt(&self, deadline: Deadline, known: &mut Known) -> Result<OwnedFd> {
        match self.address.endpoint() {
            Endpoint::Path(kind, path) => self.at_path(*kind, path, deadline, known),
            Endpoint::Abstract(kind, name) => self.at_name(*kind, name, deadline, known),
            Endpoint::Inet(kind, host, port) => {
                known.begin(host, self.timeout)?;
                self.at_port(*kind, *port, deadline, known)
            }
            Endpoint::Inherited(number) => connected(*number),
        }
    }

    fn at_path(&self, kind: Type, path: &Path, deadline: Deadline, known: &mut Known) -> Result<OwnedFd> {
        let file = SocketFile::open(path).map_err(|errno| explain_path(path, errno))?;
        if file.seen.kind != Kind::Socket {
            bail!(not_a_socket(kind, path, file.seen.kind));
        }
        let peer = Peer::File(&file);
        let socket = self.reach(kind, &peer, deadline, known).map_err(|errno| match errno {
            Errno::ECONNREFUSED if file.is_live() == Ok(true) => missing(errno, "the server does not listen yet"),
            Errno::ECONNREFUSED => missing(errno, "the socket is stale: no server has it open"),
            Errno::EPROTOTYPE => wrong_type(kind, &peer, &path.display().to_string()),
            Errno::EAGAIN => self.full(),
            errno => explain_path(path, errno),
        })?;
        // The file of a datagram socket shows its creator, a connection shows its server.
        let owner = if kind == Type::Dgram { (file.seen.uid, None) } else { server(&socket)? };
        self.trust(owner)?;
        Ok(socket)
    }

    fn at_name(&self, kind: Type, name: &[u8], deadline: Deadline, known: &mut Known) -> Result<OwnedFd> {
        let peer = Peer::Abstract(name);
        let socket = self.reach(kind, &peer, deadline, known).map_err(|errno| match errno {
            Errno::ECONNREFUSED => or_file(missing(errno, "no server"), self.address),
            Errno::EPROTOTYPE => wrong_type(kind, &peer, &format!("@{}", String::from_utf8_lossy(name))),
            Errno::EAGAIN => self.full(),
            errno => Cause::plain(errno),
        })?;
        if kind != Type::Dgram {
            self.trust(server(&socket)?)?;
        } else if !self.reaching.foreign {
            let owner = peer_uid(&socket).map_err(|errno| {
                let words = format!("the user of the server is unknown, because sock_diag fails: {}", words(errno));
                Cause::from_errno(errno, words).exit(Exit::Denied).hint("add --foreign to accept this server")
            })?;
            let owner = owner.ok_or_else(|| missing(Errno::ECONNREFUSED, "the server has just exited"))?;
            self.trust((owner, users::at_name(name).first().and_then(User::pid)))?;
        }
        Ok(socket)
    }

    fn at_port(&self, kind: Type, port: u16, deadline: Deadline, known: &mut Known) -> Result<OwnedFd> {
        let at = known.ips.iter().map(|ip| SocketAddr::new(socket::reached(*ip), port));
        let at: Vec<SocketAddr> = at.filter(|at| known.may_connect(*at)).collect();
        let connected = self.reach(kind, &Peer::Inet(&at), deadline, known);
        Ok(connected.map_err(|errno| match errno {
            Errno::EAGAIN => {
                let from = self.servers().map_or_else(String::new, |servers| format!(" from {servers}"));
                self.timeout.missed(&format!("no answer{from}"))
            }
            Errno::ECONNREFUSED => missing(errno, "no server listens on this port"),
            Errno::ECONNRESET => missing(errno, "the server has reset the connection"),
            Errno::EHOSTUNREACH => missing(errno, "the host is unreachable"),
            Errno::ENETUNREACH => missing(errno, "the network is unreachable"),
            Errno::ETIMEDOUT => missing(errno, "the host does not answer"),
            errno => Cause::plain(errno),
        })?)
    }

    fn reach(&self, kind: Type, peer: &Peer, deadline: Deadline, known: &mut Known) -> nix::Result<OwnedFd> {
        let why = || match peer {
            Peer::Inet(_) => "no answer yet".into(),
            _ => format!("{} is full", self.backlog()),
        };
        let waits = &mut || drop(known.notice(self, why).begin(deadline));
        match self.name {
            Some(name) => socket::connect_as(name, peer, deadline, waits),
            None => socket::connect(kind, peer, deadline, waits),
        }
    }

    fn full(&self) -> Cause {
        let (backlog, still, after) = (self.backlog(), self.timeout.still(), self.timeout.after());
        self.timeout.expired(format!("{backlog} is{still} full{after}"))
    }

    fn backlog(&self) -> String {
        format!("the backlog of {}", self.servers().unwrap_or_else(|| "the server".into()))
    }

    /// Returns the processes that have the socket of the server.
    fn servers(&self) -> Option<String> {
        users::list(&servers(self.address))
    }

    /// Refuses the server of another user, who can have been there first.
    fn trust(&self, (uid, pid): (u32, Option<i32>)) -> Result<()> {
        if self.reaching.foreign || [0, geteuid().as_raw()].contains(&uid) {
            return Ok(());
        }
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let words = format!("the server belongs to {}{pid}", user(uid));
        bail!(Cause::new(Exit::Denied, words).hint("add --foreign to accept this server"))
    }
}

/// Returns the failure that the server at `place` has a socket of another type.
pub fn wrong_type(kind: Type, peer: &Peer, place: &str) -> Cause {
    let is = |other: &Type| *other != kind && socket::accepts(*other, peer) != Err(Errno::EPROTOTYPE);
    let (words, prefix) = match ([Type::Dgram, Type::Seqpacket].into_iter().find(is), kind) {
        (Some(Type::Dgram), _) => ("the server takes datagrams", "dgram"),
        (Some(_), Type::Dgram) => ("the server takes connections, not datagrams", "seqpacket"),
        (Some(_), _) => ("the server takes messages, not a stream", "seqpacket"),
        (None, Type::Dgram) => ("the server takes connections, not datagrams", "unix"),
        (None, _) => ("the server takes a stream, not messages", "unix"),
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

/// What a client knows from one attempt to the next.
struct Known {
    /// For local ports. Each attempt on a closed port could occupy it for a moment, and connect TCP to itself.
    diag: Option<Diag>,
    is_blind: bool,
    next_blind: Instant,
    /// The addresses of the host.
    ips: Vec<IpAddr>,
    next_lookup: Instant,
    notice: Option<Notice>,
}

impl Known {
    fn new(client: &Client) -> Self {
        let is_port = matches!(client.address.endpoint(), Endpoint::Inet(Type::Stream, ..));
        let diag = (client.reaching.awaits && is_port).then(|| Diag::open(Type::Stream).ok()).flatten();
        let now = Instant::now();
        Self { diag, is_blind: true, next_blind: now, ips: Vec::new(), next_lookup: now, notice: None }
    }

    /// Returns the message of the call, about the first reason to wait.
    fn notice(&mut self, client: &Client, why: impl FnOnce() -> String) -> &mut Notice {
        let words = || format!("{}: {}", client.address, why());
        self.notice.get_or_insert_with(|| Notice::verbose(client.timeout, words))
    }

    /// Begins an attempt on a port.
    fn begin(&mut self, host: &Host, timeout: &Timeout) -> Result<()> {
        let now = Instant::now();
        self.is_blind = self.next_blind <= now;
        if self.is_blind {
            self.next_blind = now + BLIND;
        }
        if self.next_lookup <= now {
            self.ips.clear();
            let found = addresses(host, Some(timeout));
            self.next_lookup = Instant::now() + LOOKUP;
            self.ips = found?;
        }
        Ok(())
    }

    fn may_connect(&self, at: SocketAddr) -> bool {
        let is_free = |diag: &Diag| matches!(diag.listener(at), Ok(None));
        self.is_blind || !at.ip().is_loopback() || !self.diag.as_ref().is_some_and(is_free)
    }
}
