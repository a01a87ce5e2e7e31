//! The cost of a whole process for a verb that makes one system call, compared with the usual alternatives and with
//! recorded figures (the guard). `BLESS=1 cargo bench -- guard` updates the figures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::count::{Counted, instructions, system_calls};
use crate::table::{BINARY, Goal, Table, calls, command, compiled, find};

/// The limit of instructions for any verb.
const INSTRUCTIONS: u64 = 250_000;
/// The limit of instructions for `sem post`.
const POST_INSTRUCTIONS: u64 = 90_000;
const SYSTEM_CALLS: u64 = 60;
/// The factor by which a count may exceed its recorded figure.
const ROOM: f64 = 1.05;
/// The limit of the binary's size in bytes.
const BYTES: u64 = 3_500_000;
/// The limit of relocations at start. The remaining ones are the C library's choices of memcpy and the like.
const RELOCATIONS: f64 = 64.0;

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/figures");

fn ours(line: &str) -> Command {
    command(BINARY, line)
}

fn stdout(line: &str) -> String {
    let output = ours(line).output().expect("it runs");
    assert!(output.status.success(), "{line}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Returns whether the guard passes.
pub fn tasks(table: &mut Table) -> bool {
    let holds = [size(table), guard(table)];
    peers(table);
    holds == [true; 2]
}

/// Returns whether the binary is within its limit.
fn size(table: &mut Table) -> bool {
    if !table.concerns("guard: size") {
        return true;
    }
    let bytes = bytes();
    let difference = bytes.cast_signed() - figure("bytes", 0).unwrap_or(0).cast_signed();
    println!("guard: the binary has {bytes} bytes, {difference:+} against the recorded size");
    table.bound("guard: size of the binary", bytes as f64, BYTES as f64);
    bytes <= BYTES
}

fn bytes() -> u64 {
    fs::metadata(BINARY).expect("the binary").len()
}

/// Returns a recorded figure.
fn figure(verb: &str, column: usize) -> Option<u64> {
    let kept = fs::read_to_string(FIGURES).ok()?;
    let line = kept.lines().find_map(|line| line.strip_prefix(verb)?.strip_prefix(": "));
    line?.split(' ').nth(column)?.parse().ok()
}

fn guard(table: &mut Table) -> bool {
    if !table.concerns("guard") {
        return true;
    }
    let name = format!("bench-{}", std::process::id());
    let dir = std::env::temp_dir().join(&name);
    fs::create_dir(&dir).expect("a directory");
    let fifo = dir.join("f").display().to_string();
    let lines = [
        format!("fifo create {fifo}"),
        format!("msgq send {name} x"),
        format!("msgq peek {name}"),
        format!("msgq recv {name}"),
        format!("sem get {name}"),
        format!("sem post {name}"),
        format!("sem wait {name}"),
        format!("shm add {name}"),
        format!("shm get {name}"),
        // `send` needs a pidfd, which valgrind supports only from 3.21 on.
        "signal list TERM".to_owned(),
    ];
    calls(1, ours(&format!("sem create {name} --value 7")));
    calls(1, ours(&format!("msgq create {name}")));
    calls(1, ours(&format!("shm add {name} --create")));
    let counted: Vec<(String, [Option<u64>; 2])> = lines
        .iter()
        .map(|line| {
            let verb = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let count = |count: fn(&Command) -> Option<u64>| {
                let _ = fs::remove_file(&fifo);
                count(&ours(line))
            };
            (verb, [count(instructions), count(system_calls)])
        })
        .collect();
    // The tools check that the calls succeed; this checks what they did. `shm add --create` above added one.
    let runs = counted.first().map_or(0, |(_, counts)| counts.iter().flatten().count());
    assert_eq!(stdout(&format!("sem get {name}")), "7", "as many waits as posts");
    assert_eq!(stdout(&format!("shm get {name}")), (1 + runs).to_string());
    assert_eq!(stdout(&format!("msgq stat {name} --columns messages --no-header")), "0");
    for applet in ["sem", "msgq", "shm"] {
        calls(1, ours(&format!("{applet} rm {name}")));
    }
    fs::remove_dir_all(&dir).expect("the directory");
    compared(table, &counted)
}

/// Compares the counts with the recorded figures, and returns whether none is exceeded.
fn compared(table: &mut Table, counted: &[(String, [Option<u64>; 2])]) -> bool {
    let bless = std::env::var_os("BLESS").is_some();
    let mut fresh = format!("bytes: {}\n", bytes());
    let mut holds = true;
    for (column, kind, tool, most) in [
        (0, "instructions", "valgrind", INSTRUCTIONS),
        (1, "system calls", "strace with permission to trace", SYSTEM_CALLS),
    ] {
        for (verb, counts) in counted {
            let task = format!("guard: {kind}: {verb}");
            let Some(count) = counts[column] else {
                table.missing(&task, tool);
                continue;
            };
            let kept = if bless { Some(count) } else { figure(verb, column) };
            let kept = kept.unwrap_or(0);
            table.count(&task, Goal::Time(ROOM), count, kept);
            holds &= count as f64 <= kept as f64 * ROOM && count <= most;
            if (column, verb.as_str()) == (0, "sem post") {
                table.bound("guard: instructions: sem post", count as f64, POST_INSTRUCTIONS as f64);
                holds &= count <= POST_INSTRUCTIONS;
            }
        }
        let top = counted.iter().filter_map(|(_, counts)| counts[column]).max();
        if let Some(top) = top {
            table.bound(&format!("guard: {kind}: maximum"), top as f64, most as f64);
        }
    }
    if bless {
        for (verb, counts) in counted {
            let [Some(instructions), Some(calls)] = counts else {
                println!("{FIGURES} is unchanged, because not everything could be counted");
                return holds;
            };
            writeln!(fresh, "{verb}: {instructions} {calls}").expect("a line");
        }
        fs::write(FIGURES, fresh).expect("the figures");
    }
    if !holds {
        println!("guard: above the figures in {FIGURES} (accept them with BLESS=1)");
    }
    holds
}

/// Programs for the same purpose, and their arguments.
const PEERS: [(&str, &str); 3] = [("busybox", "true"), ("ipcs", "-l"), ("flock", "-n 0")];

fn peers(table: &mut Table) {
    const ROUNDS: usize = 31;
    const CALLS: usize = 40;
    let task = "start-up: sem post";
    if !table.concerns("start-up") {
        return;
    }
    relocations(table);
    let name = format!("bench-{}", std::process::id());
    calls(1, ours(&format!("sem create {name} --value 0")));
    let post = format!("sem post {name}");
    let zero = format!("sem op {name} 0:-{CALLS}n");
    // Subtracts the round's value, all of it or nothing.
    let posted = |program: &str, line: &str| {
        let time = calls(CALLS, command(program, line));
        calls(1, ours(&zero));
        time
    };
    match compiled("post.c") {
        Some(c) => {
            let c = c.display().to_string();
            let (ipcbox, bare) = (|| posted(BINARY, &post), || posted(&c, &name));
            table.compare(&format!("{task}, static C"), Goal::Time(3.0), ROUNDS, ipcbox, bare);
            let bare = command(&c, &name);
            if let (Some(count), Some(peer)) = (instructions(&ours(&post)), instructions(&bare)) {
                table.count(&format!("{task}, static C: instructions"), Goal::Shown, count, peer);
            }
            if let Some(counted) = Counted::new("faults") {
                let faults = |call: &Command| {
                    calls(1, counted.call(call));
                    counted.usage().faults
                };
                let (count, peer) = (faults(&ours(&post)), faults(&bare));
                table.count(&format!("{task}, static C: page faults"), Goal::Shown, count, peer);
            }
        }
        None => table.missing(&format!("{task}, static C"), "cc"),
    }
    calls(1, ours(&format!("sem set {name} 0")));
    for (peer, line) in PEERS {
        let task = format!("{task}, {peer} {line}");
        let Some(program) = find(peer) else {
            table.missing(&task, peer);
            continue;
        };
        let program = program.display().to_string();
        let theirs = || calls(CALLS, command(&program, line));
        table.compare(&task, Goal::Time(1.0), ROUNDS, || posted(BINARY, &post), theirs);
        let theirs = instructions(&command(&program, line));
        if let (Some(count), Some(peer)) = (instructions(&ours(&post)), theirs) {
            table.count(&format!("{task}: instructions"), Goal::Time(1.0), count, peer);
        }
        calls(1, ours(&format!("sem set {name} 0")));
    }
    calls(1, ours(&format!("sem rm {name}")));
}

fn relocations(table: &mut Table) {
    let task = "start-up: relocations";
    let Some(readelf) = find("readelf") else {
        return table.missing(task, "readelf");
    };
    let output = Command::new(readelf).arg("-rW").arg(Path::new(BINARY)).output();
    let output = String::from_utf8(output.expect("readelf runs").stdout).expect("text");
    let count = output.lines().filter(|line| line.contains(" R_")).count();
    table.bound(task, count as f64, RELOCATIONS);
}
