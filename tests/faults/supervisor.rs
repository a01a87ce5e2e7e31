//! Runs the C program that disturbs system calls (fault.c), in namespaces of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc::c_long;
use nix::unistd::geteuid;

use super::lines::Line;
use crate::support::{BINARY, World, skip};

/// A disturbance of one call, see fault.c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    pub what: &'static str,
    pub process: u32,
    pub call: c_long,
    pub nth: u32,
    pub number: i32,
}

impl Request {
    pub const fn only(what: &'static str) -> Self {
        Self { what, process: 0, call: 0, nth: 0, number: 0 }
    }
}

/// The report on a run.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// The calls made: process and number.
    pub calls: Vec<(u32, c_long)>,
    /// The first argument of the call to disturb, if it was made.
    pub did: Option<u64>,
    /// The status as a shell reports it; -1: the process did not exit.
    pub status: i32,
    /// The number of processes left.
    pub left: usize,
    pub out: String,
    pub err: String,
    /// All objects and files.
    pub state: String,
    /// The status and the output of the script that runs after it.
    pub after: (i32, String),
}

/// A directory with the C program and a copy of ipcbox, which any user may run.
pub struct Tools<'a>(&'a Path);

/// The maximum number of processes of a line.
const PROCESSES: u32 = 64;

/// Mounts private file systems, changes from root to an ordinary user, and starts the C program.
const START: &str = r#"
mount -t tmpfs shm /dev/shm; mount -t mqueue queues queues; mount -t tmpfs work work
chmod 1777 /dev/shm queues work; cd work
exec $AS prlimit --nproc=$PROCESSES ../../fault "$@"
"#;

impl<'a> Tools<'a> {
    /// Returns `None`, and reports a skip, if the tools are missing or not permitted.
    pub fn new(world: &'a World) -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/fault.c");
        let dir = world.dir();
        let program = dir.join("fault");
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source);
        if !compile.status().is_ok_and(|status| status.success()) {
            skip("needs a C compiler for x86-64 or 64-bit ARM (cc)");
            return None;
        }
        fs::copy(BINARY, dir.join("ipcbox")).expect("a copy of ipcbox");
        let tools = Self(dir);
        let trial = tools.command(&Line::NONE).stdin(Stdio::null()).stderr(Stdio::null()).status();
        if !trial.is_ok_and(|status| status.success()) {
            skip("needs permission to create namespaces (unshare)");
            return None;
        }
        Some(tools)
    }

    fn command(&self, line: &Line) -> Command {
        static COUNT: AtomicU32 = AtomicU32::new(3_000_000);
        let uid = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = self.0.join(uid.to_string());
        for dir in [dir.clone(), dir.join("queues"), dir.join("work")] {
            fs::create_dir(&dir).expect("a directory");
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("its mode");
        }
        fs::write(dir.join("lines"), "three\nfour\n").expect("a file");
        let path = format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap_or_default());
        let root = geteuid().is_root();
        let user = if root { &[][..] } else { &["--user", "--map-root-user"] };
        let switch_user = format!("setpriv --reuid={uid} --regid={uid} --clear-groups");
        let script = |text: &str| if text.is_empty() { ":".to_owned() } else { text.to_owned() };
        let mut command = Command::new("unshare");
        command
            .args(user)
            .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--ipc"])
            .args(["sh", "-euc", START, "sh", "../../ipcbox"])
            .arg(if line.leaves { "1" } else { "0" })
            .arg(script(line.setup))
            .arg(format!("exec ipcbox {}", line.words))
            .arg(script(line.after))
            .current_dir(dir)
            .env("PATH", path)
            .env("AS", if root { &switch_user } else { "" })
            .env("PROCESSES", PROCESSES.to_string())
            .env("LC_ALL", "C")
            .env_remove("NO_COLOR");
        command
    }

    /// Starts the supervisor of a line.
    pub fn take(&self, line: &Line) -> Supervisor {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("unshare starts");
        let reports = BufReader::new(child.stdout.take().expect("a pipe"));
        Supervisor { child, reports, words: line.words }
    }
}

/// The C program running one line.
pub struct Supervisor {
    child: Child,
    reports: BufReader<ChildStdout>,
    words: &'static str,
}

impl Supervisor {
    /// Runs the line once.
    pub fn run(&mut self, request: Request) -> Report {
        let Request { what, process, call, nth, number } = request;
        let requests = self.child.stdin.as_mut().expect("a pipe");
        writeln!(requests, "{what} {process} {call} {nth} {number}").expect("a request is accepted");
        let mut report = Report::default();
        loop {
            let mut line = String::new();
            self.reports.read_line(&mut line).expect("a report");
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words.first().unwrap_or_else(|| panic!("fault.c exited: {}", self.words)) {
                "call" => report.calls.push((parsed(words[1]), parsed(words[2]))),
                "did" => report.did = Some(parsed(words[1])),
                "status" => report.status = parsed(words[1]),
                "left" => report.left = parsed(words[1]),
                "after" => report.after.0 = parsed(words[1]),
                "end" => return report,
                title => {
                    let mut text = vec![0; parsed::<usize>(words[1]) + 1];
                    self.reports.read_exact(&mut text).expect("a text");
                    text.pop();
                    let text = String::from_utf8_lossy(&text).into_owned();
                    match title {
                        "out" => report.out = text,
                        "err" => report.err = text,
                        "state" => report.state = text,
                        _ => report.after.1 = text,
                    }
                }
            }
        }
    }
}

fn parsed<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
