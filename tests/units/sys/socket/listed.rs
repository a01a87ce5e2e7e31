use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use nix::sys::stat::fstat;

use super::*;

fn inode(fd: impl std::os::fd::AsFd) -> u32 {
    u32::try_from(fstat(fd).unwrap().st_ino).unwrap()
}

#[test]
fn pair_names_its_other_end() {
    let (one, other) = UnixStream::pair().unwrap();
    let (all, missing) = all().unwrap();
    assert!(missing.is_empty());
    let found = all.iter().find(|socket| socket.inode == inode(&one)).unwrap();
    let Ends::Unix { name, file, peer } = &found.ends else { panic!("{found:?}") };
    assert_eq!((&name[..], *file, *peer), (&[][..], None, Some(inode(&other))));
    assert_eq!((found.state(), found.uid), ("connected", Some(nix::unistd::geteuid().as_raw())));
    assert!(found.has_peer() && !found.is_server() && !found.is_pending());
}

#[test]
fn both_families_reach_a_listener() {
    for (bound, reached) in [
        ("127.0.0.1:0", &["127.0.0.1"][..]),
        ("0.0.0.0:0", &["0.0.0.0", "127.0.0.1", "127.0.0.2"]),
        ("[::]:0", &["0.0.0.0", "[::]", "[::1]", "127.0.0.1", "127.0.0.2"]),
        ("[::1]:0", &["[::1]"]),
    ] {
        let listener = TcpListener::bind(bound).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (all, _) = all().unwrap();
        let found = all.iter().find(|socket| socket.inode == inode(&listener)).unwrap();
        let taken: Vec<&str> = ["0.0.0.0", "[::]", "[::1]", "127.0.0.1", "127.0.0.2"]
            .into_iter()
            .filter(|ip| found.takes(format!("{ip}:{port}").parse().unwrap()))
            .collect();
        assert_eq!(taken, reached, "{bound}");
        assert!(found.is_listening() && found.is_server() && !found.has_peer());
    }
}

/// A connection of IPv4 on a socket of both families has addresses of IPv4, and no user before it is accepted.
#[test]
fn address_is_that_of_the_connection() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let at = format!("127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let client = TcpStream::connect::<SocketAddr>(at).unwrap();
    let wanted = Ends::Inet { own: at, other: client.local_addr().unwrap() };
    let look = || all().unwrap().0.into_iter().find(|socket| socket.ends == wanted).unwrap();
    let before = look();
    assert_eq!((before.inode, before.uid, before.state()), (0, None, "pending"));
    let (peer, _) = listener.accept().unwrap();
    let after = look();
    assert_eq!((after.inode, after.state()), (inode(&peer), "connected"));
}
