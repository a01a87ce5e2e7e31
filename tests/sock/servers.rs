//! Servers that are missing, of another type or of another user, and wrong files at their paths.

use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::Mode;

use super::stale;
use crate::support::{Call, World, eventually};

#[test]
fn missing_server_is_status_3() {
    let world = World::new();
    stale(&world.dir().join("stale"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let name = world.name("missing");
    stale(&world.dir().join("known.sock"));
    for (address, words) in [
        ("./none", "no such socket (ENOENT)"),
        ("none/s", "the parent directory does not exist (ENOENT)"),
        ("./stale", "the socket is stale: no server has it open (ECONNREFUSED)"),
        (&name, "no server (ECONNREFUSED)"),
        (&format!("@{name}"), "no server (ECONNREFUSED)"),
        ("known.sock", "use ./known.sock for the file"),
        (&format!("tcp:{closed}"), "no server listens on this port (ECONNREFUSED)"),
        (&format!("tcp:localhost:{}", closed.port()), "no server listens on this port (ECONNREFUSED)"),
        (&format!("tcp:nothing.invalid:{}", closed.port()), "nothing.invalid"),
        ("fd:77", "the descriptor is not open (EBADF)"),
    ] {
        world.call("sock connect").arg(address).fails(3, words);
    }
    let call = world.call("sock connect").arg(format!("seqpacket:@{name}"));
    call.args(["--", "true"]).fails(125, "no server (ECONNREFUSED)");
    world.call("sock connect ./known.sock").fails(3, "the socket is stale");
    world.call("sock connect tcp:nothing.invalid:1 -n").fails(124, "the host was not looked up at once");
}

#[test]
fn other_file_is_status_4() {
    let world = World::new();
    world.file("file", "");
    fs::create_dir(world.dir().join("dir")).unwrap();
    nix::unistd::mkfifo(&world.dir().join("fifo"), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(world.dir().join("s")).unwrap();
    symlink("s", world.dir().join("link")).unwrap();
    symlink("nothing", world.dir().join("dangling")).unwrap();
    for (path, words) in [
        ("./file", "the path is a regular file, not a socket"),
        ("./dir", "the path is a directory, not a socket"),
        ("./fifo", "the path is a FIFO, not a socket"),
        ("./link", "the path is a symbolic link (not followed), not a socket"),
        ("./dangling", "the path is a symbolic link (not followed), not a socket"),
        ("/dev/null", "the path is a device, not a socket"),
    ] {
        world.call("sock connect").arg(path).fails(4, words);
    }
    world
        .call("sock connect ./link")
        .fails(4, &format!("hint: use {}/s\n", world.dir().canonicalize().unwrap().display()));
    world.call("sock connect file/s").fails(1, "a part of the path is not a directory (ENOTDIR)");
    world.call("sock connect").arg(format!("./{}", "x".repeat(256))).fails(1, "too long (ENAMETOOLONG)");
    world.shell("exec ipcbox sock connect fd:3 3<file").fails(4, "the descriptor is not a socket (ENOTSOCK)");
}

#[test]
fn other_type_is_status_4_with_the_right_one() {
    let world = World::new();
    let _stream = UnixListener::bind(world.dir().join("stream")).unwrap();
    let _dgram = UnixDatagram::bind(world.dir().join("dgram")).unwrap();
    let seqpacket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(seqpacket.as_raw_fd(), &UnixAddr::new(&world.dir().join("seqpacket")).unwrap()).unwrap();
    listen(&seqpacket, Backlog::new(1).unwrap()).unwrap();
    for (address, words) in [
        ("./dgram", "the server takes datagrams (EPROTOTYPE)\nhint: use dgram:./dgram\n"),
        ("./seqpacket", "the server takes messages, not a stream (EPROTOTYPE)\nhint: use seqpacket:./seqpacket\n"),
        ("seqpacket:stream", "the server takes a stream, not messages (EPROTOTYPE)\nhint: use unix:stream\n"),
        ("seqpacket:dgram", "hint: use dgram:dgram\n"),
        ("dgram:stream", "the server takes connections, not datagrams (EPROTOTYPE)\nhint: use unix:stream\n"),
        (
            "dgram:./seqpacket",
            "the server takes connections, not datagrams (EPROTOTYPE)\nhint: use seqpacket:./seqpacket\n",
        ),
    ] {
        // With CMD, every type is right.
        world.call("sock connect").args([address, "--", "true"]).fails(125, words);
    }
    // None of them was reached.
    nix::fcntl::fcntl(&seqpacket, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    assert_eq!(nix::sys::socket::accept(seqpacket.as_raw_fd()).unwrap_err(), Errno::EAGAIN);
}

#[test]
fn hint_for_a_link_can_be_pasted() {
    let world = World::new();
    let _server = UnixDatagram::bind(world.dir().join("a b")).unwrap();
    symlink("a b", world.dir().join("link")).unwrap();
    let target = world.dir().canonicalize().unwrap().join("a b");
    for prefix in ["dgram:", "seqpacket:"] {
        let call = world.call("sock connect").arg(format!("{prefix}./link")).args(["--", "true"]);
        call.fails(125, &format!("hint: use '{prefix}{}'\n", target.display()));
    }
}

#[test]
fn server_that_does_not_listen_yet_is_status_3() {
    let world = World::new();
    for kind in [SockType::Stream, SockType::SeqPacket] {
        let early = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(early.as_raw_fd(), &UnixAddr::new(&world.dir().join("s")).unwrap()).unwrap();
        let prefix = if kind == SockType::Stream { "unix" } else { "seqpacket" };
        let call = world.call("sock connect").arg(format!("{prefix}:s")).args(["--", "true"]);
        call.fails(125, "the server does not listen yet (ECONNREFUSED)");
        fs::remove_file(world.dir().join("s")).unwrap();
    }
}

#[test]
fn exhausted_descriptors_are_reported() {
    let world = World::new();
    let _server = UnixListener::bind(world.dir().join("s")).unwrap();
    for limit in [3, 4] {
        let script = format!("exec </dev/null; ulimit -n {limit}; exec ipcbox sock connect ./s");
        world.shell(&script).fails(1, "too many open files (EMFILE)\nhint: ulimit -n ");
    }
    let Some(call) = world.injected("socket:error=ENFILE") else { return };
    call.args(["sock", "connect", "./s"]).fails(1, "too many open files in the system (ENFILE)\nhint: sysctl -w fs.");
}

#[test]
fn listening_descriptor_is_status_4() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let unconnected = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let call = || world.call("sock connect fd:7");
    call().passing(&listener, 7).fails(4, "the socket is listening, not connected");
    call().passing(&unconnected, 7).fails(3, "the socket is not connected (ENOTCONN)");
}

/// A path of 4,000 bytes.
#[test]
fn path_of_any_length_is_connected_to() {
    let world = World::new();
    // The shell goes down step by step, because no call takes the whole path at once with a socket at its end.
    let part = "x".repeat(200);
    let script = format!(
        "cd -P .; path=.; n=0
        while [ $n -lt 19 ]; do mkdir {part}; cd {part}; path=$path/{part}; n=$((n + 1)); done
        python3 -c \"
import socket
s = socket.socket(socket.AF_UNIX)
s.bind('s')
s.listen()
s.accept()[0].sendall(b'deep')
\" & until [ -S s ]; do :; done
        cd \"$OLDPWD\"; cd \"$TOP\"; ipcbox sock connect --await $path/s </dev/null; wait"
    );
    world.shell(&script).env("TOP", world.dir()).stdout("deep").ok();
}

/// Starts a server of another user at `s` and under an abstract name.
fn foreign(world: &World, user: u32, mode: u32) -> crate::support::Child {
    let script = format!(
        "import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind('t')
os.chmod('t', 0o{mode:o})
s.listen()
n = socket.socket(socket.AF_UNIX)
n.bind('\\0' + os.environ['NAME'])
n.listen()
os.rename('t', 's')
while True:
    s.accept()"
    );
    let server = world.program("python3").args(["-c", &script]).user(user).start();
    eventually("the server listens", || world.dir().join("s").exists());
    server
}

#[test]
fn server_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let server = foreign(&world, stranger, 0o666);
    let pid = server.pid();
    let name = format!("@{}", world.name("").trim_end_matches('-'));
    for address in ["./s", &name] {
        let words =
            format!("the server belongs to uid {stranger} (pid {pid})\nhint: add --foreign to accept this server\n");
        world.call("sock connect").arg(address).fails(5, &words);
    }
    world.call("sock connect ./s --foreign -- true").ok();
    drop(server);
    // The server of root is accepted by another user.
    fs::remove_file(world.dir().join("s")).unwrap();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o666)).unwrap();
    world.call("sock connect ./s -- true").user(stranger).ok();
    drop(listener);
}

/// Datagram sockets have no credentials of their server.
#[test]
fn datagram_server_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let name = world.name("").trim_end_matches('-').to_owned();
    let script = "import os, socket
n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
n.bind('\\0' + os.environ['NAME'])
open('ready', 'w')
while True:
    n.recv(9)";
    let server = world.program("python3").args(["-c", script]).user(stranger).start();
    eventually("the server is bound", || world.dir().join("ready").exists());
    let address = format!("dgram:@{name}");
    let words = format!(
        "the server belongs to uid {stranger} (pid {})\nhint: add --foreign to accept this server\n",
        server.pid()
    );
    world.call("sock connect").args([&address, "--", "true"]).fails(125, &words);
    world.call("sock connect").args([&address, "--", "true"]).user(stranger).ok();
    world.call("sock connect --foreign").args([&address, "--", "true"]).ok();
    let Some(call) = world.injected("sendto:error=EPERM") else { return };
    let words = "the user of the server is unknown, because sock_diag fails: operation not permitted (EPERM)\n";
    call.args(["sock", "connect", &address, "--", "true"]).fails(125, words);
    let call = world.injected("sendto:error=EPERM").unwrap();
    call.args(["sock", "connect", "--foreign", &address, "--", "true"]).ok();
}

#[test]
fn missing_permission_is_status_5() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o600)).unwrap();
    let call = || world.call("sock connect ./s").user(stranger);
    call().fails(5, "permission denied; owned by root (EACCES)");
    // Connecting takes the permission to write.
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o644)).unwrap();
    call().fails(5, "permission denied; owned by root (EACCES)");
    fs::create_dir(world.dir().join("d")).unwrap();
    fs::set_permissions(world.dir().join("d"), Permissions::from_mode(0o700)).unwrap();
    world.call("sock connect d/s").user(stranger).fails(5, "permission denied (EACCES)");
    drop(listener);
}

/// A file that is exchanged between the check and the connection must not be connected to.
#[test]
fn swapped_socket_is_never_reached() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let server = foreign(&world, stranger, 0o666);
    fs::rename(world.dir().join("s"), world.dir().join("theirs")).unwrap();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let serving = std::thread::spawn(move || listener.incoming().map_while(Result::ok).take(60).for_each(drop));
    let (one, other) = (world.dir().join("s"), world.dir().join("theirs"));
    let mut reached = [0; 2];
    while reached[0] + reached[1] < 60 {
        let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
        let cwd = nix::fcntl::AT_FDCWD;
        std::thread::scope(|scope| {
            let swapping = scope.spawn(|| nix::fcntl::renameat2(cwd, &one, cwd, &other, flags));
            let status = world.call("sock connect ./s").output().status.code();
            reached[usize::from(status == Some(5))] += 1;
            assert!([Some(0), Some(5)].contains(&status), "{status:?}");
            let _ = swapping.join();
        });
    }
    drop(server);
    // What is left of the server's count.
    while !serving.is_finished() {
        drop([&one, &other].map(UnixStream::connect));
    }
}

#[test]
fn seccomp_without_netlink_still_connects() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            use std::io::{Read, Write};
            let mut peer = listener.accept().unwrap().0;
            peer.write_all(b"reply").unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            let mut text = String::new();
            peer.read_to_string(&mut text).unwrap();
            assert_eq!(text, "request");
        }
    });
    let call = |call: Call| call.args(["sock", "connect", &address.to_string()]).input("request").stdout("reply").ok();
    let Some(injected) = world.injected("sendto:error=EPERM") else {
        call(world.program(crate::support::BINARY));
        call(world.program(crate::support::BINARY));
        serving.join().unwrap();
        return;
    };
    call(injected);
    call(world.injected("splice,sendfile:error=EPERM").unwrap());
    serving.join().unwrap();
}
