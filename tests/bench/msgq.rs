//! `msgq send --lines` into `msgq recv -c`, compared with a pair of C loops on the same messages.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, compiled};

const LINES: usize = 1_000_000;
/// The maximum memory of either side in KiB.
const MEMORY: u64 = 3 << 10;

fn msgq(words: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("msgq").args(words.split_whitespace());
    command
}

pub fn tasks(table: &mut Table) {
    let name = format!("bench-{}", std::process::id());
    for (family, target) in [("sysv", name.clone()), ("posix", format!("/{name}"))] {
        let task = format!("msgq send into recv, {family}, 1,000,000 x 64");
        if !table.wants(&task) {
            continue;
        }
        let Some(peer) = compiled("msgq.c") else {
            table.missing(&task, "cc");
            continue;
        };
        let input = lines(&name);
        let bare = || {
            let mut pair = Command::new(&peer);
            pair.arg(family).arg(&input).arg(LINES.to_string());
            calls(1, pair)
        };
        // Only ipcbox writes its messages, and they are compared. The C loop writes nothing.
        let output = input.with_extension("out");
        table.compare(&task, Goal::Speed(0.7), 3, || pair(&target, &input, &output), bare);
        fs::remove_file(&input).expect("the file of lines");
        let _ = fs::remove_file(&output);
    }
}

/// Writes a file of lines of 64 bytes.
fn lines(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(name);
    let mut file = BufWriter::new(File::create(&path).expect("a file of lines"));
    for n in 0..LINES {
        writeln!(file, "{n:064}").expect("a line");
    }
    file.flush().expect("the lines");
    path
}

/// Sends the lines of `input` and receives them into `output`. Checks the output, and the memory of both.
fn pair(target: &str, input: &Path, output: &Path) -> Duration {
    calls(1, msgq(&format!("create {target}")));
    let start = Instant::now();
    let mut receiver = msgq(&format!("recv {target} -c {LINES}"));
    receiver.stdout(File::create(output).expect("the output file"));
    let receiver = receiver.spawn().expect("recv starts");
    let mut sender = msgq(&format!("send {target} --lines"));
    sender.stdin(File::open(input).expect("the lines")).stdout(Stdio::null());
    let sender = sender.spawn().expect("send starts");
    for child in [sender, receiver] {
        let memory = ended(child);
        assert!(memory <= MEMORY, "{memory} KiB of memory");
    }
    let time = start.elapsed();
    assert!(same(input, output), "the received lines differ from those sent");
    calls(1, msgq(&format!("rm {target}")));
    time
}

/// Waits for a child, which must succeed, and returns its maximum memory in KiB.
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
    fs::read(one).expect("the lines") == fs::read(other).expect("the output")
}
