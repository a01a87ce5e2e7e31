//! `sock wait`: which servers it sees, and that they do not see it.

use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use super::awaiting::{free, full};
use super::{FORMS, stale};
use crate::support::{Child, World, eventually, lines};

/// Binds a socket to `name` that does not listen yet.
fn early(world: &World, name: &str, kind: SockType) -> OwnedFd {
    let early = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(early.as_raw_fd(), &UnixAddr::new(&world.dir().join(name)).unwrap()).unwrap();
    early
}

/// Listens at the address of a form. `None`: another process has the port by now.
fn listen_at(world: &World, form: &str, address: &str, port: u16) -> Option<OwnedFd> {
    Some(match form {
        "path" => UnixListener::bind(world.dir().join("s")).unwrap().into(),
        "abstract" | "name" => {
            let name = address.strip_prefix('@').map_or_else(|| format!("ipcbox.{address}"), str::to_owned);
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap().into()
        }
        _ => TcpListener::bind((if form.contains("::1") { "::1" } else { "127.0.0.1" }, port)).ok()?.into(),
    })
}

/// Returns whether nothing has come to a listener.
fn is_untouched(listener: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
}

#[test]
fn later_server_is_seen_and_does_not_notice() {
    for form in FORMS {
        let world = World::new();
        let (address, port) = free(&world, form);
        let waiting = world.call("sock wait").arg(&address).start().blocked_in(libc::SYS_ppoll);
        let Some(listener) = listen_at(&world, form, &address, port) else { continue };
        assert_eq!(waiting.code(), 0, "{form}");
        world.call("sock wait -n").arg(&address).stdout("").stderr("").ok();
        assert!(is_untouched(&listener), "{form}");
        // An accepted connection keeps the address of its listener, but accepts nothing.
        if form == "path" {
            let _client = std::os::unix::net::UnixStream::connect(world.dir().join("s")).unwrap();
            let listener = UnixListener::from(listener);
            let _peer = listener.accept().unwrap();
            drop(listener);
            world.call("sock wait ./s -n").fails(124, "cannot wait for ./s: a stale socket\n");
        }
    }
}

#[test]
fn datagram_and_seqpacket_servers_are_seen() {
    let world = World::new();
    for (address, kind) in [("dgram:d", SockType::Datagram), ("seqpacket:p", SockType::SeqPacket)] {
        let waiting = world.call("sock wait").arg(address).start().blocked_in(libc::SYS_ppoll);
        let server = early(&world, address.rsplit(':').next().unwrap(), kind);
        if kind == SockType::SeqPacket {
            listen(&server, Backlog::new(1).unwrap()).unwrap();
        }
        assert_eq!(waiting.code(), 0, "{address}");
        assert!(is_untouched(&server), "{address}");
    }
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        world.call(&format!("sock wait udp:{host}:{port} -n")).ok();
    }
    world.call(&format!("sock wait udp:127.77.0.9:{port} -n")).fails(124, "no server\n");
    assert!(is_untouched(&udp.into()));
}

#[test]
fn listener_of_all_addresses_is_seen() {
    for (bound, asked) in [
        ("0.0.0.0:0", ["127.0.0.1", "localhost", "0.0.0.0"]),
        ("[::]:0", ["127.0.0.1", "[::1]", "[::]"]),
        ("127.9.8.7:0", ["127.9.8.7", "127.9.8.7", "127.9.8.7"]),
    ] {
        let world = World::new();
        let listener = TcpListener::bind(bound).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in asked {
            world.call(&format!("sock wait tcp:{host}:{port} -n")).ok();
        }
        assert!(is_untouched(&listener.into()), "{bound}");
    }
}

/// A server is ready when it listens, not when its file is there.
#[test]
fn bound_socket_that_does_not_listen_is_not_ready() {
    let world = World::new();
    let waiting = world.call("sock wait ./s").start().blocked_in(libc::SYS_ppoll);
    let server = early(&world, "s", SockType::Stream);
    world.call("sock wait ./s -n").fails(124, "a socket that does not listen\n");
    world.call("sock wait ./s -w 0.05").fails(124, "still a socket that does not listen after 50ms\n");
    listen(&server, Backlog::new(1).unwrap()).unwrap();
    assert_eq!(waiting.code(), 0);
    assert!(is_untouched(&server));
    let held = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(held.as_raw_fd(), &nix::sys::socket::SockaddrIn::new(127, 77, 0, 1, 0)).unwrap();
    let address: nix::sys::socket::SockaddrIn = nix::sys::socket::getsockname(held.as_raw_fd()).unwrap();
    world.call(&format!("sock wait tcp:{address} -n")).fails(124, "no server\n");
}

#[test]
fn stale_path_and_missing_directory_are_waited_for() {
    let world = World::new();
    let path = world.dir().join("s");
    stale(&path);
    let waiting = world.call("sock wait ./s").start().blocked_in(libc::SYS_ppoll);
    let deep = world.call("sock wait d/e/s").start().blocked_in(libc::SYS_ppoll);
    fs::remove_file(&path).unwrap();
    let _server = UnixListener::bind(world.dir().join("t")).unwrap();
    fs::rename(world.dir().join("t"), &path).unwrap();
    assert_eq!(waiting.code(), 0);
    fs::create_dir_all(world.dir().join("d/e")).unwrap();
    let _server = UnixListener::bind(world.dir().join("d/e/s")).unwrap();
    assert_eq!(deep.code(), 0);
}

/// The watch of a directory must follow its path.
#[test]
fn replaced_directory_is_watched_again() {
    let world = World::new();
    let (dir, other) = (world.dir().join("d"), world.dir().join("e"));
    fs::create_dir(&dir).unwrap();
    let waiting = world.call("sock wait d/s").start().blocked_in(libc::SYS_ppoll);
    fs::rename(&dir, &other).unwrap();
    fs::create_dir(&dir).unwrap();
    let _server = UnixListener::bind(dir.join("s")).unwrap();
    assert_eq!(waiting.code(), 0);
}

/// No event of the watched directory reports that the path now leads to another one.
#[test]
fn path_to_another_directory_is_followed() {
    for (path, before, after) in [
        ("current/s", "mkdir r1 r2; ln -s r1 current", "ln -s r2 next; mv -T next current"),
        ("a/b/s", "mkdir -p a/b", "mv a old; mkdir -p a/b"),
    ] {
        let world = World::new();
        world.shell(before).ok();
        let waiting = world.call("sock wait").arg(path).start().blocked_in(libc::SYS_ppoll);
        world.shell(after).ok();
        let _server = UnixListener::bind(world.dir().join(path)).unwrap();
        assert_eq!(waiting.code(), 0, "{path}");
    }
}

#[test]
fn full_backlog_is_a_server() {
    let world = World::new();
    let _full = full(&world);
    world.call("sock wait ./s -n").ok();
}

#[test]
fn all_are_waited_for_and_any_is_one() {
    let world = World::new();
    let _first = UnixListener::bind(world.dir().join("a")).unwrap();
    world.call("sock wait ./a ./b --any").ok();
    world.call("sock wait ./b ./a --any -n").ok();
    let line = "sock: cannot wait for ./b: no server\nsock: cannot wait for ./c: no server\n";
    world.call("sock wait ./b ./a ./c -n").stderr(line).status(124);
    world.call("sock wait ./b ./c --any -n").stderr(line).status(124);
    let both = world.call("sock wait ./a ./b").start().blocked_in(libc::SYS_ppoll);
    let any = world.call("sock wait ./b ./c --any").start().blocked_in(libc::SYS_ppoll);
    let _second = UnixListener::bind(world.dir().join("b")).unwrap();
    assert_eq!([both.code(), any.code()], [0, 0]);
}

/// If one is enough, the others may be wrong.
#[test]
fn wrong_address_does_not_fail_any() {
    let world = World::new();
    world.file("file", "");
    let waiting = world.call("sock wait ./file ./s --any").start().blocked_in(libc::SYS_ppoll);
    let wrong = "sock: cannot wait for ./file: the path is a regular file, not a socket\n";
    let late = format!("{wrong}sock: cannot wait for ./s: no server\n");
    world.call("sock wait ./file ./s --any -n").stderr(late).status(4);
    let _server = UnixListener::bind(world.dir().join("s")).unwrap();
    assert_eq!(waiting.code(), 0);
    world.call("sock wait ./file ./s --any -n").ok();
    world.call("sock wait ./s ./file --any -n").ok();
    world.call("sock wait ./file --any").stderr(wrong).status(4);
    world.call("sock wait ./file ./file --any").stderr(wrong.repeat(2)).status(4);
    world.call("sock wait ./file ./none --any --gone -n").ok();
    // A file that goes away is none any more.
    let waiting = world.call("sock wait ./file ./s --any --gone").start().blocked_in(libc::SYS_ppoll);
    fs::remove_file(world.dir().join("file")).unwrap();
    assert_eq!(waiting.code(), 0);
}

/// A server that has exited before the last one came is not there.
#[test]
fn all_accept_at_the_same_time() {
    let world = World::new();
    let first = UnixListener::bind(world.dir().join("a")).unwrap();
    let waiting = world.call("sock wait ./a ./b -v").start().blocked_in(libc::SYS_ppoll);
    drop(first);
    let _second = UnixListener::bind(world.dir().join("b")).unwrap();
    let again = world.call("sock wait ./b ./a").start().blocked_in(libc::SYS_ppoll);
    fs::remove_file(world.dir().join("a")).unwrap();
    let _first = UnixListener::bind(world.dir().join("a")).unwrap();
    assert_eq!([waiting.code(), again.code()], [0, 0]);
}

#[test]
fn gone_is_the_opposite() {
    for form in FORMS {
        let world = World::new();
        let (address, port) = free(&world, form);
        world.call("sock wait --gone -n").arg(&address).ok();
        let Some(listener) = listen_at(&world, form, &address, port) else { continue };
        let own = format!("a server accepts: {} (", std::process::id());
        world.call("sock wait --gone -n").arg(&address).fails(124, &own);
        let waiting = world.call("sock wait --gone").arg(&address).start().blocked_in(libc::SYS_ppoll);
        let none = world.call("sock wait --gone --any ./none").arg(&address);
        none.ok();
        assert!(is_untouched(&listener), "{form}");
        drop(listener);
        assert_eq!(waiting.code(), 0, "{form}");
    }
}

#[test]
fn wrong_address_fails_at_once() {
    let world = World::new();
    world.file("file", "");
    let _stream = UnixListener::bind(world.dir().join("stream")).unwrap();
    let _dgram = UnixDatagram::bind(world.dir().join("dgram")).unwrap();
    let _early = early(&world, "early", SockType::Stream);
    symlink("stream", world.dir().join("link")).unwrap();
    for (address, status, words) in [
        ("./file", 4, "cannot wait for ./file: the path is a regular file, not a socket\n"),
        ("./link", 4, "a symbolic link (not followed)"),
        ("file/s", 1, "a part of the path is not a directory (ENOTDIR)"),
        ("./dgram", 4, "the server takes datagrams (EPROTOTYPE)\nhint: use dgram:./dgram\n"),
        ("dgram:stream", 4, "takes connections, not datagrams (EPROTOTYPE)\nhint: use unix:stream\n"),
        ("seqpacket:stream", 4, "the server takes a stream, not messages (EPROTOTYPE)\nhint: use unix:stream\n"),
        ("seqpacket:early", 4, "the server takes a stream, not messages"),
        ("fd:0", 2, "fd:0 is open already; expected the address of a server\n"),
        ("tcp:localhost:0", 2, "port 0 is only for a server"),
        ("8080", 2, "hint: ipcbox sock wait tcp:localhost:8080"),
    ] {
        world.call("sock wait").arg(address).fails(status, words);
    }
    // Every address is tried.
    let output = world.call("sock wait ./file ./stream dgram:stream").output();
    assert_eq!((output.status.code(), lines(&output.stderr).len()), (Some(4), 3));
    world.call("sock wait").fails(2, "ADDR is missing");
    world.call("sock wait tcp:nothing.invalid:1 -n").fails(124, "the host was not looked up at once");
    world.call("sock wait tcp:192.0.2.1:9 -w 0.1").fails(124, "after 100ms\n");
}

#[test]
fn missing_permission_is_status_5() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let _server = UnixListener::bind(world.dir().join("s")).unwrap();
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o644)).unwrap();
    world.call("sock wait ./s").user(stranger).fails(5, "permission denied; owned by root (EACCES)");
    // The user of the server does not matter.
    fs::set_permissions(world.dir().join("s"), Permissions::from_mode(0o666)).unwrap();
    world.call("sock wait ./s").user(stranger).ok();
}

/// The death of the process is an event.
#[test]
fn exit_of_the_process_ends_the_wait() {
    let world = World::new();
    for address in ["./s", "tcp:127.77.0.2:45000", "@none"] {
        let process = world.program("sleep").arg("100").start();
        let pid = process.pid().to_string();
        let waiting = world.call("sock wait").args([address, "--pid", &pid]).start().blocked_in(libc::SYS_ppoll);
        drop(process);
        let output = waiting.end();
        let words = format!("sock: cannot wait for {address}: process {pid} has exited\n");
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(3), words));
        world.call("sock wait").args([address, "--pid", &pid]).fails(3, "no such process (ESRCH)");
    }
    let zombie = world.program("true").start().became_zombie();
    let pid = zombie.pid().to_string();
    // A server that is there nevertheless is another one.
    let _server = UnixListener::bind(world.dir().join("s")).unwrap();
    world.call("sock wait ./s --pid").arg(&pid).fails(3, "has exited");
    fs::remove_file(world.dir().join("s")).unwrap();
    world.call("sock wait ./s --gone --pid").arg(&pid).ok();
}

/// The wait has a timeout, because the path is looked up again each second. The exit is an event all the same.
#[test]
fn exit_of_the_process_needs_no_clock() {
    let world = World::new();
    let Some(call) = world.traced("ppoll,pidfd_open,connect") else { return };
    let process = world.program("sleep").arg("100").start();
    let waiting = call.args(["sock", "wait", "./s", "--pid", &process.pid().to_string()]).start();
    let trace = || fs::read_to_string(world.dir().join("trace")).unwrap_or_default();
    // Those with two descriptors wait, the others only look.
    let waits = |line: &str| line.starts_with("ppoll(") && line.contains("], 2, ");
    eventually("it waits", || trace().lines().last().is_some_and(|line| waits(line) && !line.contains(" = ")));
    drop(process);
    assert_eq!(waiting.code(), 3);
    eventually("the trace is complete", || trace().contains("exited with"));
    let trace = trace();
    let pidfd = trace.lines().find(|line| line.starts_with("pidfd_open(")).and_then(|line| line.rsplit(' ').next());
    let last = trace.lines().rfind(|line| waits(line));
    let ends = format!("= 1 ([{{fd={}, revents=POLLIN", pidfd.unwrap_or_default());
    assert!(last.is_some_and(|line| line.contains(&ends)), "{trace}");
}

/// Connecting in a loop succeeds at some time: TCP connects the client to itself.
#[test]
fn closed_port_never_has_a_server() {
    let world = World::new();
    let rounds = if std::env::var_os("IPCBOX_FULL").is_some() { 60_000 } else { 1500 };
    let script = format!(
        "n=0; while [ $n -lt {rounds} ]; do
            ! ipcbox sock wait tcp:127.77.1.$1:4$1000 -n -E 1 2>/dev/null || exit 9
            n=$((n + 1))
        done"
    );
    std::thread::scope(|scope| {
        for host in ["4", "5"] {
            let call = world.shell(&script).args(["sh", host]);
            scope.spawn(move || call.ok());
        }
    });
}

#[test]
fn refused_sock_diag_is_reported_and_replaced() {
    let world = World::new();
    let unix = UnixListener::bind(world.dir().join("s")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let refusing = || Some(world.injected("sendto:error=EPERM")?.args(["sock", "wait"]));
    let Some(call) = refusing() else { return };
    call.args(["./s", "-n"]).ok();
    let words = "sock: sock_diag is not available: operation not permitted (EPERM); connecting to the server instead\n";
    for address in [format!("tcp:127.0.0.1:{port}"), format!("tcp:localhost:{port}")] {
        refusing().unwrap().args([&address, "-w", "60"]).stderr(words).ok();
        assert!(tcp.accept().is_ok());
    }
    let late = words.to_owned() + "sock: cannot wait for tcp:127.77.0.3:9: still no server after 200ms\n";
    refusing().unwrap().args(["tcp:127.77.0.3:9", "-w", "0.2"]).stderr(late).status(124);
    let late = words.to_owned() + "sock: cannot wait for udp:127.77.0.3:9: ";
    let output = refusing().unwrap().args(["udp:127.77.0.3:9"]).output();
    assert!(output.status.code() == Some(1) && output.stderr.starts_with(late.as_bytes()), "{output:?}");
    assert!(is_untouched(&unix.into()));
}

/// With this setting, a socket can be bound to the address of another host.
#[test]
fn nonlocal_bind_does_not_hide_other_hosts() {
    let world = World::new();
    let user = if nix::unistd::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let script = "ip link set lo up; ip address add 10.8.8.8/32 dev lo; echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind";
    let call =
        |more: &str| world.program("unshare").args(user).args(["--net", "sh", "-ec"]).arg(format!("{script}; {more}"));
    if !call("").output().status.success() {
        return crate::support::skip("needs permission to create a network namespace");
    }
    call("ipcbox sock wait tcp:10.9.9.9:9 -w 0.1").fails(124, "still an unreachable host after 100ms\n");
    // An own address is not connected to: the server of one connection still has it.
    let own = "ipcbox sock serve tcp:10.8.8.8:9 --allow any -c 1 -- echo served &
        ipcbox sock wait tcp:10.8.8.8:9; ipcbox sock connect tcp:10.8.8.8:9 </dev/null; wait";
    call(own).stdout("served\n").ok();
}

/// A path crosses network namespaces, and sock_diag(7) does not.
#[test]
fn server_of_another_network_namespace_is_seen() {
    let world = World::new();
    let own = world.program("unshare").args(["-n", "true"]).output();
    if !own.status.success() {
        return crate::support::skip("needs permission to create a network namespace");
    }
    let script = "import socket
s = socket.socket(socket.AF_UNIX)
s.bind('s')
s.listen()
s.accept()";
    let server = world.program("unshare").args(["-n", "python3", "-c", script]).start();
    world.call("sock wait ./s").ok();
    drop(server);
    world.call("sock wait ./s --gone").ok();
}

#[test]
fn pause_of_a_command_grows() {
    let world = World::new();
    let script = "read now rest </proc/uptime; echo $now >>n; [ $(wc -l <n) -ge 5 ]";
    world.call("sock wait ./none --gone -- sh -c").arg(script).ok();
    let times = fs::read_to_string(world.dir().join("n")).unwrap();
    let times: Vec<f64> = times.lines().map(|line| line.parse().unwrap()).collect();
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The clock has steps of 10 ms.
    assert!(pauses.iter().zip([0.04, 0.09, 0.19, 0.39]).all(|(pause, least)| *pause >= least), "{pauses:?}");
    assert_eq!(pauses.len(), 4);
}

/// Returns a script that counts its runs in `n`, and succeeds from the third on.
fn third(world: &World) -> String {
    world.script("third", "#!/bin/sh\necho x >>n\n[ $(wc -l <n) -ge 3 ]\n").display().to_string()
}

#[test]
fn command_is_run_until_it_succeeds() {
    let world = World::new();
    let third = third(&world);
    world.call("sock wait ./none --gone --").arg(&third).ok();
    assert_eq!(fs::read_to_string(world.dir().join("n")).unwrap(), "x\nx\nx\n");
    let waiting = world.call("sock wait ./s -- sh -c").arg("echo ready; [ -S s ]").start();
    let waiting = waiting.blocked_in(libc::SYS_ppoll);
    let _server = UnixListener::bind(world.dir().join("s")).unwrap();
    let output = waiting.end();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"ready\n"[..]));
}

#[test]
fn command_that_fails_is_124_in_the_end() {
    let world = World::new();
    let call = |rest: &[&str]| world.call("sock wait ./none --gone").args(rest);
    call(&["-n", "--", "false"]).fails(124, "cannot wait for false: it exits with status 1\n");
    call(&["-w", "0.12", "--", "sh", "-c", "exit 7"]).fails(124, "sh: it still exits with status 7 after 120ms\n");
    call(&["-n", "--", "sh", "-c", "kill $$"]).fails(124, "it is killed by SIGTERM\n");
    call(&["-n", "-E", "0", "--", "false"]).stderr("").ok();
    // The limit does not end a CMD that is running.
    call(&["-w", "0.01", "--", "sleep", "0.1"]).ok();
    for (command, status, words) in [
        ("/missing", 127, "cannot run /missing: command not found (ENOENT)"),
        ("/etc/passwd", 126, "cannot run /etc/passwd: permission denied (EACCES)"),
    ] {
        // It is looked up before anything is waited for.
        world.call("sock wait ./never --").arg(command).fails(status, words);
    }
}

#[test]
fn signals_end_the_command_and_the_wait() {
    let world = World::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let waiting = world.call("sock wait ./none --gone -- sh -c").arg("echo $$ >pid; exec sleep 100").start();
        let pid = read_pid(&world);
        waiting.signal(signal);
        assert_eq!(waiting.code(), 128 + signal as i32);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        // Between two runs.
        let waiting = world.call("sock wait ./none --gone -- false").start();
        std::thread::sleep(std::time::Duration::from_millis(400));
        waiting.signal(signal);
        assert_eq!(waiting.code(), 128 + signal as i32);
    }
}

fn read_pid(world: &World) -> String {
    let file = world.dir().join("pid");
    let read = || fs::read_to_string(&file).unwrap_or_default();
    eventually("CMD runs", || read().ends_with('\n'));
    let pid = read().trim().to_owned();
    fs::remove_file(file).unwrap();
    pid
}

#[test]
fn exit_of_the_process_ends_the_command() {
    let world = World::new();
    for command in ["echo $$ >pid; exec sleep 100", "[ -e pid ] || echo $$ >pid; exit 1"] {
        let process: Child = world.program("sleep").arg("100").start();
        let pid = process.pid().to_string();
        let waiting = world.call("sock wait ./none --gone --pid").args([&pid, "--", "sh", "-c", command]).start();
        read_pid(&world);
        drop(process);
        let output = waiting.end();
        assert_eq!(output.status.code(), Some(3), "{command}");
        assert!(String::from_utf8(output.stderr).unwrap().ends_with(&format!("process {pid} has exited\n")));
    }
}
