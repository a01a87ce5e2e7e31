//! Standard output and error: data passes unchanged, a terminal gets escapes and colour, failed writes are reported.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::pty::openpty;

use crate::support::{BINARY, World, skip};

/// Returns the output of a call on a terminal.
fn on_a_terminal(world: &World, words: &str, no_color: Option<&str>) -> String {
    let terminal = openpty(None, None).expect("a pseudo-terminal");
    let mut command = std::process::Command::new(BINARY);
    command.args(words.split_whitespace().map(|word| word.replace('@', &world.name(""))));
    command.env_remove("NO_COLOR").stdin(Stdio::null()).stdout(Stdio::from(terminal.slave));
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let status = command.status().expect("it runs");
    // Closes this process's copies of the terminal.
    drop(command);
    assert!(status.success(), "{words}");
    let mut text = Vec::new();
    // A terminal that no process has open returns EIO.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn colour_is_for_terminals_without_no_color() {
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
fn name_cannot_drive_the_terminal() {
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
fn sigpipe_kills_it_as_any_filter() {
    let world = World::new();
    world.call("sem create @a --nsems 9").ok();
    for line in ["sem stat @a", "sem get @a", "sem --help", "--list", "sem run --help"] {
        let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
        drop(reader);
        let output = world.call(line).onto(writer);
        assert_eq!(output.status.signal(), Some(13), "{line}");
    }
    // If SIGPIPE is ignored, the failed write is an error.
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    drop(reader);
    let ignores = world.shell("trap '' PIPE; exec ipcbox --list").onto(writer);
    assert_eq!(ignores.status.code(), Some(1));
    let message = "ipcbox: cannot write to standard output: broken pipe (EPIPE)\n";
    assert_eq!(String::from_utf8_lossy(&ignores.stderr), message);
}

#[test]
fn full_disk_is_reported() {
    let world = World::new();
    world.call("sem create @a").ok();
    world.call("sem create ./a --slots 2 -q").ok();
    for line in [
        "sem get $NAME-a",
        "sem stat $NAME-a",
        "sem stat ./a",
        "sem create $NAME-b",
        "sem create ./b --lock",
        "key a",
        "--help",
        "sem run --help",
    ] {
        let who = line.split(' ').next().filter(|word| !word.starts_with('-')).unwrap_or("ipcbox");
        let message = format!("{who}: cannot write to standard output: no space left on device (ENOSPC)\n");
        let output = world.shell(&format!("ipcbox {line} >/dev/full")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let code = if line.contains("run") { 125 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert_eq!(stderr, message, "{line}");
    }
}

#[test]
fn failing_call_captures_no_backtrace() {
    let world = World::new();
    world.call("sem create @a").ok();
    if !world.program("strace").arg("true").output().status.success() {
        return skip("no process may be traced here (strace)");
    }
    // Returns the system calls of a line: a backtrace would take memory and a lock.
    let calls = |line: &str, [key, value]: [&str; 2]| {
        let traced = world.shell(&format!("exec strace -e signal=none -o trace ipcbox {line}"));
        traced.env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0").env(key, value).output();
        let trace = std::fs::read_to_string(world.dir().join("trace")).expect("a trace");
        let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
        trace.lines().map(name).collect::<Vec<_>>()
    };
    for line in [
        // An errno, a message, several failures, and a command that does not exist.
        "sem get $NAME-missing",
        "sem run $NAME-a -n -- true",
        "shm rm $NAME-missing /$NAME-missing",
        "sem lock $NAME-l -- /missing",
        "sem lock",
        "sme",
        // Calls that fail by design in loops.
        "sock connect ./missing",
        "sock call ./missing x",
        "sock wait ./missing @$NAME-missing -n",
        // Internal failures of a call that succeeds.
        "sem rm --missing-ok $NAME-missing",
        "msgq send /$NAME-q --create x",
    ] {
        let off = calls(line, ["RUST_BACKTRACE", "0"]);
        world.call("msgq rm /@q --missing-ok").ok();
        for on in [["RUST_BACKTRACE", "1"], ["RUST_BACKTRACE", "full"], ["RUST_LIB_BACKTRACE", "1"]] {
            assert_eq!(calls(line, on), off, "{on:?} {line}");
            world.call("msgq rm /@q --missing-ok").ok();
        }
    }
}

#[test]
fn backtrace_variables_reach_cmd_as_given() {
    let world = World::new();
    for (key, value) in [("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")] {
        for line in [
            "sem lock @l -- printenv",
            "signal run --reap -- printenv",
            "pipe run -- printenv",
            "sock activate ./s -- printenv",
            "sock wait ./none --gone -- printenv",
            "sock with ./s --pass -- sleep 60 ::: printenv",
        ] {
            world.call(line).arg(key).env(key, value).stdout(format!("{value}\n")).ok();
        }
    }
}

/// Setup, a verb that takes or creates something, a script whose output must not change, and the exit status.
const TAKERS: &[(&str, &str, &str, i32)] = &[
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq recv $NAME-q", QUEUED, 1),
    ("ipcbox msgq send /$NAME-q x --create", "ipcbox msgq recv /$NAME-q --drain", POSIX_QUEUED, 1),
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq serve $NAME-q --drain -- cat", QUEUED, 1),
    ("ipcbox msgq send $NAME-q x --create", "ipcbox msgq serve $NAME-q --drain -j 2 -- cat", QUEUED, 1),
    ("ipcbox msgq create $NAME-q", "ipcbox msgq call $NAME-q x -w 9s", QUEUED, 125),
    ("ipcbox msgq create $NAME-q", "ipcbox msgq create $NAME-r", QUEUES, 1),
    ("ipcbox sem create $NAME-s --slots 1", "ipcbox sem hold $NAME-s $$ -w 9s", HELD, 1),
    ("ipcbox sem create $NAME-s --slots 1", "ipcbox sem create $NAME-t", SETS, 1),
    ("ipcbox sem create ./s --slots 1", "ipcbox sem hold ./s $$ -w 9s", HELD_IN_FILE, 1),
    (":", "ipcbox sem hold ./s $$ --slots 1", "ls s 2>&1 || :", 1),
    (":", "ipcbox sem create ./s --slots 1", "ls s 2>&1 || :", 1),
    (":", "ipcbox shm create $NAME-m --size 4K", SEGMENTS, 1),
    (FILLED, "ipcbox fifo read f -c 1", UNREAD, 1),
    (FILLED, "ipcbox fifo read f -n", UNREAD, 1),
    (FILLED, "ipcbox fifo serve f -- cat", UNREAD, 1),
    (":", "ipcbox sock serve ./s -- cat", "ls s 2>&1 || :", 1),
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
const HELD_IN_FILE: &str = "ipcbox sem stat ./s --no-header --columns held";
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
            let message = "cannot write to standard output: bad file descriptor (EBADF)\n";
            assert!(text.starts_with(&format!("{status}\n")) && text.ends_with(message), "{verb} {closed}: {text}");
        }
    }
}

/// What a failing call prints on standard error if that is a terminal.
fn message_on_a_terminal(world: &World, script: &str, no_color: &str) -> String {
    let terminal = openpty(None, None).expect("a pseudo-terminal");
    let path = nix::unistd::ttyname(&terminal.slave).expect("its name");
    let script = format!("{{ {script}; }} 2>{} || :", path.display());
    world.shell(&script).env("NO_COLOR", no_color).output();
    drop(terminal.slave);
    let mut text = Vec::new();
    let _ = File::from(terminal.master).read_to_end(&mut text);
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

#[test]
fn prefix_of_a_message_is_coloured() {
    let world = World::new();
    let call = "ipcbox sem --xyzzy";
    let colored = "\x1b[1m\x1b[31msem:\x1b[39m\x1b[0m no option '--xyzzy'\n\x1b[36mhint:\x1b[39m ipcbox sem --help\n";
    let plain = "sem: no option '--xyzzy'\nhint: ipcbox sem --help\n";
    assert_eq!(message_on_a_terminal(&world, call, ""), colored);
    assert_eq!(message_on_a_terminal(&world, call, "1"), plain);
    world.shell(call).stderr(plain).status(2);
    // A warning, of a call that goes on.
    let warning = message_on_a_terminal(&world, "echo x | ipcbox fifo read f /missing -n", "");
    assert!(warning.contains("\x1b[31m") && warning.contains("fifo:"), "{warning:?}");
}

#[test]
fn prefix_costs_a_successful_call_nothing() {
    let world = World::new();
    world.call("sem create @a").ok();
    let Some(call) = world.traced("ioctl") else { return };
    call.args(["sem", "post"]).arg(world.name("a")).ok();
    assert!(!std::fs::read_to_string(world.dir().join("trace")).unwrap().contains("ioctl("));
}

/// A verb with --json and --columns, its setup and arguments, and two of its columns, not in their usual order.
const SHOWING: &[(&str, &str, &str, &str)] = &[
    ("sem stat", "ipcbox sem create $NAME-s -q", "$NAME-s", "key,id"),
    ("shm stat", "ipcbox shm create $NAME-m --size 1 -q", "$NAME-m", "size,id"),
    ("msgq stat", "ipcbox msgq create $NAME-q -q", "$NAME-q", "messages,id"),
    ("fifo stat", "ipcbox fifo create f -q", "f", "path,mode"),
    ("pipe stat", ":", "", "name,bytes"),
    ("signal stat", ":", "$$", "pid,command"),
    ("signal list", ":", "TERM", "number,action"),
    (
        "signal join",
        "(until grep -q ipcbox /proc/$$/comm; do sleep 0.01; done) >out 2>&1 & pid=$!",
        "$pid",
        "result,pid",
    ),
    ("signal send", "sleep 100 >out 2>&1 & pid=$!", "TERM $pid --wait 60s", "result,pid"),
    ("signal wait", "trap '' USR1; (while kill -USR1 $$; do sleep 0.01; done) >out 2>&1 &", "USR1", "signal,number"),
    ("ipcs-lite", "ipcbox sem create $NAME-s -q", "$NAME-s", "mode,id"),
    ("sock stat", "[ -e s ] || python3 -c 'import socket; socket.socket(1).bind(\"s\")'", "./s", "state,address"),
    ("ipcrm-lite", "ipcbox sem create $NAME-s -q", "$NAME-s --dry-run", "mode,id"),
];

#[test]
fn json_has_only_the_named_columns() {
    let mut verbs: Vec<String> = Vec::new();
    for applet in ipcbox::applets::APPLETS {
        for verb in applet.verbs {
            let parser = verb.parser("x", &[]);
            let has = |long| parser.get_arguments().any(|arg| arg.get_long() == Some(long));
            if has("json") && has("columns") {
                let is_alone = applet.alone(verb.name).is_some();
                verbs.push(if is_alone { applet.name.into() } else { format!("{} {}", applet.name, verb.name) });
            }
        }
    }
    let mut tested: Vec<String> = SHOWING.iter().map(|(verb, ..)| (*verb).to_owned()).collect();
    tested.sort();
    verbs.sort();
    verbs.dedup();
    assert_eq!(tested, verbs);
    for (verb, setup, words, columns) in SHOWING {
        let world = World::new();
        let (first, second) = columns.split_once(',').unwrap();
        for (columns, keys) in [(*columns, vec![first, second]), (second, vec![second])] {
            // The process that join waits for exits after exec, so that no shell reaps it.
            let script = format!("{setup}\n exec ipcbox {verb} {words} --json --columns {columns} </dev/null");
            let text = world.shell(&script).output();
            let text = String::from_utf8(text.stdout).unwrap();
            assert!(!text.is_empty(), "{verb}");
            for line in text.lines() {
                let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
                let at = |key: &&str| line.find(&format!("\"{key}\":")).unwrap_or(usize::MAX);
                assert!(record.len() == keys.len() && keys.iter().map(at).is_sorted(), "{verb}: {line}");
                assert!(keys.iter().all(|key| record.contains_key(*key)), "{verb}: {line}");
            }
            world.shell("ipcbox sem rm --missing-ok $NAME-s").ok();
        }
        let end = "[ -z \"${pid-}\" ] || kill $pid";
        let script = format!("{setup}\n {end}; exec ipcbox {verb} {words} --json --columns nosuch </dev/null");
        let output = world.shell(&script).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains("no column 'nosuch'"), "{verb}: {text}");
    }
}
