use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

use super::super::tests::Dir;
use super::*;
use crate::sys::socket::{Type, bind_inet, own_address};

#[test]
fn owner_of_a_path_is_found() {
    let dir = Dir::new();
    let listener = UnixListener::bind(dir.path("s")).unwrap();
    let stat = fstat(&listener).unwrap();
    let place = |name: &str| bound_to(&SocketFile::open(&dir.path(name)).unwrap());
    assert_eq!(place("s"), Ok(Some((stat.st_dev, stat.st_ino))));
    std::fs::rename(dir.path("s"), dir.path("moved")).unwrap();
    assert_eq!(place("moved"), Ok(Some((stat.st_dev, stat.st_ino))));
    dir.stale("stale");
    assert_eq!(place("stale"), Ok(None));
}

#[test]
fn user_behind_a_datagram_socket_is_found() {
    let dir = Dir::new();
    let server = UnixDatagram::bind(dir.path("d")).unwrap();
    let client = UnixDatagram::unbound().unwrap();
    client.connect(dir.path("d")).unwrap();
    let client = OwnedFd::from(client);
    assert_eq!(peer_uid(&client), Ok(Some(nix::unistd::geteuid().as_raw())));
    drop(server);
    // A child that another test is starting can hold a copy for a moment.
    while peer_uid(&client) != Ok(None) {
        std::thread::yield_now();
    }
}

#[test]
fn listener_is_seen_as_the_kernel_would_choose_it() {
    let diag = Diag::open(Type::Stream).unwrap();
    for (bound, asked, is_found) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("0.0.0.0", "127.0.0.1", true),
        ("[::]", "127.0.0.1", true),
        ("[::]", "[::1]", true),
        ("[::1]", "[::1]", true),
        ("[::1]", "127.0.0.1", false),
        ("127.0.0.1", "[::1]", false),
        ("127.0.0.2", "127.0.0.1", false),
    ] {
        let listener = TcpListener::bind(format!("{bound}:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = diag.listener(format!("{asked}:{port}").parse().unwrap()).unwrap();
        assert_eq!(found.is_some(), is_found, "{bound} {asked}");
        let inode = u32::try_from(fstat(&listener).unwrap().st_ino).unwrap();
        assert!(found.is_none_or(|socket| socket.inode == inode));
    }
    // A port that is only held has no listener.
    let held = bind_inet(Type::Dgram, "127.0.0.1:0".parse().unwrap()).unwrap();
    assert_eq!(diag.listener(own_address(held.as_fd()).unwrap().unwrap()), Ok(None));
}

/// Half-closed and closed look the same to poll(2).
#[test]
fn half_close_differs_from_close() {
    let diag = Diag::open(Type::Stream).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let addresses = (own.peer_addr().unwrap(), own.local_addr().unwrap());
    let is_open = || diag.tcp(addresses.0, addresses.1).unwrap().is_some_and(|socket| socket.inode > 0);
    assert!(is_open());
    peer.write_all(b"x").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(is_open());
    drop(peer);
    assert!(!is_open());
}
