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

/// Waits until the FIFO is empty and nothing runs in its server.
fn done(world: &World, count: usize) {
    let log = world.dir().join("log");
    eventually("all lines are served", || fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == count));
}

#[test]
fn each_line_is_on_standard_input_and_in_the_place_of_braces() {
    let world = world();
    let script = r#"IFS= read -r line; echo "<$line> $1 $2"; echo >> log"#;
    let server = served(&world, "", &["sh", "-c", script, "sh", "{}", "--key={}"]);
    // It stays across writers, and takes a last line without newline.
    fs::write(world.dir().join("f"), "one\n\n").unwrap();
    done(&world, 2);
    fs::write(world.dir().join("f"), " $(two) \\").unwrap();
    done(&world, 3);
    ends(server, &["<one> one --key={}", "<>  --key={}", "< $(two) \\>  $(two) \\ --key={}"]);
    assert!(world.dir().join("f").exists());
}

#[test]
fn records_may_end_in_nul() {
    let world = world();
    let server = served(&world, "-0", &["sh", "-c", "cat; echo .; echo >> log"]);
    fs::write(world.dir().join("f"), "a\nb\0c\0").unwrap();
    done(&world, 2);
    ends(server, &["a", "b.", "c."]);
}

#[test]
fn a_line_that_cannot_be_an_argument_is_told_and_the_next_one_served() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "echo $1; echo >> log", "sh", "{}"]);
    let long = "x".repeat(200_000);
    fs::write(world.dir().join("f"), format!("a\0b\n{long}\nc\n")).unwrap();
    done(&world, 1);
    server.signal(Signal::SIGTERM);
    let output = server.end();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("a record of 3 bytes with a NUL cannot be an argument"), "{text}");
    assert!(text.contains("a record of 200000 bytes is too long for an argument"), "{text}");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"c\n"[..]));
}

#[test]
fn a_line_longer_than_the_fifo_is_on_standard_input() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "wc -c; echo >> log"]);
    fs::write(world.dir().join("f"), format!("{}\nx\n", "y".repeat(10 << 20))).unwrap();
    done(&world, 2);
    ends(server, &["10485761", "2"]);
}

#[test]
fn so_many_run_at_once_and_the_other_lines_stay_in_the_fifo() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let go = "echo $1 >> log; until [ -e go ]; do sleep 0.01; done; echo $1; echo $1";
    let server = served(&world, "-j 2", &["sh", "-c", go, "sh", "{}"]);
    held.write_all(b"1\n2\n3\n4\n").unwrap();
    done(&world, 2);
    world.call("fifo stat f --columns bytes --no-header").stdout("4\n").ok();
    // SIGTERM: what runs ends, what was not taken stays.
    server.signal(Signal::SIGTERM);
    world.file("go", "");
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
    let got = lines(&output.stdout);
    // Each one's output is whole.
    assert!(got == ["1", "1", "2", "2"] || got == ["2", "2", "1", "1"], "{got:?}");
    world.call("fifo read f -n").stdout("3\n4\n").ok();
}

#[test]
fn where_it_fails_what_runs_comes_to_its_end() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let go = "echo $1 >> log; until [ -e go ]; do sleep 0.01; done; echo $1";
    let server = served(&world, "-j 2", &["sh", "-c", go, "sh", "{}"]);
    held.write_all(b"first\n").unwrap();
    done(&world, 1);
    // There is no descriptor for what the second one prints.
    let server = server.blocked_in(libc::SYS_ppoll);
    let pid = server.pid().to_string();
    Call::new("prlimit").args(["--pid", &pid, "--nofile=3"]).ok();
    held.write_all(b"second\n").unwrap();
    eventually("the second line is taken", || world.call("fifo stat f --columns bytes --no-header").ok() == "0\n");
    world.file("go", "");
    let output = server.end();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("a record of 6 bytes was taken and is lost"), "{told}");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b"first\n"[..]));
}

#[test]
fn it_ends_by_signals_and_removes_what_it_made() {
    let world = World::new();
    let f = world.dir().join("f");
    for (which, code) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let server = served(&world, "--create --rm", &["true"]);
        assert!(f.exists());
        server.signal(which);
        assert_eq!(server.code(), code);
        assert!(!f.exists());
    }
    // Once more it goes on to what runs.
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
fn what_cannot_be_served_is_told_before_a_line_is_taken() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    held.write_all(b"x\n").unwrap();
    world.call("fifo serve f -- no-such-command").fails(127, "cannot run no-such-command");
    world.call("fifo serve f -- /etc/passwd").fails(126, "cannot run /etc/passwd");
    world.call("fifo serve f").fails(2, "CMD is missing");
    world.call("fifo serve f true").fails(2, "the command goes after '--'");
    world.call("fifo serve none -- true").fails(3, "cannot serve none: no such FIFO (ENOENT)");
    world.call("fifo serve f -j 0 -- true").fails(2, "it is a number from 1");
    world.call("fifo serve f --rm -- true").fails(2, "--create is missing");
    world.call("fifo read f -n").stdout("x\n").ok();
    let server = served(&world, "", &["true"]);
    let words = "another one serves it, or counts the records that it reads (EAGAIN)";
    world.call("fifo serve f -- true").fails(1, words);
    let server = server.stopped();
    held.write_all(b"y\n").unwrap();
    world.call("fifo read f -c 1 -n").fails(124, "another reader did not end its turn");
    server.signal(Signal::SIGCONT);
    ends(server, &[]);
}

#[test]
fn a_command_that_fails_does_not_end_it() {
    let world = world();
    let server = served(&world, "", &["sh", "-c", "echo >> log; exit 3"]);
    fs::write(world.dir().join("f"), "1\n2\n").unwrap();
    done(&world, 2);
    ends(server, &[]);
}

#[test]
fn commands_get_what_the_box_was_given() {
    let world = world();
    let script = "echo $(ls /proc/self/fd | wc -l) $(grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status); echo >> log";
    let server = served(&world, "", &["sh", "-c", script]);
    fs::write(world.dir().join("f"), "1\n").unwrap();
    done(&world, 1);
    server.signal(Signal::SIGTERM);
    let got = String::from_utf8(server.end().stdout).unwrap();
    // 0, 1, 2 and the one that ls has; masks as this process's children have them.
    let plain = world.program("/bin/sh").args(["-c", script]).ok();
    assert_eq!(got, plain);
}
