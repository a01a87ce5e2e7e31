//! `sock stat`.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use serde_json::Value;

use super::{FORMS, Server, stale};
use crate::support::{Call, World, eventually};

/// Returns the records of a call.
fn records(call: Call) -> Vec<Value> {
    let text = call.ok();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the records of an address, all from one call.
fn at(world: &World, address: &str) -> Vec<Value> {
    records(world.call("sock stat -J").arg(address))
}

fn own() -> i64 {
    std::process::id().into()
}

#[test]
fn one_socket_has_a_field_per_line() {
    let world = World::new();
    // Its backlog is the largest that there is.
    let _listener = UnixListener::bind(world.dir().join("s")).unwrap();
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o640)).unwrap();
    let owner = world.program("id").arg("-un").ok();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let backlog = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let text = world.call("sock stat ./s").ok();
    let rows: Vec<(&str, &str)> = text.lines().map(|line| line.split_once("  ").unwrap()).collect();
    let expected = [
        ("ADDRESS", "./s"),
        ("TYPE", "stream"),
        ("STATE", "listening"),
        ("OWNER", owner.trim()),
        ("PID", &own().to_string()),
        ("COMMAND", name.trim()),
        ("BACKLOG", backlog.trim()),
        ("PENDING", "0"),
        ("MODE", "0640"),
    ];
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, value)| (*key, value.trim())).collect();
    assert_eq!(rows, expected);
    let columns = world.call("sock stat ./s --no-header --columns state,pid");
    columns.stdout(format!("listening  {}\n", own())).ok();
}

#[test]
fn both_ends_are_shown_with_their_processes() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = super::listen(&world, form);
        let client: OwnedFd = match &server {
            Server::Unix(listener) => {
                let at = listener.local_addr().unwrap();
                UnixStream::connect_addr(&at).unwrap().into()
            }
            Server::Tcp(listener) => TcpStream::connect(listener.local_addr().unwrap()).unwrap().into(),
        };
        let mut accepted = server.accept();
        accepted.write_all(b"unread").unwrap();
        let found = at(&world, &address);
        let states: Vec<&str> = found.iter().map(|record| record["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["listening", "connected"], "{form}");
        let [listening, connected] = &found[..] else { unreachable!() };
        assert!(listening.get("peer").is_none() && listening.get("receive_queue").is_none(), "{listening}");
        assert!(connected.get("backlog").is_none(), "{connected}");
        for record in &found {
            assert_eq!(record["pid"], own(), "{record}");
            assert!(record["command"].as_str().unwrap().contains("ipcbox"), "{record}");
        }
        assert_eq!(connected["peer_pid"], own());
        assert_eq!(connected["peer_command"], connected["command"]);
        // The other end, found by its descriptor.
        let [other] = &records(world.call("sock stat -J fd:9").passing(&client, 9))[..] else { panic!("one") };
        assert_eq!((&other["state"], &other["peer_pid"]), (&"connected".into(), &own().into()), "{form}");
        assert_eq!(other["receive_queue"], 6, "{other}");
        assert_eq!(other["peer"], real(&world, &connected["address"]), "{other}");
        assert_eq!(connected["peer"], other["address"], "{other}");
    }
}

/// Returns an address as a list has it: the path that the socket of the test was bound to.
fn real(world: &World, address: &Value) -> String {
    address.as_str().unwrap().replace("./s", &format!("{}/s", world.dir().display()))
}

#[test]
fn each_process_is_shown_at_its_end() {
    let world = World::new();
    let script = "import os, socket
s = socket.create_server('s', family=socket.AF_UNIX)
t = socket.create_server(('127.0.0.1', 0))
open('port', 'w').write(str(t.getsockname()[1]))
os.rename('port', 'ready')
c = s.accept()[0]
d = t.accept()[0]
c.send(b'x')
d.send(b'x')
c.recv(1)";
    let server = world.program("python3").args(["-c", script]).start();
    eventually("the server listens", || world.dir().join("ready").exists());
    let address = format!("127.0.0.1:{}", fs::read_to_string(world.dir().join("ready")).unwrap());
    let mut clients = (UnixStream::connect(world.dir().join("s")).unwrap(), TcpStream::connect(&address).unwrap());
    clients.0.read_exact(&mut [0]).unwrap();
    clients.1.read_exact(&mut [0]).unwrap();
    let own_sockets = || records(world.call("sock stat -J --pid").arg(own().to_string()));
    for (address, shown) in [("./s", format!("{}/s", world.dir().display())), (&address, format!("tcp:{address}"))] {
        let found = at(&world, address);
        let connected = found.iter().find(|record| record["state"] == "connected").unwrap();
        assert_eq!((&connected["pid"], &connected["peer_pid"]), (&server.pid().into(), &own().into()), "{found:?}");
        assert_eq!(records(world.call("sock stat -J --pid").arg(server.pid().to_string()).arg(address)), found);
        // The other end, in the list of this process.
        let clients = own_sockets().into_iter().filter(|record| record["peer"] == *shown);
        let pids: Vec<_> = clients.map(|client| (client["pid"].clone(), client["peer_pid"].clone())).collect();
        assert_eq!(pids, [(own().into(), server.pid().into())], "{address}");
        let stranger = world.call("sock stat --pid").arg(std::os::unix::process::parent_id().to_string()).arg(address);
        stranger.fails(3, "does not have it");
    }
    drop(clients);
    server.end();
}

#[test]
fn connection_before_accept_is_pending() {
    let world = World::new();
    for form in ["path", "abstract", "tcp:127.0.0.1"] {
        let (server, address) = super::listen(&world, form);
        let client: OwnedFd = match &server {
            Server::Unix(listener) => UnixStream::connect_addr(&listener.local_addr().unwrap()).unwrap().into(),
            Server::Tcp(listener) => TcpStream::connect(listener.local_addr().unwrap()).unwrap().into(),
        };
        let found = at(&world, &address);
        assert_eq!((&found[0]["state"], &found[0]["pending"]), (&"listening".into(), &1.into()), "{found:?}");
        let [other] = &records(world.call("sock stat -J fd:9").passing(&client, 9))[..] else { panic!("one") };
        // A unix connection shows it at the client's end, TCP at that of the server.
        let pending = if let Server::Unix(_) = server { other } else { &found[1] };
        assert_eq!((&pending["state"], &pending["pid"]), (&"pending".into(), &own().into()), "{form}");
        assert_eq!(other["peer_pid"], own(), "{other}");
        assert_eq!(other["peer"], real(&world, &found[0]["address"]), "{other}");
        let accepted = server.accept();
        assert_eq!(at(&world, &address)[1]["state"], "connected");
        drop((client, accepted));
    }
}

#[test]
fn every_type_is_listed_with_its_address() {
    let world = World::new();
    let dgram = UnixDatagram::bind(world.dir().join("d")).unwrap();
    let name = world.name("seq");
    let seqpacket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(seqpacket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes()).unwrap()).unwrap();
    listen(&seqpacket, Backlog::new(7).unwrap()).unwrap();
    let udp = UdpSocket::bind("[::1]:0").unwrap();
    let udp = udp.local_addr().unwrap().to_string();
    let _udp = UdpSocket::bind(&udp);
    let tcp = TcpListener::bind("[::]:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    for (address, kind, state) in [
        ("dgram:d", "dgram", "bound"),
        (&format!("seqpacket:@{name}"), "seqpacket", "listening"),
        (&format!("tcp:[::]:{port}"), "tcp", "listening"),
    ] {
        let [record] = &at(&world, address)[..] else { panic!("{address}") };
        assert_eq!((&record["type"], &record["state"]), (&kind.into(), &state.into()), "{record}");
        assert_eq!(record["address"], address, "{record}");
    }
    // Of both families.
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let [record] = &at(&world, &format!("tcp:{host}:{port}"))[..] else { panic!("{host}") };
        assert_eq!(record["address"], format!("tcp:[::]:{port}"));
    }
    // A datagram socket and its peer.
    let client = UnixDatagram::unbound().unwrap();
    client.connect(world.dir().join("d")).unwrap();
    let [record] = &records(world.call("sock stat -J fd:9").passing(&client, 9))[..] else { panic!("one") };
    assert_eq!((&record["type"], &record["state"]), (&"dgram".into(), &"connected".into()));
    assert_eq!(record["peer"], format!("dgram:{}/d", world.dir().display()), "{record}");
    drop(dgram);
    let [record] = &records(world.call("sock stat -J fd:9").passing(&client, 9))[..] else { panic!("one") };
    assert_eq!(record["state"], "disconnected", "{record}");
}

#[test]
fn udp_socket_is_a_server_unless_connected() {
    let world = World::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    let [record] = &records(world.call("sock stat -J --listening").arg(&address))[..] else { panic!("one") };
    assert_eq!((&record["type"], &record["state"]), (&"udp".into(), &"bound".into()), "{record}");
    let other = format!("udp:{}", client.local_addr().unwrap());
    world.call("sock stat --listening").arg(&other).fails(3, "no server");
    let [record] = &at(&world, &other)[..] else { panic!("one") };
    assert_eq!((&record["state"], &record["peer"]), (&"connected".into(), &address.as_str().into()), "{record}");
    assert_eq!(record["pid"], own());
}

#[test]
fn path_without_a_process_is_stale() {
    let world = World::new();
    stale(&world.dir().join("s"));
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o600)).unwrap();
    let [record] = &at(&world, "./s")[..] else { panic!("one") };
    assert_eq!((&record["address"], &record["state"]), (&"./s".into(), &"stale".into()), "{record}");
    assert_eq!((&record["pid"], &record["mode"]), (&Value::Null, &"0600".into()), "{record}");
    world.call("sock stat ./s --columns state --no-header").stdout("stale\n").ok();
    world.call("sock stat ./s --listening").fails(3, "cannot show ./s: no server");
}

#[test]
fn wrong_address_is_reported() {
    let world = World::new();
    world.file("file", "");
    stale(&world.dir().join("known.sock"));
    let _listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let _dgram = UnixDatagram::bind(world.dir().join("d")).unwrap();
    symlink("s", world.dir().join("link")).unwrap();
    let name = world.name("dgram");
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    let _named = UnixDatagram::bind_addr(&abstract_name).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, status, words) in [
        ("./none", 3, "no such socket (ENOENT)"),
        ("none/s", 3, "the parent directory does not exist (ENOENT)"),
        ("./file", 4, "the path is a regular file, not a socket"),
        ("./link", 4, "the path is a symbolic link (not followed), not a socket"),
        ("./d", 4, "the type of the socket is dgram (EPROTOTYPE)\nhint: use dgram:./d\n"),
        ("dgram:s", 4, "the type of the socket is stream (EPROTOTYPE)\nhint: use unix:s\n"),
        (&format!("@{name}"), 4, &format!("hint: use dgram:@{name}\n")),
        (&world.name("none"), 3, "no such socket\n"),
        ("known.sock", 3, "no such socket\nhint: use ./known.sock for the file\n"),
        (&format!("tcp:{free}"), 3, "no such socket\n"),
        ("tcp:nothing.invalid:1", 3, "nothing.invalid"),
        ("tcp:localhost:0", 2, "port 0 is only for a server"),
        ("8080", 2, "hint: ipcbox sock stat tcp:localhost:8080\n"),
        ("fd:77", 3, "the descriptor is not open (EBADF)"),
        ("fd:0", 4, "the descriptor is not a socket (ENOTSOCK)"),
    ] {
        world.call("sock stat").arg(address).fails(status, words);
    }
    world.call("sock stat --pid 999999999").fails(3, "cannot list the sockets of process 999999999: no such process");
    world.call("sock stat --pid x").fails(2, "--pid");
    world.call("sock stat ./s --columns port").fails(2, "no column 'port'");
    // What exists is shown all the same.
    let call = world.call("sock stat -J ./none ./s");
    let output = call.output();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stdout).unwrap().contains("listening"));
    let unbound = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let call = world.call("sock stat fd:9").passing(&unbound, 9);
    call.fails(3, "sock_diag does not list it: it is not bound, or of another kind or network namespace");
}

/// ipcbox binds a path under another name, beneath a descriptor of its directory.
#[test]
fn path_of_a_list_can_be_used_anywhere() {
    let world = World::new();
    let script = "import os, socket
d = os.open('.', os.O_RDONLY)
s = socket.socket(socket.AF_UNIX)
s.bind(f'/proc/self/fd/{d}/.s.new')
s.listen()
r = socket.socket(socket.AF_UNIX)
r.bind('relative')
r.listen()
e = os.open('d', os.O_RDONLY)
c = socket.socket(socket.AF_UNIX)
c.bind(f'/proc/self/fd/{e}/.c.new')
c.listen()
os.rename('d/.c.new', 'c')
os.close(e)
os.rename('.s.new', 's')
c.accept()";
    fs::create_dir(world.dir().join("d")).unwrap();
    let server = world.program("python3").args(["-c", script]).start();
    eventually("the server listens", || world.dir().join("s").exists());
    let list = world.call("sock stat --listening --columns address --no-header --pid").arg(server.pid().to_string());
    let mut found: Vec<String> = list.ok().lines().map(str::to_owned).collect();
    found.sort();
    let dir = world.dir().canonicalize().unwrap();
    assert_eq!(found, ["c", "relative", "s"].map(|name| dir.join(name).display().to_string()));
    let [record] = &at(&world, "./s")[..] else { panic!("one") };
    assert_eq!((&record["address"], &record["pid"]), (&"./s".into(), &server.pid().into()));
    drop(UnixStream::connect(world.dir().join("c")).unwrap());
    server.end();
}

#[test]
fn nothing_reaches_the_server() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let datagrams = UnixDatagram::bind(world.dir().join("d")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    world.call("sock stat ./s dgram:d").arg(format!("tcp:localhost:{port}")).ok();
    listener.set_nonblocking(true).unwrap();
    tcp.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err() && tcp.accept().is_err() && datagrams.recv(&mut [0]).is_err());
}

#[test]
fn another_user_sees_no_process() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let _listener = UnixListener::bind(world.dir().join("s")).unwrap();
    stale(&world.dir().join("stale"));
    fs::set_permissions(world.dir().join("stale"), Permissions::from_mode(0o600)).unwrap();
    let [record] = &records(world.call("sock stat -J ./s").user(stranger))[..] else { panic!("one") };
    assert_eq!((&record["owner"], &record["pid"]), (&"root".into(), &Value::Null), "{record}");
    // Whether it is stale shows only to those who may connect.
    let [record] = &records(world.call("sock stat -J ./stale").user(stranger))[..] else { panic!("one") };
    assert_eq!((&record["owner"], &record["state"]), (&"root".into(), &Value::Null), "{record}");
    let own = own().to_string();
    world.call("sock stat --pid").arg(&own).user(stranger).fails(5, "permission denied");
}

#[test]
fn without_sock_diag_a_path_is_tested() {
    let world = World::new();
    let _listener = UnixListener::bind(world.dir().join("s")).unwrap();
    stale(&world.dir().join("stale"));
    let injected = || world.injected("sendto:error=EPERM");
    let Some(call) = injected() else { return };
    let output = call.args(["sock", "stat", "-J", "./s", "./stale"]).output();
    let words = "sock: cannot list sockets: sock_diag is not available: operation not permitted (EPERM)\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), words);
    let text = String::from_utf8(output.stdout).unwrap();
    let states: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&Value::Null, &"stale".into()));
    for address in [&[][..], &["tcp:localhost:1"], &["@x"], &["./s", "fd:0"]] {
        injected().unwrap().args(["sock", "stat"]).args(address).fails(5, words.trim_start_matches("sock: "));
    }
    // A kernel without one of the modules.
    let call = world.injected("sendto:error=ENOENT:when=4").unwrap();
    call.args(["sock", "stat"]).fails(3, "sock_diag is not available");
}

/// A table must not control the terminal, and JSON must be valid whatever a name has.
#[test]
fn hostile_name_is_escaped_in_json() {
    let world = World::new();
    for (evil, shown) in [("a\u{1b}[2J\n", "\\u001b[2J\\n"), ("b\0c", "b@c"), ("\u{202e}x", "\\u202ex")] {
        let evil = world.name(evil);
        let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&evil).unwrap()).unwrap();
        let text = world.call("sock stat -J --pid").arg(own().to_string()).ok();
        assert!(text.contains(shown), "{text}");
        assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    }
}

/// More sockets than one answer of the kernel has, and more clients of a listener.
#[test]
fn thousands_of_sockets_are_all_listed() {
    let world = World::new();
    let script = "import resource, signal, socket
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
pairs = [socket.socketpair() for n in range(1000)]
s = socket.socket(socket.AF_UNIX)
s.bind('s')
s.listen(4096)
clients = []
for n in range(400):
    c = socket.socket(socket.AF_UNIX)
    c.setblocking(False)
    c.connect('s')
    clients.append(c)
open('ready', 'w')
signal.pause()";
    let server = world.program("python3").args(["-c", script]).start();
    eventually("the sockets are there", || world.dir().join("ready").exists());
    let pid = server.pid();
    let found = records(world.call("sock stat -J --pid").arg(pid.to_string()));
    let count = |state: &str| found.iter().filter(|record| record["state"] == state).count();
    assert_eq!([count("connected"), count("pending"), count("listening")], [2000, 400, 1]);
    let ends = found.iter().filter(|record| record["state"] != "listening");
    assert!(ends.clone().all(|record| record["pid"] == pid && record["peer_pid"] == pid));
}
