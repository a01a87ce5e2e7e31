//! `sock stat`.

use std::cell::LazyCell;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::endpoint::{addresses, explain_path, inherited, not_a_socket, or_file};
use crate::applets::Verb;
use crate::args::address::{Address, Endpoint, of_server, of_unix};
use crate::args::format::Showing;
use crate::exit::{Cause, Exit, each, words};
use crate::objects::process::{Process, parse};
use crate::objects::sockets::Sockets;
use crate::output::{self, Cell, Column, Names, warn};
use crate::sys::fifo::{self, Kind, Seen};
use crate::sys::socket::listed::{Ends, Listed};
use crate::sys::socket::{SocketFile, Type};
use crate::text::quote;

/// Shows each unix, TCP and UDP socket with a process that has it open, and with the address and a process at the other
/// end. Without ADDR, shows all sockets in this network namespace. The state of a path without a process is "stale".
///
/// stat makes no connection. Processes of other users are visible only with privilege. If several processes share a
/// socket, the process with the lowest pid is shown.
#[derive(Args)]
pub struct Stat {
    /// Addresses of sockets (default: all)
    #[arg(value_name = "ADDR", value_parser = of_server())]
    addresses: Vec<Address>,
    /// Show only sockets that take connections or datagrams
    #[arg(long)]
    listening: bool,
    /// Show only the sockets of this process
    #[arg(long, value_name = "PID", value_parser = parse)]
    pid: Option<Process>,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show sockets and the processes at both ends";
    const EXAMPLES: &'static str = "
# List the servers of this machine
ipcbox sock stat --listening
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Missing, "no such socket or process"), (Exit::Exists, "not a socket, or a socket of another type")];

    fn run(self) -> Result<Exit> {
        // Whether a path is stale can be tested without the list.
        let is_path = |address: &Address| matches!(address.endpoint(), Endpoint::Path(..));
        let needs_list = self.pid.is_some() || self.addresses.is_empty() || !self.addresses.iter().all(is_path);
        let (sockets, missing) = match self.list() {
            Err(error) if !needs_list => {
                warn(format!("{error:#}"));
                (Sockets::default(), Vec::new())
            }
            listed => listed?,
        };
        let mut found = Vec::new();
        let exit = if self.addresses.is_empty() {
            for kind in &missing {
                warn(format!("this kernel does not list {kind} sockets"));
            }
            let chosen = sockets.iter().filter(|socket| self.wants(&sockets, socket));
            found.extend(chosen.map(|socket| (None, What::Socket(socket))));
            Ok(Exit::Done)
        } else {
            each(&self.addresses, |address| {
                let shown = self.find(address, &sockets, &missing).with_context(|| format!("cannot show {address}"))?;
                found.extend(shown.into_iter().map(|what| (Some(address), what)));
                Ok(())
            })
        };
        let uids: Vec<(u32, u32)> = found.iter().filter_map(|(_, what)| Some((what.uid()?, 0))).collect();
        let names: LookedUp = LazyCell::new(Box::new(move || Names::of(uids)));
        let record = |(address, what)| SocketRecord { address, what, sockets: &sockets, names: &names };
        let records: Vec<SocketRecord> = found.into_iter().map(record).collect();
        output::show(&columns(), &records, &self.showing, self.addresses.len() == 1)?;
        exit
    }
}

impl Stat {
    fn list(&self) -> Result<(Sockets, Vec<&'static str>)> {
        let (mut sockets, missing) = Sockets::all().map_err(|errno| {
            Cause::from_errno(errno, format!("cannot list sockets: sock_diag is not available: {}", words(errno)))
        })?;
        if let Some(process) = &self.pid {
            let preferred = process.open().map_err(Error::from).and_then(|_same| Ok(sockets.prefer(process.pid)?));
            preferred.with_context(|| format!("cannot list the sockets of process {process}"))?;
        }
        Ok((sockets, missing))
    }

    fn wants(&self, sockets: &Sockets, socket: &Listed) -> bool {
        (!self.listening || socket.is_server()) && sockets.is_preferred(socket)
    }

    /// Returns the sockets with an address.
    fn find<'a>(&self, address: &Address, sockets: &'a Sockets, missing: &[&str]) -> Result<Vec<What<'a>>> {
        let mut file = None;
        let mut found: Vec<&Listed> = match address.endpoint() {
            Endpoint::Path(kind, path) => {
                let at = SocketFile::open(path).map_err(|errno| explain_path(path, errno))?;
                if at.seen.kind != Kind::Socket {
                    bail!(not_a_socket(*kind, path, at.seen.kind));
                }
                let found = sockets.iter().filter(|socket| socket.is_at(&at.seen)).collect();
                file = Some(at);
                found
            }
            Endpoint::Abstract(_, wanted) => {
                let is_it = |socket: &&Listed| match &socket.ends {
                    Ends::Unix { name, .. } => name.strip_prefix(b"\0") == Some(wanted),
                    Ends::Inet { .. } => false,
                };
                sockets.iter().filter(is_it).collect()
            }
            Endpoint::Inet(kind, host, port) => {
                let ips = addresses(host, None)?;
                let at: Vec<SocketAddr> = ips.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
                let protocol = if *kind == Type::Dgram { "UDP" } else { "TCP" };
                if missing.contains(&protocol) {
                    bail!(Cause::new(Exit::Failed, format!("this kernel does not list {protocol} sockets")));
                }
                let is_it = |socket: &&Listed| socket.kind == *kind && at.iter().any(|at| socket.takes(*at));
                sockets.iter().filter(is_it).collect()
            }
            Endpoint::Inherited(number) => {
                let socket = inherited(*number)?;
                let inode = fifo::behind(&socket)?.inode;
                let listed = u32::try_from(inode).ok().and_then(|inode| sockets.with_inode(inode));
                listed.into_iter().collect()
            }
        };
        if let Some(at) = file.as_ref().filter(|_| found.is_empty() && !self.listening && self.pid.is_none()) {
            return Ok(vec![What::File(at.seen, at.is_live().is_ok_and(|is_live| !is_live))]);
        }
        let (Endpoint::Path(kind, _) | Endpoint::Abstract(kind, _)) = address.endpoint() else {
            return self.chosen(address, sockets, found);
        };
        let other = found.iter().find(|socket| socket.kind != *kind).copied();
        found.retain(|socket| socket.kind == *kind);
        match other.filter(|_| found.is_empty()) {
            Some(other) => Err(other_type(address, other).into()),
            None => self.chosen(address, sockets, found),
        }
    }

    fn chosen<'a>(&self, address: &Address, sockets: &Sockets, found: Vec<&'a Listed>) -> Result<Vec<What<'a>>> {
        let is_there = !found.is_empty();
        let chosen: Vec<What> =
            found.into_iter().filter(|socket| self.wants(sockets, socket)).map(What::Socket).collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let words = match (&self.pid, address.endpoint()) {
            (Some(process), _) if is_there => format!("process {process} does not have it"),
            (_, Endpoint::Inherited(_)) if !is_there => {
                "sock_diag does not list it: it is not bound, or of another kind or network namespace".into()
            }
            _ if self.listening => "no server".into(),
            _ => "no such socket".into(),
        };
        Err(or_file(Cause::new(Exit::Missing, words), address).into())
    }
}

/// Returns the failure on a unix socket of another type.
fn other_type(address: &Address, socket: &Listed) -> Cause {
    let name = match (address.endpoint(), &socket.ends) {
        (Endpoint::Path(_, path), _) => path.as_os_str().to_string_lossy().into_owned(),
        (_, Ends::Unix { name, .. }) => of_unix(Type::Stream, name).unwrap_or_default(),
        (_, Ends::Inet { .. }) => String::new(),
    };
    let kind = word(socket);
    let prefix = if socket.kind == Type::Stream { "unix" } else { kind };
    let cause = Cause::from_errno(Errno::EPROTOTYPE, format!("the type of the socket is {kind}")).exit(Exit::Exists);
    cause.hint(format!("use {}", quote(&format!("{prefix}:{name}"))))
}

/// Returns the type of a socket, as in an address.
const fn word(socket: &Listed) -> &'static str {
    match (&socket.ends, socket.kind) {
        (Ends::Inet { .. }, Type::Dgram) => "udp",
        (Ends::Inet { .. }, _) => "tcp",
        (Ends::Unix { .. }, Type::Stream) => "stream",
        (Ends::Unix { .. }, Type::Dgram) => "dgram",
        (Ends::Unix { .. }, Type::Seqpacket) => "seqpacket",
    }
}

/// What a record shows.
enum What<'a> {
    /// A socket.
    Socket(&'a Listed),
    /// A file without one in this network namespace, and whether it is stale.
    File(Seen, bool),
}

impl What<'_> {
    const fn uid(&self) -> Option<u32> {
        match self {
            Self::Socket(socket) => socket.uid,
            Self::File(seen, _) => Some(seen.uid),
        }
    }
}

/// The names of owners, looked up if they are shown.
type LookedUp = LazyCell<Names, Box<dyn FnOnce() -> Names>>;

struct SocketRecord<'a> {
    address: Option<&'a Address>,
    what: What<'a>,
    sockets: &'a Sockets,
    names: &'a LookedUp,
}

impl SocketRecord<'_> {
    /// A field of a socket; unknown for a file without one.
    fn socket(&self, get: impl FnOnce(&Sockets, &Listed) -> Cell) -> Cell {
        match self.what {
            What::Socket(socket) => get(self.sockets, socket),
            What::File(..) => Cell::Unknown,
        }
    }

    /// A field of a socket that listens, or of one that does not.
    fn if_listening(&self, listening: bool, get: impl FnOnce(&Listed) -> u32) -> Cell {
        match self.what {
            What::Socket(socket) if socket.is_listening() == listening => get(socket).into(),
            _ => Cell::Absent,
        }
    }

    /// A field of the other end, absent if there can be none.
    fn peer(&self, get: impl FnOnce(&Sockets, &Listed) -> Cell) -> Cell {
        match self.what {
            What::Socket(socket) if socket.has_peer() => get(self.sockets, socket),
            _ => Cell::Absent,
        }
    }

    fn address(&self) -> Cell {
        match self.address.map(|address| (address, address.endpoint())) {
            Some((address, Endpoint::Path(..))) => Cell::name(address.typed()),
            _ => self.socket(|sockets, socket| Cell::known(sockets.address(socket), Cell::Text)),
        }
    }

    fn state(&self) -> Cell {
        match self.what {
            What::Socket(socket) => Cell::word(socket.state()),
            What::File(_, true) => Cell::word("stale"),
            What::File(_, false) => Cell::Unknown,
        }
    }

    fn mode(&self) -> Cell {
        let seen = match (&self.what, self.address.map(Address::endpoint)) {
            (What::File(seen, _), _) => Some(*seen),
            (What::Socket(_), Some(Endpoint::Path(_, path))) => look(path),
            (What::Socket(socket), _) if socket.has_file() => self.sockets.file(socket),
            (What::Socket(_), _) => return Cell::Absent,
        };
        Cell::known(seen, |seen| Cell::mode(seen.mode))
    }
}

fn look(path: &Path) -> Option<Seen> {
    fifo::look(path).ok()
}

fn peer_pid(sockets: &Sockets, socket: &Listed) -> Option<i32> {
    sockets.peer(socket).and_then(|peer| sockets.pid(peer))
}

const fn columns<'a>() -> [Column<SocketRecord<'a>>; 14] {
    [
        Column::new("address", SocketRecord::address),
        Column::new("type", |r| r.socket(|_, socket| Cell::word(word(socket)))),
        Column::new("state", SocketRecord::state),
        Column::new("owner", |r| Cell::known(r.what.uid(), |uid| r.names.user(uid))),
        Column::new("pid", |r| r.socket(|sockets, socket| Cell::known(sockets.pid(socket), Cell::from))),
        Column::new("command", |r| r.socket(|sockets, socket| sockets.command(sockets.pid(socket)))),
        Column::new("peer", |r| r.peer(|sockets, socket| Cell::known(sockets.peer_address(socket), Cell::Text))),
        Column::new("peer_pid", |r| r.peer(|sockets, socket| Cell::known(peer_pid(sockets, socket), Cell::from))),
        Column::new("peer_command", |r| r.peer(|sockets, socket| sockets.command(peer_pid(sockets, socket)))),
        Column::new("receive_queue", |r| r.if_listening(false, |socket| socket.received)),
        Column::new("send_queue", |r| r.if_listening(false, |socket| socket.sent)),
        Column::detail("backlog", |r| r.if_listening(true, |socket| socket.sent)),
        Column::new("pending", |r| r.if_listening(true, |socket| socket.received)),
        Column::detail("mode", SocketRecord::mode),
    ]
}
