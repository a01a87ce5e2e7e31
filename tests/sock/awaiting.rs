//! `--await`, and the limits of connecting.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrLike, SockaddrStorage, UnixAddr, bind, getsockname,
    listen, socket,
};

use super::{FORMS, stale};
use crate::support::{World, eventually, skip};

/// Returns the address of a form at which nothing is, and its port.
pub fn free(world: &World, form: &str) -> (String, u16) {
    let tcp = form.strip_prefix("tcp:").map(|host| {
        let listener = TcpListener::bind(format!("{}:0", host.replace("localhost", "127.0.0.1"))).unwrap();
        listener.local_addr().unwrap().port()
    });
    match (form, tcp) {
        (_, Some(port)) => (format!("{form}:{port}"), port),
        ("path", _) => ("./s".into(), 0),
        ("name", _) => (world.name("name"), 0),
        _ => (format!("@{}", world.name("abstract")), 0),
    }
}

#[test]
fn server_that_comes_later_is_reached() {
    for form in FORMS {
        let world = World::new();
        let (address, port) = free(&world, form);
        let waiting = world.call("sock connect --await").arg(&address).start().blocked_in(libc::SYS_ppoll);
        // Another process must not have taken the port by now.
        let serving = match form {
            "path" => {
                let listener = UnixListener::bind(world.dir().join("s")).unwrap();
                std::thread::spawn(move || drop(listener.accept().unwrap()))
            }
            "abstract" | "name" => {
                let name = address.strip_prefix('@').map_or_else(|| format!("ipcbox.{address}"), str::to_owned);
                let name = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
                let listener = UnixListener::bind_addr(&name).unwrap();
                std::thread::spawn(move || drop(listener.accept().unwrap()))
            }
            _ => {
                let host = if form.contains("::1") { "[::1]" } else { "127.0.0.1" };
                let Ok(listener) = TcpListener::bind(format!("{host}:{port}")) else { continue };
                std::thread::spawn(move || drop(listener.accept().unwrap()))
            }
        };
        assert_eq!(waiting.code(), 0, "{form}");
        serving.join().unwrap();
    }
}

#[test]
fn stale_path_is_waited_for() {
    let world = World::new();
    let path = world.dir().join("s");
    stale(&path);
    let waiting = world.call("sock connect ./s --await").start().blocked_in(libc::SYS_ppoll);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(world.dir().join("t")).unwrap();
    std::fs::rename(world.dir().join("t"), &path).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(waiting.code(), 0);
}

#[test]
fn missing_directory_is_waited_for() {
    let world = World::new();
    let waiting = world.call("sock connect d/s --await").start().blocked_in(libc::SYS_ppoll);
    std::fs::create_dir(world.dir().join("d")).unwrap();
    let listener = UnixListener::bind(world.dir().join("d/s")).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(waiting.code(), 0);
}

/// A closed port must not be occupied, nor connected to itself.
#[test]
fn closed_port_is_not_connected_to_in_a_loop() {
    let world = World::new();
    let (_, port) = free(&world, "tcp:127.0.0.1");
    for host in ["127.0.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"] {
        let Some(call) = world.traced("connect") else { return };
        let waiting = call.args(["sock", "connect", "--await", &format!("tcp:{host}:{port}"), "-w", "0.3"]);
        waiting.fails(124, "still no server after 300ms");
        let trace = std::fs::read_to_string(world.dir().join("trace")).unwrap();
        assert_eq!(trace.matches("connect(").count(), 1, "{trace}");
    }
}

/// With so few ports for clients, TCP often chooses that of the server.
#[test]
fn client_connected_to_itself_is_status_3() {
    let world = World::new();
    let user = if nix::unistd::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let script = "ip link set lo up; echo 45000 45003 >/proc/sys/net/ipv4/ip_local_port_range";
    let call = |more: &str| {
        world.program("unshare").args(user).args(["--net", "sh", "-ec"]).arg(format!("{script}; {more}")).stdout("")
    };
    if !call("").output().status.success() {
        return skip("needs permission to create a network namespace");
    }
    for host in ["127.0.0.1", "0.0.0.0", "[::]", "localhost"] {
        let loops = format!(
            "for n in 1 2 3 4 5 6 7 8; do for port in 45000 45001 45002 45003; do
                 status=0; ipcbox sock connect tcp:{host}:$port </dev/null 2>/dev/null || status=$?
                 [ $status = 3 ] || exit 99
             done; done"
        );
        call(&loops).ok();
    }
}

/// No event of the watched directory reports that the path now leads to another one.
#[test]
fn switched_link_is_followed() {
    let world = World::new();
    let dir = world.dir();
    std::fs::create_dir(dir.join("r1")).unwrap();
    std::fs::create_dir(dir.join("r2")).unwrap();
    std::os::unix::fs::symlink("r1", dir.join("current")).unwrap();
    let waiting = world.call("sock connect current/s --await").start().blocked_in(libc::SYS_ppoll);
    let listener = UnixListener::bind(dir.join("r2/s")).unwrap();
    std::os::unix::fs::symlink("r2", dir.join("next")).unwrap();
    std::fs::rename(dir.join("next"), dir.join("current")).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(waiting.code(), 0);
}

#[test]
fn wrong_file_is_not_waited_for() {
    let world = World::new();
    world.file("file", "");
    world.call("sock connect ./file --await").fails(4, "the path is a regular file, not a socket");
}

/// A unix socket whose backlog is full.
pub fn full(world: &World) -> (std::os::fd::OwnedFd, std::os::unix::net::UnixStream) {
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let path = world.dir().join("s");
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    (listener, std::os::unix::net::UnixStream::connect(&path).unwrap())
}

#[test]
fn full_backlog_is_waited_for_until_the_deadline() {
    let world = World::new();
    let (listener, first) = full(&world);
    let own = format!("the backlog of {} (", std::process::id());
    for options in ["-n", "-w 0", "--await -n"] {
        world.call(&format!("sock connect ./s {options}")).fails(124, &own);
        world.call(&format!("sock connect ./s {options}")).fails(124, ") is full\n");
    }
    let start = Instant::now();
    world.call("sock connect ./s -w 0.15").fails(124, ") is still full after 150ms\n");
    assert!(start.elapsed() >= Duration::from_millis(150));
    world.call("sock connect ./s -n -E 0").stderr("").ok();

    let mut waiting = world.call("sock connect ./s -v").start();
    let message = waiting.message();
    assert!(
        message.starts_with(&format!("sock: waiting for ./s: {own}")) && message.ends_with(") is full\n"),
        "{message}"
    );
    let waiting = waiting.blocked_in(libc::SYS_connect);
    // A stop and continue interrupts connect(2).
    let pid = waiting.pid();
    for _ in 0..3 {
        let waiting = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(waiting, Signal::SIGSTOP).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        eventually("it stops", || state().contains(") T "));
        nix::sys::signal::kill(waiting, Signal::SIGCONT).unwrap();
        eventually("it continues", || state().contains(") S "));
    }
    for _ in 0..2 {
        let fd = nix::sys::socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC).unwrap();
        nix::unistd::close(fd).unwrap();
    }
    drop(first);
    assert_eq!(waiting.code(), 0);
}

#[test]
fn signal_ends_a_wait_for_the_backlog() {
    let world = World::new();
    let _full = full(&world);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        for options in ["", "-w 1h"] {
            let waiting = world.call(&format!("sock connect ./s {options}")).start().blocked_in(libc::SYS_connect);
            waiting.signal(signal);
            assert_eq!(waiting.code(), 128 + signal as i32);
        }
    }
}

#[test]
fn unanswered_syn_is_waited_for_until_the_deadline() {
    let world = World::new();
    let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrStorage = getsockname(listener.as_raw_fd()).unwrap();
    assert_eq!(address.family(), Some(AddressFamily::Inet));
    let port = address.as_sockaddr_in().unwrap().port();
    let _first = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let from = format!("no answer from {} (", std::process::id());
    world.call(&format!("sock connect tcp:127.0.0.1:{port} -w 0.1")).fails(124, &from);
    world.call(&format!("sock connect tcp:127.0.0.1:{port} -w 0.1")).fails(124, ") within 100ms\n");
    world.call(&format!("sock connect tcp:127.0.0.1:{port} -n")).fails(124, ") at once\n");
    let mut waiting = world.call(&format!("sock connect tcp:localhost:{port} -v -w 60")).start();
    assert_eq!(waiting.message(), format!("sock: waiting for tcp:localhost:{port}: no answer yet\n"));
}
