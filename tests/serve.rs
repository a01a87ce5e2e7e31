//! What the two servers, `msgq serve` and `fifo serve`, have in common: the same event through each of them.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{BINARY, Where, World, deny, eventually, skip};

/// SIGTERM, as a seccomp filter sees it.
const TERM: u32 = 15;

/// A server for one record, and what sends it that.
const SERVERS: [(&str, &str); 2] =
    [("msgq serve @q --create", "msgq send @q x --create"), ("fifo serve f --create", "fifo write f x -w 60s")];

/// Does it with each server.
fn each(act: impl Fn(&World, &str, &str)) {
    for (server, send) in SERVERS {
        println!("{server}");
        act(&World::new(), server, send);
    }
}

/// Sends a record to a server that has just been started.
fn sent(world: &World, send: &str) {
    eventually("the FIFO is there", || !send.starts_with("fifo") || world.dir().join("f").exists());
    world.call(send).ok();
}

/// Waits until a file has this text, and returns all of it.
fn has(world: &World, name: &str, text: &str) -> String {
    let read = || fs::read_to_string(world.dir().join(name)).unwrap_or_default();
    eventually(&format!("{text:?} is in {name}"), || read().contains(text));
    read()
}

/// A server that leads a session with a terminal of its own, and the other side of that terminal.
fn session_leader(world: &World, server: &str, script: &str) -> Option<(std::process::Child, PtyMaster)> {
    if Command::new("setsid").arg("true").status().is_err() {
        skip("there is no setsid");
        return None;
    }
    // No other test may inherit the master: it is to be closed.
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = File::options().read(true).write(true).open(ptsname_r(&master).unwrap()).unwrap();
    let slave = || Stdio::from(slave.try_clone().unwrap());
    let mut call = Command::new("setsid");
    call.args(["--ctty", "--wait", BINARY]).args(server.replace("@q", &world.name("q")).split(' '));
    call.args(["--", "sh", "-c", script]).current_dir(world.dir());
    let child = call.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    Some((child, master))
}

/// A CMD that writes the signals it takes to a file, beside a process of its group that does so too.
const TAKERS: &str =
    "take() { trap 'echo hup >>$1' HUP; trap 'echo cont >>$1; exit' CONT; echo $$ >>$1; while :; do sleep 0.02; done; }
    (take below) & take cmd";

#[test]
fn closed_terminal_hangs_up_what_a_server_runs() {
    each(|world, server, send| {
        let Some((mut child, terminal)) = session_leader(world, server, TAKERS) else { return };
        sent(world, send);
        for name in ["cmd", "below"] {
            has(world, name, "\n");
        }
        drop(terminal);
        for name in ["cmd", "below"] {
            assert_eq!(has(world, name, "cont\n").lines().filter(|line| *line == "hup").count(), 1, "{server}");
        }
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGHUP), "{server}");
    });
}

#[test]
fn hangup_that_is_sent_lets_cmd_end() {
    each(|world, server, send| {
        let script = "trap 'echo hup >>cmd' HUP; echo $PPID >cmd; until [ -e go ]; do sleep 0.02; done; echo end >>cmd";
        let Some((mut child, terminal)) = session_leader(world, server, script) else { return };
        sent(world, send);
        let pid: i32 = has(world, "cmd", "\n").trim().parse().unwrap();
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
        world.file("go", "");
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGHUP), "{server}");
        assert_eq!(has(world, "cmd", "end\n"), format!("{pid}\nend\n"), "{server}");
        drop(terminal);
    });
}

#[test]
fn cmd_that_cannot_be_signalled_is_reported_by_a_server() {
    each(|world, server, send| {
        let script = "echo $$ >cmd; until [ -e go ]; do sleep 0.02; done";
        let call = world.call(server).args(["--", "sh", "-c", script]);
        let mut child = call.before(|| deny(libc::SYS_kill, Where::Is(1, TERM), nix::Error::EPERM)).start();
        sent(world, send);
        let pid = has(world, "cmd", "\n");
        // The second one that it takes.
        eventually("it exits", || {
            child.signal(Signal::SIGTERM);
            !child.runs()
        });
        world.file("go", "");
        let output = child.end();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("cannot signal {} (sh -c ", pid.trim());
        assert!(said.contains(&expected) && said.contains("operation not permitted (EPERM)"), "{server}: {said}");
        assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{server}");
    });
}
