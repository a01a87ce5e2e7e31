//! `fifo read` with a full socket or terminal as standard output.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::pty::openpty;
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{BINARY, World, eventually, holds, signal};

/// The two sides of a socket and of a terminal: the one to read and the one to write.
fn pairs() -> [(OwnedFd, OwnedFd); 2] {
    let (from, to) = UnixStream::pair().unwrap();
    let pty = openpty(None, None).unwrap();
    [(from.into(), to.into()), (pty.master, pty.slave)]
}

/// Fills it, and leaves it blocking.
fn fill(to: &OwnedFd) {
    let set = |flags: i32| {
        let flags = nix::fcntl::OFlag::from_bits_retain(flags);
        nix::fcntl::fcntl(to, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    };
    set(libc::O_RDWR | libc::O_NONBLOCK);
    let mut file = File::from(to.try_clone().unwrap());
    // A terminal moves its content on, and then has room again.
    while file.write(b".").is_ok() {
        while file.write(&[b'.'; 100]).is_ok() || file.write(b".").is_ok() {}
        assert!(holds(|| true));
    }
    set(libc::O_RDWR);
}

fn read(world: &World, options: &str, to: &OwnedFd) -> Child {
    let mut command = Command::new(BINARY);
    command.args(["fifo", "read", "f"]).args(options.split_whitespace()).current_dir(world.dir());
    command.stdin(Stdio::null()).stdout(to.try_clone().unwrap()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn blocked(child: &Child) -> i32 {
    let pid = child.id().cast_signed();
    let call = format!("{} ", libc::SYS_ppoll);
    eventually("it waits", || {
        std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|line| line.starts_with(&call))
    });
    pid
}

#[test]
fn signal_kills_a_read_onto_a_full_output() {
    for options in ["", "--tag", "-c 1", "--follow"] {
        for (_from, to) in pairs() {
            let world = world();
            let mut held = hold(&world.dir().join("f"));
            fill(&to);
            held.write_all(b"a\n").unwrap();
            let child = read(&world, options, &to);
            signal(blocked(&child), Signal::SIGTERM);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{options}");
            // No data was taken.
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{options}");
            world.call("fifo read f -n").stdout("a\n").ok();
        }
    }
}

#[test]
fn timeout_limits_a_full_output() {
    for options in ["-w 50ms", "--tag -w 50ms", "-c 1 -w 50ms"] {
        for (_from, to) in pairs() {
            let world = world();
            let mut held = hold(&world.dir().join("f"));
            fill(&to);
            held.write_all(b"a\n").unwrap();
            let output = read(&world, options, &to).wait_with_output().unwrap();
            let shown = String::from_utf8_lossy(&output.stderr).into_owned();
            let words = "fifo: cannot read f: still unable to write to standard output after 50ms\n";
            assert_eq!((output.status.code(), &*shown), (Some(124), words), "{options}");
            world.call("fifo read f -n").stdout("a\n").ok();
        }
    }
}

#[test]
fn lost_bytes_are_counted() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let pty = openpty(None, None).unwrap();
    // More data than the terminal takes.
    held.write_all(&b"0123456789\n".repeat(5000)).unwrap();
    let output = read(&world, "--tag -w 50ms", &pty.slave).wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    let rest = shown.strip_prefix("fifo: cannot read f: still unable to write to standard output after 50ms; ");
    let count = rest.and_then(|rest| rest.strip_suffix(" bytes of data already read are lost\n"));
    assert!(count.is_some_and(|count| count.parse::<usize>().is_ok()), "{shown}");
    assert_eq!(output.status.code(), Some(124));
}

#[test]
fn drained_output_gets_all() {
    for options in ["", "--tag", "-c 1"] {
        for (from, to) in pairs() {
            let world = world();
            let writer = world.shell("{ head -c 300000 /dev/zero | tr '\\0' x; echo; } >f").start();
            let child = read(&world, options, &to);
            blocked(&child);
            assert!(to.as_raw_fd() > 2);
            drop(to);
            let mut count = 0;
            let mut from = File::from(from);
            let mut bytes = [0; 5000];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                count += String::from_utf8_lossy(&bytes[..read]).matches('x').count();
            }
            assert_eq!((count, writer.code()), (300_000, 0), "{options}");
            assert!(child.wait_with_output().unwrap().status.success(), "{options}");
        }
    }
}
