//! The same event through both servers, `msgq serve` and `fifo serve`.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Where, World, deny, eventually, session_leader};

/// A server for one record, and the call that sends the record.
const SERVERS: [(&str, &str); 2] =
    [("msgq serve @q --create", "msgq send @q x --create"), ("fifo serve f --create", "fifo write f x -w 60s")];

/// Tests each server.
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

/// The words of a server's call with a script as CMD.
fn words(world: &World, server: &str, script: &str) -> Vec<String> {
    let server = server.replace("@q", &world.name("q"));
    server.split(' ').chain(["--", "sh", "-c", script]).map(str::to_owned).collect()
}

/// A CMD that writes the signals it takes to a file, and a process of its group that does so too.
const TAKERS: &str =
    "take() { trap 'echo hup >>$1' HUP; trap 'echo cont >>$1; exit' CONT; echo $$ >>$1; while :; do sleep 0.02; done; }
    (take below) & take cmd";

#[test]
fn closed_terminal_hangs_up_cmd_of_a_server() {
    each(|world, server, send| {
        let Some((mut child, terminal)) = session_leader(world, &words(world, server, TAKERS)) else { return };
        sent(world, send);
        for name in ["cmd", "below"] {
            has(world, name, "\n");
        }
        drop(terminal);
        for name in ["cmd", "below"] {
            // When the leader of the session exits, the kernel sends it to those in the foreground once more.
            assert!(has(world, name, "cont\n").contains("hup\n"), "{server}");
        }
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGHUP), "{server}");
    });
}

#[test]
fn sent_hangup_lets_cmd_finish() {
    each(|world, server, send| {
        let script = "trap 'echo hup >>cmd' HUP; echo $PPID >cmd; until [ -e go ]; do sleep 0.02; done; echo end >>cmd";
        let Some((mut child, terminal)) = session_leader(world, &words(world, server, script)) else { return };
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
fn unsignallable_cmd_of_a_server_is_reported() {
    each(|world, server, send| {
        let script = "trap '' TERM; echo $$ >cmd; until [ -e go ]; do sleep 0.02; done";
        let call = world.call(server).args(["--", "sh", "-c", script]);
        // The call that tests whether CMD may be signalled is refused.
        let mut child = call.before(|| deny(libc::SYS_kill, Where::Is(1, 0), nix::Error::EPERM)).start();
        sent(world, send);
        let pid = has(world, "cmd", "\n");
        // The second signal that it takes.
        eventually("it exits", || {
            child.signal(Signal::SIGTERM);
            !child.runs()
        });
        world.file("go", "");
        let output = child.end();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("cannot signal {} (sh -c ", pid.trim());
        assert!(
            message.contains(&expected) && message.contains("operation not permitted (EPERM)"),
            "{server}: {message}"
        );
        assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{server}");
    });
}
