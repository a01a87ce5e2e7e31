//! Text from other users: it cannot drive a terminal, is valid JSON, and keeps tables aligned.

use std::fs;
use std::os::unix::fs::symlink;

use unicode_width::UnicodeWidthStr;

use crate::support::{Terminal, World};

/// DEL, the first and last C1 control, and all bidirectional controls.
const HOSTILE: &str =
    "x\u{7f}\u{80}\u{9b}31m\u{9f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}y";
/// As escaped in JSON.
const ESCAPED: &str = r"x\u007f\u0080\u009b31m\u009f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069y";
/// As escaped in a message, a tag, or a table on a terminal.
const SHOWN: &str =
    r"x\u{7f}\u{80}\u{9b}31m\u{9f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}y";

/// Whether a text can drive a terminal.
fn is_hostile(text: &str) -> bool {
    HOSTILE.chars().any(|letter| !letter.is_ascii_alphanumeric() && text.contains(letter))
}

/// A program with a hostile name that exits at once.
fn program(world: &World) -> String {
    symlink("/bin/echo", world.dir().join(HOSTILE)).unwrap();
    format!("./{HOSTILE}")
}

#[test]
fn json_escapes_terminal_controls() {
    let world = World::new();
    let program = program(&world);
    let sleeper = world.dir().join(format!("{HOSTILE}2"));
    fs::copy("/bin/sleep", &sleeper).unwrap();
    world.call("fifo create").arg(format!("{HOSTILE}f")).ok();
    world.call("msgq send @q --create").arg(HOSTILE).ok();
    world.call("msgq send /@q --create").arg(HOSTILE).ok();
    world.call("shm create @m --size 4").ok();
    let named = world.posix(&format!("n-{HOSTILE}"));
    world.call("shm create --size 4").arg(&named).ok();
    world.call("sem create").arg(&named).ok();
    let running = world.program(&sleeper).arg("100").start();
    let pid = running.pid().to_string();
    let calls: &[(&str, &[&str])] = &[
        ("fifo stat --json", &[&format!("{HOSTILE}f")]),
        ("msgq peek @q --json", &[]),
        ("msgq recv @q --json", &[]),
        ("msgq recv /@q --json", &[]),
        ("shm stat --json", &[&named]),
        ("sem stat --json", &[&named]),
        ("signal stat --json", &[&pid]),
        ("ipcs-lite --posix --json", &[]),
        ("pipe run --report=/dev/stdout --", &[&program, HOSTILE]),
        ("pipe meter --json --name", &[HOSTILE, "f"]),
    ];
    world.file("f", "");
    let printed = calls.iter().map(|(call, words)| {
        let output = world.call(call).args(*words).output();
        // A meter writes to standard error.
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        let text = String::from_utf8(text).unwrap();
        (call, text.replace(&format!("{HOSTILE}\n"), ""))
    });
    for (call, text) in printed.collect::<Vec<_>>() {
        println!("{call}: {text}");
        assert!(!is_hostile(&text), "{call}: {text:?}");
        assert!(text.contains(ESCAPED), "{call}: {text}");
        for line in text.lines() {
            let read: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(read.is_object(), "{line}");
        }
    }
}

#[test]
fn tags_and_messages_escape_terminal_controls() {
    let world = World::new();
    let program = program(&world);
    let merged = world.call("pipe merge --tag --keep-order --").args([&program, "a", ":::", "printf", "b"]).ok();
    assert_eq!(merged, format!("{SHOWN}: a\nprintf: b\n"));
    let fifo = format!("{HOSTILE}f");
    world.call("fifo create").args([&fifo, "g"]).ok();
    let script = "echo a >\"$1\" & exec ipcbox fifo read --tag \"$1\"";
    world.shell(script).args(["sh", &fifo]).stdout(format!("{SHOWN}f: a\n")).ok();
    for call in ["fifo stat", "fifo read", "pipe run --", "sem lock @l --", "signal run --", "shm memfd --"] {
        let output = world.call(call).arg(format!("{HOSTILE}none")).output();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!is_hostile(&message) && message.contains(SHOWN), "{call}: {message:?}");
    }
}

#[test]
fn table_on_a_terminal_escapes_controls() {
    let world = World::new();
    world.call("fifo create").arg(format!("{HOSTILE}f")).ok();
    let Some(terminal) = Terminal::open(&world, &["sh", "-i"], &[]) else { return };
    terminal.types("$BOX fifo stat *f; $BOX fifo stat *f --columns path; echo en''d\n");
    let shown = terminal.says("end");
    assert!(!is_hostile(&shown) && shown.matches(SHOWN).count() == 2, "{shown:?}");
}

#[test]
fn wide_letters_keep_columns_aligned() {
    let world = World::new();
    // Wide, combining, narrow, an emoji, and a name wider than its title.
    let names = ["日本", "e\u{301}", "ab", "👍", "日本語のとても長い名前"];
    world.call("fifo create").args(names).ok();
    let table = world.call("fifo stat").args(names).ok();
    let starts = table.lines().map(|line| {
        let first = line.split("  ").next().unwrap();
        let rest = &line[first.len()..];
        let blanks = rest.len() - rest.trim_start().len();
        (first.width() + blanks, line)
    });
    let starts: Vec<_> = starts.collect();
    assert_eq!(starts.len(), names.len() + 1);
    assert!(starts.iter().all(|(start, _)| *start == starts[0].0), "{table}");
    // The name of a POSIX object is among numbers.
    let wide = world.posix("日本");
    let plain = world.posix("plain");
    for name in [&wide, &plain] {
        world.call("shm create --size 4").arg(name).ok();
    }
    let table = world.call("shm stat --columns name,size").args([&wide, &plain]).ok();
    let widths: Vec<usize> = table.lines().map(UnicodeWidthStr::width).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
}
