//! Standard output: data untouched, tables made safe for a terminal, colour where it is wanted, and failures told.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::pty::openpty;

use crate::support::{BINARY, World, skip};

/// What a call prints on a terminal.
fn on_a_terminal(world: &World, words: &str, no_color: Option<&str>) -> String {
    let terminal = openpty(None, None).expect("a pseudo-terminal");
    let mut command = std::process::Command::new(BINARY);
    command.args(words.split_whitespace().map(|word| word.replace('@', &world.name(""))));
    command.env_remove("NO_COLOR").stdin(Stdio::null()).stdout(Stdio::from(terminal.slave));
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let status = command.status().expect("it runs");
    // The command's copies of the terminal's other side are closed with it.
    drop(command);
    assert!(status.success(), "{words}");
    let mut text = Vec::new();
    // EIO is the end of a terminal that nobody has open any more.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn there_is_colour_on_a_terminal_unless_no_color_says_no() {
    let world = World::new();
    let name = world.name("a");
    world.call("sem create").arg(&name).args(["--value", "7"]).ok();
    let stat = format!("sem stat {name} --columns value");
    let bold = "\x1b[1mVALUE\x1b[0m\r\n    7\r\n";
    let plain = "VALUE\r\n    7\r\n";
    assert_eq!(on_a_terminal(&world, &stat, None), bold);
    assert_eq!(on_a_terminal(&world, &stat, Some("")), bold);
    assert_eq!(on_a_terminal(&world, &stat, Some("1")), plain);
    assert_eq!(on_a_terminal(&world, &format!("{stat} --color never"), None), plain);
    assert_eq!(on_a_terminal(&world, &format!("{stat} --color always"), Some("1")), bold);
    world.call(&stat).stdout("VALUE\n    7\n").ok();
    world.call(&format!("{stat} --color always")).stdout("\x1b[1mVALUE\x1b[0m\n    7\n").ok();
}

#[test]
fn a_name_cannot_drive_the_terminal() {
    let world = World::new();
    let name = format!("{}\x1b[2J", world.posix("p"));
    world.call("sem create").arg(&name).ok();
    let shown = on_a_terminal(&world, "sem stat --columns name --color never", None);
    let plain = world.call("sem stat --columns name").ok();
    let json = world.call("sem stat --json").ok();
    world.call("sem rm").arg(&name).ok();
    assert!(!shown.contains('\x1b') && shown.contains("\\u{1b}[2J"), "{shown:?}");
    assert!(plain.contains(&name), "{plain:?}");
    assert!(json.contains("\\u001b[2J"), "{json:?}");
}

#[test]
fn a_reader_that_has_left_ends_it_as_it_ends_any_filter() {
    let world = World::new();
    world.call("sem create @a --nsems 9").ok();
    for line in ["sem stat @a", "sem get @a", "sem --help", "--list", "sem run --help"] {
        let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
        drop(reader);
        let ended = world.call(line).onto(writer);
        assert_eq!(ended.status.signal(), Some(13), "{line}");
    }
    // Where SIGPIPE is ignored it is an error like any other.
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    drop(reader);
    let ignores = world.shell("trap '' PIPE; exec ipcbox --list").onto(writer);
    assert_eq!(ignores.status.code(), Some(1));
    let told = "ipcbox: cannot write to standard output: broken pipe (EPIPE)\n";
    assert_eq!(String::from_utf8_lossy(&ignores.stderr), told);
}

#[test]
fn a_full_disk_is_told_and_never_a_silent_success() {
    let world = World::new();
    world.call("sem create @a").ok();
    for line in [
        "sem get $NAME-a",
        "sem stat $NAME-a",
        "sem create $NAME-b",
        "key a",
        "--help",
        "sem run --help",
    ] {
        let who = line.split(' ').next().filter(|word| !word.starts_with('-')).unwrap_or("ipcbox");
        let told =
            format!("{who}: cannot write to standard output: no space left on device (ENOSPC)\n");
        let output = world.shell(&format!("ipcbox {line} >/dev/full")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let code = if line.contains("run") { 125 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert_eq!(stderr, told, "{line}");
    }
}

#[test]
fn failing_call_captures_no_backtrace() {
    let world = World::new();
    world.call("sem create @a").ok();
    if !world.program("strace").arg("true").output().status.success() {
        return skip("no process may be traced here (strace)");
    }
    // The system calls of a line: to capture a backtrace takes memory and a lock that is taken once.
    let calls = |line: &str, [key, value]: [&str; 2]| {
        let traced = world.shell(&format!("exec strace -e signal=none -o trace ipcbox {line}"));
        traced.env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0").env(key, value).output();
        let trace = std::fs::read_to_string(world.dir().join("trace")).expect("a trace");
        let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
        trace.lines().map(name).collect::<Vec<_>>()
    };
    for line in [
        // An errno, the words of a cause, several failures, and a command that does not exist.
        "sem get $NAME-missing",
        "sem run $NAME-a -n -- true",
        "shm rm $NAME-missing /$NAME-missing",
        "sem lock $NAME-l -- /missing",
        "sem lock",
        "sme",
        // Failures on the way to success.
        "sem rm --missing-ok $NAME-missing",
        "msgq send $NAME-q --create x",
    ] {
        let off = calls(line, ["RUST_BACKTRACE", "0"]);
        world.call("msgq rm @q --missing-ok").ok();
        for on in [["RUST_BACKTRACE", "1"], ["RUST_BACKTRACE", "full"], ["RUST_LIB_BACKTRACE", "1"]]
        {
            assert_eq!(calls(line, on), off, "{on:?} {line}");
            world.call("msgq rm @q --missing-ok").ok();
        }
    }
}

#[test]
fn backtrace_variables_reach_cmd_as_given() {
    let world = World::new();
    for (key, value) in [("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")] {
        for line in
            ["sem lock @l -- printenv", "signal run --reap -- printenv", "pipe run -- printenv"]
        {
            world.call(line).arg(key).env(key, value).stdout(format!("{value}\n")).ok();
        }
    }
}
