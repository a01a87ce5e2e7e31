//! `pipe merge`.

use std::collections::HashMap;
use std::fs;

use nix::libc;
use nix::sys::signal::Signal;

use super::{children, pipe};
use crate::support::{World, eventually, holds, lines, signal};

#[test]
fn lines_of_fifty_producers_stay_whole() {
    let (producers, count) = (50_usize, 20_000_usize);
    let line = |n: usize| format!("seq -f '{n} %.0f lorem ipsum dolor sit amet' {count}");
    let words: Vec<String> = (0..producers).map(line).collect();
    let output = pipe(&["merge", "--shell"]).args(&words).output();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut next: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        let (producer, rest) = line.split_once(' ').unwrap();
        let (number, rest) = rest.split_once(' ').unwrap();
        assert_eq!(rest, "lorem ipsum dolor sit amet", "{line}");
        let place = next.entry(producer).or_insert(1);
        assert_eq!(number.parse(), Ok(*place), "{line}");
        *place += 1;
    }
    assert_eq!(next.len(), producers);
    assert!(next.values().all(|place| *place == count + 1));
}

#[test]
fn tags_are_names_or_numbers() {
    let shown = pipe(&["merge", "--tag", "--", "/bin/echo", "a", ":::", "printf", "b\nc"]).output();
    let mut text = lines(&shown.stdout);
    text.sort();
    assert_eq!(text, ["echo: a", "printf: b", "printf: c"]);
    let shown = pipe(&["merge", "--tag", "--shell", "echo a; echo b >&2", "echo c"]).output();
    let mut text = lines(&shown.stdout);
    text.sort();
    assert_eq!((text, lines(&shown.stderr)), (vec!["1: a".into(), "2: c".into()], vec!["1: b".into()]));
    pipe(&["merge", "-0", "--tag", "--keep-order", "--", "printf", "a\n\\0b", ":::", "echo", "c"])
        .stdout("printf: a\n\0printf: b\0echo: c\n\0")
        .ok();
}

#[test]
fn keep_order_prints_in_order_of_commands() {
    let world = World::new();
    // The first command waits for the last one.
    let first = "while [ ! -e done ]; do :; done; echo 1; echo e1 >&2";
    let shown = pipe(&["merge", "--keep-order", "--shell", first, "seq 50000; echo e2 >&2", "echo 3; touch done"])
        .dir(world.dir())
        .output();
    let expected: Vec<String> =
        ["1".to_owned()].into_iter().chain((1..=50_000).map(|n| n.to_string())).chain(["3".to_owned()]).collect();
    assert!(lines(&shown.stdout) == expected, "{} lines", lines(&shown.stdout).len());
    assert_eq!(lines(&shown.stderr), ["e1", "e2"]);
}

#[test]
fn long_lines_stay_whole() {
    let long = "head -c 3000000 /dev/zero | tr '\\0' ";
    let words = [format!("{long} a; echo"), format!("{long} b"), "seq 1000".into()];
    let shown = pipe(&["merge", "--shell"]).args(words).output();
    let lines = lines(&shown.stdout);
    assert_eq!(lines.len(), 1002);
    for letter in ["a", "b"] {
        let found = lines.iter().find(|line| line.starts_with(letter)).unwrap();
        assert!(found.len() == 3_000_000 && found.trim_matches(['a', 'b']).is_empty());
    }
}

#[test]
fn merge_returns_the_last_failure() {
    pipe(&["merge", "--shell", "exit 3", "exit 0", "exit 4", "exit 0"]).status(4);
    pipe(&["merge", "--", "true", ":::", "no-such-command"]).fails(127, "command not found");
    pipe(&["merge", "--"]).fails(125, "CMD is missing");
    pipe(&["merge", "--max-time", "2", "--", "sleep", "1000", ":::", "echo", "x"])
        .fails(124, "sleep timed out after 2s (killed by SIGTERM)");
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    run("{ ipcbox pipe merge -- yes ::: sleep 1000; echo $? >&2; } | head -1").stdout("y\n").stderr("141\n").ok();
    run("ipcbox pipe merge -- echo x >/dev/full").fails(1, "cannot write to standard output: no space left");
    run("ipcbox pipe merge -- echo x >&-").fails(125, "cannot write to standard output: bad file");
    run("ipcbox pipe merge -- true <&-").ok();
}

#[test]
fn signal_kills_merge_without_commands() {
    let world = World::new();
    // Its output is not read.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let line = "rm -f out; mkfifo out; exec ipcbox pipe merge -- yes 1<>out";
        let mut merge = world.program("/bin/sh").args(["-c", line]).start().became("ipcbox");
        let unread = "ipcbox pipe stat 0 --columns bytes --no-header <>out";
        let unread = || world.program("/bin/sh").args(["-c", unread]).ok();
        eventually("its output is full", || unread().trim().parse::<u32>().unwrap() > 60_000);
        let syscall = format!("/proc/{}/syscall", children(merge.pid())[0]);
        let writes = format!("{} ", libc::SYS_write);
        eventually("its input is", || fs::read_to_string(&syscall).is_ok_and(|call| call.starts_with(&writes)));
        merge.signal(signal);
        eventually("its command ends", || children(merge.pid()).is_empty());
        assert!(holds(|| merge.runs()), "{signal}: what yes has printed is lost");
        merge.signal(signal);
        assert_eq!(merge.code(), 128 + signal as i32);
    }
}

#[test]
fn max_time_covers_descendants_and_reader() {
    // A descendant holds the pipe open.
    let held = "setsid sleep 1000 & echo $!";
    let shown = pipe(&["merge", "--max-time", "2", "--shell", held, "true"]).output();
    let sleep = lines(&shown.stdout)[0].parse().unwrap();
    signal(sleep, Signal::SIGKILL);
    assert_eq!(shown.status.code(), Some(124));
    assert_eq!(lines(&shown.stderr), ["pipe: some output could not be written within 2s"]);
    // Standard output is not read, neither while the command runs nor after it has exited.
    for count in [1_000_000, 30_000] {
        let words = ["merge", "--max-time", "0.2", "--", "seq", &count.to_string()];
        let shown = pipe(&words).start().end();
        assert_eq!(shown.status.code(), Some(124), "{count}");
        let all: Vec<u8> = (1..=count).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        assert!(all.starts_with(&shown.stdout), "{count}");
    }
}

#[test]
fn output_during_termination_is_printed() {
    let late = "trap 'seq 3; printf bye; exit' TERM; echo on; while :; do sleep 0.01; done";
    for _ in 0..5 {
        let shown = pipe(&["merge", "--max-time", "0.3", "--shell", late, late]).output();
        let mut text = lines(&shown.stdout);
        text.sort();
        // On a slow machine a command may be terminated before it prints.
        text.retain(|line| line != "on");
        assert_eq!(text.len(), 4 * lines(&shown.stdout).iter().filter(|it| *it == "on").count());
    }
}

#[test]
fn too_few_descriptors_are_reported() {
    let world = World::new();
    let line = "set --; i=0; while [ $i -lt 200 ]; do set -- \"$@\" cat :::; i=$((i + 1)); done; \
                ulimit -n 64; exec ipcbox pipe merge -- \"$@\" cat";
    let shown = world.program("/bin/sh").args(["-c", line]).output();
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(shown.status.code(), Some(125), "{text}");
    assert!(text.contains("(EMFILE)") && text.contains("ulimit -n"), "{text}");
}
