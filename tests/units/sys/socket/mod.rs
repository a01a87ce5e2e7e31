use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::time::TimeValLike;
use nix::unistd::{read, write};

use super::*;
use crate::sys::deadline::Deadline;

/// A directory for sockets, removed when it is dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ipcbox-unit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Leaves a socket that no process has.
    pub fn stale(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        drop(UnixListener::bind(&path).unwrap());
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(path: &Path, kind: Type, deadline: Deadline) -> Result<OwnedFd> {
    connect(kind, &Peer::File(&SocketFile::open(path)?), deadline, &mut || ())
}

#[test]
fn stream_carries_both_directions() {
    let dir = Dir::new();
    let listener = UnixListener::bind(dir.path("s")).unwrap();
    let socket = at(&dir.path("s"), Type::Stream, Deadline::Forever).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    write(&socket, b"request").unwrap();
    end_sending(&socket).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "request");
    peer.write_all(b"reply").unwrap();
    let mut bytes = [0; 9];
    assert_eq!(read(&socket, &mut bytes), Ok(5));
    let server = credentials(&socket).unwrap();
    assert_eq!((server.pid, server.uid), (std::process::id().cast_signed(), nix::unistd::geteuid().as_raw()));
    assert!(!flags(&socket).unwrap().contains(OFlag::O_NONBLOCK));
}

#[test]
fn path_of_any_length_is_reached() {
    let dir = Dir::new();
    let mut deep = dir.0.clone();
    // Each part is shorter than the address of a socket, all together are much longer.
    for _ in 0..20 {
        deep.push("x".repeat(200));
    }
    // One part after the other: mkdir(2) takes no path of this length either.
    let mut at_now = nix::fcntl::open(&dir.0, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        let name = "x".repeat(200);
        nix::sys::stat::mkdirat(&at_now, name.as_str(), Mode::S_IRWXU).unwrap();
        at_now = openat(&at_now, name.as_str(), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    }
    let path = deep.join("y".repeat(20));
    assert!(path.as_os_str().len() > 4000 && path.as_os_str().len() < 4096, "{}", path.as_os_str().len());
    let bound = takeover::Bound::take(&path, Type::Stream, true, 0o600, Deadline::Forever).unwrap();
    at(&path, Type::Stream, Deadline::Forever).unwrap();
    bound.remove().unwrap();
    assert_eq!(at(&path, Type::Stream, Deadline::Forever).unwrap_err(), Errno::ENOENT);
}

#[test]
fn link_to_a_socket_is_not_followed() {
    let dir = Dir::new();
    let _listener = UnixListener::bind(dir.path("s")).unwrap();
    std::os::unix::fs::symlink("s", dir.path("link")).unwrap();
    assert_eq!(SocketFile::open(&dir.path("link")).unwrap().seen.kind, crate::sys::fifo::Kind::Link);
    assert!(at(&dir.path("link"), Type::Stream, Deadline::Forever).is_err());
}

#[test]
fn probe_finds_every_type_and_reaches_none() {
    let dir = Dir::new();
    let is_live = |name: &str| SocketFile::open(&dir.path(name)).unwrap().is_live();
    dir.stale("stale");
    assert_eq!(is_live("stale"), Ok(false));
    let listener = UnixListener::bind(dir.path("stream")).unwrap();
    assert_eq!(is_live("stream"), Ok(true));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // Bound, not yet listening.
    let early = unix(Type::Seqpacket).unwrap();
    bind(early.as_raw_fd(), &UnixAddr::new(&dir.path("early")).unwrap()).unwrap();
    assert_eq!(is_live("early"), Ok(true));
    let datagrams = UnixDatagram::bind(dir.path("dgram")).unwrap();
    assert_eq!(is_live("dgram"), Ok(true));
    let other = UnixDatagram::bind(dir.path("other")).unwrap();
    datagrams.connect(dir.path("other")).unwrap();
    assert_eq!(is_live("dgram"), Ok(true));
    datagrams.set_nonblocking(true).unwrap();
    assert!(datagrams.recv(&mut [0]).is_err());
    drop((listener, early, datagrams, other));
    for name in ["stream", "early", "dgram"] {
        assert_eq!(is_live(name), Ok(false), "{name}");
    }
}

#[test]
fn wrong_type_is_refused() {
    let dir = Dir::new();
    let _listener = UnixListener::bind(dir.path("stream")).unwrap();
    let _datagrams = UnixDatagram::bind(dir.path("dgram")).unwrap();
    let seqpacket = bind_abstract(Type::Seqpacket, format!("unit-{}", std::process::id()).as_bytes(), true).unwrap();
    for (name, kinds) in [("stream", [Type::Dgram, Type::Seqpacket]), ("dgram", [Type::Stream, Type::Seqpacket])] {
        for kind in kinds {
            assert_eq!(at(&dir.path(name), kind, Deadline::Forever).unwrap_err(), Errno::EPROTOTYPE, "{name} {kind:?}");
        }
    }
    assert_eq!(type_of(&seqpacket), Ok(Type::Seqpacket));
    assert_eq!((is_listening(&seqpacket), is_listening(unix(Type::Stream).unwrap())), (Ok(true), Ok(false)));
}

#[test]
fn full_backlog_is_waited_for_until_the_deadline() {
    let name = format!("unit-full-{}", std::process::id());
    let listener = unix(Type::Stream).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes()).unwrap()).unwrap();
    calls::listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let peer = Peer::Abstract(name.as_bytes());
    let first = connect(Type::Stream, &peer, Deadline::Now, &mut || ()).unwrap();
    let mut waits = 0;
    assert_eq!(connect(Type::Stream, &peer, Deadline::Now, &mut || waits += 1).unwrap_err(), Errno::EAGAIN);
    assert_eq!(waits, 0);
    let limit = Duration::from_millis(60);
    let start = std::time::Instant::now();
    assert_eq!(connect(Type::Stream, &peer, Deadline::after(limit), &mut || waits += 1).unwrap_err(), Errno::EAGAIN);
    assert!(start.elapsed() >= limit && waits == 1);
    // A place that comes free is taken.
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| connect(Type::Stream, &peer, Deadline::after(Duration::from_mins(5)), &mut || ()));
        drop(accept(&listener).unwrap());
        waiting.join().unwrap()
    });
    assert_eq!(getsockopt(&waiting.unwrap(), SendTimeout).unwrap().num_microseconds(), 0);
    drop(first);
}

#[test]
fn missing_server_refuses_at_once() {
    let free = bind_inet(Type::Stream, "127.0.0.1:0".parse().unwrap()).unwrap();
    let port = own_address(&free).unwrap().unwrap();
    drop(free);
    let connected = connect(Type::Stream, &Peer::Inet(&[port]), Deadline::Forever, &mut || ());
    assert_eq!(connected.unwrap_err(), Errno::ECONNREFUSED);
    let connected = connect(Type::Stream, &Peer::Abstract(b"unit-missing"), Deadline::Forever, &mut || ());
    assert_eq!(connected.unwrap_err(), Errno::ECONNREFUSED);
}

#[test]
fn first_address_that_answers_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let closed = bind_inet(Type::Dgram, "127.0.0.2:0".parse().unwrap()).unwrap();
    let closed = own_address(&closed).unwrap().unwrap();
    let absent: SocketAddr = "255.255.255.255:9".parse().unwrap();
    let reach = |to: &[SocketAddr]| connect(Type::Stream, &Peer::Inet(to), Deadline::Now, &mut || ());
    assert_eq!(peer_address(reach(&[absent, closed, to]).unwrap()), Ok(Some(to)));
    assert_eq!(reach(&[closed, absent]).unwrap_err(), Errno::ECONNREFUSED);
    assert_eq!(reach(&[absent, closed]).unwrap_err(), Errno::ECONNREFUSED);
    assert_eq!(reach(&[]).unwrap_err(), Errno::ECONNREFUSED);
}

#[test]
fn unspecified_address_reaches_this_machine() {
    for (typed, meant) in [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
        ("::ffff:127.0.0.2", "127.0.0.2"),
        ("10.0.0.1", "10.0.0.1"),
    ] {
        assert_eq!(reached(typed.parse().unwrap()), meant.parse::<IpAddr>().unwrap(), "{typed}");
    }
}

#[test]
fn tcp_is_connected_without_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let socket = connect(Type::Stream, &Peer::Inet(&[to]), Deadline::Now, &mut || ()).unwrap();
    let (peer, from) = listener.accept().unwrap();
    assert_eq!((own_address(&socket), peer_address(&socket)), (Ok(Some(from)), Ok(Some(to))));
    write(&socket, b"abc").unwrap();
    drop(peer);
    assert!(!flags(&socket).unwrap().contains(OFlag::O_NONBLOCK));
}

#[test]
fn self_connection_is_no_server() {
    // A client that binds the port of the server connects to itself.
    let free = bind_inet(Type::Stream, "127.0.0.1:0".parse().unwrap()).unwrap();
    let port = own_address(&free).unwrap().unwrap();
    drop(free);
    let socket = inet(Type::Stream, port, SockFlag::empty()).unwrap();
    bind(socket.as_raw_fd(), &SockaddrStorage::from(port)).unwrap();
    calls::connect(socket.as_raw_fd(), &SockaddrStorage::from(port)).unwrap();
    assert_eq!(own_address(&socket), peer_address(&socket));
    assert_eq!(established(&socket), Err(Errno::ECONNREFUSED));
}

#[test]
fn unsent_bytes_are_counted() {
    let (one, mut other) = UnixStream::pair().unwrap();
    assert_eq!(unsent(&one), Ok(0));
    write(&one, b"abc").unwrap();
    assert!(unsent(&one).unwrap() > 0);
    other.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(unsent(&one), Ok(0));
}
