//! `sock serve`: connections and datagrams.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use nix::sys::signal::Signal;

use super::{FORMS, connect, is_nonblocking, pattern, serve, stale};
use crate::support::{World, code, eventually, lines, signal};

/// Sends a request, and returns the whole reply.
fn ask(world: &World, address: &str, request: &[u8]) -> Vec<u8> {
    let mut peer = connect(world, address);
    let mut writer = peer.try_clone();
    let request = request.to_vec();
    let writing = std::thread::spawn(move || {
        // CMD may not read it.
        let _ = writer.write_all(&request);
        writer.end_sending();
    });
    let reply = peer.read_all();
    writing.join().unwrap();
    reply
}

#[test]
fn connection_is_input_and_output_of_cmd() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = serve(&world, form, "-j 2", &["cat"]);
        for length in [0, 1, 70_000, 3 << 20] {
            assert!(ask(&world, &address, &pattern(length)) == pattern(length), "{form} {length}");
        }
        server.signal(Signal::SIGTERM);
        let output = server.end();
        assert_eq!((output.status.code(), lines(&output.stderr)), (Some(0), vec![]), "{form}");
        assert!(!world.dir().join("s").exists());
    }
}

#[test]
fn both_directions_are_whole_with_connect() {
    for form in ["path", "tcp:localhost"] {
        let world = World::new();
        let (_server, address) = serve(&world, form, "-j 3", &["sh", "-c", "head -c 2000000; sleep 0.3; cat"]);
        let input = pattern(5 << 20);
        for _ in 0..2 {
            let output = world.call("sock connect").arg(&address).input(input.clone()).output();
            assert!(output.status.success() && output.stdout == input, "{form} {:?}", output.status);
        }
    }
}

#[test]
fn reply_that_is_late_is_whole_after_sigterm() {
    let is_full = std::env::var_os("IPCBOX_FULL").is_some();
    let (size, pause) = if is_full { (64 << 20, "3") } else { (5 << 20, "0.3") };
    for form in ["path", "abstract", "tcp:localhost"] {
        let world = World::new();
        let script = format!("echo >begun; cat >all; sleep {pause}; cat all");
        let (server, address) = serve(&world, form, "", &["sh", "-c", &script]);
        let input = pattern(size);
        let call = world.call("sock connect").arg(&address).input(input.clone());
        std::thread::scope(|scope| {
            let client = scope.spawn(move || call.output());
            eventually("CMD has begun", || world.dir().join("begun").exists());
            server.signal(Signal::SIGTERM);
            let output = client.join().unwrap();
            assert!(output.status.success() && output.stdout == input, "{form} {:?}", output.status);
        });
        assert_eq!(server.code(), 0, "{form}");
    }
}

#[test]
fn client_is_described_in_the_environment() {
    let world = World::new();
    let shown = "echo $IPCBOX_PEER,$IPCBOX_PEER_PID,$IPCBOX_PEER_UID,$IPCBOX_PEER_GID,$IPCBOX_ADDRESS";
    let (_server, address) = serve(&world, "path", "", &["sh", "-c", shown]);
    let own = |peer: &str| {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        format!("{peer},{},{uid},{gid},./s\n", std::process::id())
    };
    assert_eq!(String::from_utf8(ask(&world, &address, b"")).unwrap(), own(""));
    // The variables of an outer server are not inherited.
    let name = world.name("n");
    let inner = world.call("sock serve tcp:127.0.0.1:0 -c 1 -- sh -c").arg(shown).env("IPCBOX_PEER_UID", "7");
    let mut server = inner.start();
    let mut address = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.output()), &mut address).unwrap();
    let mut peer = connect(&world, address.trim_end());
    let super::Peer::Tcp(stream) = &peer else { unreachable!() };
    let local = stream.local_addr().unwrap();
    assert_eq!(String::from_utf8(peer.read_all()).unwrap(), format!("{local},,,,{address}"), "{name}");
    assert_eq!(server.code(), 0);
}

#[test]
fn name_with_nul_is_shown_escaped() {
    let world = World::new();
    let name = world.name("client");
    let from = SocketAddr::from_abstract_name(format!("{name}\0\0x")).unwrap();
    let shown = format!("@{name}\\u{{0}}\\u{{0}}x\n");
    let (server, address) = serve(&world, "path", "-c 1", &["sh", "-c", "printf '%s\\n' \"$IPCBOX_PEER\""]);
    // The standard library cannot connect from a name.
    let connect = "import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1].replace('/', '\\0'))
s.connect('s')
sys.stdout.buffer.write(s.recv(1000))";
    let named = format!("/{name}//x");
    world.program("python3").args(["-c", connect, &named]).stdout(&shown).ok();
    assert_eq!((server.code(), address.as_str()), (0, "./s"));
    let script = "printf '%s\\n' \"$IPCBOX_PEER\" >&2";
    let server = world.call("sock serve dgram:./d -c 1 -- sh -c").arg(script).start();
    eventually("it is bound", || world.dir().join("d").exists());
    UnixDatagram::bind_addr(&from).unwrap().send_to(b"x", world.dir().join("d")).unwrap();
    let output = server.end();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()), (Some(0), shown));
}

#[test]
fn port_0_is_one_port_of_both_families() {
    let world = World::new();
    let (_server, address) = serve(&world, "tcp:localhost", "-j 2", &["cat"]);
    let port = address.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "[::1]"] {
        assert_eq!(ask(&world, &format!("tcp:{host}:{port}"), b"x"), b"x", "{host}");
    }
    // A port that is in use, in one family or in both.
    for typed in [&address, &format!("tcp:127.0.0.1:{port}"), &format!("[::1]:{port}")] {
        world.call("sock serve").args([typed, "--", "cat"]).fails(4, "it is in use by ");
    }
}

#[test]
fn at_most_n_commands_run() {
    for (form, options, most) in [("path", "-j 3", 3), ("name", "", 1), ("tcp:127.0.0.1", "-j 3", 3)] {
        let world = World::new();
        fs::create_dir(world.dir().join("running")).unwrap();
        let script = "mkdir running/$$; set -- running/*; echo $# >>counts; cat; rmdir running/$$";
        let (_server, address) = serve(&world, form, options, &["sh", "-c", script]);
        let clients = if std::env::var_os("IPCBOX_FULL").is_some() { 300 } else { 60 };
        let mut peers: Vec<_> = (0..clients).map(|_| connect(&world, &address)).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.write_all(number.to_string().as_bytes()).unwrap();
            peer.end_sending();
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            assert_eq!(peer.read_all(), number.to_string().as_bytes(), "{form}");
        }
        let counts = fs::read_to_string(world.dir().join("counts")).unwrap();
        let largest = counts.lines().map(|count| count.parse::<usize>().unwrap()).max();
        assert_eq!(counts.lines().count(), clients, "{form}");
        assert!(largest <= Some(most), "{form}: {largest:?}");
    }
}

#[test]
fn connected_clients_are_served_after_sigterm() {
    for form in ["path", "abstract", "tcp:127.0.0.1", "tcp:localhost"] {
        let world = World::new();
        let (mut server, address) = serve(&world, form, "-j 4", &["cat"]);
        let mut peers: Vec<_> = (0..50).map(|_| connect(&world, &address)).collect();
        server.signal(Signal::SIGTERM);
        if form == "path" {
            eventually("the name goes first", || !world.dir().join("s").exists());
        }
        if form == "abstract" {
            let name = SocketAddr::from_abstract_name(address.strip_prefix('@').unwrap()).unwrap();
            eventually("new clients are refused", || UnixStream::connect_addr(&name).is_err());
        }
        assert!(server.runs(), "{form}");
        for (number, peer) in peers.iter_mut().enumerate() {
            write!(peer, "{number}").unwrap();
            peer.end_sending();
            assert_eq!(peer.read_all(), number.to_string().as_bytes(), "{form}");
        }
        assert_eq!(server.code(), 0, "{form}");
    }
}

/// Returns how many bytes come back.
fn echo(dir: &Path, address: &str) -> std::io::Result<usize> {
    if let Some(at) = address.strip_prefix("tcp:") {
        let mut peer = TcpStream::connect(at)?;
        peer.write_all(b"x")?;
        peer.shutdown(Shutdown::Write)?;
        return peer.read_to_end(&mut Vec::new());
    }
    let mut peer = UnixStream::connect(dir.join(address))?;
    peer.write_all(b"x")?;
    peer.shutdown(Shutdown::Write)?;
    peer.read_to_end(&mut Vec::new())
}

/// Clients that connect without end do not keep the server alive.
#[test]
fn sigterm_ends_a_server_under_load() {
    for form in ["path", "tcp:127.0.0.1", "tcp:localhost"] {
        let world = World::new();
        let (server, address) = serve(&world, form, "-j 2", &["cat"]);
        let has_ended = AtomicBool::new(false);
        let echoed = AtomicUsize::new(0);
        let dir = world.dir();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !has_ended.load(Relaxed) {
                        echoed.fetch_add(echo(dir, &address).unwrap_or(0), Relaxed);
                    }
                });
            }
            eventually("clients are served", || echoed.load(Relaxed) > 20);
            server.signal(Signal::SIGTERM);
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.code()));
            has_ended.store(true, Relaxed);
            assert_eq!(code.ok(), Some(0), "{form}");
        });
    }
}

#[test]
fn failure_to_find_the_user_is_reported() {
    let world = World::new();
    let Some(call) = world.injected("sendto:error=EPERM:when=2+") else { return };
    let mut server = call.args(["sock", "serve", "tcp:127.0.0.1:0", "--allow", "root", "--", "cat"]).start();
    let mut address = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.output()), &mut address).unwrap();
    let _peer = connect(&world, address.trim_end());
    let words = format!("sock: cannot accept a client at {}: ", address.trim_end());
    let message = server.message();
    assert!(message.starts_with(&words) && message.contains("EPERM"), "{message}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
}

#[test]
fn second_signal_ends_the_commands() {
    let world = World::new();
    let script = "trap 'echo ended; exit' TERM; echo begun; while :; do sleep 0.05; done";
    let (mut server, address) = serve(&world, "path", "", &["sh", "-c", script]);
    let mut peer = connect(&world, &address);
    let mut begun = [0; 6];
    peer.read_exact(&mut begun).unwrap();
    server.signal(Signal::SIGTERM);
    eventually("the name goes", || !world.dir().join("s").exists());
    assert!(server.runs());
    server.signal(Signal::SIGTERM);
    assert_eq!(peer.read_all(), b"ended\n");
    assert_eq!(server.code(), 143);
}

#[test]
fn killed_server_leaves_a_path_that_is_replaced() {
    const CLIENTS: usize = 50;
    const JOBS: usize = 8;
    let world = World::new();
    let script = "echo $$ >>pids; until [ -e go ]; do sleep 0.02; done; echo answer";
    let (server, _) = serve(&world, "path", &format!("-j {JOBS}"), &["sh", "-c", script]);
    let connected = |_| world.call("sock connect ./s").start();
    let clients: Vec<_> = (0..CLIENTS).map(connected).collect();
    let clients: Vec<_> = clients.into_iter().map(|client| client.blocked_in(nix::libc::SYS_ppoll)).collect();
    let pids = || fs::read_to_string(world.dir().join("pids")).unwrap_or_default();
    eventually("CMDs run", || pids().lines().count() == JOBS);
    server.signal(Signal::SIGKILL);
    drop(server);
    // A client cannot distinguish EOF of a CMD that is killed.
    let pids = pids();
    signal(pids.lines().next().unwrap().parse().unwrap(), Signal::SIGKILL);
    world.file("go", "");
    let outputs = clients.into_iter().map(crate::support::Child::end);
    let ends: Vec<_> = outputs.map(|output| (code(output.status), lines(&output.stdout).concat())).collect();
    // The other CMDs answer. The clients in the backlog are reset.
    let count = |end: (i32, &str)| ends.iter().filter(|(code, text)| (*code, text.as_str()) == end).count();
    assert_eq!([count((0, "")), count((0, "answer")), count((3, ""))], [1, JOBS - 1, CLIENTS - JOBS], "{ends:?}");
    assert!(fs::symlink_metadata(world.dir().join("s")).unwrap().file_type().is_socket());
    let next = world.call("sock serve ./s -c 1 -- cat").start();
    eventually("it is served", || world.call("sock connect ./s").output().status.success());
    assert_eq!(next.code(), 0);
    let left: Vec<_> = fs::read_dir(world.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "pids" || name == "go"), "{left:?}");
}

#[test]
fn count_ends_the_server() {
    for form in ["path", "abstract", "tcp:127.0.0.1"] {
        for (command, status) in [("true", 0), ("false", 1)] {
            let world = World::new();
            let (server, address) = serve(&world, form, "-c 2", &[command]);
            assert_eq!((ask(&world, &address, b""), ask(&world, &address, b"")), (vec![], vec![]));
            assert_eq!(server.code(), status, "{form}");
            world.call("sock connect").arg(&address).fails(3, "");
        }
    }
}

#[test]
fn silence_ends_the_server() {
    let world = World::new();
    world.call("sock serve @n -w 0.1 -- cat").fails(124, "no client has connected after 100ms\n");
    // A running CMD is no silence.
    let (server, address) = serve(&world, "path", "-w 0.2", &["sh", "-c", "sleep 0.5; echo done"]);
    assert_eq!(ask(&world, &address, b""), b"done\n");
    assert_eq!(server.code(), 124);
    assert!(!world.dir().join("s").exists());
}

#[test]
fn time_limit_ends_the_process_group() {
    let world = World::new();
    let script = "trap '' HUP; sh -c 'sleep 100; :' & echo begun; wait";
    let (server, address) = serve(&world, "path", "--max-time 200ms --report report", &["sh", "-c", script]);
    assert_eq!(ask(&world, &address, b""), b"begun\n");
    server.signal(Signal::SIGTERM);
    let output = server.end();
    assert_eq!(lines(&output.stderr), ["sock: sh timed out after 200ms (killed by SIGTERM)"]);
    let report = fs::read_to_string(world.dir().join("report")).unwrap();
    assert!(report.contains("\"signal\":\"TERM\""), "{report}");
}

#[test]
fn named_senders_of_datagrams_are_answered() {
    let world = World::new();
    let path = world.dir().join("d");
    let server = world.call("sock serve dgram:./d -c 5 -- sh -c").arg("tr a-z A-Z; wc -c >&2").start();
    eventually("it is bound", || path.exists());
    let named = UnixDatagram::bind(world.dir().join("client")).unwrap();
    let unnamed = UnixDatagram::unbound().unwrap();
    let mut reply = vec![0; 70_000];
    for request in [&b"hello"[..], &vec![b'x'; 60_000], b"a\nb"] {
        // The name is absolute, because CMD's server has another directory.
        named.send_to(request, &path).unwrap();
        let count = named.recv(&mut reply).unwrap();
        assert!(reply[..count] == request.to_ascii_uppercase(), "{count}");
    }
    // Without output there is no reply.
    named.send_to(b"", &path).unwrap();
    unnamed.send_to(b"printed", &path).unwrap();
    let output = server.end();
    assert_eq!((output.status.code(), lines(&output.stdout)), (Some(0), vec!["PRINTED".to_owned()]));
    named.set_nonblocking(true).unwrap();
    assert!(named.recv(&mut reply).is_err());
    assert!(!path.exists());
}

#[test]
fn udp_is_answered() {
    let world = World::new();
    let mut server = world.call("sock serve udp:localhost:0 -c 2 -- tr a-z A-Z").start();
    let mut address = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.output()), &mut address).unwrap();
    let port = address.trim_end().rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "[::1]"] {
        let client = std::net::UdpSocket::bind(format!("{host}:0")).unwrap();
        client.send_to(b"hello", format!("{host}:{port}")).unwrap();
        let mut reply = [0; 10];
        let count = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..count], b"HELLO");
    }
    assert_eq!(server.code(), 0);
}

#[test]
fn reply_that_does_not_fit_is_reported() {
    let world = World::new();
    let server = world.call("sock serve dgram:./d -c 1 -- head -c 300000 /dev/zero").start();
    eventually("it is bound", || world.dir().join("d").exists());
    let named = UnixDatagram::bind(world.dir().join("client")).unwrap();
    named.send_to(b"x", world.dir().join("d")).unwrap();
    let output = server.end();
    let words = lines(&output.stderr).concat();
    assert!(words.contains("300000 bytes are too long for a datagram (EMSGSIZE)"), "{words}");
}

#[test]
fn mode_is_exact_and_the_default_is_private() {
    for (options, mode) in [("", 0o600), ("-m 666", 0o666), ("--mode 0620", 0o620)] {
        let world = World::new();
        let (_server, _) = serve(&world, "path", options, &["cat"]);
        assert_eq!(fs::symlink_metadata(world.dir().join("s")).unwrap().mode() & 0o7777, mode);
    }
}

#[test]
fn inherited_listener_is_kept_as_it_is() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let server = world.call("sock serve fd:7 -- cat").passing(&listener, 7).start();
    assert_eq!(ask(&world, "./s", b"one"), b"one");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
    // It still listens, for the next server.
    let waiting = UnixStream::connect(world.dir().join("s")).unwrap();
    drop(waiting);
    world.call("sock serve fd:7 -c 1 -- cat").passing(&listener, 7).ok();
    assert!(world.dir().join("s").exists() && !is_nonblocking(&OwnedFd::from(listener)));
}

#[test]
fn wrong_addresses_are_refused() {
    let world = World::new();
    fs::create_dir(world.dir().join("dir")).unwrap();
    world.file("file", "");
    stale(&world.dir().join("stale"));
    std::os::unix::fs::symlink("stale", world.dir().join("link")).unwrap();
    let (_server, _) = serve(&world, "path", "", &["cat"]);
    for (address, status, words) in [
        ("./s", 4, "cannot listen on ./s: it is in use by "),
        ("dgram:./s", 4, "it is in use by "),
        ("./file", 4, "the path is a regular file, not a socket"),
        ("./dir", 4, "the path is a directory, not a socket"),
        ("./link", 4, "the path is a symbolic link (not followed), not a socket"),
        ("./none/s", 3, "the parent directory does not exist"),
        ("./dir/", 1, "the path ends in a directory"),
        ("/proc/s", 3, ""),
        ("tcp:0.0.0.0:0", 2, "other hosts can connect to 0.0.0.0\nhint: add --allow any"),
        ("tcp:[::]:0", 2, "other hosts can connect to ::"),
        ("tcp:192.0.2.1:0 --allow any", 1, "the address does not belong to this machine (EADDRNOTAVAIL)"),
        ("tcp:nothing.invalid:0", 3, "no address is known for nothing.invalid"),
        ("udp:localhost:0 --allow root", 2, "UDP does not report the user of a sender"),
        ("fd:77", 3, "the descriptor is not open (EBADF)"),
        ("8080", 2, "hint: ipcbox sock serve tcp:localhost:8080 -- cat\n"),
    ] {
        let words_of = address.split(' ');
        world.call("sock serve").args(words_of).args(["--", "cat"]).fails(status, words);
    }
    // Two addresses are taken, or none.
    world.call("sock serve ./free ./s -- cat").fails(4, "./s");
    assert!(!world.dir().join("free").exists());
    world.call("sock serve ./free -- no-such-command").fails(127, "command not found");
    assert!(!world.dir().join("free").exists());
    world.call("sock serve tcp:0.0.0.0:0 --allow any -w 0.05 -E 9 -- cat").status(9);
    world.call("sock serve ./free").fails(2, "CMD");
    // Only some verbs and options print, but a datagram of any client can.
    let closed = world.shell("exec ipcbox sock serve ./free -- cat >&-");
    closed.fails(1, "cannot write to standard output: bad file descriptor (EBADF)\n");
    assert!(!world.dir().join("free").exists());
}

#[test]
fn abstract_name_is_taken_once() {
    let world = World::new();
    let (server, address) = serve(&world, "name", "", &["cat"]);
    world.call("sock serve").args([&address, "--", "cat"]).fails(4, &format!("it is in use by {} (", server.pid()));
    let twin = world.call("sock serve ./t ./t -- cat");
    twin.fails(4, "cannot listen on ./t: it is in use by this call (address given twice?) (EADDRINUSE)\n");
    assert!(!world.dir().join("t").exists());
}

/// The path of the socket can have 4,000 bytes.
#[test]
fn path_of_any_length_is_served() {
    let world = World::new();
    let part = "x".repeat(200);
    let script = format!(
        "cd -P .; path=.; n=0
        while [ $n -lt 19 ]; do mkdir {part}; cd {part}; path=$path/{part}; n=$((n + 1)); done
        cd \"$TOP\"; ipcbox sock serve $path/s -c 1 -- echo deep &
        ipcbox sock connect --await $path/s </dev/null; wait"
    );
    world.shell(&script).env("TOP", world.dir()).stdout("deep\n").ok();
}

#[test]
fn lack_of_descriptors_only_delays() {
    let world = World::new();
    // Each call takes descriptors of the server while its CMD runs.
    let script = "ulimit -n 14; exec ipcbox sock serve ./s -j 50 -- cat";
    let server = world.shell(script).start();
    eventually("it listens", || world.dir().join("s").exists());
    let calls: Vec<_> = (0..20).map(|number| world.call("sock call ./s").arg(number.to_string()).start()).collect();
    for (number, call) in calls.into_iter().enumerate() {
        let output = call.end();
        assert_eq!(String::from_utf8_lossy(&output.stdout), number.to_string(), "{output:?}");
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let ticks: u64 = stat.split_whitespace().skip(13).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    assert!(ticks < 50, "it spins: {ticks} ticks");
    signal(server.pid(), Signal::SIGTERM);
    assert_eq!(code(server.end().status), 0);
}
