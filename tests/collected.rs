//! Output of the commands of a server, collected for a reply or because several commands run at once.

use crate::support::{World, eventually, lines, skip};

/// Servers that collect the output of CMD: each script runs the file `cmd` for one record and prints its output.
const SERVERS: [&str; 4] = [
    "ipcbox msgq send $NAME-q --create x; ipcbox msgq serve $NAME-q --drain -j 2 -- sh ./cmd",
    "ipcbox msgq serve $NAME-q --create -c 1 -- sh ./cmd & ipcbox msgq call $NAME-q x -w 60s; wait $!",
    "ipcbox fifo serve f --create --rm -j 2 -- sh -c 'sh ./cmd; : >done' & server=$!
    until [ -p f ]; do sleep 0.01; done
    ipcbox fifo write f x
    until [ -e done ]; do sleep 0.01; done
    rm done; kill $server; wait $server",
    "ipcbox sock serve dgram:./d -c 1 -j 2 -- sh ./cmd & server=$!
    until [ -S d ]; do sleep 0.01; done
    python3 -SE -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b\"x\", \"d\")'
    wait $server",
];

fn prints(script: &str, expected: &str) {
    let world = World::new();
    world.file("cmd", script);
    for server in SERVERS {
        world.shell(server).stdout(expected).stderr("").ok();
    }
}

#[test]
fn output_survives_a_reopened_stdout() {
    prints("echo one; echo two >/dev/stdout; echo three", "one\ntwo\nthree\n");
    prints("echo one; echo two >/proc/self/fd/1; : >/dev/fd/1; echo three", "one\ntwo\nthree\n");
}

#[test]
fn output_survives_an_appending_reopen() {
    prints("echo one; echo two >>/dev/stdout; echo three; echo four >>/dev/stdout", "one\ntwo\nthree\nfour\n");
}

#[test]
fn output_survives_programs_that_truncate_or_seek() {
    prints("echo one; echo two | dd of=/dev/stdout bs=4 2>/dev/null; echo three", "one\ntwo\nthree\n");
    prints("echo one; truncate -s 0 /dev/stdout 2>/dev/null || :; echo two", "one\ntwo\n");
    prints("echo a | tee /dev/stdout; echo b | tee -a /dev/stdout", "a\na\nb\nb\n");
}

#[test]
fn output_of_two_writers_does_not_overlap() {
    let script = "(n=0; while [ $n -lt 999 ]; do echo aaaa; n=$((n + 1)); done) >/dev/stdout &
        n=0; while [ $n -lt 999 ]; do echo bbbb; n=$((n + 1)); done; wait";
    let world = World::new();
    world.file("cmd", script);
    for server in SERVERS {
        let text = world.shell(server).ok();
        let count = |line: &str| text.lines().filter(|it| *it == line).count();
        assert_eq!((count("aaaa"), count("bbbb"), text.len()), (999, 999, 9990));
    }
}

#[test]
fn more_than_a_pipe_holds_arrives_whole() {
    let world = World::new();
    world.file("cmd", "echo begin; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end >/dev/stdout");
    for server in SERVERS {
        let text = world.shell(server).ok();
        assert_eq!(text.len(), 3_000_011);
        assert!(text.starts_with("begin\nx") && text.ends_with("x\nend\n"));
    }
}

#[test]
fn late_output_of_a_descendant_is_dropped() {
    let world = World::new();
    world.file("cmd", "(until [ -e go ]; do sleep 0.01; done; echo late; echo later; : >survived) & echo now");
    world.shell("ipcbox msgq create $NAME-q").ok();
    let serve = "msgq serve @q -j 2 --report report --";
    let server = world.call(serve).args(["sh", "./cmd"]).start();
    world.call("msgq call @q x -w 60s").stdout("now\n").ok();
    world.call("msgq send @q x").ok();
    eventually("both commands have exited", || {
        let report = std::fs::read_to_string(world.dir().join("report"));
        report.is_ok_and(|report| report.lines().count() == 2)
    });
    // SIGPIPE does not kill a descendant that writes while the server runs.
    world.file("go", "");
    eventually("the descendant goes on", || world.dir().join("survived").exists());
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(lines(&server.end().stdout), ["now"]);
}

#[test]
fn descendants_that_stay_exhaust_no_descriptors() {
    let world = World::new();
    world.file("cmd", "(until [ -e go ]; do sleep 0.1; done) 2>/dev/null & echo now");
    let script = "seq 20 | ipcbox msgq send $NAME-q --create --lines; ulimit -n 16; exec ipcbox msgq serve $NAME-q --drain -j 2 -- sh ./cmd";
    world.shell(script).stdout("now\n".repeat(20)).ok();
    world.file("go", "");
}

#[test]
fn output_that_cannot_be_kept_is_reported() {
    let world = World::new();
    let mount = "mount -t tmpfs -o size=64k tmpfs .";
    let unshared = |script: String| world.program("unshare").args(["-rm", "sh", "-euc", &script]);
    if !unshared(mount.into()).output().status.success() {
        return skip("a file system cannot be mounted in a user namespace");
    }
    let name = world.name("q");
    let script = |serve: &str| {
        let cmd = "head -c 3000000 /dev/zero || exit 9";
        format!("mkdir d; cd d; {mount}; export TMPDIR=$PWD; {serve} -- sh -c '{cmd}'")
    };
    world.shell(&format!("ipcbox msgq send {name} --create x y")).ok();
    let message = "cannot buffer the output of a command: no space left on device (ENOSPC)";
    let is_reported = |script: String, code| {
        let output = unshared(script).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.contains(message)), (Some(code), true), "{text}");
        assert!(!output.stdout.is_empty(), "the part that was kept is printed");
    };
    is_reported(script(&format!("ipcbox msgq serve {name} --drain -j 2")), 1);
    world.shell(&format!("ipcbox msgq recv {name} --drain")).ok();
    std::fs::remove_dir(world.dir().join("d")).unwrap();
    // A caller gets the part that was kept, and a failure as status.
    let server = script(&format!("ipcbox msgq serve {name} -c 1"));
    is_reported(format!("({server}) & ipcbox msgq call {name} x -w 60s && exit 0 || exit 7"), 7);
}
