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
    for line in ["sem get $NAME-a", "sem stat $NAME-a", "sem create $NAME-b", "key a", "--help", "sem run --help"] {
        let who = line.split(' ').next().filter(|word| !word.starts_with('-')).unwrap_or("ipcbox");
        let told = format!("{who}: cannot write to standard output: no space left on device (ENOSPC)\n");
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
        for on in [["RUST_BACKTRACE", "1"], ["RUST_BACKTRACE", "full"], ["RUST_LIB_BACKTRACE", "1"]] {
            assert_eq!(calls(line, on), off, "{on:?} {line}");
            world.call("msgq rm @q --missing-ok").ok();
        }
    }
}

#[test]
fn backtrace_variables_reach_cmd_as_given() {
    let world = World::new();
    for (key, value) in [("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")] {
        for line in ["sem lock @l -- printenv", "signal run --reap -- printenv", "pipe run -- printenv"] {
            world.call(line).arg(key).env(key, value).stdout(format!("{value}\n")).ok();
        }
    }
}

/// A verb that takes or creates something, after `prepare`; afterwards `look` prints what it printed before.
const TAKERS: &[(&str, &str, &str, i32)] = &[
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq recv $NAME-q", QUEUED, 1),
    ("ipcbox msgq send /$NAME-q x --create", "ipcbox msgq recv /$NAME-q --drain", POSIX_QUEUED, 1),
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq serve $NAME-q --drain -- cat", QUEUED, 1),
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq serve $NAME-q --drain -j 2 -- cat", QUEUED, 1),
    ("ipcbox msgq create $NAME-q", "ipcbox msgq call $NAME-q x -w 9s", QUEUED, 125),
    ("ipcbox msgq create $NAME-q", "ipcbox msgq create $NAME-r", QUEUES, 1),
    ("ipcbox sem create $NAME-s --slots 1", "ipcbox sem hold $NAME-s $$ -w 9s", HELD, 1),
    ("ipcbox sem create $NAME-s --slots 1", "ipcbox sem create $NAME-t", SETS, 1),
    (":", "ipcbox shm create $NAME-m --size 4K", SEGMENTS, 1),
    (FILLED, "ipcbox fifo read f -c 1", UNREAD, 1),
    (FILLED, "ipcbox fifo read f -n", UNREAD, 1),
    (FILLED, "ipcbox fifo serve f -- cat", UNREAD, 1),
    (FILLED, "ipcbox pipe meter <&8", UNREAD, 1),
    (FILLED, "ipcbox pipe tee -o - <&8", UNREAD, 1),
    (":", "ipcbox pipe merge -- touch ran", "ls ran ready 2>&1 || :", 125),
    ("trap '' USR1; kill -USR1 $$", "ipcbox signal wait USR1 --ready ready -w 9s", "ls ran ready 2>&1 || :", 1),
];
const QUEUED: &str = "ipcbox msgq stat $NAME-q --no-header --columns messages";
const POSIX_QUEUED: &str = "ipcbox msgq stat /$NAME-q --no-header --columns messages";
const QUEUES: &str = "ipcbox msgq stat $NAME-r 2>&1 || :";
const SETS: &str = "ipcbox sem stat $NAME-t 2>&1 || :";
const HELD: &str = "ipcbox sem stat $NAME-s --no-header --columns held";
const SEGMENTS: &str = "ipcbox shm stat $NAME-m 2>&1 || :";
const FILLED: &str = "ipcbox fifo create f; exec 8<>f; echo x >f";
const UNREAD: &str = "ipcbox fifo stat f --no-header --columns bytes";

#[test]
fn nothing_is_taken_if_stdout_is_closed() {
    for closed in [">&-", "1</dev/null"] {
        for (prepare, verb, look, status) in TAKERS {
            let world = World::new();
            let script = format!(
                "{{ {prepare}; }} >/dev/null; before=$({look}); {{ {verb} {closed}; }} 2>err && exit 99 || echo $?
                test \"$before\" = \"$({look})\"; cat err"
            );
            let text = world.shell(&script).ok();
            let told = "cannot write to standard output: bad file descriptor (EBADF)\n";
            assert!(text.starts_with(&format!("{status}\n")) && text.ends_with(told), "{verb} {closed}: {text}");
        }
    }
}
