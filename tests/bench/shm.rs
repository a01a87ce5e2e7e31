//! `shm` compared with a C loop on the same data.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, compiled};

const LEN: usize = 1 << 30;

const TASKS: [&str; 4] = [
    "shm write 1 GiB from a file, C loop",
    "shm write 1 GiB from a pipe, C loop",
    "shm read 1 GiB to a file, C loop",
    "shm read 1 GiB to a pipe, C loop",
];

fn shm(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("shm").args(words);
    command
}

/// The data to move, and the files to move it between.
struct Payload {
    id: String,
    /// The data that ipcbox writes.
    from: PathBuf,
    /// The data that the C loop writes. Every word of it differs, so that both really write everything.
    other: PathBuf,
    to: PathBuf,
}

impl Payload {
    /// Times writing a file into the segment.
    fn write(&self, mut command: Command, from: &Path) -> Duration {
        command.stdin(File::open(from).expect("the data"));
        let time = run(command);
        self.read(shm(&["read", &self.id]), from);
        time
    }

    /// Times writing a pipe into the segment.
    fn write_pipe(&self, mut command: Command, from: &Path) -> Duration {
        let mut cat = Command::new("cat").arg(from).stdout(Stdio::piped()).spawn().expect("cat");
        command.stdin(cat.stdout.take().expect("a pipe"));
        let time = run(command);
        assert!(cat.wait().expect("cat").success());
        self.read(shm(&["read", &self.id]), from);
        time
    }

    /// Times reading the segment into a file, which must equal `from`.
    fn read(&self, mut command: Command, from: &Path) -> Duration {
        let file = OpenOptions::new().write(true).open(&self.to).expect("a file");
        // Overwrites the result of an earlier run.
        for at in (0..LEN as u64).step_by(1 << 20) {
            file.write_all_at(&[!0; 8], at).expect("room in the file");
        }
        command.stdout(file);
        let time = run(command);
        assert!(same(from, &self.to), "the output differs from the data");
        time
    }
}

fn run(mut command: Command) -> Duration {
    let start = Instant::now();
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
    start.elapsed()
}

/// Times reading the segment into a pipe.
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
    if !TASKS.iter().any(|task| table.wants(task)) {
        return;
    }
    let created = shm(&["create", "private", "--size", "1G"]).output().expect("it starts");
    let id = String::from_utf8(created.stdout).expect("an id").trim().to_owned();
    let dir = Path::new("/dev/shm");
    let file = |name: &str| dir.join(format!("bench-{}-{name}", std::process::id()));
    let payload = Payload { id: id.clone(), from: file("from"), other: file("other"), to: file("to") };
    let words = (0..LEN as u64 / 8).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    for path in [&payload.from, &payload.to] {
        std::fs::write(path, &bytes).expect("room for 4 GiB in memory");
    }
    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    std::fs::write(&payload.other, &other).expect("room for 4 GiB in memory");
    drop((bytes, other));
    let Payload { from, other, .. } = &payload;
    let c = |verb: &str| {
        let mut command = Command::new(&loop_of_c);
        command.args([verb, &id]);
        command
    };
    let goal = Goal::Speed(0.9);
    table.compare(TASKS[0], goal, 7, || payload.write(shm(&["write", &id]), from), || payload.write(c("write"), other));
    table.compare(
        TASKS[1],
        goal,
        7,
        || payload.write_pipe(shm(&["write", &id]), from),
        || payload.write_pipe(c("write"), other),
    );
    table.compare(TASKS[2], goal, 7, || payload.read(shm(&["read", &id]), other), || payload.read(c("read"), other));
    table.compare(TASKS[3], goal, 7, || read_pipe(shm(&["read", &id])), || read_pipe(c("read")));
    calls(1, shm(&["rm", &id]));
    for path in [&payload.from, &payload.other, &payload.to] {
        std::fs::remove_file(path).expect("a file of the benchmark");
    }
}
