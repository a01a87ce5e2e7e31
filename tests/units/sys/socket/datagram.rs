use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::super::bind_abstract;
use super::super::tests::Dir;
use super::*;
use crate::sys::socket::{SocketFile, Type};

#[test]
fn datagram_comes_with_its_sender() {
    let dir = Dir::new();
    let name = format!("ipcbox-datagram-{}", std::process::id());
    let server = bind_abstract(Type::Dgram, name.as_bytes(), true).unwrap();
    let mut bytes = b"old".to_vec();
    assert_eq!(receive(&server, &mut bytes), Err(Errno::EAGAIN));
    let unnamed = UnixDatagram::unbound().unwrap();
    let at_path = UnixDatagram::bind(dir.path("client")).unwrap();
    let own = Credentials {
        pid: std::process::id().cast_signed(),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    };
    for (client, from) in [(&unnamed, Name::Unnamed), (&at_path, Name::Path(dir.path("client")))] {
        send_to(client.as_fd(), &vec![7; 60_000], &Peer::Abstract(name.as_bytes())).unwrap();
        let sender = Sender { name: from, process: Some(own) };
        assert_eq!(receive(&server, &mut bytes), Ok((60_000, sender)));
        assert!(bytes[..60_000].iter().all(|byte| *byte == 7));
    }
    let file = SocketFile::open(&dir.path("client")).unwrap();
    send_to(&server, b"", &Peer::File(&file)).unwrap();
    let (length, sender) = receive(at_path.as_fd(), &mut bytes).unwrap();
    assert_eq!((length, sender.name), (0, Name::Abstract(name.into_bytes())));
}
