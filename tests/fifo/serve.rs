//! `fifo serve`.

use std::fs;
use std::io::Write;

use nix::libc;
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{Call, Child, World, eventually, lines};

fn served(world: &World, options: &str, command: &[&str]) -> Child {
    let call = world.call(&format!("fifo serve f {options} --"));
    call.args(command).start().blocked_in(libc::SYS_ppoll)
}

fn ends(server: Child, expected: &[&str]) {
    server.signal(Signal::SIGTERM);
    let output = server.end();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), text.as_str()), (Some(0), ""));
    assert_eq!(lines(&output.stdout), expected);
}

/// Waits until `count` lines have been served.
fn done(world: &World, count: usize) {
    let log = world.dir().join("log");
    eventually("all lines are served", || fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == count));
}

#[test]
fn line_is_standard_input_and_argument() {
    let world = world();
    let script = r#"IFS= read -r line; echo "<$line> $1 $2"; echo >> log"#;
    let server = served(&world, "", &["sh", "-c", script, "sh", "{}", "--key={}"]);
    // It outlives its writers, and takes a last line without a newline.
    fs::write(world.dir().join("f"), "one\n\n").unwrap();
    done(&world, 2);
    fs::write(world.dir().join("f"), " $(two) \\").unwrap();
    done(&world, 3);
    ends(server, &["<one> one --key={}", "<>  --key={}", "< $(two) \\>  $(two) \\ --key={}"]);
    assert!(world.dir().join("f").exists());
}

#[test]
fn records_may_be_separated_by_nul() {
    let world = world();
    let server = served(&world, "-0", &["sh", "-c", "cat; echo .; echo >> log"]);
    fs::write(world.dir().join("f"), "a\nb\0c\0").unwrap();
    done(&world, 2);
    ends(server, &["a", "b.", "c."]);
}

#[test]
fn unusable_line_is_reported_and_skipped() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "echo $1; echo >> log", "sh", "{}"]);
    let long = "x".repeat(200_000);
    fs::write(world.dir().join("f"), format!("a\0b\n{long}\nc\n")).unwrap();
    done(&world, 1);
    server.signal(Signal::SIGTERM);
    let output = server.end();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("a record of 3 bytes contains a NUL byte, and cannot be an argument"), "{text}");
    assert!(text.contains("a record of 200000 bytes is too long for a command-line argument"), "{text}");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"c\n"[..]));
}

#[test]
fn long_line_is_standard_input() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "wc -c; echo >> log"]);
    fs::write(world.dir().join("f"), format!("{}\nx\n", "y".repeat(10 << 20))).unwrap();
    done(&world, 2);
    ends(server, &["10485761", "2"]);
}

#[test]
fn untaken_lines_stay_in_the_fifo() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let go = "echo $1 >> log; until [ -e go ]; do sleep 0.01; done; echo $1; echo $1";
    let server = served(&world, "-j 2", &["sh", "-c", go, "sh", "{}"]);
    held.write_all(b"1\n2\n3\n4\n").unwrap();
    done(&world, 2);
    world.call("fifo stat f --columns bytes --no-header").stdout("4\n").ok();
    // After SIGTERM running jobs finish, and untaken lines stay.
    server.signal(Signal::SIGTERM);
    world.file("go", "");
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
    let got = lines(&output.stdout);
    // The output of each job is whole.
    assert!(got == ["1", "1", "2", "2"] || got == ["2", "2", "1", "1"], "{got:?}");
    world.call("fifo read f -n").stdout("3\n4\n").ok();
}

#[test]
fn failing_server_waits_for_running_jobs() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let go = "echo $1 >> log; until [ -e go ]; do sleep 0.01; done; echo $1";
    let server = served(&world, "-j 2", &["sh", "-c", go, "sh", "{}"]);
    held.write_all(b"first\n").unwrap();
    done(&world, 1);
    // There is no descriptor left for the output of the second job.
    let server = server.blocked_in(libc::SYS_ppoll);
    let pid = server.pid().to_string();
    Call::new("prlimit").args(["--pid", &pid, "--nofile=3"]).ok();
    held.write_all(b"second\n").unwrap();
    eventually("the second line is taken", || world.call("fifo stat f --columns bytes --no-header").ok() == "0\n");
    world.file("go", "");
    let output = server.end();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(shown.contains("a record of 6 bytes was received, but is lost"), "{shown}");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b"first\n"[..]));
}

#[test]
fn signal_stops_the_server_and_removes_the_fifo() {
    let world = World::new();
    let f = world.dir().join("f");
    for (which, code) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let server = served(&world, "--create --rm", &["true"]);
        assert!(f.exists());
        server.signal(which);
        assert_eq!(server.code(), code);
        assert!(!f.exists());
    }
    // A second signal is forwarded to the running job.
    let server = served(&world, "--create", &["sh", "-c", "echo > log; exec sleep 100"]);
    fs::write(&f, "x\n").unwrap();
    done(&world, 1);
    server.signal(Signal::SIGTERM);
    let mut server = server.blocked_in(libc::SYS_ppoll);
    assert!(server.runs());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 143);
}

#[test]
fn wrong_serve_call_takes_no_line() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    held.write_all(b"x\n").unwrap();
    world.call("fifo serve f -- no-such-command").fails(127, "cannot run no-such-command");
    world.call("fifo serve f -- /etc/passwd").fails(126, "cannot run /etc/passwd");
    world.call("fifo serve f").fails(2, "CMD is missing");
    world.call("fifo serve f true").fails(2, "the command goes after '--'");
    world.call("fifo serve none -- true").fails(3, "cannot serve none: no such FIFO (ENOENT)");
    world.call("fifo serve f -j 0 -- true").fails(2, "expected a number");
    world
        .call("fifo serve f --rm -- true")
        .fails(2, "--rm needs --create\nhint: ipcbox fifo serve --create f --rm -- true\n");
    world.call("fifo read f -n").stdout("x\n").ok();
    let server = served(&world, "", &["true"]);
    let words = "another server, or a reader with --count, uses the FIFO (EAGAIN)";
    world.call("fifo serve f -- true").fails(1, words);
    let server = server.stopped();
    held.write_all(b"y\n").unwrap();
    world.call("fifo read f -c 1 -n").fails(124, "locked by another reader");
    server.signal(Signal::SIGCONT);
    ends(server, &[]);
}

#[test]
fn failing_command_does_not_stop_the_server() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "echo >> log; exit 3"]);
    fs::write(world.dir().join("f"), "1\n2\n").unwrap();
    done(&world, 2);
    ends(server, &[]);
}

#[test]
fn commands_inherit_signals_and_descriptors() {
    let world = world();
    let script = "echo $(ls /proc/self/fd | wc -l) $(grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status); echo >> log";
    let server = served(&world, "", &["sh", "-c", script]);
    fs::write(world.dir().join("f"), "1\n").unwrap();
    done(&world, 1);
    server.signal(Signal::SIGTERM);
    let got = String::from_utf8(server.end().stdout).unwrap();
    // Descriptors 0 to 2 and the one of ls, and the signal masks of other children.
    let plain = world.program("/bin/sh").args(["-c", script]).ok();
    assert_eq!(got, plain);
}
