//! `fifo` compared with cat on both sides, a splice pair in C, and the shell's echo and read.

use std::fs::{self, File};
use std::io::Seek;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, compiled};

const SIZE: usize = 256 << 20;
const TRIPS: usize = 50;

/// Times a writer that moves `from` into a FIFO and a reader that moves it to `to`.
fn through(writer: &[&str], reader: &[&str], from: &Path, to: &Path) -> Duration {
    let command = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    };
    let (input, to) = (File::open(from).expect("the input"), File::create(to).expect("the output"));
    let mut place = input.try_clone().expect("a descriptor");
    let start = Instant::now();
    let mut writer = command(writer).stdin(input).spawn().expect("it starts");
    let read = command(reader).stdin(Stdio::null()).stdout(to).status().expect("it starts");
    assert!(read.success());
    assert!(writer.wait().expect("a child").success());
    let time = start.elapsed();
    assert_eq!(place.stream_position().expect("an offset"), SIZE as u64, "the writer wrote everything");
    time
}

/// Times two shells that send a line back and forth.
fn trips(dir: &Path, here: &str, there: &str) -> Duration {
    let script = format!(
        "cd {}
         (n={TRIPS}; while [ $n -gt 0 ]; do {there}; n=$((n - 1)); done) &
         n={TRIPS}; while [ $n -gt 0 ]; do {here}; [ \"$line\" = ping ]; n=$((n - 1)); done; wait",
        dir.display()
    );
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", &script]).env("ipcbox", BINARY);
    calls(1, shell)
}

const TASKS: [&str; 3] = [
    "fifo write and read 256 MiB, cat",
    "fifo write and read 256 MiB, splice in C",
    "fifo: 50 round trips of a line, echo and read",
];

pub fn tasks(table: &mut Table) {
    if !TASKS.iter().any(|task| table.wants(task)) {
        return;
    }
    let dir = std::env::temp_dir().join(format!("ipcbox-bench-{}", std::process::id()));
    fs::create_dir(&dir).expect("a directory");
    let path = |name: &str| dir.join(name).display().to_string();
    let (fifo, other, null) = (path("f"), path("g"), Path::new("/dev/null"));
    let (input, output) = (dir.join("in"), dir.join("out"));
    let bytes: Vec<u8> = (0..SIZE).map(|n| (n * 31 + n / 4096).to_le_bytes()[0]).collect();
    fs::write(&input, &bytes).expect("the input");
    let mut create = Command::new(BINARY);
    create.args(["fifo", "create", &fifo, &other]);
    calls(1, create);

    let our_writer = [BINARY, "fifo", "write", &fifo];
    let our_reader = [BINARY, "fifo", "read", &fifo];
    through(&our_writer, &our_reader, &input, &output);
    assert!(fs::read(&output).expect("the output") == bytes, "the output differs from the input");
    drop(bytes);
    fs::remove_file(&output).expect("the output");

    let ours = || through(&our_writer, &our_reader, &input, null);
    let cat = ["/bin/sh", "-c", "exec cat >$0", &fifo];
    let peer = || through(&cat, &["cat", &fifo], &input, null);
    table.compare(TASKS[0], Goal::Speed(2.0), 9, ours, peer);
    let task = TASKS[1];
    match compiled("fifo.c") {
        Some(program) => {
            let program = program.display().to_string();
            let (write, read) = ([&*program, "write", &fifo], [&*program, "read", &fifo]);
            let peer = || through(&write, &read, &input, null);
            table.compare(task, Goal::Speed(0.9), 15, ours, peer);
        }
        None => table.missing(task, "cc"),
    }
    table.compare(
        TASKS[2],
        Goal::Shown,
        7,
        || {
            let here = r#""$ipcbox" fifo write f ping; line=$("$ipcbox" fifo read g)"#;
            trips(&dir, here, r#"line=$("$ipcbox" fifo read f); "$ipcbox" fifo write g "$line""#)
        },
        || trips(&dir, "echo ping >f; read -r line <g", "read -r line <f; echo $line >g"),
    );
    fs::remove_dir_all(&dir).expect("the directory");
}
