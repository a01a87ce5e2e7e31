//! The applet `sock`.

mod activate;
mod addresses;
mod awaiting;
mod callers;
mod calling;
mod command;
mod connect;
mod hosts;
mod lost;
mod recv;
mod rm;
mod send;
mod servers;
mod serving;
mod starting;
mod stat;
mod storms;
mod strangers;
mod takeover;
mod unusual;
mod wait;
mod whole;
mod with;

use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use crate::support::{BINARY, World, eventually};

/// A connection at the server.
enum Peer {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Peer {
    fn end_sending(&self) {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Reads to EOF.
    fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn try_clone(&self) -> Self {
        match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone().unwrap()),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
        }
    }
}

impl Read for Peer {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// A listener of the test.
enum Server {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Server {
    fn accept(&self) -> Peer {
        match self {
            Self::Unix(listener) => Peer::Unix(listener.accept().unwrap().0),
            Self::Tcp(listener) => Peer::Tcp(listener.accept().unwrap().0),
        }
    }

    /// Serves one connection.
    fn once<T: Send + 'static>(self, act: impl FnOnce(Peer) -> T + Send + 'static) -> JoinHandle<T> {
        std::thread::spawn(move || act(self.accept()))
    }
}

/// The forms of address that a server of the test can have.
const FORMS: [&str; 6] = ["path", "abstract", "name", "tcp:127.0.0.1", "tcp:[::1]", "tcp:localhost"];

/// Returns a listener of this form, and its address.
fn listen(world: &World, form: &str) -> (Server, String) {
    let named = |name: &str| {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        Server::Unix(UnixListener::bind_addr(&address).unwrap())
    };
    match form {
        "path" => (Server::Unix(UnixListener::bind(world.dir().join("s")).unwrap()), "./s".into()),
        "abstract" => {
            let name = world.name("abstract");
            (named(&name), format!("@{name}"))
        }
        "name" => {
            let name = world.name("name");
            (named(&format!("ipcbox.{name}")), name)
        }
        tcp => {
            let host = tcp.strip_prefix("tcp:").unwrap();
            let listener = TcpListener::bind(format!("{}:0", host.replace("localhost", "127.0.0.1"))).unwrap();
            let port = listener.local_addr().unwrap().port();
            (Server::Tcp(listener), format!("{tcp}:{port}"))
        }
    }
}

/// Starts `sock connect` with a standard input that stays open.
fn open(world: &World, address: &str, stdout: Stdio) -> Child {
    let mut command = Command::new(BINARY);
    command.args(["sock", "connect", address]).current_dir(world.dir());
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns bytes of which each block differs.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at + at / 251 + at / 65537) % 251).unwrap()).collect()
}

/// Returns whether calls on a descriptor of the test fail instead of blocking.
fn is_nonblocking(fd: &OwnedFd) -> bool {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap()).contains(OFlag::O_NONBLOCK)
}

/// Leaves a socket that no process has.
fn stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

/// Returns the number of bytes that a peer of the test has sent, and the other side has not taken.
fn unread(peer: &Peer) -> i32 {
    let mut count = 0;
    // SAFETY: the request writes one int, which lives through the call.
    #[allow(unsafe_code)]
    let outcome = unsafe { nix::libc::ioctl(peer.as_fd().as_raw_fd(), nix::libc::TIOCOUTQ, &raw mut count) };
    assert_eq!(outcome, 0);
    count
}

/// Starts `sock serve` with these options and words of CMD at an address of this form, and returns when it listens.
fn serve(world: &World, form: &str, options: &str, command: &[&str]) -> (crate::support::Child, String) {
    let typed = match form {
        "path" => "./s".to_owned(),
        "abstract" => format!("@{}", world.name("served")),
        "name" => world.name("served"),
        tcp => format!("{tcp}:0"),
    };
    let call = world.call("sock serve").arg(&typed).args(options.split_whitespace()).arg("--").args(command);
    let mut server = call.start();
    // The flag of a socket that listens, not only is bound.
    let listens = |name: &str| {
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        sockets.lines().any(|line| line.ends_with(&format!(" @{name}")) && line.contains(" 00010000 "))
    };
    let address = match form {
        "path" => {
            eventually("the server listens", || world.dir().join("s").exists());
            typed
        }
        "abstract" | "name" => {
            let name = typed.strip_prefix('@').map_or_else(|| format!("ipcbox.{typed}"), str::to_owned);
            eventually("the server listens", || listens(&name));
            typed
        }
        _ => {
            let mut line = String::new();
            std::io::BufReader::new(server.output()).read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        }
    };
    (server, address)
}

/// Connects to such an address.
fn connect(world: &World, address: &str) -> Peer {
    let named =
        |name: &str| Peer::Unix(UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap());
    match address.split_once(':') {
        Some(("tcp", at)) => Peer::Tcp(TcpStream::connect(at).unwrap()),
        _ if address.starts_with("./") => Peer::Unix(UnixStream::connect(world.dir().join(&address[2..])).unwrap()),
        _ => named(&address.strip_prefix('@').map_or_else(|| format!("ipcbox.{address}"), str::to_owned)),
    }
}
