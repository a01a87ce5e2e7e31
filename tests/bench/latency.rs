//! The time from the start of the posting process until the waiting process has reacted, compared with the same two
//! processes in C, in turn.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, command, compiled};

/// Waits per row.
const COUNT: usize = 300;
/// The same goal as for a start, because each wait includes one.
const GOAL: Goal = Goal::Time(3.0);

fn ours(line: &str) -> Command {
    command(BINARY, line)
}

fn started(mut command: Command) -> Child {
    command.stdin(Stdio::null()).spawn().expect("it starts")
}

fn stdout(line: &str) -> String {
    let output = ours(line).output().expect("it runs");
    assert!(output.status.success(), "{line}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A process that prints a line for each event.
struct Printer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Printer {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it prints").expect("a line")
    }

    /// Times the start of `giver` until the next line, which must be `line`.
    fn after(&mut self, giver: Command, line: &str) -> Duration {
        let start = Instant::now();
        let mut giver = started(giver);
        let came = self.line();
        let time = start.elapsed();
        assert_eq!(came, line);
        assert!(giver.wait().expect("a child").success());
        time
    }

    fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures numbered pairs, without the first one.
fn pairs(
    mut ours: impl FnMut(usize) -> Duration,
    mut theirs: impl FnMut(usize) -> Duration,
) -> Vec<(Duration, Duration)> {
    (0..=COUNT).map(|n| (ours(n), theirs(n))).skip(1).collect()
}

pub fn tasks(table: &mut Table) {
    let Some(bare) = compiled("latency.c") else {
        return table.missing("latency", "cc");
    };
    let bare = bare.display().to_string();
    let bare = |line: &str| command(&bare, line);
    semaphore(table, &bare);
    call(table, &bare);
    signal(table, &bare);
    fifo(table, &bare);
}

fn semaphore(table: &mut Table, bare: &dyn Fn(&str) -> Command) {
    let task = "latency: sem post until sem wait exits, C";
    if !table.wants(task) {
        return;
    }
    let set = stdout("sem create private --value 0");
    let pair = |waiter: Command, giver: Command| {
        let mut waiter = started(waiter);
        while stdout(&format!("sem stat {set} --columns waiters --no-header")) != "1" {}
        let start = Instant::now();
        let mut giver = started(giver);
        assert!(waiter.wait().expect("a child").success());
        let time = start.elapsed();
        assert!(giver.wait().expect("a child").success());
        time
    };
    let pairs = pairs(
        |_| pair(ours(&format!("sem wait {set}")), ours(&format!("sem post {set}"))),
        |_| pair(bare(&format!("wait {set}")), bare(&format!("post {set}"))),
    );
    assert_eq!(stdout(&format!("sem get {set}")), "0");
    calls(1, ours(&format!("sem rm {set}")));
    table.latency(task, GOAL, &pairs);
}

fn call(table: &mut Table, bare: &dyn Fn(&str) -> Command) {
    let task = "latency: msgq call to serve -- cat, C";
    if !table.wants(task) {
        return;
    }
    let [queue, other] = [0; 2].map(|_| stdout("msgq create private"));
    let servers = [ours(&format!("msgq serve {queue} -- cat")), bare(&format!("serve {other}"))];
    let servers = servers.map(started);
    let answered = |mut call: Command, text: &str| {
        let start = Instant::now();
        let output = call.output().expect("it starts");
        let time = start.elapsed();
        assert!(output.status.success() && output.stdout == text.as_bytes(), "{output:?}");
        time
    };
    let pairs = pairs(
        |n| answered(ours(&format!("msgq call {queue} text-{n}")), &format!("text-{n}")),
        |n| answered(bare(&format!("call {other} text-{n}")), &format!("text-{n}")),
    );
    for mut server in servers {
        let _ = server.kill();
        let _ = server.wait();
    }
    calls(1, ours(&format!("msgq rm {queue} {other}")));
    table.latency(task, GOAL, &pairs);
}

fn signal(table: &mut Table, bare: &dyn Fn(&str) -> Command) {
    let task = "latency: signal send until wait prints, C";
    if !table.wants(task) {
        return;
    }
    let count = COUNT + 1;
    let wait = format!("signal wait RTMIN -c {count} --columns value --ready /dev/stdout");
    let (mut wait, mut lines) = (Printer::start(ours(&wait)), Printer::start(bare(&format!("lines {count}"))));
    let (pid, other) = (wait.line(), lines.line());
    let pairs = pairs(
        |n| wait.after(ours(&format!("signal send RTMIN {pid} --value {n}")), &n.to_string()),
        |n| lines.after(bare(&format!("send {other} {n}")), &n.to_string()),
    );
    wait.stop();
    lines.stop();
    table.latency(task, GOAL, &pairs);
}

fn fifo(table: &mut Table, bare: &dyn Fn(&str) -> Command) {
    let task = "latency: fifo write until read prints, C";
    if !table.wants(task) {
        return;
    }
    let dir = std::env::temp_dir().join(format!("bench-latency-{}", std::process::id()));
    fs::create_dir(&dir).expect("a directory");
    let [fifo, other] = ["f", "g"].map(|name| dir.join(name).display().to_string());
    calls(1, ours(&format!("fifo create {fifo} {other}")));
    let mut read = Printer::start(ours(&format!("fifo read {fifo} --follow")));
    let mut flow = Printer::start(bare(&format!("read {other}")));
    let pairs = pairs(
        |n| read.after(ours(&format!("fifo write {fifo} line-{n}")), &format!("line-{n}")),
        |n| flow.after(bare(&format!("write {other} line-{n}")), &format!("line-{n}")),
    );
    read.stop();
    flow.stop();
    fs::remove_dir_all(&dir).expect("the directory");
    table.latency(task, GOAL, &pairs);
}
