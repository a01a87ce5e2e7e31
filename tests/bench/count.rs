//! Counts the cost of a whole process, which does not depend on the load of the machine.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::table::{compiled, find};

/// Runs a call under another program, with an empty environment.
fn under(program: PathBuf, options: &[&str], call: &Command) -> Command {
    let mut counted = Command::new(program);
    counted.args(options).arg(call.get_program()).args(call.get_args());
    counted.env_clear().stdin(Stdio::null());
    counted
}

/// Returns the instructions of a call, which must succeed. `None`: valgrind is missing.
pub fn instructions(call: &Command) -> Option<u64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let output = under(find("valgrind")?, &options, call).output().expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{call:?}: {text}");
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    Some(line.expect("a count from callgrind").1.trim().parse().expect("a number"))
}

/// Returns the system calls of a call, including the first execve and the exit. `None`: strace is missing or may not
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
    let text = std::fs::read_to_string(&file).expect("the output of strace");
    std::fs::remove_file(&file).expect("the output of strace");
    Some(text.lines().count() as u64)
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ipcbox-bench-{name}-{}", std::process::id()))
}

/// Runs calls under a small C program that reports what the kernel counted.
///
/// A process inherits its maximum memory from the process that forked it, so it cannot be measured from here.
pub struct Counted {
    program: PathBuf,
    file: PathBuf,
}

/// The kernel's counts for a process that has exited.
pub struct Usage {
    /// Its maximum memory in KiB.
    pub memory: u64,
    pub faults: u64,
}

impl Counted {
    /// `name` distinguishes counters in use at the same time. `None`: there is no compiler.
    pub fn new(name: &str) -> Option<Self> {
        Some(Self { program: compiled("usage.c")?, file: file(name) })
    }

    /// Returns the call under the counter. Read the result with `usage`.
    pub fn call(&self, call: &Command) -> Command {
        let mut counted = Command::new(&self.program);
        counted.arg(&self.file).arg(call.get_program()).args(call.get_args());
        counted
    }

    /// Returns the usage of the last call.
    pub fn usage(&self) -> Usage {
        let text = std::fs::read_to_string(&self.file).expect("the counts");
        std::fs::remove_file(&self.file).expect("the counts");
        let mut numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        Usage { memory: next(), faults: next() }
    }
}
