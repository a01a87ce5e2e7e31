//! Nonblocking, endless and terminal standard input.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::pipe2;

use super::{BOTH, messages};
use crate::support::{BINARY, Terminal, World, eventually};

#[test]
fn nonblocking_input_is_waited_for() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let name = target.replace('@', &world.name(""));
        for options in ["", "--lines", "-0"] {
            let (from, to) = pipe2(OFlag::O_CLOEXEC).unwrap();
            fcntl(&from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
            let mut send = Command::new(BINARY);
            send.args(["msgq", "send", &name]).args(options.split_whitespace());
            let mut send = send.stdin(Stdio::from(from)).spawn().unwrap();
            let line = format!("/proc/{}/syscall", send.id());
            eventually("it waits", || {
                let line = std::fs::read_to_string(&line).unwrap();
                line.starts_with(&format!("{} ", libc::SYS_ppoll))
            });
            File::from(to).write_all(b"hello").unwrap();
            assert!(send.wait().unwrap().success(), "{options}");
            world.call(&format!("msgq recv {target} -n")).stdout("hello\n").ok();
        }
    }
}

#[test]
fn endless_input_is_refused() {
    let world = World::new();
    world.call("msgq create @q").ok();
    for (line, status) in [("send", 1), ("send --lines", 1), ("call", 125)] {
        let call = format!("exec ipcbox msgq {line} $NAME-q </dev/zero");
        world.shell(&call).fails(status, "bytes exceed kernel.msgmax, which is");
    }
}

#[test]
fn control_d_ends_input_of_a_terminal() {
    let world = World::new();
    world.call("msgq create @q").ok();
    let Some(terminal) = Terminal::open(&world, &["sh"], &[("Q", &world.name("q"))]) else {
        return;
    };
    for (count, options) in ["", "--lines", "-0"].iter().enumerate() {
        terminal.types(&format!("$BOX msgq send $Q {options}\n"));
        terminal.in_front("ipcbox", libc::SYS_read);
        terminal.types("hello\n\x04");
        terminal.says("ask> ");
        assert_eq!(messages(&world, "@q"), count as u64 + 1);
    }
}
