//! `signal` compared with kill and timeout, and the time from a signal to the line that `wait` prints.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, find};

fn command(program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    command
}

fn signal(line: &str) -> Command {
    command(BINARY, &format!("signal {line}"))
}

pub fn tasks(table: &mut Table) {
    let own = std::process::id();
    match find("kill") {
        Some(kill) => {
            let theirs = kill.display().to_string();
            table.compare(
                "signal send 0, kill -0",
                Goal::Time(1.0),
                31,
                || calls(40, signal(&format!("send 0 {own}"))),
                || calls(40, command(&theirs, &format!("-0 {own}"))),
            );
        }
        None => table.missing("signal send 0, kill -0", "kill"),
    }
    match find("timeout") {
        Some(_) => table.compare(
            "signal run -- true, timeout 10 true",
            Goal::Time(0.8),
            31,
            || calls(40, signal("run -- /bin/true")),
            || calls(40, command("timeout", "10 /bin/true")),
        ),
        None => table.missing("signal run -- true, timeout 10 true", "timeout"),
    }
    table.compare(
        "signal run --reap, signal run",
        Goal::Shown,
        31,
        || calls(40, signal("run --reap -- /bin/true")),
        || calls(40, signal("run -- /bin/true")),
    );
    table.compare(
        "signal: send until wait prints, send alone",
        Goal::Shown,
        11,
        || latency(200),
        || median((0..200).map(|_| calls(1, signal(&format!("send 0 {own}")))).collect()),
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Returns the median time from the start of `send` to the line that `wait` prints. Checks each value.
fn latency(count: i32) -> Duration {
    let line = format!("wait RTMIN -c {count} --columns value --ready /dev/stdout");
    let mut wait = signal(&line).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(wait.stdout.take().expect("a pipe")).lines();
    let pid = lines.next().expect("its pid").expect("a line");
    let mut times = Vec::new();
    for value in 0..count {
        let start = Instant::now();
        let mut send = signal(&format!("send RTMIN {pid} --value {value}")).spawn().expect("it starts");
        let line = lines.next().expect("a value").expect("a line");
        times.push(start.elapsed());
        assert_eq!(line, value.to_string());
        assert!(send.wait().expect("a child").success());
    }
    assert!(wait.wait().expect("a child").success());
    median(times)
}
