//! `sock connect`: a peer that closes or resets the connection.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::Linger};

use super::{FORMS, Peer, listen, open, pattern};
use crate::support::{World, code};

/// Returns status, output and message of a call.
fn end(child: Child) -> (i32, Vec<u8>, String) {
    let output = child.wait_with_output().unwrap();
    (code(output.status), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn closed_connection_ends_it_with_open_input() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let mut child = open(&world, &address, Stdio::piped());
        let stdin = child.stdin.take();
        let mut peer = server.accept();
        peer.write_all(b"banner").unwrap();
        drop(peer);
        assert_eq!(end(child), (0, b"banner".to_vec(), String::new()), "{form}");
        drop(stdin);
    }
}

#[test]
fn input_that_was_taken_is_no_failure() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let mut child = open(&world, &address, Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"request").unwrap();
        let mut peer = server.accept();
        peer.read_exact(&mut [0; 7]).unwrap();
        drop(peer);
        assert_eq!(end(child), (0, Vec::new(), String::new()), "{form}");
    }
}

/// First EOF, then the close: of TCP, poll(2) reports only the first.
#[test]
fn close_after_half_close_is_noticed() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let mut child = open(&world, &address, Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        let mut peer = server.accept();
        peer.write_all(b"all").unwrap();
        peer.end_sending();
        // What the peer has half-closed still takes input.
        stdin.write_all(b"more").unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
        drop(peer);
        assert_eq!(end(child), (0, b"all".to_vec(), String::new()), "{form}");
    }
}

#[test]
fn reset_is_status_3_after_the_whole_reply() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            peer.write_all(b"part").unwrap();
            // Unread input makes the close a reset.
            peer.read_exact(&mut [0]).unwrap();
        });
        let child = {
            let mut child = open(&world, &address, Stdio::piped());
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"0123456789").unwrap();
            child
        };
        serving.join().unwrap();
        let (status, stdout, message) = end(child);
        assert_eq!((status, &stdout[..]), (3, &b"part"[..]), "{form}: {message}");
        let words = format!(
            "sock: cannot exchange data with {address}: the peer reset the connection after 10 bytes of standard input (ECONNRESET)\n"
        );
        assert_eq!(message, words, "{form}");
    }
}

/// A server that answers without reading, ends sending, and closes the connection.
fn answer_unread(mut peer: Peer, length: usize) {
    let mut seen = vec![0; length];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_WAITALL;
    assert_eq!(recv(peer.as_fd().as_raw_fd(), &mut seen, flags), Ok(length));
    peer.write_all(b"part").unwrap();
    peer.end_sending();
}

#[test]
fn request_that_is_not_read_is_status_3() {
    for form in FORMS {
        for is_open in [true, false] {
            // The kernel of a TCP server has taken the input, and the connection is over before the reset.
            if !is_open && form.starts_with("tcp") {
                continue;
            }
            let world = World::new();
            let (server, address) = listen(&world, form);
            let serving = server.once(|peer| answer_unread(peer, 10));
            let mut child = open(&world, &address, Stdio::piped());
            let mut stdin = child.stdin.take();
            stdin.as_mut().unwrap().write_all(b"0123456789").unwrap();
            let kept = stdin.take_if(|_| is_open);
            drop(stdin);
            serving.join().unwrap();
            let (status, stdout, message) = end(child);
            assert_eq!((status, &stdout[..]), (3, &b"part"[..]), "{form} {is_open}: {message}");
            assert!(message.contains("after 10 bytes of standard input"), "{form}: {message}");
            drop(kept);
        }
    }
}

/// The kernel reports EOF and not the reset to who reads then.
#[test]
fn reset_right_after_eof_is_status_3() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let mut child = open(&world, &address, Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"0123456789").unwrap();
        let peer = server.accept();
        let pid = child.id().cast_signed();
        recv(peer.as_fd().as_raw_fd(), &mut [0; 10], MsgFlags::MSG_PEEK | MsgFlags::MSG_WAITALL).unwrap();
        crate::support::signal(pid, Signal::SIGSTOP);
        crate::support::eventually("it is stopped", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
        });
        answer_unread(peer, 10);
        drop(stdin);
        crate::support::signal(pid, Signal::SIGCONT);
        let (status, stdout, message) = end(child);
        assert_eq!((status, &stdout[..]), (3, &b"part"[..]), "{form}: {message}");
    }
}

#[test]
fn explicit_reset_is_status_3() {
    let world = World::new();
    let (server, address) = listen(&world, "tcp:127.0.0.1");
    let serving = server.once(|mut peer| {
        peer.read_all();
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&peer, Linger, &linger).unwrap();
    });
    world.call("sock connect").arg(&address).input("x").fails(3, "the peer reset the connection after 1 byte of");
    serving.join().unwrap();
}

#[test]
fn input_that_is_left_is_status_3_and_counted() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer: Peer| {
            let mut bytes = vec![0; 100_000];
            peer.read_exact(&mut bytes).unwrap();
            peer.write_all(b"enough").unwrap();
        });
        let output = world.call("sock connect").arg(&address).input(pattern(64 << 20)).output();
        serving.join().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{form}: {message}");
        let words = message.split_once(" after ").unwrap().1;
        let count: usize = words.split(' ').next().unwrap().parse().unwrap();
        assert!((100_000..64 << 20).contains(&count), "{form}: {message}");
        // TCP can drop what the peer sent before a reset.
        assert!(output.stdout == b"enough" || form.starts_with("tcp"), "{form}");
    }
}

/// A listener that closes gives clients that it has not accepted a reset.
#[test]
fn server_that_dies_before_accepting_is_status_3() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let child = open(&world, &address, Stdio::piped());
        let pid = child.id();
        crate::support::eventually("it waits", || {
            std::fs::read_to_string(format!("/proc/{pid}/syscall"))
                .is_ok_and(|line| line.starts_with(&format!("{} ", libc::SYS_ppoll)))
        });
        drop(server);
        let (status, stdout, message) = end(child);
        assert_eq!((status, stdout.len()), (3, 0), "{form}: {message}");
        assert!(message.contains("the peer reset the connection after 0 bytes"), "{form}: {message}");
    }
}

#[test]
fn both_families_of_localhost_are_tried() {
    let world = World::new();
    for own in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(own).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"here").unwrap());
        world.call(&format!("sock connect tcp:localhost:{port}")).stdout("here").ok();
        serving.join().unwrap();
    }
}
