//! How the cost of the bulk verbs grows with their work: at most in proportion from one size to the next, with constant
//! memory.
//!
//! By default the sizes take seconds. IPCBOX_FULL=1 goes up to 10,000,000 messages and 8 GiB.

use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::count::Counted;
use crate::table::{BINARY, Goal, Table, calls, command, compiled};

/// The factor by which a step may exceed proportion: the difference between repeated runs.
const NOISE: f64 = 1.3;
/// The memory in KiB by which the largest size may exceed the smallest.
const FLAT: u64 = 1024;

fn ours(line: &str) -> Command {
    command(BINARY, line)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("bench-growth-{}-{name}", std::process::id())))
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Adds two rows for a verb: the worst step between two sizes, as its cost divided by the proportional cost, and the
/// memory.
///
/// `run` does and checks the work of one size. It returns the time, and the maximum memory of the ipcbox processes in
/// KiB.
fn grows(table: &mut Table, task: &str, sizes: &[u64], mut run: impl FnMut(u64) -> (Duration, u64)) {
    let task = format!("growth: {task}, {} to {}", sizes[0], sizes[sizes.len() - 1]);
    if !table.wants(&task) {
        return;
    }
    let least = |size| {
        let runs = [0; 3].map(|_| run(size));
        let time = runs.iter().map(|run| run.0).min().expect("three runs");
        (time, runs.iter().map(|run| run.1).max().expect("three runs"))
    };
    let costs: Vec<(Duration, u64)> = sizes.iter().copied().map(least).collect();
    let step = |n: usize| {
        let cost = |n: usize| costs[n].0.as_secs_f64() / sizes[n] as f64;
        cost(n) / cost(n - 1)
    };
    let worst = (1..sizes.len()).map(step).fold(0.0, f64::max);
    table.step(&task, Goal::Time(NOISE), costs[sizes.len() - 1].0, costs[0].0, worst);
    let (small, large) = (costs[0].1, costs[sizes.len() - 1].1);
    table.bound(&format!("{task}: KiB of memory"), large as f64, (small + FLAT) as f64);
}

/// Returns the default sizes, or all of them with IPCBOX_FULL.
fn sizes(all: &[u64], by_default: usize) -> &[u64] {
    let full = std::env::var_os("IPCBOX_FULL").is_some();
    &all[..if full { all.len() } else { by_default }]
}

pub fn tasks(table: &mut Table) {
    const BYTES: [u64; 5] = [1 << 10, 1 << 20, 64 << 20, 1 << 30, 8 << 30];
    const LINES: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    let counted = ["growth-a", "growth-b"].map(Counted::new);
    let ([Some(one), Some(other)], Some(flow)) = (counted, compiled("flow.c")) else {
        return table.missing("growth", "cc");
    };
    let verbs = Verbs { one, other, flow: flow.display().to_string() };
    let (bytes, lines) = (sizes(&BYTES, 4), sizes(&LINES, 4));
    grows(table, "msgq send and recv, messages", lines, |count| verbs.messages(count, 1));
    senders(table, &verbs);
    let runs = sizes(&[100, 1_000, 10_000], 2);
    grows(table, "msgq serve of echo, messages", runs, |count| verbs.serve(count));
    grows(table, "pipe run of cat, stages", &[1, 10, 50, 200], |stages| verbs.stages(stages));
    grows(table, "pipe merge, lines", lines, |count| verbs.merge(count));
    grows(table, "pipe meter, bytes", bytes, |size| verbs.filter("pipe meter", size));
    let tee = "pipe tee -o /dev/null";
    grows(table, "pipe tee, bytes", bytes, |size| verbs.filter(tee, size));
    grows(table, "fifo write and read, bytes", bytes, |size| verbs.fifo(size));
    grows(table, "shm write and read, bytes", bytes, |size| verbs.segment(size));
    grows(table, "sock send and recv, bytes", bytes, |size| verbs.sent(size));
    grows(table, "sock connect and serve of cat, bytes", bytes, |size| verbs.echoed(size));
}

/// The kernel wakes all blocked senders for every message taken, which grows faster than in proportion. The goal is
/// therefore a C loop with the same number of senders.
fn senders(table: &mut Table, verbs: &Verbs) {
    const EACH: u64 = 1_000;
    for senders in [1, 4, 16, 64] {
        let task = format!("growth: msgq send and recv, {senders} senders of 1000, C loops");
        if !table.wants(&task) {
            continue;
        }
        let Some(bare) = compiled("msgq.c") else {
            return table.missing(&task, "cc");
        };
        let input = Scratch::new("bare");
        lines(&input.0, EACH);
        let (bare, count, path) = (bare.display().to_string(), EACH * senders, input.text());
        let bare = || calls(1, command(&bare, &format!("sysv {path} {count} {senders}")));
        table.compare(&task, Goal::Speed(0.7), 3, || verbs.messages(count, senders).0, bare);
    }
}

struct Verbs {
    one: Counted,
    other: Counted,
    flow: String,
}

impl Verbs {
    /// Returns a producer and a consumer of this many bytes.
    fn ends(&self, size: u64) -> [Command; 2] {
        ["write", "read"].map(|end| command(&self.flow, &format!("{end} {}K", size >> 10)))
    }

    fn memory(&self) -> u64 {
        self.one.usage().memory.max(self.other.usage().memory)
    }

    fn messages(&self, count: u64, senders: u64) -> (Duration, u64) {
        let (input, output) = (Scratch::new("in"), Scratch::new("out"));
        lines(&input.0, count / senders);
        let queue = created("msgq create private");
        let start = Instant::now();
        let recv = self.one.call(&ours(&format!("msgq recv {queue} -c {count}")));
        let mut running = vec![into(recv, &output.0)];
        for _ in 0..senders {
            // The memory of one sender stands for all.
            let send = ours(&format!("msgq send {queue} --lines"));
            let send = if running.len() == 1 { self.other.call(&send) } else { send };
            running.push(from(send, &input.0));
        }
        wait_for(running);
        let time = start.elapsed();
        calls(1, ours(&format!("msgq rm {queue}")));
        assert_eq!(sum(&output.0), sum(&input.0).wrapping_mul(senders));
        (time, self.memory())
    }

    fn serve(&self, count: u64) -> (Duration, u64) {
        let (input, output) = (Scratch::new("in"), Scratch::new("out"));
        lines(&input.0, count);
        let queue = created("msgq create private");
        let start = Instant::now();
        let serve = self.one.call(&ours(&format!("msgq serve {queue} -c {count} -- echo {{}}")));
        let send = self.other.call(&ours(&format!("msgq send {queue} --lines")));
        wait_for(vec![into(serve, &output.0), from(send, &input.0)]);
        let time = start.elapsed();
        calls(1, ours(&format!("msgq rm {queue}")));
        assert_eq!(sum(&output.0), sum(&input.0));
        (time, self.memory())
    }

    fn stages(&self, stages: u64) -> (Duration, u64) {
        let line = ["cat"].repeat(usize::try_from(stages).expect("few")).join(" ::: ");
        self.filter(&format!("pipe run -- {line}"), 1 << 20)
    }

    fn merge(&self, count: u64) -> (Duration, u64) {
        let (input, output) = (Scratch::new("in"), Scratch::new("out"));
        lines(&input.0, count / 2);
        let (text, start) = (input.text(), Instant::now());
        let merge = ours(&format!("pipe merge --tag -- cat {text} ::: cat {text}"));
        wait_for(vec![into(self.one.call(&merge), &output.0)]);
        let time = start.elapsed();
        let [one, other] = ["1: ", "2: "].map(|tag| tagged(&output.0, tag));
        assert_eq!(one.wrapping_add(other), sum(&input.0).wrapping_mul(2));
        (time, self.one.usage().memory)
    }

    /// Times a filter from standard input to standard output.
    fn filter(&self, line: &str, size: u64) -> (Duration, u64) {
        let [write, read] = self.ends(size);
        let start = Instant::now();
        wait_for(piped(vec![write, self.one.call(&ours(line)), read]));
        (start.elapsed(), self.one.usage().memory)
    }

    fn fifo(&self, size: u64) -> (Duration, u64) {
        let fifo = Scratch::new("fifo");
        let path = fifo.text();
        calls(1, ours(&format!("fifo create {path}")));
        let [write, read] = self.ends(size);
        let start = Instant::now();
        let mut running = piped(vec![write, self.one.call(&ours(&format!("fifo write {path}")))]);
        running.extend(piped(vec![self.other.call(&ours(&format!("fifo read {path}"))), read]));
        wait_for(running);
        (start.elapsed(), self.memory())
    }

    fn sent(&self, size: u64) -> (Duration, u64) {
        let socket = Scratch::new("sent");
        let path = socket.text();
        let [write, read] = self.ends(size);
        let start = Instant::now();
        let mut running = piped(vec![self.other.call(&ours(&format!("sock recv {path}"))), read]);
        running.extend(piped(vec![write, self.one.call(&ours(&format!("sock send {path} --await")))]));
        wait_for(running);
        (start.elapsed(), self.memory())
    }

    fn echoed(&self, size: u64) -> (Duration, u64) {
        let socket = Scratch::new("echoed");
        let path = socket.text();
        let [write, read] = self.ends(size);
        let start = Instant::now();
        let mut running = piped(vec![self.other.call(&ours(&format!("sock serve {path} -c 1 -- cat")))]);
        running.extend(piped(vec![write, self.one.call(&ours(&format!("sock connect {path} --await"))), read]));
        wait_for(running);
        (start.elapsed(), self.memory())
    }

    fn segment(&self, size: u64) -> (Duration, u64) {
        let id = created(&format!("shm create private --size {size}"));
        let [write, read] = self.ends(size);
        let start = Instant::now();
        wait_for(piped(vec![write, self.one.call(&ours(&format!("shm write {id}")))]));
        wait_for(piped(vec![self.other.call(&ours(&format!("shm read {id}"))), read]));
        let time = start.elapsed();
        calls(1, ours(&format!("shm rm {id}")));
        // The segment itself counts as memory of the processes that attach it.
        (time, self.memory().saturating_sub(size >> 10))
    }
}

/// Writes a file of `count` different lines of 64 bytes.
fn lines(path: &Path, count: u64) {
    let mut file = BufWriter::new(File::create(path).expect("a file of lines"));
    for n in 0..count {
        writeln!(file, "{n:063}").expect("a line");
    }
    file.flush().expect("the lines");
}

/// Returns a checksum of the lines that begin with `tag`, in any order.
fn tagged(path: &Path, tag: &str) -> u64 {
    let file = BufReader::new(File::open(path).expect("the output"));
    let lines = file.lines().map(|line| line.expect("a line"));
    let hash = |line: &str| BuildHasherDefault::<DefaultHasher>::default().hash_one(line);
    lines.filter_map(|line| line.strip_prefix(tag).map(hash)).fold(0, u64::wrapping_add)
}

fn sum(path: &Path) -> u64 {
    tagged(path, "")
}

fn created(line: &str) -> String {
    let output = ours(line).output().expect("it runs");
    assert!(output.status.success(), "{line}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn from(mut command: Command, path: &Path) -> Child {
    command.stdin(File::open(path).expect("the input")).spawn().expect("it starts")
}

fn into(mut command: Command, path: &Path) -> Child {
    command.stdin(Stdio::null()).stdout(File::create(path).expect("the output"));
    command.spawn().expect("it starts")
}

/// Starts commands, each reading the output of the one before.
fn piped(commands: Vec<Command>) -> Vec<Child> {
    let last = commands.len() - 1;
    let mut before = Stdio::null();
    let mut running = Vec::new();
    for (n, mut command) in commands.into_iter().enumerate() {
        command.stdin(before);
        before = Stdio::null();
        if n < last {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn().expect("it starts");
        if let Some(output) = child.stdout.take() {
            before = output.into();
        }
        running.push(child);
    }
    running
}

fn wait_for(running: Vec<Child>) {
    for mut child in running {
        assert!(child.wait().expect("a child").success());
    }
}
