//! `shm` against a bare C loop on the same data.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, compiled};

const LEN: usize = 1 << 30;

fn shm(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("shm").args(words);
    command
}

/// What is moved, and between what.
struct Payload {
    id: String,
    from: PathBuf,
    to: PathBuf,
}

impl Payload {
    /// File to segment.
    fn write(&self, mut command: Command) -> Duration {
        command.stdin(File::open(&self.from).expect("the data"));
        let time = run(command);
        self.verify();
        time
    }

    /// Pipe to segment.
    fn write_pipe(&self, mut command: Command) -> Duration {
        let mut cat =
            Command::new("cat").arg(&self.from).stdout(Stdio::piped()).spawn().expect("cat");
        command.stdin(cat.stdout.take().expect("a pipe"));
        let time = run(command);
        assert!(cat.wait().expect("cat").success());
        self.verify();
        time
    }

    /// Segment to file.
    fn read(&self, mut command: Command) -> Duration {
        command.stdout(OpenOptions::new().write(true).open(&self.to).expect("a file"));
        run(command)
    }

    /// What is in the segment, after the time was taken, is what was written; and is taken away, so that the next one has
    /// to write it again.
    fn verify(&self) {
        self.read(shm(&["read", &self.id]));
        assert!(same(&self.from, &self.to), "it is not what was written");
        calls(1, shm(&["write", &self.id, "none"]));
    }
}

fn run(mut command: Command) -> Duration {
    let start = Instant::now();
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
    start.elapsed()
}

/// Segment to pipe.
fn read_pipe(mut command: Command) -> Duration {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdout.take().expect("a pipe");
    let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
    loop {
        match pipe.read(&mut buffer).expect("a pipe") {
            0 => break,
            came => all += came,
        }
    }
    assert!(child.wait().expect("a child").success());
    assert_eq!(all, LEN);
    start.elapsed()
}

fn same(one: &Path, other: &Path) -> bool {
    Command::new("cmp").arg(one).arg(other).status().expect("cmp").success()
}

pub fn tasks(table: &mut Table) {
    let Some(loop_of_c) = compiled("shm.c") else {
        return table.missing("shm write, a bare C loop", "cc");
    };
    calls(1, shm(&["add", "bench-word", "--create"]));
    table.instructions("shm add: instructions", 260_000, &mut shm(&["add", "bench-word"]));
    calls(1, shm(&["rm", "bench-word"]));
    if !table.wants("shm write and read, 1 GiB") {
        return;
    }
    let made = shm(&["create", "private", "--size", "1G"]).output().expect("it starts");
    let id = String::from_utf8(made.stdout).expect("an id").trim().to_owned();
    let dir = Path::new("/dev/shm");
    let file = |name: &str| dir.join(format!("bench-{}-{name}", std::process::id()));
    let payload = Payload { id: id.clone(), from: file("from"), to: file("to") };
    let words = (0..LEN as u64 / 8).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    for path in [&payload.from, &payload.to] {
        std::fs::write(path, &bytes).expect("room for 3 GiB in memory");
    }
    drop(bytes);
    let c = |verb: &str| {
        let mut command = Command::new(&loop_of_c);
        command.args([verb, &id]);
        command
    };
    let goal = Goal::Speed(0.9);
    table.compare(
        "shm write and read, 1 GiB: write from a file",
        goal,
        7,
        || payload.write(shm(&["write", &id])),
        || payload.write(c("write")),
    );
    table.compare(
        "shm write and read, 1 GiB: write from a pipe",
        goal,
        7,
        || payload.write_pipe(shm(&["write", &id])),
        || payload.write_pipe(c("write")),
    );
    table.compare(
        "shm write and read, 1 GiB: read to a file",
        goal,
        7,
        || payload.read(shm(&["read", &id])),
        || payload.read(c("read")),
    );
    table.compare(
        "shm write and read, 1 GiB: read to a pipe",
        goal,
        7,
        || read_pipe(shm(&["read", &id])),
        || read_pipe(c("read")),
    );
    calls(1, shm(&["rm", &id]));
    for path in [&payload.from, &payload.to] {
        std::fs::remove_file(path).expect("a file of the benchmark");
    }
}
