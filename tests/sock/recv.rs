//! `sock recv`: lines that stay whole, and messages that are never cut.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket};

use super::{FORMS, Peer, is_nonblocking, pattern};
use crate::support::{BINARY, Child, World, eventually, lines, signal};

/// Starts `sock recv`, and returns its address when it listens.
fn receiving(world: &World, form: &str, options: &str) -> (Child, String) {
    let address = match form {
        "path" => "./s".to_owned(),
        "abstract" => format!("@{}", world.name("abstract")),
        "name" => world.name("name"),
        inet if inet.contains("tcp:") || inet.contains("udp:") => format!("{inet}:0"),
        other => other.to_owned(),
    };
    let call = world.call(&format!("sock recv {options}")).arg(&address);
    let mut child = call.start();
    if !address.ends_with(":0") {
        return (child.blocked_in(libc::SYS_ppoll), address);
    }
    let message = child.message();
    let shown = message.strip_prefix("sock: listening at ").unwrap_or_else(|| panic!("{message}")).trim_end();
    (child, shown.to_owned())
}

/// Connects to it.
fn client(world: &World, address: &str) -> Peer {
    if let Some(tcp) = address.strip_prefix("tcp:") {
        return Peer::Tcp(TcpStream::connect(tcp.replace("localhost", "127.0.0.1")).unwrap());
    }
    if address.contains('/') {
        return Peer::Unix(UnixStream::connect(world.dir().join(address)).unwrap());
    }
    let name = address.strip_prefix('@').map_or_else(|| format!("ipcbox.{address}"), str::to_owned);
    Peer::Unix(UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap())
}

fn output_of(child: Child) -> (i32, String, String) {
    let output = child.end();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (crate::support::code(output.status), text(output.stdout), text(output.stderr))
}

#[test]
fn connection_is_printed_unchanged() {
    for form in FORMS {
        for length in [0, 1, 3 << 20] {
            let world = World::new();
            let (mut child, address) = receiving(&world, form, "");
            let mut stdout = child.output();
            let mut peer = client(&world, &address);
            let writing = std::thread::spawn(move || peer.write_all(&pattern(length)).unwrap());
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            writing.join().unwrap();
            assert!(bytes == pattern(length), "{form} {length}");
            assert_eq!(child.code(), 0);
            assert!(!world.dir().join("s").exists());
        }
    }
}

/// The second client gets no service, and can see that.
#[test]
fn second_client_is_refused() {
    let world = World::new();
    let (child, address) = receiving(&world, "path", "");
    let mut first = client(&world, &address);
    first.write_all(b"a").unwrap();
    eventually("the name is gone", || !world.dir().join("s").exists());
    world.call("sock send ./s x").fails(3, "no such socket");
    drop(first);
    assert_eq!(output_of(child), (0, "a".into(), String::new()));
}

#[test]
fn lines_of_connections_never_mix() {
    for form in FORMS {
        for (options, end) in [("", '\n'), ("-0", '\0'), ("--tag", '\n')] {
            let world = World::new();
            let (child, address) = receiving(&world, form, &format!("-c 8 {options}"));
            let mut peers: Vec<Peer> = (0..4).map(|_| client(&world, &address)).collect();
            for part in ["a", "bc", &format!("d{end}e"), &format!("f{end}")] {
                for (number, peer) in peers.iter_mut().enumerate() {
                    peer.write_all(format!("{number}{part}").as_bytes()).unwrap();
                }
            }
            let (status, text, message) = output_of(child);
            assert_eq!((status, message), (0, String::new()), "{form} {options}");
            let tag = if options == "--tag" { format!("{address}: ") } else { String::new() };
            let mut found: Vec<&str> = text.split_terminator(end).collect();
            found.sort_unstable();
            let expected = |n: usize| [format!("{tag}{n}a{n}bc{n}d"), format!("{tag}e{n}f")];
            let mut expected: Vec<String> = (0..4).flat_map(expected).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{form} {options}");
        }
    }
}

#[test]
fn last_line_gets_its_newline() {
    let world = World::new();
    let (child, address) = receiving(&world, "path", "-c 2");
    for text in ["first", "second"] {
        client(&world, &address).write_all(text.as_bytes()).unwrap();
    }
    let (status, text, _) = output_of(child);
    assert_eq!((status, lines(text.as_bytes()).len(), text.ends_with('\n')), (0, 2, true), "{text}");
}

/// A line of 10 MiB is passed on in pieces, and the others wait for its end.
#[test]
fn long_line_stays_whole() {
    let world = World::new();
    let (mut child, address) = receiving(&world, "path", "--follow");
    let mut stdout = child.output();
    let (mut long, mut short) = (client(&world, &address), client(&world, &address));
    let writing = std::thread::spawn(move || {
        let half = vec![b'x'; 5 << 20];
        long.write_all(&half).unwrap();
        short.write_all(b"short\0line\n").unwrap();
        long.write_all(&half).unwrap();
        drop(long);
        drop(short);
    });
    let mut bytes = vec![0; (10 << 20) + 12];
    stdout.read_exact(&mut bytes).unwrap();
    writing.join().unwrap();
    let found = lines(&bytes);
    assert!(found.contains(&"short\0line".to_owned()) && found.iter().any(|line| line.len() == 10 << 20));
    child.signal(Signal::SIGTERM);
    assert_eq!(child.code(), 143);
    assert!(!world.dir().join("s").exists());
}

/// Sends messages of this form.
fn send_messages(world: &World, address: &str, messages: &[&[u8]]) {
    if let Some(udp) = address.strip_prefix("udp:") {
        let at = udp.replace("localhost", "127.0.0.1");
        let socket = UdpSocket::bind(if at.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
        for message in messages {
            assert_eq!(socket.send_to(message, &at).unwrap(), message.len());
        }
    } else if let Some(path) = address.strip_prefix("dgram:") {
        let socket = UnixDatagram::unbound().unwrap();
        for message in messages {
            assert_eq!(socket.send_to(message, world.dir().join(path)).unwrap(), message.len());
        }
    } else {
        let path = world.dir().join(address.strip_prefix("seqpacket:").unwrap());
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        for message in messages {
            assert_eq!(send(socket.as_raw_fd(), message, MsgFlags::empty()).unwrap(), message.len());
        }
    }
}

const MESSAGES: [&str; 5] = ["dgram:m", "seqpacket:m", "udp:127.0.0.1", "udp:[::1]", "udp:localhost"];

#[test]
fn messages_are_printed_whole() {
    let large = "z".repeat(60_000);
    for form in MESSAGES {
        for (options, expected) in [
            ("-c 4", format!("one\n\ntwo\n\n{large}\n")),
            ("-c 4 -0", format!("one\0\0two\n\0{large}\0")),
            ("-c 4 --raw", format!("onetwo\n{large}")),
        ] {
            let world = World::new();
            let (child, address) = receiving(&world, form, options);
            send_messages(&world, &address, &[b"one", b"", b"two\n", large.as_bytes()]);
            assert_eq!(output_of(child), (0, expected, String::new()), "{form} {options}");
        }
        let world = World::new();
        let (child, address) = receiving(&world, form, "");
        send_messages(&world, &address, &[b"only"]);
        assert_eq!(output_of(child), (0, "only\n".into(), String::new()), "{form}");
    }
}

/// An empty packet reads like EOF.
#[test]
fn empty_packet_is_not_eof() {
    let world = World::new();
    let (child, address) = receiving(&world, "seqpacket:m", "");
    send_messages(&world, &address, &[b"", b"a", b""]);
    assert_eq!(output_of(child), (0, "\na\n\n".into(), String::new()));
}

#[test]
fn json_names_the_sender() {
    let (pid, uid) = (std::process::id(), nix::unistd::geteuid());
    for form in ["path", "name", "tcp:127.0.0.1", "dgram:m", "seqpacket:m", "udp:127.0.0.1"] {
        let world = World::new();
        let (child, address) = receiving(&world, form, "-c 1 -J");
        if ["path", "name", "tcp:127.0.0.1"].contains(&form) {
            let mut peer = client(&world, &address);
            peer.write_all(b"a\"\xff\n").unwrap();
        } else {
            send_messages(&world, &address, &[b"a\"\xff"]);
        }
        let (status, text, _) = output_of(child);
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert_eq!((status, keys.len()), (0, 6), "{text}");
        assert_eq!((&record["address"], &record["length"]), (&address.into(), &3.into()), "{text}");
        assert_eq!(record["data_base64"], "YSL/");
        if form.contains("127.0.0.1") {
            let peer = record["peer"].as_str().unwrap();
            assert!(peer.starts_with("127.0.0.1:") && record["peer_pid"].is_null(), "{text}");
        } else {
            assert_eq!((&record["peer_pid"], &record["uid"]), (&pid.into(), &uid.as_raw().into()), "{text}");
            assert!(record["peer"].is_null(), "{text}");
        }
    }
}

#[test]
fn all_addresses_are_received_from() {
    let world = World::new();
    let call = world.call("sock recv ./s dgram:m seqpacket:q -c 4 --tag").start().blocked_in(libc::SYS_ppoll);
    // A line without a tag could pretend to be of another address.
    send_messages(&world, "dgram:m", &[b"message\n./s: three"]);
    send_messages(&world, "seqpacket:q", &[b"packet"]);
    client(&world, "./s").write_all(b"one\ntwo\n").unwrap();
    let (status, text, _) = output_of(call);
    let mut found = lines(text.as_bytes());
    found.sort_unstable();
    let expected = ["./s: one", "./s: two", "dgram:m: ./s: three", "dgram:m: message", "seqpacket:q: packet"];
    assert_eq!((status, found), (0, expected.map(String::from).into()));
    assert!(["s", "m", "q"].iter().all(|name| !world.dir().join(name).exists()));
}

#[test]
fn count_leaves_the_rest_in_the_socket() {
    let world = World::new();
    let (mut one, other) = UnixStream::pair().unwrap();
    let recv = |options: &str| world.call(&format!("sock recv fd:7 {options}")).passing(&other, 7);
    one.write_all(b"a\nb\nc\nd\npart").unwrap();
    recv("-c 1").stdout("a\n").ok();
    recv("-c 2 -J").ok();
    recv("-c 9 -n").stdout("d\n").status(124);
    // An incomplete line stays too.
    recv("-c 1 -w 0.1").stdout("").fails(124, "no data received after 100ms");
    one.write_all(b"ly\nlast").unwrap();
    recv("-c 1").stdout("partly\n").ok();
    assert!(!is_nonblocking(&OwnedFd::from(other.try_clone().unwrap())));
    drop(one);
    recv("-c 1").stdout("last\n").ok();
    recv("-c 1").fails(3, "cannot receive from fd:7: the connection ended after 0 of 1 lines\n");
    recv("").stdout("").ok();
}

/// Each byte of a unix stream that is written alone takes a buffer: the writer blocks before the line is complete.
#[test]
fn line_that_blocks_its_writer_is_taken() {
    let world = World::new();
    let (mut one, other) = UnixStream::pair().unwrap();
    let writing = std::thread::spawn(move || {
        for byte in [b'x'; 3000].iter().chain(b"\nnext\n") {
            one.write_all(&[*byte]).unwrap();
        }
    });
    world.call("sock recv fd:7 -c 1").passing(&other, 7).stdout("x".repeat(3000) + "\n").ok();
    world.call("sock recv fd:7 -c 1").passing(&other, 7).stdout("next\n").ok();
    writing.join().unwrap();
}

#[test]
fn each_line_goes_to_one_of_many_readers() {
    let (readers, per) = if is_full() { (100, 7) } else { (20, 7) };
    for is_tcp in [false, true] {
        let world = World::new();
        let (mut one, other): (Peer, OwnedFd) = if is_tcp {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (Peer::Tcp(one), listener.accept().unwrap().0.into())
        } else {
            let (one, other) = UnixStream::pair().unwrap();
            (Peer::Unix(one), other.into())
        };
        let call = || world.call(&format!("sock recv fd:7 -c {per}")).passing(&other, 7).start();
        let children: Vec<Child> = (0..readers).map(|_| call()).collect();
        let writing = std::thread::spawn(move || {
            for number in 0..readers * per {
                // In two parts, so that readers meet incomplete lines.
                one.write_all(format!("line {number}").as_bytes()).unwrap();
                one.write_all(format!(" of {}\n", readers * per).as_bytes()).unwrap();
            }
            one
        });
        let mut all = Vec::new();
        for child in children {
            let (status, text, message) = output_of(child);
            let found = lines(text.as_bytes());
            assert_eq!((status, found.len(), message), (0, per, String::new()));
            all.extend(found);
        }
        all.sort_unstable();
        let mut expected: Vec<String> =
            (0..readers * per).map(|number| format!("line {number} of {}", readers * per)).collect();
        expected.sort_unstable();
        assert_eq!(all, expected);
        drop(writing.join().unwrap());
    }
}

fn is_full() -> bool {
    std::env::var_os("IPCBOX_FULL").is_some()
}

/// Writers that are killed at any time break no line of another one, and lose none that they have finished.
#[test]
fn killed_writers_break_no_line() {
    let (writers, count) = if is_full() { (16, 2000) } else { (8, 300) };
    for form in ["path", "tcp:127.0.0.1"] {
        let world = World::new();
        let (mut child, address) = receiving(&world, form, "--follow");
        let mut stdout = child.output();
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let mut running = Vec::new();
        let mut victims = Vec::new();
        for number in 0..writers {
            let mut command = Command::new(BINARY);
            command.args(["sock", "send", &address]).current_dir(world.dir()).stderr(Stdio::null());
            let mut sender = command.stdin(Stdio::piped()).spawn().unwrap();
            let mut stdin = sender.stdin.take().unwrap();
            let writing = std::thread::spawn(move || {
                let end = "x".repeat(200);
                // It fails once the sender is killed.
                let _ = (0..count).try_for_each(|line| writeln!(stdin, "{number} {line} {end}"));
            });
            // Every second one is killed, at another time each.
            if number % 2 == 1 {
                victims.push(sender.id().cast_signed());
            }
            running.push((number, sender, writing));
        }
        for (order, pid) in victims.into_iter().enumerate() {
            std::thread::sleep(Duration::from_millis(order as u64 * 7 % 10));
            signal(pid, Signal::SIGKILL);
        }
        let mut finished = Vec::new();
        for (number, mut sender, writing) in running {
            if sender.wait().unwrap().success() {
                finished.push(number);
            }
            writing.join().unwrap();
        }
        child.signal(Signal::SIGTERM);
        assert_eq!(child.code(), 143, "{form}");
        let text = String::from_utf8(reading.join().unwrap()).unwrap();
        let mut seen = vec![0; writers];
        let mut unfinished = 0;
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if words.len() == 3 && words[2].len() == 200 && words[2].bytes().all(|byte| byte == b'x') {
                seen[words[0].parse::<usize>().unwrap()] += 1;
            } else {
                // The last line of a writer that was killed.
                unfinished += 1;
            }
        }
        assert!(unfinished <= writers / 2, "{form}: {unfinished} lines are broken");
        assert!(!finished.is_empty(), "{form}: a writer finishes");
        for number in finished {
            assert_eq!(seen[number], count, "{form}: writer {number}");
        }
    }
}

/// What writers that have finished have sent is printed, although a signal comes first.
#[test]
fn signal_prints_what_was_sent_before() {
    for form in ["path", "name", "tcp:127.0.0.1", "dgram:m"] {
        let world = World::new();
        let (child, address) = receiving(&world, form, "--follow");
        let child = child.stopped();
        if form == "dgram:m" {
            send_messages(&world, &address, &[b"line 1", b"line 2", b"line 3"]);
        } else {
            for number in 1..4 {
                // TCP waits for the kernel of the server only, and a unix server may not have accepted it.
                let call = world.call("sock send").arg(&address).arg(format!("line {number}"));
                call.ok();
            }
        }
        child.signal(Signal::SIGTERM);
        child.signal(Signal::SIGCONT);
        assert_eq!(output_of(child), (143, "line 1\nline 2\nline 3\n".into(), String::new()), "{form}");
        assert!(!world.dir().join("s").exists() && !world.dir().join("m").exists());
    }
}

#[test]
fn unfinished_line_is_printed_at_a_signal() {
    for which in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let world = World::new();
        let (child, address) = receiving(&world, "path", "--follow");
        let mut peer = client(&world, &address);
        peer.write_all(b"whole\npart").unwrap();
        eventually("it is read", || super::unread(&peer) == 0);
        child.signal(which);
        assert_eq!(output_of(child), (128 + which as i32, "whole\npart\n".into(), String::new()));
    }
}

#[test]
fn closed_output_removes_the_path_first() {
    let world = World::new();
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    drop(reader);
    let sending = {
        let path = world.dir().join("s");
        std::thread::spawn(move || {
            eventually("it listens", || {
                UnixStream::connect(&path).is_ok_and(|mut peer| peer.write_all(b"x\n").is_ok())
            });
        })
    };
    let output = world.call("sock recv ./s --follow").onto(writer);
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
    sending.join().unwrap();
    assert!(!world.dir().join("s").exists());
    let child = world.shell("exec ipcbox sock recv ./s --follow >/dev/full").start().blocked_in(libc::SYS_ppoll);
    client(&world, "./s").write_all(b"x\n").unwrap();
    let (status, _, message) = output_of(child);
    let words = "sock: cannot receive from ./s: cannot write to standard output: no space left on device (ENOSPC)\n";
    assert_eq!((status, message.as_str()), (1, words));
    assert!(!world.dir().join("s").exists());
}

#[test]
fn open_connection_is_a_timeout() {
    let world = World::new();
    let (mut one, other) = UnixStream::pair().unwrap();
    one.write_all(b"text").unwrap();
    let recv = |options: &str| world.call(&format!("sock recv fd:7 {options}")).passing(&other, 7);
    let words = "cannot receive from fd:7: the connection is still open after 120ms\n";
    let output = recv("-w 0.12").output();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(124), &b"text"[..]));
    assert!(String::from_utf8(output.stderr).unwrap().ends_with(words));
    one.write_all(b"more").unwrap();
    recv("-n").stdout("more").ok();
    recv("-n").fails(124, "cannot receive from fd:7: the connection is open\n");
    // The time counts from the last data.
    recv("--follow -w 0.1").fails(124, "no data received after 100ms\n");
}

#[test]
fn reset_is_status_3() {
    let world = World::new();
    let (mut child, address) = receiving(&world, "tcp:127.0.0.1", "");
    let Peer::Tcp(mut peer) = client(&world, &address) else { unreachable!() };
    peer.write_all(b"text").unwrap();
    child.output().read_exact(&mut [0; 4]).unwrap();
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&peer, nix::sys::socket::sockopt::Linger, &linger).unwrap();
    drop(peer);
    let (status, _, message) = output_of(child);
    assert_eq!(status, 3);
    assert!(message.ends_with(": the peer reset the connection after 4 bytes (ECONNRESET)\n"), "{message}");
}

#[test]
fn address_that_is_taken_is_status_4() {
    let world = World::new();
    world.file("file", "");
    let _listener = UnixListener::bind(world.dir().join("live")).unwrap();
    let pid = std::process::id();
    world.call("sock recv ./live").fails(4, &format!("cannot listen on ./live: it is in use by {pid} "));
    world.call("sock recv ./file").fails(4, "the path is a regular file, not a socket");
    world.call("sock recv none/s").fails(3, "the parent directory does not exist");
    world.call("sock recv ./s --raw --tag").fails(2, "--raw");
    // No client may take the port before the call fails.
    world
        .call("sock recv udp:localhost:0 --allow root")
        .fails(2, "UDP does not report the user of a sender\nhint: use");
    world.call("sock recv tcp:0.0.0.0:0").fails(2, "other hosts can connect to 0.0.0.0\nhint: add --allow any");
    world.call("sock recv fd:77").fails(3, "cannot listen on fd:77: the descriptor is not open (EBADF)");
    world.shell("exec ipcbox sock recv ./s >&-").fails(1, "cannot write to standard output: bad file descriptor");
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    world.call("sock recv fd:7").passing(&stream, 7).fails(3, "the socket is not connected (ENOTCONN)");
    // A stale socket is replaced.
    super::stale(&world.dir().join("s"));
    let child = world.call("sock recv ./s").start();
    eventually("the new socket accepts", || UnixStream::connect(world.dir().join("s")).is_ok());
    assert_eq!(child.code(), 0);
}

#[test]
fn inherited_sockets_are_received_from() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let waiting = world.call("sock recv fd:7 -c 1").passing(&listener, 7).start().blocked_in(libc::SYS_ppoll);
    client(&world, "./s").write_all(b"line\n").unwrap();
    assert_eq!(output_of(waiting), (0, "line\n".into(), String::new()));
    assert!(!is_nonblocking(&listener.as_fd().try_clone_to_owned().unwrap()));
    assert!(world.dir().join("s").exists());
    let inbox = UnixDatagram::bind(world.dir().join("m")).unwrap();
    send_messages(&world, "dgram:m", &[b"before", b"next"]);
    world.call("sock recv fd:7").passing(&inbox, 7).stdout("before\n").ok();
    world.call("sock recv fd:7 -n").passing(&inbox, 7).stdout("next\n").ok();
    world.call("sock recv fd:7 -n").passing(&inbox, 7).fails(124, "no data received\n");
}

/// A reader can look at a short message, and get the long one that follows it.
#[test]
fn messages_are_whole_for_many_readers() {
    let world = World::new();
    let inbox = UnixDatagram::bind(world.dir().join("m")).unwrap();
    let start = |at: usize| {
        let script = format!("exec ipcbox sock recv fd:7 --follow >out{at}");
        world.shell(&script).passing(&inbox, 7).start().blocked_in(libc::SYS_ppoll)
    };
    let readers: Vec<Child> = (0..4).map(start).collect();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(world.dir().join("m")).unwrap();
    for length in [10, 3000].repeat(2000) {
        sender.send(&vec![b'x'; length]).unwrap();
    }
    for reader in readers {
        reader.signal(Signal::SIGTERM);
        reader.end();
    }
    let out = |at| lines(&std::fs::read(world.dir().join(format!("out{at}"))).unwrap());
    let lengths: Vec<usize> = (0..4).flat_map(out).map(|line| line.len()).collect();
    let count = |length| lengths.iter().filter(|is| **is == length).count();
    assert_eq!((count(10), count(3000), lengths.len()), (2000, 2000, 4000));
}

#[test]
fn other_user_is_refused_unless_allowed() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for form in ["path", "name", "dgram:m"] {
        let sends = |address: &str| world.call("sock send --foreign").args([address, "theirs"]).user(stranger).output();
        // By default, and if a third user is allowed.
        for allowed in [String::new(), format!("--allow {}", stranger + 1)] {
            let (child, address) = receiving(&world, form, &format!("-m 0666 -c 1 {allowed}"));
            sends(&address);
            let words = format!("access is not allowed for uid {stranger}");
            world.call("sock send").arg(&address).arg("mine").ok();
            let (status, text, message) = output_of(child);
            assert_eq!((status, text.as_str()), (0, "mine\n"), "{form} {allowed}: {message}");
            let is_hinted = message.contains("hint: use --allow");
            assert!(message.contains(&words) && is_hinted, "{form} {allowed}: {message}");
        }
        let (child, address) = receiving(&world, form, &format!("-m 0666 -c 1 --allow {stranger}"));
        let sent = sends(&address);
        assert!(sent.status.success(), "{sent:?}");
        assert_eq!(output_of(child), (0, "theirs\n".into(), String::new()), "{form}");
    }
}

#[test]
fn dropped_datagrams_are_counted() {
    let world = World::new();
    let (child, address) = receiving(&world, "udp:127.0.0.1", "--follow --raw");
    let child = child.blocked_in(libc::SYS_ppoll).stopped();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sent = 2000;
    for _ in 0..sent {
        socket.send_to(&[b'x'; 100], address.strip_prefix("udp:").unwrap()).unwrap();
    }
    child.signal(Signal::SIGTERM);
    child.signal(Signal::SIGCONT);
    let (status, text, message) = output_of(child);
    assert_eq!((status, text.len() % 100), (143, 0));
    let words = message.strip_prefix("sock: the kernel dropped ").unwrap_or_else(|| panic!("{message}"));
    let dropped: usize = words.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(text.len() / 100 + dropped, sent, "{message}");
    assert!(message.ends_with('\n') && message.contains("\nhint: "), "{message}");
}

/// Each call that reads the socket has the same count.
#[test]
fn count_of_an_inherited_socket_is_so_far() {
    let world = World::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    world.call("sock recv fd:7 -n").passing(&socket, 7).fails(124, "no data received\n");
    for _ in 0..2000 {
        sender.send_to(&[b'x'; 100], address).unwrap();
    }
    let calls: Vec<String> = (0..2)
        .map(|_| {
            let output = world.call("sock recv fd:7 -c 1").passing(&socket, 7).output();
            assert_eq!(output.status.code(), Some(0));
            String::from_utf8(output.stderr).unwrap()
        })
        .collect();
    let line = calls[0].lines().next().unwrap();
    let is_right = line.starts_with("sock: the kernel dropped ")
        && line.ends_with(" datagrams to fd:7 so far: the receive buffer was full");
    assert!(is_right && calls[0] == calls[1], "{calls:?}");
}

/// Clients wait in the backlog until a descriptor is free.
#[test]
fn more_clients_than_descriptors_are_served() {
    let world = World::new();
    let recv = "ulimit -n 16; ulimit -H -n 16; exec ipcbox sock recv ./s -c 60";
    let child = world.shell(recv).start().blocked_in(libc::SYS_ppoll);
    let mut peers: Vec<Peer> = (0..60).map(|_| client(&world, "./s")).collect();
    for peer in &mut peers {
        peer.write_all(b"line\n").unwrap();
    }
    drop(peers);
    assert_eq!(output_of(child), (0, "line\n".repeat(60), String::new()));
}

/// The part of its line is taken, so that its writer has room, and is not printed.
#[test]
fn stalled_client_does_not_keep_others_from_the_count() {
    let world = World::new();
    let receiver = world.call("sock recv ./s -c 2").start();
    eventually("it listens", || world.dir().join("s").exists());
    let mut stalled = super::connect(&world, "./s");
    stalled.write_all(b"part").unwrap();
    eventually("the part is taken", || super::unread(&stalled) == 0);
    let mut other = super::connect(&world, "./s");
    other.write_all(b"one\ntwo\n").unwrap();
    let output = receiver.end();
    assert_eq!((output.status.code(), lines(&output.stdout)), (Some(0), vec!["one".to_owned(), "two".to_owned()]));
    // One that goes on is counted when its line is whole.
    let receiver = world.call("sock recv ./s -c 2").start();
    eventually("it listens", || world.dir().join("s").exists());
    let mut slow = super::connect(&world, "./s");
    slow.write_all(b"be").unwrap();
    eventually("the part is taken", || super::unread(&slow) == 0);
    other = super::connect(&world, "./s");
    other.write_all(b"one\n").unwrap();
    eventually("the line is taken", || super::unread(&other) == 0);
    slow.write_all(b"gun\nmore\n").unwrap();
    let output = receiver.end();
    assert_eq!((output.status.code(), lines(&output.stdout)), (Some(0), vec!["one".to_owned(), "begun".to_owned()]));
}

#[test]
fn stalled_long_line_is_broken_for_others() {
    let world = World::new();
    let mut receiver = world.call("sock recv ./s --follow").start();
    eventually("it listens", || world.dir().join("s").exists());
    let mut output = std::io::BufReader::new(receiver.output());
    let mut stalled = super::connect(&world, "./s");
    let mut writer = stalled.try_clone();
    let long = vec![b'x'; 1_200_000];
    let writing = std::thread::spawn(move || writer.write_all(&long).unwrap());
    Read::read_exact(&mut output, &mut vec![0; 1_200_000]).unwrap();
    writing.join().unwrap();
    let mut other = super::connect(&world, "./s");
    other.write_all(b"other\n").unwrap();
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        line
    };
    assert_eq!((next(), next()), ("\n".to_owned(), "other\n".to_owned()));
    stalled.write_all(b"rest\n").unwrap();
    assert_eq!(next(), "rest\n");
    receiver.signal(Signal::SIGTERM);
    assert_eq!(receiver.code(), 143);
}
