//! `sock stat` compared with ss, with many sockets.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::table::{BINARY, Goal, Table, calls, command, find};

/// Processes, and pairs of sockets in each: within the usual limit of open files.
const PROCESSES: usize = 4;
const PAIRS: usize = 2500;

pub fn tasks(table: &mut Table) {
    let task = "sock stat, ss -xapn: 20,000 sockets";
    if !table.wants(task) {
        return;
    }
    let (Some(_), Some(_)) = (find("ss"), find("python3")) else {
        return table.missing(task, "ss or python3");
    };
    let mut holders: Vec<Child> = (0..PROCESSES).map(|_| holder()).collect();
    let lines = |program: &str, line: &str| {
        let output = command(program, line).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    let all = PROCESSES * PAIRS * 2;
    assert!(lines(BINARY, "sock stat --no-header") >= all && lines("ss", "-xapn") >= all);
    let theirs = || calls(1, command("ss", "-xapn"));
    table.compare(task, Goal::Time(0.6), 11, || calls(1, command(BINARY, "sock stat")), theirs);
    table.compare("sock stat --json, ss -xapn", Goal::Shown, 5, || calls(1, command(BINARY, "sock stat -J")), theirs);
    for holder in &mut holders {
        holder.kill().and_then(|()| holder.wait()).expect("a child");
    }
}

/// Starts a process with many sockets.
fn holder() -> Child {
    let script = format!(
        "import resource, signal, socket
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
pairs = [socket.socketpair() for n in range({PAIRS})]
print(len(pairs), flush=True)
signal.pause()"
    );
    let mut holder = Command::new("python3");
    let mut holder = holder.args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut ready = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut ready).expect("a line");
    assert_eq!(ready.trim(), PAIRS.to_string(), "the sockets are there");
    holder
}
