//! What a whole process costs, counted, so that it does not depend on the machine's load.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::table::{compiled, find};

/// The same call in an empty environment, under another program.
fn under(program: PathBuf, options: &[&str], call: &Command) -> Command {
    let mut counted = Command::new(program);
    counted.args(options).arg(call.get_program()).args(call.get_args());
    counted.env_clear().stdin(Stdio::null());
    counted
}

/// The instructions of a call, which has to succeed; none where there is no valgrind.
pub fn instructions(call: &Command) -> Option<u64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let output = under(find("valgrind")?, &options, call).output().expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{call:?}: {text}");
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    Some(line.expect("callgrind tells").1.trim().parse().expect("a number"))
}

/// The system calls of a call, the first execve and the exit among them; none where there is no strace, or it may not
/// trace.
pub fn system_calls(call: &Command) -> Option<u64> {
    let strace = find("strace")?;
    let allowed = under(strace.clone(), &["-qq", "-o", "/dev/null"], &Command::new("/bin/true"));
    if !{ allowed }.output().expect("strace runs").status.success() {
        return None;
    }
    let file = file("strace");
    let options = ["-qq", "-e", "signal=none", "-o", &file.display().to_string()];
    let output = under(strace, &options, call).output().expect("strace runs");
    assert!(output.status.success(), "{call:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&file).expect("what strace wrote");
    std::fs::remove_file(&file).expect("its file");
    Some(text.lines().count() as u64)
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ipcbox-bench-{name}-{}", std::process::id()))
}

/// The same call under a small program that tells what the kernel counted.
///
/// A process begins with the memory of the one that it was forked from as its greatest: hence not from here.
pub struct Counted {
    program: PathBuf,
    file: PathBuf,
}

/// What the kernel counted for a process that has ended.
pub struct Usage {
    /// The most memory that it had, in KiB.
    pub memory: u64,
    /// Its page faults.
    pub faults: u64,
}

impl Counted {
    /// `name` tells several at the same time apart; none where there is no compiler.
    pub fn new(name: &str) -> Option<Self> {
        Some(Self { program: compiled("usage.c")?, file: file(name) })
    }

    /// The call, to be run; `usage` reads what it left.
    pub fn call(&self, call: &Command) -> Command {
        let mut counted = Command::new(&self.program);
        counted.arg(&self.file).arg(call.get_program()).args(call.get_args());
        counted
    }

    /// What the last call took.
    pub fn usage(&self) -> Usage {
        let text = std::fs::read_to_string(&self.file).expect("the counts");
        std::fs::remove_file(&self.file).expect("their file");
        let mut numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        Usage { memory: next(), faults: next() }
    }
}
