//! `sock send`: lines to a stream, and whole messages.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen as start, socket, sockopt,
};

use super::{FORMS, is_nonblocking, listen, pattern};
use crate::support::{BINARY, World};

/// A socket of the test that gets messages.
enum Inbox {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    /// The listener of connections.
    Seqpacket(OwnedFd),
}

const KINDS: [&str; 5] = ["dgram", "udp:127.0.0.1", "udp:[::1]", "udp:localhost", "seqpacket"];

/// Returns a socket of this kind, and its address.
fn inbox(world: &World, kind: &str) -> (Inbox, String) {
    let path = world.dir().join("m");
    match kind {
        "dgram" => (Inbox::Unix(UnixDatagram::bind(path).unwrap()), "dgram:m".into()),
        "seqpacket" => {
            let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
            bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
            start(&listener, Backlog::new(1).unwrap()).unwrap();
            (Inbox::Seqpacket(listener), "seqpacket:m".into())
        }
        udp => {
            // A server of one family: a client tries the other one too.
            let host = udp.strip_prefix("udp:").unwrap().replace("localhost", "[::1]");
            let socket = UdpSocket::bind(format!("{host}:0")).unwrap();
            let port = socket.local_addr().unwrap().port();
            (Inbox::Udp(socket), format!("{udp}:{port}"))
        }
    }
}

impl Inbox {
    /// Returns the messages that have come.
    fn messages(&self, count: usize) -> Vec<Vec<u8>> {
        let connection;
        let fd = match self {
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Udp(socket) => socket.as_raw_fd(),
            Self::Seqpacket(listener) => {
                let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC).unwrap();
                // SAFETY: the kernel has just returned this descriptor.
                #[allow(unsafe_code)]
                let accepted = unsafe { OwnedFd::from_raw_fd(fd) };
                connection = accepted;
                connection.as_raw_fd()
            }
        };
        let mut bytes = vec![0; 300_000];
        let mut next = || {
            let length = nix::sys::socket::recv(fd, &mut bytes, nix::sys::socket::MsgFlags::empty()).unwrap();
            bytes[..length].to_vec()
        };
        (0..count).map(|_| next()).collect()
    }

    /// Whether nothing has come.
    fn is_empty(&self) -> bool {
        let fd = match self {
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Udp(socket) => socket.as_raw_fd(),
            Self::Seqpacket(listener) => listener.as_raw_fd(),
        };
        let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
        nix::sys::socket::recv(fd, &mut [0], flags) == Err(nix::errno::Errno::EAGAIN)
    }
}

/// Starts `sock send` with a standard input that stays open.
fn sending(world: &World, address: &str, option: &str) -> (std::process::Child, ChildStdin) {
    let mut command = Command::new(BINARY);
    command.args(["sock", "send", address, option]).current_dir(world.dir());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

#[test]
fn stream_gets_arguments_as_lines() {
    for form in FORMS {
        let world = World::new();
        for (options, text) in [("", "one\ntwo words\n\n-x\n"), ("-0", "one\0two words\0\0-x\0")] {
            let (server, address) = listen(&world, form);
            let serving = server.once(|mut peer| peer.read_all());
            let call =
                world.call(&format!("sock send {options}")).arg(&address).args(["--", "one", "two words", "", "-x"]);
            call.stdout("").ok();
            assert_eq!(String::from_utf8(serving.join().unwrap()).unwrap(), text, "{form}");
            let _ = std::fs::remove_file(world.dir().join("s"));
        }
    }
}

#[test]
fn stream_gets_the_input_unchanged() {
    for form in FORMS {
        for length in [0, 1, 70_000, 3 << 20] {
            for file in [false, true] {
                let world = World::new();
                let (server, address) = listen(&world, form);
                let serving = server.once(|mut peer| peer.read_all());
                if file {
                    std::fs::write(world.dir().join("in"), pattern(length)).unwrap();
                    world.shell(&format!("ipcbox sock send {address} <in")).ok();
                } else {
                    world.call("sock send --lines").arg(&address).input(pattern(length)).stdout("").ok();
                }
                assert!(serving.join().unwrap() == pattern(length), "{form} {length}");
            }
        }
    }
}

/// A server that answers must not block because nothing reads its answers.
#[test]
fn replies_are_discarded() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            let mut writer = peer.try_clone();
            let mut bytes = vec![0; 8192];
            let mut all = 0;
            loop {
                match peer.read(&mut bytes).unwrap() {
                    0 => return all,
                    count => {
                        all += count;
                        // After its EOF, the client can be gone.
                        let _ = writer.write_all(&bytes[..count]);
                    }
                }
            }
        });
        world.call("sock send").arg(&address).input(pattern(9 << 20)).stdout("").ok();
        assert_eq!(serving.join().unwrap(), 9 << 20, "{form}");
    }
}

#[test]
fn each_argument_is_a_message() {
    for kind in KINDS {
        let world = World::new();
        let (inbox, address) = inbox(&world, kind);
        world.call("sock send").arg(&address).args(["one", "", "two words\n"]).stdout("").ok();
        assert_eq!(inbox.messages(3), [&b"one"[..], b"", b"two words\n"], "{kind}");
        world.call("sock send -0").arg(&address).arg("alone").ok();
        assert_eq!(inbox.messages(1), [b"alone"], "{kind}");
    }
}

#[test]
fn input_is_a_message_or_many() {
    for kind in KINDS {
        let world = World::new();
        let (inbox, address) = inbox(&world, kind);
        for (options, input, expected) in [
            ("", "a\nb\n", &["a\nb\n"][..]),
            ("", "", &[""]),
            ("--lines", "a\n\nb", &["a", "", "b"]),
            ("-0", "a\nb\0\0c\0", &["a\nb", "", "c"]),
        ] {
            world.call(&format!("sock send {address} {options}")).input(input).ok();
            let expected: Vec<Vec<u8>> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(inbox.messages(expected.len()), expected, "{kind} {options} {input:?}");
        }
    }
}

#[test]
fn message_of_the_limit_is_sent_whole() {
    for kind in KINDS {
        let world = World::new();
        let (inbox, address) = inbox(&world, kind);
        let most = match kind {
            "udp:[::1]" => 65_527,
            // For localhost, that of the family that is tried first.
            udp if udp.starts_with("udp:") => 65_507,
            _ => getsockopt(&UnixDatagram::unbound().unwrap(), sockopt::SndBuf).unwrap() - 32,
        };
        let input = pattern(most);
        world.call("sock send").arg(&address).input(input.clone()).ok();
        assert!(inbox.messages(1) == [input], "{kind}");
        let words = format!("cannot send to {address}: {} bytes exceed the limit of {most} (EMSGSIZE)", most + 1);
        world.call("sock send").arg(&address).input(pattern(most + 1)).fails(1, &words);
        let too_long = "x".repeat(most + 1);
        let words = format!("cannot send to {address}: line 2: {} bytes exceed the limit of {most}", most + 1);
        let note = "(EMSGSIZE); 1 message was sent before the failure\n";
        let call = world.call("sock send --lines").arg(&address).input(format!("first\n{too_long}\n"));
        let output = call.output();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with(&format!("sock: {words}")) && message.contains(note), "{kind}: {message}");
    }
}

#[test]
fn long_argument_is_refused_before_the_first() {
    let world = World::new();
    let (inbox, address) = inbox(&world, "udp:127.0.0.1");
    let call = world.call("sock send").arg(&address).args(["first", &"x".repeat(65_508)]);
    call.fails(1, &format!("cannot send to {address}: message 2: 65508 bytes exceed the limit of 65507 (EMSGSIZE)\n"));
    assert!(inbox.is_empty());
}

#[test]
fn full_queue_is_waited_for() {
    let world = World::new();
    let (inbox, address) = inbox(&world, "dgram");
    let Inbox::Unix(socket) = &inbox else { unreachable!() };
    while world.call(&format!("sock send {address} x -n -E 7")).output().status.success() {}
    for (options, words) in [
        ("-n", "cannot send to dgram:m: the queue of the server is full\n"),
        ("-w 0.12", "cannot send to dgram:m: the queue of the server is still full after 120ms\n"),
    ] {
        world.call(&format!("sock send {address} z {options}")).fails(124, words);
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let waiting = world.call(&format!("sock send {address} z")).start().blocked_in(libc::SYS_ppoll);
        waiting.signal(signal);
        assert_eq!(waiting.code(), 128 + signal as i32);
    }
    let mut waiting = world.call(&format!("sock send {address} last -v")).start();
    assert_eq!(waiting.message(), "sock: waiting for dgram:m: the queue of the server is full\n");
    let waiting = waiting.blocked_in(libc::SYS_ppoll);
    let mut bytes = [0; 9];
    loop {
        let length = socket.recv(&mut bytes).unwrap();
        if &bytes[..length] == b"last" {
            break;
        }
    }
    assert_eq!(waiting.code(), 0);
}

#[test]
fn server_that_exits_is_status_3() {
    let world = World::new();
    let (inbox, address) = inbox(&world, "dgram");
    let (child, mut stdin) = sending(&world, &address, "--lines");
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(inbox.messages(1), [b"one"]);
    drop(inbox);
    stdin.write_all(b"two\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let words = "sock: cannot send to dgram:m: line 2: no process has the socket any more (ECONNREFUSED); 1 message was sent before the failure\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(3), words));
    world
        .call("sock send")
        .arg(&address)
        .arg("x")
        .fails(3, "the socket is stale: no server has it open (ECONNREFUSED)");
}

#[test]
fn udp_without_a_server_is_status_3() {
    let world = World::new();
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let own = UdpSocket::bind(format!("{}:0", host.replace("localhost", "127.0.0.1"))).unwrap();
        let address = format!("udp:{host}:{}", own.local_addr().unwrap().port());
        drop(own);
        let words = format!("cannot send to {address}: no server listens on this port (ECONNREFUSED)\n");
        world.call("sock send").arg(&address).arg("x").fails(3, &words);
        world.call("sock send").arg(&address).args(["x", "y"]).fails(3, "message 1: no server listens on this port");
    }
}

/// The first message is repeated until a process has the port.
#[test]
fn udp_server_that_comes_later_gets_all() {
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let world = World::new();
        let one = host.replace("localhost", "[::1]");
        let own = UdpSocket::bind(format!("{one}:0")).unwrap();
        let at = own.local_addr().unwrap();
        drop(own);
        let address = format!("udp:{host}:{}", at.port());
        for (options, words) in [("-n", "no server\n"), ("-w 0.12", "still no server after 120ms\n")] {
            world.call(&format!("sock send --await {options} {address} x")).fails(124, words);
        }
        let sending = world.call(&format!("sock send --await {address} one two")).start().blocked_in(libc::SYS_ppoll);
        // Another process must not have taken the port by now.
        let Ok(own) = UdpSocket::bind(at) else { continue };
        assert_eq!(Inbox::Udp(own).messages(2), [b"one", b"two"], "{host}");
        assert_eq!(sending.code(), 0);
    }
}

#[test]
fn lost_connection_is_status_3() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| peer.read_exact(&mut [0; 5]).unwrap());
        let output = world.call("sock send").arg(&address).input(pattern(64 << 20)).output();
        serving.join().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        let start = format!("sock: cannot send to {address}: the peer ");
        let has_count = message.contains(" bytes of standard input (E");
        assert!(output.status.code() == Some(3) && message.starts_with(&start) && has_count, "{form}: {message}");
    }
    let world = World::new();
    let (inbox, address) = inbox(&world, "seqpacket");
    let (child, mut stdin) = sending(&world, &address, "--lines");
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(inbox.messages(1), [b"one"]);
    // The connection is closed now.
    let _ = stdin.write_all(b"two\n");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(
        message.contains("line 2: the peer closed the connection (EPIPE); 1 message was sent before the failure"),
        "{message}"
    );
}

/// The kernel has taken all bytes, but the server will never read them.
#[test]
fn bytes_that_are_not_read_are_status_3() {
    for form in ["path", "name"] {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let (child, mut stdin) = sending(&world, &address, "-v");
        let mut peer = server.accept();
        stdin.write_all(b"0123456789").unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
        drop(peer);
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{form}: {message}");
        assert!(message.contains("the peer reset the connection after 10 bytes of standard input"), "{message}");
        drop(stdin);
    }
}

#[test]
fn closed_connection_ends_the_wait_for_input() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let (mut child, stdin) = sending(&world, &address, "-v");
        drop(server.accept());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{form}");
        drop(stdin);
    }
}

#[test]
fn server_that_takes_nothing_is_a_timeout() {
    for form in ["path", "tcp:127.0.0.1"] {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let (sender, has_ended) = std::sync::mpsc::channel::<()>();
        let serving = server.once(move |_peer| has_ended.recv().unwrap_or_default());
        let output = world.call("sock send -w 0.15").arg(&address).input(pattern(64 << 20)).output();
        let message = String::from_utf8(output.stderr).unwrap();
        let start = format!("sock: cannot send to {address}: still no room after 150ms; ");
        assert!(message.starts_with(&start) && message.ends_with(" bytes sent\n"), "{message}");
        assert_eq!(output.status.code(), Some(124));
        let output = world.call("sock send -n -E 7").arg(&address).input(pattern(64 << 20)).output();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        drop(sender);
        serving.join().unwrap();
    }
}

/// The time limit does not count the wait for input.
#[test]
fn slow_input_is_not_a_timeout() {
    let world = World::new();
    let (server, address) = listen(&world, "path");
    let serving = server.once(|mut peer| peer.read_all());
    let (mut child, mut stdin) = sending(&world, &address, "--timeout=0.1");
    std::thread::sleep(Duration::from_millis(250));
    stdin.write_all(b"late").unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(serving.join().unwrap(), b"late");
}

#[test]
fn inherited_connection_stays_open() {
    let world = World::new();
    let (one, mut other) = UnixStream::pair().unwrap();
    // A reply that belongs to the caller.
    other.write_all(b"reply").unwrap();
    for text in ["first", "second"] {
        world.call("sock send fd:7").arg(text).passing(&one, 7).ok();
    }
    world.call("sock send fd:7").input("third").passing(&one, 7).ok();
    let mut text = [0; 18];
    other.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"first\nsecond\nthird");
    world.call("sock send fd:7 --end last").passing(&one, 7).ok();
    let mut rest = String::new();
    other.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "last\n");
    let one: OwnedFd = one.into();
    assert!(!is_nonblocking(&one));
    let mut reply = [0; 5];
    UnixStream::from(one).read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"reply");
}

/// bash cannot half-close its /dev/tcp.
#[test]
fn connection_of_bash_is_half_closed() {
    let world = World::new();
    let (server, address) = listen(&world, "tcp:127.0.0.1");
    let serving = server.once(|mut peer| {
        let request = peer.read_all();
        peer.write_all(&pattern(100_000)).unwrap();
        request
    });
    let port = address.rsplit(':').next().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; ipcbox sock send fd:3 'GET x' --end; cat <&3 | wc -c");
    world.program("bash").args(["-euc", &script]).stdout("100000\n").ok();
    assert_eq!(serving.join().unwrap(), b"GET x\n");
}

#[test]
fn end_needs_a_connection() {
    let world = World::new();
    let (inbox, address) = inbox(&world, "dgram");
    world.call(&format!("sock send --end {address} x")).fails(2, "datagrams have none");
    assert!(inbox.is_empty());
    // Both ends of a connection of messages.
    let kind = SockType::SeqPacket;
    let (one, other) = nix::sys::socket::socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
    world.call("sock send fd:7 a b --end").passing(&one, 7).ok();
    let mut bytes = [0; 9];
    let mut read = || {
        let length = nix::unistd::read(&other, &mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    assert_eq!([read(), read(), read()], ["a", "b", ""]);
}

#[test]
fn closed_input_is_found_before_connecting() {
    let world = World::new();
    let (server, _) = listen(&world, "path");
    world.shell("exec ipcbox sock send ./s <&-").fails(1, "cannot read standard input: bad file descriptor (EBADF)");
    let super::Server::Unix(listener) = server else { unreachable!() };
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "it was connected to");
    // With arguments, standard input is not needed.
    listener.set_nonblocking(false).unwrap();
    let serving = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    world.shell("exec ipcbox sock send ./s text <&- >&-").ok();
    assert_eq!(serving.join().unwrap(), "text\n");
}
