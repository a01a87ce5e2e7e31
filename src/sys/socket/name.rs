//! Names of sockets, as getsockname(2), getpeername(2) and recvmsg(2) return them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::sys::socket::SockaddrStorage;

/// The name of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// None: a unix socket that is not bound.
    Unnamed,
    /// The path that a unix socket was bound to. It can be relative to the directory of another process.
    Path(PathBuf),
    /// An abstract name.
    Abstract(Vec<u8>),
    /// The address of a TCP or UDP socket.
    Inet(SocketAddr),
}

impl Name {
    pub(super) fn of(address: &SockaddrStorage) -> Self {
        let four = address.as_sockaddr_in().map(|four| SocketAddr::from((four.ip(), four.port())));
        let inet = four.or_else(|| address.as_sockaddr_in6().map(|six| SocketAddr::from((six.ip(), six.port()))));
        if let Some(inet) = inet {
            return Self::Inet(inet);
        }
        let Some(unix) = address.as_unix_addr() else { return Self::Unnamed };
        match (unix.path(), unix.as_abstract()) {
            (Some(path), _) => Self::Path(path.into()),
            (None, Some(name)) => Self::Abstract(name.to_vec()),
            (None, None) => Self::Unnamed,
        }
    }

    /// Returns the address of a TCP or UDP socket; `None` for other families.
    pub const fn inet(&self) -> Option<SocketAddr> {
        if let Self::Inet(address) = self { Some(*address) } else { None }
    }
}

/// As in an address on the command line, without the type.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Unnamed => Ok(()),
            Self::Path(path) => write!(f, "{}", path.display()),
            // NUL would end an environment variable.
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name).replace('\0', "\\u{0}")),
            Self::Inet(address) => write!(f, "{address}"),
        }
    }
}
