//! `msgq send --lines` into `msgq recv -c` against a bare loop pair in C on the same messages.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, compiled};

/// Lines, each of 64 bytes.
const LINES: usize = 1_000_000;
/// The most memory of either side, in KiB.
const MEMORY: u64 = 3 << 10;

fn msgq(words: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("msgq").args(words.split_whitespace());
    command
}

pub fn tasks(table: &mut Table) {
    let name = format!("bench-{}", std::process::id());
    let input = std::env::temp_dir().join(&name);
    if !table.wants("msgq") {
        return;
    }
    let mut file = std::io::BufWriter::new(File::create(&input).expect("a file of lines"));
    for n in 0..LINES {
        writeln!(file, "{n:064}").expect("a line");
    }
    drop(file);
    calls(1, msgq(&format!("create {name}")));
    table.instructions("msgq send: instructions", 300_000, &mut msgq(&format!("send {name} x")));
    calls(1, msgq(&format!("rm {name}")));
    match compiled("msgq.c") {
        Some(peer) => {
            for (family, target) in [("sysv", name.clone()), ("posix", format!("/{name}"))] {
                let bare = || {
                    let mut pair = Command::new(&peer);
                    pair.arg(family).arg(&input).arg(LINES.to_string());
                    pair
                };
                table.compare(
                    &format!("msgq send into recv, {family}, 1,000,000 x 64"),
                    Goal::Speed(0.7),
                    5,
                    || pair(&target, &input),
                    || calls(1, bare()),
                );
            }
        }
        None => table.missing("msgq send into recv", "cc"),
    }
    fs::remove_file(&input).expect("the file of lines");
}

/// Sends the lines of `input` and receives them; checks what came, and the memory of both.
fn pair(target: &str, input: &Path) -> Duration {
    calls(1, msgq(&format!("create {target}")));
    let output = input.with_extension("out");
    let start = Instant::now();
    let mut receiver = msgq(&format!("recv {target} -c {LINES}"));
    receiver.stdout(File::create(&output).expect("a file for what comes"));
    let receiver = receiver.spawn().expect("recv starts");
    let mut sender = msgq(&format!("send {target} --lines"));
    sender.stdin(File::open(input).expect("the lines")).stdout(Stdio::null());
    let sender = sender.spawn().expect("send starts");
    for child in [sender, receiver] {
        let memory = ended(child);
        assert!(memory <= MEMORY, "{memory} KiB of memory");
    }
    let time = start.elapsed();
    assert!(same(input, &output), "what came is not what was sent");
    fs::remove_file(output).expect("the output");
    calls(1, msgq(&format!("rm {target}")));
    time
}

/// Waits for a child, which has to succeed, and gives the most memory that it had, in KiB.
fn ended(mut child: std::process::Child) -> u64 {
    let file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(line) = line {
            most = line.trim().trim_end_matches(" kB").parse().expect("a number");
        }
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{status}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn same(one: &Path, other: &Path) -> bool {
    fs::read(one).expect("the lines") == fs::read(other).expect("what came")
}
