//! `sock connect`: both directions, whole, until EOF.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{MsgFlags, send};

use super::{FORMS, Peer, is_nonblocking, listen, open, pattern};
use crate::support::{World, eventually};

#[test]
fn reply_comes_after_eof_of_the_input() {
    for form in FORMS {
        for length in [0, 1, 70_000, 3 << 20] {
            let world = World::new();
            let (server, address) = listen(&world, form);
            let serving = server.once(move |mut peer| {
                let request = peer.read_all();
                peer.write_all(&pattern(length)).unwrap();
                request
            });
            let input = pattern(length + 5);
            let output = world.call("sock connect").arg(&address).input(input.clone()).output();
            assert!(output.status.success() && output.stderr.is_empty(), "{form}: {output:?}");
            assert!(output.stdout == pattern(length), "{form} {length}: {}", output.stdout.len());
            assert!(serving.join().unwrap() == input, "{form} {length}");
        }
    }
}

/// socat(1) ends half a second after EOF.
#[test]
fn late_reply_is_waited_for() {
    for form in ["path", "tcp:localhost"] {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            peer.read_all();
            std::thread::sleep(Duration::from_millis(900));
            peer.write_all(b"late").unwrap();
        });
        world.call("sock connect").arg(&address).input("x").stdout("late").ok();
        serving.join().unwrap();
    }
}

#[test]
fn directions_do_not_wait_for_each_other() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            let mut writer = peer.try_clone();
            let writing = std::thread::spawn(move || {
                writer.write_all(&pattern(8 << 20)).unwrap();
                writer.end_sending();
            });
            let request = peer.read_all();
            writing.join().unwrap();
            request
        });
        let input = pattern(9 << 20);
        let output = world.call("sock connect").arg(&address).input(input.clone()).output();
        assert!(output.status.success(), "{form}: {output:?}");
        assert!(output.stdout == pattern(8 << 20) && serving.join().unwrap() == input, "{form}");
    }
}

#[test]
fn conversation_goes_back_and_forth() {
    for form in FORMS {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            let mut byte = [0];
            while peer.read(&mut byte).unwrap() == 1 {
                peer.write_all(&[byte[0] + 1]).unwrap();
            }
        });
        let mut child = open(&world, &address, Stdio::piped());
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for byte in b'a'..b'x' {
            stdin.write_all(&[byte]).unwrap();
            let mut reply = [0];
            stdout.read_exact(&mut reply).unwrap();
            assert_eq!(reply[0], byte + 1, "{form}");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        serving.join().unwrap();
    }
}

#[test]
fn every_kind_of_file_is_moved() {
    let input = pattern(300_000);
    for form in ["path", "tcp:localhost"] {
        for (stdin, stdout) in [
            ("<in", ">out"),
            ("<in", ">>out"),
            ("<in", "1<>out"),
            ("<in", "| cat >out"),
            ("cat in |", ">out"),
            ("cat in |", "| cat >out"),
            ("python3 socketpair.py", ">out"),
        ] {
            let world = World::new();
            fs::write(world.dir().join("in"), &input).unwrap();
            fs::write(world.dir().join("out"), "").unwrap();
            // Standard input is a socket.
            world.file(
                "socketpair.py",
                "import os, socket, subprocess, sys
one, other = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdin=other)
other.close()
one.sendall(open('in', 'rb').read())
one.close()
sys.exit(child.wait())
",
            );
            let (server, address) = listen(&world, form);
            let serving = server.once(|mut peer| {
                let request = peer.read_all();
                peer.write_all(&request).unwrap();
            });
            let (before, after) = if stdin.starts_with('<') { ("", stdin) } else { (stdin, "") };
            world.shell(&format!("{before} ipcbox sock connect {address} {after} {stdout}")).ok();
            serving.join().unwrap();
            assert!(fs::read(world.dir().join("out")).unwrap() == input, "{form} {stdin} {stdout}");
        }
    }
}

#[test]
fn output_can_be_a_socket() {
    let world = World::new();
    for form in ["path", "tcp:localhost"] {
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| peer.write_all(&pattern(2 << 20)).unwrap());
        let (mut one, other) = UnixStream::pair().unwrap();
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            one.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let output = world.call("sock connect").arg(address).onto(other.into());
        assert!(output.status.success(), "{output:?}");
        assert!(reading.join().unwrap() == pattern(2 << 20));
        serving.join().unwrap();
    }
}

#[test]
fn shared_descriptors_keep_their_flags() {
    let world = World::new();
    let (server, address) = listen(&world, "path");
    let serving = server.once(|mut peer| {
        peer.write_all(b"x").unwrap();
        peer.read_all();
    });
    // The child must not inherit the other ends.
    let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let (stdin, to_stdin) = pipe();
    let (from_stdout, stdout) = pipe();
    let mut command = std::process::Command::new(crate::support::BINARY);
    command.args(["sock", "connect", &address]).current_dir(world.dir());
    command.stdin(stdin.try_clone().unwrap()).stdout(stdout.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut byte = [0];
    nix::unistd::read(&from_stdout, &mut byte).unwrap();
    assert!(!is_nonblocking(&stdin) && !is_nonblocking(&stdout));
    drop(to_stdin);
    assert!(child.wait().unwrap().success());
    assert!(!is_nonblocking(&stdin) && !is_nonblocking(&stdout));
    serving.join().unwrap();
}

/// A connection that the caller has opened, and that other processes share.
#[test]
fn inherited_connection_is_used_and_kept() {
    let world = World::new();
    let (mut one, other) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        one.read_to_end(&mut bytes).unwrap();
        one.write_all(&pattern(1 << 20)).unwrap();
        bytes
    });
    let input = pattern(2 << 20);
    let output = world.call("sock connect fd:7").passing(&other, 7).input(input.clone()).output();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == pattern(1 << 20) && serving.join().unwrap() == input);
    assert!(!is_nonblocking(&OwnedFd::from(other)));
}

#[test]
fn closed_output_ends_it_by_sigpipe() {
    for form in ["path", "tcp:localhost"] {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(|mut peer| {
            // It closes the connection when it dies.
            while peer.write(&[0; 4096]).is_ok() {}
        });
        let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
        drop(reader);
        let output = world.call("sock connect").arg(address).onto(writer);
        assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{form}");
        serving.join().unwrap();
    }
}

#[test]
fn full_disk_is_an_error() {
    let world = World::new();
    let (server, address) = listen(&world, "path");
    let serving = server.once(|mut peer| drop(peer.write_all(b"reply")));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = world.call("sock connect").arg(address).onto(full.into());
    let words =
        "sock: cannot exchange data with ./s: cannot write to standard output: no space left on device (ENOSPC)\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), words));
    serving.join().unwrap();
}

#[test]
fn closed_standard_streams_are_found_first() {
    let world = World::new();
    let (server, _) = listen(&world, "path");
    world.shell("exec ipcbox sock connect ./s <&-").fails(1, "cannot read standard input: bad file descriptor (EBADF)");
    world.shell("exec ipcbox sock connect ./s >&-").fails(1, "cannot write to standard output: bad file descriptor");
    let super::Server::Unix(listener) = server else { unreachable!() };
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "it was connected to");
}

/// Returns how often a process was switched, and its processor time: both grow if it spins.
fn activity(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().filter(|line| line.contains("ctxt_switches")).collect()
}

/// Waits until a process is idle, and checks that it stays so for a while.
fn stays_idle(pid: u32, case: &str) {
    let mut before = activity(pid);
    eventually(&format!("{case}: it blocks"), || {
        std::thread::sleep(Duration::from_millis(50));
        let now = activity(pid);
        std::mem::replace(&mut before, now.clone()) == now
    });
}

#[test]
fn blocked_directions_do_not_spin() {
    for form in ["path", "tcp:localhost"] {
        for case in ["output full", "input full", "half-closed", "closed and output full"] {
            let world = World::new();
            let world_form = if form == "path" { "abstract" } else { form };
            let (server, address) = listen(&world, world_form);
            let mut child = open(&world, &address, Stdio::piped());
            let mut peer = server.accept();
            let mut kept = None;
            match case {
                "output full" => {
                    let mut writer = peer.try_clone();
                    kept = Some(std::thread::spawn(move || drop(writer.write_all(&pattern(16 << 20)))));
                }
                "input full" => {
                    let mut stdin = child.stdin.take().unwrap();
                    kept = Some(std::thread::spawn(move || drop(stdin.write_all(&pattern(16 << 20)))));
                }
                "half-closed" => peer.end_sending(),
                _ => {
                    peer.write_all(&pattern(180_000)).unwrap();
                    if form == "path" {
                        drop(peer);
                    } else {
                        peer.end_sending();
                    }
                    stays_idle(child.id(), case);
                    child.kill().unwrap();
                    child.wait().unwrap();
                    continue;
                }
            }
            // A peer within this machine that has half-closed TCP is looked at each second.
            if !(form != "path" && case == "half-closed") {
                stays_idle(child.id(), &format!("{form} {case}"));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            drop(peer);
            if let Some(writing) = kept {
                writing.join().unwrap();
            }
        }
    }
}

/// splice(2) stops at urgent data, which poll(2) reports as ready.
#[test]
fn urgent_data_blocks_nothing() {
    for stdout in ["file", "pipe"] {
        let world = World::new();
        let (server, address) = listen(&world, "tcp:127.0.0.1");
        let serving = server.once(|mut peer: Peer| {
            peer.write_all(b"before").unwrap();
            send(peer.as_fd().as_raw_fd(), b"!", MsgFlags::MSG_OOB).unwrap();
            peer.write_all(b"after").unwrap();
        });
        let text = if stdout == "pipe" {
            world.call("sock connect").arg(address).ok()
        } else {
            world.shell(&format!("ipcbox sock connect {address} >out </dev/null; cat out")).ok()
        };
        assert_eq!(text, "beforeafter", "{stdout}");
        serving.join().unwrap();
    }
}

#[test]
fn stopped_server_is_waited_for() {
    for form in ["path", "tcp"] {
        let world = World::new();
        let (family, address) = match form {
            "path" => ("AF_UNIX", "'s'"),
            _ => ("AF_INET", "('127.0.0.1', 0)"),
        };
        let script = format!(
            "import socket
s = socket.socket(socket.{family})
s.bind({address})
s.listen()
print(s.getsockname()[-1], flush=True)
c = s.accept()[0]
data = b''
while more := c.recv(1 << 16): data += more
c.sendall(data)"
        );
        let mut server = world.program("python3").args(["-c", &script]).start();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(server.output()), &mut line).unwrap();
        let server = server.stopped();
        let address = if form == "path" { "./s".into() } else { format!("tcp:127.0.0.1:{}", line.trim()) };
        let input = pattern(4 << 20);
        std::thread::scope(|scope| {
            let (address, input) = (&address, &input);
            let dir = world.dir();
            let calling = scope.spawn(move || {
                let call = crate::support::Call::new(crate::support::BINARY).dir(dir);
                call.args(["sock", "connect", address]).input(input.clone()).output()
            });
            assert!(crate::support::holds(|| !calling.is_finished()), "{form}");
            server.signal(nix::sys::signal::Signal::SIGCONT);
            let output = calling.join().unwrap();
            assert!(output.status.success() && output.stdout == *input, "{form}: {:?}", output.stderr);
        });
        assert_eq!(server.code(), 0);
    }
}

/// More than 32 bits, through memory of constant size.
#[test]
fn reply_of_gigabytes_is_whole() {
    let length: u64 = if std::env::var_os("IPCBOX_FULL").is_some() { 5 << 30 } else { 16 << 20 };
    for form in ["path", "tcp:localhost"] {
        let world = World::new();
        let (server, address) = listen(&world, form);
        let serving = server.once(move |mut peer| {
            let block = pattern(1 << 20);
            (0..length >> 20).for_each(|_| peer.write_all(&block).unwrap());
        });
        let count = world.shell(&format!("ipcbox sock connect {address} </dev/null | wc -c")).ok();
        assert_eq!(count.trim(), length.to_string(), "{form}");
        serving.join().unwrap();
    }
}

#[test]
fn terminal_input_is_copied() {
    let world = World::new();
    let (server, address) = listen(&world, "path");
    let serving = server.once(|mut peer| peer.read_all());
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = std::process::Command::new(crate::support::BINARY);
    command.args(["sock", "connect", &address]).current_dir(world.dir()).stdin(Stdio::from(terminal.slave));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    // The line, and the key that ends the input.
    File::from(terminal.master.try_clone().unwrap()).write_all(b"typed\n\x04").unwrap();
    assert_eq!(serving.join().unwrap(), b"typed\n");
    assert!(child.wait().unwrap().success());
}
