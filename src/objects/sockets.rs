//! Sockets with their addresses, their processes, and the sockets at their other ends.

use std::cell::{OnceCell, RefCell};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::args::address::of_unix;
use crate::output::Cell;
use crate::sys::fifo::{self, Seen};
use crate::sys::process::{self, procfs};
use crate::sys::socket::Type;
use crate::sys::socket::listed::{self, Ends, Listed};
use crate::sys::socket::owners;

/// The sockets of this network namespace. What takes further system calls is looked up when it is first asked for.
#[derive(Default)]
pub struct Sockets {
    list: Vec<Listed>,
    /// The process that is preferred as the owner, and its sockets.
    of: Option<(i32, Vec<u32>)>,
    /// The inodes, sorted, and the places in the list.
    by_inode: Vec<(u32, usize)>,
    /// TCP and UDP sockets: own address, that of the peer, and the place in the list. Sorted.
    by_ends: OnceCell<Vec<(SocketAddr, SocketAddr, usize)>>,
    /// Clients that wait to be accepted by a unix listener: both inodes, sorted.
    waiting: OnceCell<Vec<(u32, u32)>>,
    /// The processes, in the order of the inodes.
    owners: OnceCell<Vec<i32>>,
    commands: RefCell<Vec<(i32, Cell)>>,
}

impl Sockets {
    /// Lists all sockets by address (listeners first, no address last), and the kinds that this kernel cannot list.
    ///
    /// # Errors
    /// sock_diag is missing or forbidden.
    pub fn all() -> nix::Result<(Self, Vec<&'static str>)> {
        let (mut list, missing) = listed::all()?;
        list.sort_unstable_by(order);
        let mut by_inode: Vec<(u32, usize)> = list.iter().map(|socket| socket.inode).zip(0..).collect();
        by_inode.retain(|(inode, _)| *inode > 0);
        by_inode.sort_unstable();
        Ok((Self { list, by_inode, ..Self::default() }, missing))
    }

    /// Prefers this process as the owner of a socket that several have.
    ///
    /// # Errors
    /// Its descriptors may not be read.
    pub fn prefer(&mut self, pid: i32) -> nix::Result<()> {
        self.of = Some((pid, owners::inodes(pid)?));
        Ok(())
    }

    /// Whether the preferred process has this socket open; yes if there is none.
    pub fn is_preferred(&self, socket: &Listed) -> bool {
        self.of.as_ref().is_none_or(|(_, inodes)| inodes.binary_search(&socket.inode).is_ok())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.list.iter()
    }

    /// Returns the socket with this inode.
    pub fn with_inode(&self, inode: u32) -> Option<&Listed> {
        let at = self.by_inode.binary_search_by_key(&inode, |(inode, _)| *inode).ok()?;
        Some(&self.list[self.by_inode[at].1])
    }

    /// Returns a process that has a socket open, or that can accept it.
    pub fn pid(&self, socket: &Listed) -> Option<i32> {
        let inode = match socket.ends {
            Ends::Inet { own, .. } if socket.is_pending() => self.listener(own)?.inode,
            _ => socket.inode,
        };
        if let Some((pid, inodes)) = &self.of
            && inodes.binary_search(&inode).is_ok()
        {
            return Some(*pid);
        }
        let at = self.by_inode.binary_search_by_key(&inode, |(inode, _)| *inode).ok()?;
        let all = || owners::of(&self.by_inode.iter().map(|(inode, _)| *inode).collect::<Vec<_>>());
        Some(self.owners.get_or_init(all)[at]).filter(|pid| *pid > 0)
    }

    /// Returns the socket at the other end, or the listener that can accept it, if it is in this network namespace.
    pub fn peer(&self, socket: &Listed) -> Option<&Listed> {
        match socket.ends {
            Ends::Unix { .. } if socket.is_pending() => {
                let waiting = self.waiting.get_or_init(|| {
                    let mut pairs = listed::waiting().unwrap_or_default();
                    pairs.sort_unstable();
                    pairs
                });
                let at = waiting.binary_search_by_key(&socket.inode, |(client, _)| *client).ok()?;
                self.with_inode(waiting[at].1)
            }
            Ends::Unix { peer, .. } => self.with_inode(peer?),
            Ends::Inet { own, other } => self.between(other, own, socket.kind),
        }
    }

    /// Returns the TCP or UDP socket with these addresses.
    fn between(&self, own: SocketAddr, other: SocketAddr, kind: Type) -> Option<&Listed> {
        let by_ends = self.by_ends.get_or_init(|| {
            let ends = |(at, socket): (usize, &Listed)| match socket.ends {
                Ends::Inet { own, other } => Some((own, other, at)),
                Ends::Unix { .. } => None,
            };
            let mut found: Vec<_> = self.list.iter().enumerate().filter_map(ends).collect();
            found.sort_unstable();
            found
        });
        let first = by_ends.partition_point(|(at, peer, _)| (at, peer) < (&own, &other));
        let same = by_ends[first..].iter().take_while(|(at, peer, _)| (at, peer) == (&own, &other));
        same.map(|(_, _, at)| &self.list[*at]).find(|socket| socket.kind == kind)
    }

    /// Returns the TCP socket that listens for connections to this address.
    fn listener(&self, at: SocketAddr) -> Option<&Listed> {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let own = [at.ip(), any[0], any[1]].map(|ip| SocketAddr::new(ip, at.port()));
        let listening = |own: &SocketAddr| {
            let found = any.map(|ip| self.between(*own, SocketAddr::new(ip, 0), Type::Stream));
            found.into_iter().flatten().find(|socket| socket.is_listening())
        };
        own.iter().find_map(listening)
    }

    /// Returns the address of a socket, as a user writes it. `None`: it has none.
    pub fn address(&self, socket: &Listed) -> Option<String> {
        match &socket.ends {
            Ends::Inet { own, .. } => Some(inet(socket.kind, *own)),
            Ends::Unix { name, .. } => {
                let path = Some(name).filter(|name| !name.is_empty() && name[0] != 0).map(|name| {
                    let path = Path::new(std::ffi::OsStr::from_bytes(name));
                    self.path(socket, path).unwrap_or_else(|| path.to_owned())
                });
                of_unix(socket.kind, path.as_ref().map_or(name, |path| path.as_os_str().as_bytes()))
            }
        }
    }

    /// Returns the address at the other end.
    pub fn peer_address(&self, socket: &Listed) -> Option<String> {
        match socket.ends {
            Ends::Inet { other, .. } => Some(inet(socket.kind, other)),
            Ends::Unix { .. } => self.address(self.peer(socket)?),
        }
    }

    /// Returns the path of a socket if the kernel has one that depends on its process: relative to its directory, or
    /// beneath one of its descriptors, as ipcbox binds sockets. The file must be that of the socket.
    fn path(&self, socket: &Listed, name: &Path) -> Option<PathBuf> {
        let below = name.strip_prefix("/proc/self/fd").ok();
        if name.is_absolute() && below.is_none() {
            return None;
        }
        let process = PathBuf::from(format!("/proc/{}", self.pid(socket)?));
        let cwd = process.join("cwd").read_link().ok()?;
        // It was renamed after it was bound: from .NAME.new to NAME.
        let file = name.file_name()?.as_bytes();
        let renamed = file.strip_prefix(b".").and_then(|name| name.strip_suffix(b".new"));
        let last = Path::new(std::ffi::OsStr::from_bytes(renamed.filter(|_| below.is_some()).unwrap_or(file)));
        let beneath =
            below.and_then(|below| below.parent()).and_then(|fd| process.join("fd").join(fd).read_link().ok());
        let found = match below {
            Some(_) => [beneath.map(|dir| dir.join(last)), Some(cwd.join(last))],
            None => [Some(cwd.join(name)), None],
        };
        found.into_iter().flatten().find(|path| fifo::look(path).is_ok_and(|seen| socket.is_at(&seen)))
    }

    /// Returns the file of a socket that has a path.
    pub fn file(&self, socket: &Listed) -> Option<Seen> {
        let Ends::Unix { name, file: Some(_), .. } = &socket.ends else { return None };
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        let path = self.path(socket, path).unwrap_or_else(|| path.to_owned());
        fifo::look(&path).ok().filter(|seen| socket.is_at(seen))
    }

    /// Returns the command of a process: its program in a table, its command line in JSON.
    pub fn command(&self, pid: Option<i32>) -> Cell {
        let Some(pid) = pid else { return Cell::Unknown };
        let mut known = self.commands.borrow_mut();
        match known.binary_search_by_key(&pid, |(pid, _)| *pid) {
            Ok(at) => known[at].1.clone(),
            Err(at) => {
                let cell = Cell::known(process::command(pid), |line| {
                    let name = procfs::stat(pid).map_or_else(|_: Errno| line.clone(), |stat| stat.name);
                    Cell::Short(name, Box::new(Cell::Text(line)))
                });
                known.insert(at, (pid, cell.clone()));
                cell
            }
        }
    }
}

/// Returns the address of a TCP or UDP socket, as a user writes it.
fn inet(kind: Type, at: SocketAddr) -> String {
    let prefix = if kind == Type::Dgram { "udp" } else { "tcp" };
    format!("{prefix}:{at}")
}

fn order(one: &Listed, other: &Listed) -> Ordering {
    let class = |socket: &Listed| match &socket.ends {
        Ends::Unix { name, .. } => {
            if name.is_empty() {
                3
            } else {
                0
            }
        }
        Ends::Inet { .. } => {
            if socket.kind == Type::Dgram {
                2
            } else {
                1
            }
        }
    };
    let [first, second] = [one, other].map(class);
    let by_address = || match (&one.ends, &other.ends) {
        // Most sockets have no name.
        _ if first == 3 => Ordering::Equal,
        (Ends::Unix { name, .. }, Ends::Unix { name: second, .. }) => name.cmp(second),
        (Ends::Inet { own, other }, Ends::Inet { own: second, other: peer }) => (own, other).cmp(&(second, peer)),
        _ => Ordering::Equal,
    };
    let listening = |socket: &Listed| !socket.is_listening();
    let rest = || (listening(one), one.inode).cmp(&(listening(other), other.inode));
    first.cmp(&second).then_with(by_address).then_with(rest)
}
