use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::super::bind_abstract;
use super::super::tests::Dir;
use super::*;
use crate::sys::socket::Type;

#[test]
fn datagram_comes_with_its_sender() {
    let dir = Dir::new();
    let name = format!("ipcbox-datagram-{}", std::process::id());
    let server = bind_abstract(Type::Dgram, name.as_bytes()).unwrap();
    let mut bytes = b"old".to_vec();
    assert_eq!(receive(&server, &mut bytes), Err(nix::errno::Errno::EAGAIN));
    let unnamed = UnixDatagram::unbound().unwrap();
    let at_path = UnixDatagram::bind(dir.path("client")).unwrap();
    let own = Credentials {
        pid: std::process::id().cast_signed(),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    };
    for (client, from) in [(&unnamed, Name::Unnamed), (&at_path, Name::Path(dir.path("client")))] {
        send_to(client.as_fd(), &vec![7; 60_000], &Name::Abstract(name.clone().into_bytes())).unwrap();
        let sender = receive(&server, &mut bytes).unwrap();
        assert_eq!((bytes.len(), sender), (60_000, Sender { name: from, process: Some(own) }));
    }
    send_to(&server, b"", &Name::Path(dir.path("client"))).unwrap();
    assert_eq!(receive(at_path.as_fd(), &mut bytes).unwrap().name, Name::Abstract(name.into_bytes()));
    assert!(bytes.is_empty());
}
