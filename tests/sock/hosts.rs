//! Names of hosts, and hosts with several addresses.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen, setsockopt, socket, sockopt,
};

use crate::support::{Call, World, eventually};

/// A TCP socket whose backlog is full, so that it answers no SYN, and the connection in it.
fn deaf(at: &str) -> (OwnedFd, TcpStream, u16) {
    let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let at: SocketAddr = at.parse().unwrap();
    bind(listener.as_raw_fd(), &SockaddrStorage::from(at)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let own: SockaddrStorage = getsockname(listener.as_raw_fd()).unwrap();
    let port = own.as_sockaddr_in().unwrap().port();
    let first = TcpStream::connect((at.ip(), port)).unwrap();
    (listener, first, port)
}

/// Returns a TCP socket that has this address, and does not listen: the port stays closed.
fn held(at: &str) -> Option<OwnedFd> {
    let at: SocketAddr = at.parse().unwrap();
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let held = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&held, sockopt::ReuseAddr, &true).unwrap();
    bind(held.as_raw_fd(), &SockaddrStorage::from(at)).ok()?;
    Some(held)
}

/// Replaces getent(1) by a script that notes each call.
fn getent(world: &World, answer: &str) {
    world.program("true").ok();
    world.script("bin/getent", &format!("#!/bin/sh\necho call >>\"$HOME/calls\"\n{answer}\n"));
}

fn call(world: &World, words: &str) -> Call {
    world.program(crate::support::BINARY).args(["sock", "connect"]).args(words.split(' '))
}

#[test]
fn limit_covers_all_addresses_and_is_exact() {
    let world = World::new();
    let (_listener, _first, port) = deaf("127.0.0.1:0");
    let Some(_closed) = held(&format!("[::1]:{port}")) else { return };
    let start = Instant::now();
    let output = call(&world, &format!("tcp:localhost:{port} -v -w 0.5")).output();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(124), "{message}");
    assert!(start.elapsed() >= Duration::from_millis(500), "{message}");
    assert!(message.ends_with(") within 500ms\n"), "{message}");
    // One line, however many addresses there are.
    assert_eq!(message.matches("waiting for").count(), 1, "{message}");
}

#[test]
fn deaf_address_does_not_hold_up_the_next_one() {
    let world = World::new();
    let (_listener, _first, port) = deaf("127.0.0.1:0");
    let Ok(listener) = TcpListener::bind(("::1", port)) else { return };
    for limit in ["", " -n", " -w 0.2"] {
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| listener.accept().unwrap().0.write_all(b"here").unwrap());
            call(&world, &format!("tcp:localhost:{port}{limit}")).stdout("here").ok();
            serving.join().unwrap();
        });
    }
}

#[test]
fn addresses_of_a_name_are_tried_in_turn() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.3:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _closed = held(&format!("127.0.0.2:{port}"));
    getent(&world, "echo '127.0.0.2 STREAM db'; echo '127.0.0.2 DGRAM'; echo '127.0.0.3 STREAM'");
    let serving = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"third").unwrap();
        // Nothing else was connected.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
    });
    call(&world, &format!("tcp:db.test:{port}")).stdout("third").ok();
    serving.join().unwrap();
}

#[test]
fn awaited_name_is_not_looked_up_at_each_attempt() {
    for answer in ["echo '127.0.0.2 STREAM'", "exit 2"] {
        let world = World::new();
        let closed = held("127.0.0.2:0").unwrap();
        let own: SockaddrStorage = getsockname(closed.as_raw_fd()).unwrap();
        let port = own.as_sockaddr_in().unwrap().port();
        getent(&world, answer);
        call(&world, &format!("tcp:later.test:{port} --await -w 0.9")).fails(124, "still no server after 900ms");
        let calls = fs::read_to_string(world.dir().join("calls")).unwrap();
        assert!(calls.lines().count() <= 2, "{calls}");
    }
}

fn wait(world: &World, words: &str) -> Call {
    world.program(crate::support::BINARY).args(["sock", "wait"]).args(words.split(' '))
}

#[test]
fn waiting_looks_a_name_up_once_a_second() {
    for (answer, words) in [("echo '127.0.0.2 STREAM'", "still no server"), ("exit 2", "still an unknown host")] {
        let world = World::new();
        let closed = held("127.0.0.2:0").unwrap();
        let own: SockaddrStorage = getsockname(closed.as_raw_fd()).unwrap();
        let port = own.as_sockaddr_in().unwrap().port();
        getent(&world, answer);
        wait(&world, &format!("tcp:later.test:{port} -w 0.9")).fails(124, &format!("{words} after 900ms\n"));
        let calls = fs::read_to_string(world.dir().join("calls")).unwrap();
        assert!(calls.lines().count() <= 2, "{calls}");
        wait(&world, &format!("tcp:later.test:{port} -n")).fails(124, "the host was not looked up at once\n");
        wait(&world, &format!("tcp:later.test:{port} --gone")).ok();
    }
}

#[test]
fn waiting_uses_a_new_address_of_a_name() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.3:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _closed = held(&format!("127.0.0.2:{port}"));
    getent(&world, "cat answer");
    world.file("answer", "127.0.0.2 STREAM\n");
    let waiting = wait(&world, &format!("tcp:moves.test:{port}")).start();
    eventually("it was looked up", || world.dir().join("calls").exists());
    world.file("answer", "127.0.0.3 STREAM\n");
    assert_eq!(waiting.code(), 0);
}

#[test]
fn slow_lookup_holds_up_no_other_event() {
    let world = World::new();
    getent(&world, "echo $$ >>pids; exec sleep 100");
    let _server = std::os::unix::net::UnixListener::bind(world.dir().join("up")).unwrap();
    wait(&world, "./up tcp:slow.test:9 --any").ok();
    wait(&world, "tcp:slow.test:9 ./up --any").ok();
    wait(&world, "tcp:slow.test:9 -w 0.1").fails(124, "the host was not looked up within 100ms\n");
    wait(&world, "tcp:slow.test:9 --gone -w 0.1").fails(124, "the host was not looked up within 100ms\n");
    let pids = || fs::read_to_string(world.dir().join("pids")).unwrap_or_default();
    let before = pids().lines().count();
    let process = world.program("sleep").arg("100").start();
    let waiting = wait(&world, &format!("tcp:slow.test:9 --pid {}", process.pid())).start();
    eventually("the lookup runs", || pids().lines().count() > before);
    drop(process);
    assert_eq!(waiting.code(), 3);
    let runs = |pid: &str| std::path::Path::new("/proc").join(pid).exists();
    eventually("no lookup is left", || !pids().lines().any(runs));
}

/// A lookup that runs is no process of the server.
#[test]
fn lookup_does_not_hide_the_exit_of_a_server() {
    let world = World::new();
    getent(&world, "echo '127.0.0.1 STREAM'");
    let call = world.program(crate::support::BINARY).args(["sock", "with", "tcp:own.test:0", "--", "true", ":::"]);
    call.arg("true").fails(125, "true exited with status 0\n");
}

#[test]
fn slow_lookup_counts_for_the_limit() {
    let world = World::new();
    getent(&world, "exec sleep 100");
    call(&world, "tcp:slow.test:9 -w 0.1").fails(124, "the host was not looked up within 100ms\n");
}

#[test]
fn refused_fork_is_no_timeout() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    getent(&world, "echo '127.0.0.1 STREAM'");
    #[allow(unsafe_code)]
    let limit = || {
        let none = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: the limit lives through the call, which only reads it.
        match unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const none) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    for options in ["", " -w 60", " --await"] {
        let words = "cannot look up db.test: the process limit is reached (EAGAIN)\nhint: ";
        call(&world, &format!("tcp:db.test:9{options}")).user(stranger).before(limit).fails(1, words);
    }
    eventually("no process is left", || !world.dir().join("calls").exists());
}
