//! What is rarely met: types, networks and files that a server or a client seldom has.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, mknod};

use super::{connect, serve};
use crate::support::{BINARY, Call, World, eventually, lines, skip};

/// Returns a function that runs a shell script in a network namespace of its own. `None`: there is none.
fn network(world: &World) -> Option<impl Fn(&str) -> Call> {
    let user = if nix::unistd::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let call = move |script: &str| world.program("unshare").args(user).args(["--net", "sh", "-ec", script]);
    if call("true").output().status.success() {
        return Some(call);
    }
    skip("needs permission to create a network namespace");
    None
}

#[test]
fn seqpacket_client_gets_each_message() {
    let world = World::new();
    let server = world.call("sock serve seqpacket:p -c 1 -- cat").start();
    eventually("it listens", || world.dir().join("p").exists());
    let client = "import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect('p')
for message in b'one', b'two two', b'x' * 60000:
    s.send(message)
    assert s.recv(100000) == message
s.shutdown(socket.SHUT_WR)
assert s.recv(10) == b''";
    world.program("python3").args(["-c", client]).ok();
    assert_eq!(server.code(), 0);
    assert!(!world.dir().join("p").exists());
}

/// Starts `sock serve` for datagrams, and sends it these.
fn datagrams(world: &World, options: &str, command: &[&str], sent: &[&[u8]]) -> (Option<i32>, Vec<String>, String) {
    let server = world.call("sock serve dgram:./d").args(options.split(' ')).arg("--").args(command).start();
    eventually("it is bound", || world.dir().join("d").exists());
    let sender = UnixDatagram::unbound().unwrap();
    for datagram in sent {
        sender.send_to(datagram, world.dir().join("d")).unwrap();
    }
    let output = server.end();
    (output.status.code(), lines(&output.stdout), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn datagram_replaces_an_argument() {
    let world = World::new();
    let show = ["sh", "-c", "printf '%s|' \"$@\"; cat; echo", "sh", "{}", "a{}"];
    let (status, stdout, stderr) = datagrams(&world, "-c 2", &show, &[b"a b", b""]);
    assert_eq!((status, stdout, &*stderr), (Some(0), vec!["a b|a{}|a b".into(), "|a{}|".into()], ""));
    // CMD is not started.
    let (status, stdout, stderr) = datagrams(&world, "-c 2", &show, &[b"a\0b", b"c"]);
    assert_eq!((status, stdout), (Some(1), vec!["c|a{}|c".into()]));
    assert!(stderr.starts_with("sock: cannot run sh: a record of 3 bytes contains a NUL byte"), "{stderr}");
}

#[test]
fn datagrams_are_served_side_by_side() {
    let world = World::new();
    let meet = "echo x >>n; until [ $(wc -l <n) -ge 2 ]; do sleep 0.01; done; cat; echo";
    let (status, mut stdout, stderr) = datagrams(&world, "-c 2 -j 2", &["sh", "-c", meet], &[b"one", b"two"]);
    stdout.sort();
    assert_eq!((status, stdout, &*stderr), (Some(0), vec!["one".into(), "two".into()], ""));
}

#[test]
fn failed_datagram_of_a_count_is_status_1() {
    let world = World::new();
    let command = ["sh", "-c", "read word; [ \"$word\" = good ]"];
    assert_eq!(datagrams(&world, "-c 2", &command, &[b"good\n", b"good\n"]).0, Some(0));
    assert_eq!(datagrams(&world, "-c 2", &command, &[b"bad\n", b"good\n"]).0, Some(1));
}

/// The kernel gives a closed connection the uid 0.
#[test]
fn client_that_has_closed_is_of_no_user() {
    let world = World::new();
    let (server, address) = serve(&world, "tcp:127.0.0.1", "-c 1 --allow root", &["echo", "served"]);
    let server = server.blocked_in(libc::SYS_ppoll).stopped();
    drop(connect(&world, &address));
    let port = address.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let closing = format!(" 0100007F:{port:04X} ");
    let is_closed = |line: &str| line.contains(&closing) && !line.contains(" 0A 00000000:");
    eventually("it is closed", || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        sockets.lines().filter(|line| is_closed(line)).all(|line| !line.contains(" 01 00000000:"))
    });
    server.signal(Signal::SIGCONT);
    let mut next = connect(&world, &address);
    assert_eq!(next.read_all(), b"served\n");
    let output = server.end();
    let words = "the user is unknown, because the client has closed the connection";
    assert!(lines(&output.stderr).concat().contains(words), "{output:?}");
}

#[test]
fn unreachable_network_and_host_are_status_3() {
    let world = World::new();
    let Some(network) = network(&world) else { return };
    let add = "ip link set lo up; ip route add unreachable 10.2.0.0/16";
    for (script, words) in [
        ("ipcbox sock connect tcp:10.1.1.1:9", "the network is unreachable (ENETUNREACH)"),
        (&format!("{add}; ipcbox sock connect tcp:10.2.1.1:9"), "the host is unreachable (EHOSTUNREACH)"),
        ("ipcbox sock send tcp:10.1.1.1:9 x", "the network is unreachable (ENETUNREACH)"),
    ] {
        network(script).fails(3, words);
    }
}

#[test]
fn port_of_the_last_server_is_free_again() {
    let world = World::new();
    let (server, address) = serve(&world, "tcp:127.0.0.1", "-c 1", &["echo", "one"]);
    assert_eq!(connect(&world, &address).read_all(), b"one\n");
    assert_eq!(server.code(), 0);
    // The side that closed first keeps the connection in TIME_WAIT, which is state 6.
    let port = address.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let waits = || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        let own = format!(" 0100007F:{port:04X} ");
        sockets.lines().any(|line| line.contains(&own) && line.contains(" 06 00000000:"))
    };
    eventually("the connection is closed", waits);
    let mut server = world.call("sock serve").arg(&address).args(["-c", "1", "--", "echo", "two"]).start();
    world.call("sock connect --await").arg(&address).stdout("two\n").ok();
    assert!(waits());
    assert!(!server.runs() || server.code() == 0);
}

#[test]
fn backlog_is_long() {
    let most: u32 = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    for form in ["path", "name", "tcp:127.0.0.1"] {
        let world = World::new();
        let (_server, address) = serve(&world, form, "", &["cat"]);
        let columns = world.call("sock stat --columns backlog --no-header").arg(&address);
        columns.stdout(format!("{}\n", most.min(4096))).ok();
    }
}

/// Apart from those that the server itself has inherited.
#[test]
fn cmd_has_no_descriptor_of_the_server() {
    let world = World::new();
    let script = "cd /proc/$$/fd; echo *";
    let own = world.shell(script).ok();
    for form in ["path", "name", "tcp:localhost"] {
        let (_server, address) = serve(&world, form, "-j 2 --report report", &["sh", "-euc", script]);
        let _other = connect(&world, &address);
        assert_eq!(String::from_utf8(connect(&world, &address).read_all()).unwrap(), own, "{form}");
        if form != "tcp:localhost" {
            world.call("sock call").arg(&address).stdout(&own).ok();
        }
    }
}

#[test]
fn localhost_without_ipv6_is_served() {
    let world = World::new();
    let Some(network) = network(&world) else { return };
    let script = "ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
        ipcbox sock serve tcp:localhost:4000 -c 1 -- echo served >/dev/null &
        ipcbox sock connect --await tcp:localhost:4000 </dev/null; wait";
    network(script).stdout("served\n").ok();
}

#[test]
fn fifo_and_device_are_kept() {
    let world = World::new();
    nix::unistd::mkfifo(&world.dir().join("fifo"), Mode::S_IRWXU).unwrap();
    // The numbers of /dev/null.
    let device = mknod(&world.dir().join("device"), SFlag::S_IFCHR, Mode::S_IRWXU, libc::makedev(1, 3));
    if device.is_err() {
        skip("needs permission to create a device");
    }
    for (name, words) in [("fifo", "a FIFO"), ("device", "a device")] {
        let path = world.dir().join(name);
        if !path.exists() {
            continue;
        }
        let words = format!("the path is {words}, not a socket\n");
        world.call("sock serve").arg(&path).args(["--", "cat"]).fails(4, &words);
        world.call("sock recv").arg(&path).fails(4, &words);
        world.call("sock activate").arg(&path).args(["--", "cat"]).fails(125, &words);
        world.call("sock wait").arg(&path).fails(4, &words);
        world.call("sock send").arg(&path).arg("x").fails(4, &words);
        world.call("sock call").arg(&path).fails(125, &words);
        world.call("sock rm").arg(&path).fails(4, &words);
        world.call("sock rm --force").arg(&path).fails(4, &words);
        assert!(path.exists(), "{name}");
    }
    assert_eq!(fs::read_dir(world.dir()).unwrap().count(), if device.is_ok() { 2 } else { 1 });
}

#[test]
fn call_to_a_stopped_server_is_124() {
    let world = World::new();
    let (server, _) = serve(&world, "path", "", &["cat"]);
    let server = server.blocked_in(libc::SYS_ppoll).stopped();
    let message = "cannot call ./s: the server has not started CMD after 100ms\n";
    world.call("sock call ./s hello -w 0.1").fails(124, message);
    server.signal(Signal::SIGCONT);
    world.call("sock call ./s hello").stdout("hello").ok();
}

#[test]
fn inherited_listener_is_passed_to_a_server() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let with = |options: &str, server: &str| {
        let call = world.call("sock with fd:7").args(options.split_whitespace()).args(["--", "sh", "-c", server]);
        call.args([":::", "ipcbox-sock", "connect", "./s"]).env("PATH", path(&world)).passing(&listener, 7)
    };
    with("", "true").fails(125, "cannot reserve fd:7: a descriptor cannot be reserved\nhint: use --pass");
    let server = "[ $LISTEN_FDS = 1 ] && [ $IPCBOX_ADDRESS = fd:7 ] && exec ipcbox sock serve fd:3 -- echo served";
    with("--pass", server).stdout("served\n").ok();
    // It is not removed.
    assert!(world.dir().join("s").exists());
}

/// Returns a PATH with ipcbox.
fn path(world: &World) -> String {
    let bin = world.dir().join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(BINARY, bin.join("ipcbox")).unwrap();
        std::os::unix::fs::symlink(BINARY, bin.join("ipcbox-sock")).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn message_comes_from_a_terminal_or_a_socket() {
    let world = World::new();
    for from in ["terminal", "socket"] {
        let listener = UnixListener::bind(world.dir().join(from)).unwrap();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text
        });
        let mut command = Command::new(BINARY);
        command.args(["sock", "send", &format!("./{from}")]).current_dir(world.dir());
        let mut child = if from == "terminal" {
            let terminal = nix::pty::openpty(None, None).unwrap();
            let child = command.stdin(Stdio::from(terminal.slave)).spawn().unwrap();
            // The line, and the key that ends the input.
            fs::File::from(terminal.master.try_clone().unwrap()).write_all(b"typed\n\x04").unwrap();
            assert_eq!(reading.join().unwrap(), "typed\n");
            child
        } else {
            let (mut writer, reader) = UnixStream::pair().unwrap();
            let child = command.stdin(Stdio::from(std::os::fd::OwnedFd::from(reader))).spawn().unwrap();
            writer.write_all(b"sent\n").unwrap();
            drop(writer);
            drop(command);
            assert_eq!(reading.join().unwrap(), "sent\n");
            child
        };
        assert!(child.wait().unwrap().success(), "{from}");
    }
}

/// A forwarder needs no applet of its own.
#[test]
fn server_of_connections_forwards() {
    let world = World::new();
    let (_server, _) = serve(&world, "path", "-j 2", &["tr", "a-z", "A-Z"]);
    let (_forwarder, address) = serve(&world, "tcp:127.0.0.1", "-j 2", &[BINARY, "sock", "connect", "./s"]);
    for _ in 0..2 {
        let mut client = TcpStream::connect(address.strip_prefix("tcp:").unwrap()).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "HELLO");
    }
}
