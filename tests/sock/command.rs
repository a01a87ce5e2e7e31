//! `sock connect -- CMD`.

use std::io::{Read, Write};

use super::{FORMS, listen};
use crate::support::World;

#[test]
fn command_gets_the_connection_as_stdin_and_stdout() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            peer.write_all(b"question\n").unwrap();
            let mut answer = [0; 11];
            peer.read_exact(&mut answer).unwrap();
            answer
        });
        let call = world.call("sock connect").arg(&address).args(["--", "sh", "-c"]);
        call.arg("read -r line; echo \"re:$line\"; exit 7").stdout("").status(7);
        assert_eq!(&serving.join().unwrap(), b"re:question", "{form}");
    }
}

#[test]
fn command_gets_the_connection_as_a_descriptor() {
    // The number can be free, or that of the socket itself.
    for number in ["2", "3", "4", "5", "9", "100"] {
        let world = World::new();
        let (server, address) = listen(&world, "path");
        let serving = server.once(|mut peer| {
            let request = peer.read_all();
            peer.write_all(&request).unwrap();
        });
        let script = format!(
            "import os, socket, sys
s = socket.socket(fileno={number})
assert s.getblocking() and os.get_blocking({number})
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
sys.stdout.buffer.write(s.recv(99))
def behind(fd):
    try:
        return os.readlink('/proc/self/fd/' + fd)
    except OSError:
        return ''
assert [fd for fd in os.listdir('/proc/self/fd') if 'socket' in behind(fd)] == ['{number}']"
        );
        let call = world.call("sock connect --fd").args([number, &address, "--", "python3", "-c", &script]);
        call.input("abc").stdout("abc").ok();
        serving.join().unwrap();
    }
}

#[test]
fn datagram_socket_is_for_a_command() {
    let world = World::new();
    let server = std::os::unix::net::UnixDatagram::bind(world.dir().join("d")).unwrap();
    let serving = std::thread::spawn(move || {
        let mut bytes = [0; 99];
        let (count, from) = server.recv_from(&mut bytes).unwrap();
        // The client has a name, so that it can be answered.
        server.send_to_addr(b"pong", &from).unwrap();
        bytes[..count].to_vec()
    });
    let script = "import os; os.write(1, b'ping'); os.write(2, os.read(0, 99))";
    let call = world.call("sock connect dgram:./d -- python3 -c").arg(script);
    call.stdout("").stderr("pong").ok();
    assert_eq!(serving.join().unwrap(), b"ping");
}

#[test]
fn stream_of_messages_is_refused_before_connecting() {
    let world = World::new();
    let words = "it takes messages, and connect without CMD copies a stream";
    // There is no server.
    for address in ["dgram:./e", "seqpacket:./e", "dgram:@e", "udp:localhost:9"] {
        world.call("sock connect").arg(address).fails(4, words);
    }
    let (one, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    world.call("sock connect fd:7").passing(&one, 7).fails(4, words);
}

#[test]
fn standard_stream_is_no_peer_of_itself() {
    let world = World::new();
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    for number in [0, 1] {
        let call = world.call(&format!("sock connect fd:{number}"));
        call.passing(&one, number).fails(2, "descriptors 0 and 1 are the other side of the copy");
    }
    world.call("sock connect fd:0 -- true").passing(&one, 0).ok();
}

#[test]
fn failure_before_the_command_is_125() {
    let world = World::new();
    for (call, status, words) in [
        ("sock connect ./none -- true", 125, "no such socket (ENOENT)"),
        ("sock connect tcp:localhost -- true", 125, "HOST:PORT"),
        ("sock connect ./none --fd x -- true", 125, "--fd: expected a descriptor number"),
        ("sock connect ./none --await -n -- true", 124, "no server"),
        ("sock connect ./none -- /missing", 127, "cannot run /missing: command not found"),
        ("sock connect ./none -- /", 126, "cannot run /: permission denied"),
        ("sock connect ./none --fd 3", 2, "CMD is missing"),
    ] {
        world.call(call).fails(status, words);
    }
    let (server, _) = listen(&world, "path");
    let accepted = server.once(drop);
    world
        .call("sock connect ./s --fd 99999999 -- true")
        .fails(125, "cannot pass the connection as descriptor 99999999");
    accepted.join().unwrap();
}
