//! One row a task: what the box takes, what its peer takes, their ratio, and whether the goal is met.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The binary that is measured.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ipcbox");

/// What the ratio of a task is to be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// The box's time is at most so many times the peer's.
    Time(f64),
    /// The box's speed is at least so many times the peer's.
    Speed(f64),
    /// No goal; the figure is for comparison.
    Shown,
}

/// The table, printed as it grows.
pub struct Table {
    filter: Option<String>,
    behind: Vec<String>,
}

impl Table {
    /// A table of the tasks that have `filter` in their name.
    pub fn new(filter: Option<String>) -> Self {
        let (task, ours, peer, ratio, spread, goal) =
            ("task", "ours", "peer", "ratio", "spread", "goal");
        println!("{task:44} {ours:>10} {peer:>10} {ratio:>7} {spread:>15} {goal:>11}");
        Self { filter, behind: Vec::new() }
    }

    /// Whether a task of this name is to be run.
    pub fn wants(&self, task: &str) -> bool {
        self.filter.as_ref().is_none_or(|word| task.contains(word.as_str()))
    }

    /// Measures `ours` and `peer` in turn, `rounds` times; each gives the time of one round and has checked what it did.
    pub fn compare(
        &mut self,
        task: &str,
        goal: Goal,
        rounds: usize,
        mut ours: impl FnMut() -> Duration,
        mut peer: impl FnMut() -> Duration,
    ) {
        if !self.wants(task) {
            return;
        }
        ours();
        peer();
        let pairs: Vec<(f64, f64)> =
            (0..rounds).map(|_| (ours().as_secs_f64(), peer().as_secs_f64())).collect();
        let ratio = |(ours, peer): &(f64, f64)| match goal {
            Goal::Speed(_) => peer / ours,
            Goal::Time(_) | Goal::Shown => ours / peer,
        };
        let ratios = sorted(pairs.iter().map(ratio));
        let median = |numbers: &[f64]| numbers[numbers.len() / 2];
        let time = |pick: fn(&(f64, f64)) -> f64| show(median(&sorted(pairs.iter().map(pick))));
        let middle = median(&ratios);
        let (quarter, three) = (ratios[ratios.len() / 4], ratios[ratios.len() * 3 / 4]);
        let (goal, good) = match goal {
            Goal::Time(most) => (format!("time<={most}"), Some(middle <= most)),
            Goal::Speed(least) => (format!("speed>={least}"), Some(middle >= least)),
            Goal::Shown => (String::new(), None),
        };
        let spread = format!("{quarter:.3}..{three:.3}");
        let (ours, peer) = (time(|pair| pair.0), time(|pair| pair.1));
        self.verdict(
            task,
            good,
            &format!("{ours:>10} {peer:>10} {middle:>7.3} {spread:>15} {goal:>11}"),
        );
    }

    /// Counts the instructions of a whole call of the box, which do not depend on the machine's mood.
    pub fn instructions(&mut self, task: &str, most: u64, call: &mut Command) {
        if !self.wants(task) {
            return;
        }
        let Some(valgrind) = find("valgrind") else {
            return self.missing(task, "valgrind");
        };
        let mut counted = Command::new(valgrind);
        counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        counted.arg(call.get_program()).args(call.get_args());
        let output = counted.output().expect("valgrind runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find_map(|line| line.split_once("Collected :"));
        let count: u64 = line.expect("callgrind tells").1.trim().parse().expect("a number");
        let ratio = count as f64 / most as f64;
        let row =
            format!("{count:>10} {:>10} {ratio:>7.3} {:>15} {:>11}", "", "", format!("<={most}"));
        self.verdict(task, Some(count <= most), &row);
    }

    /// Says that a task was skipped for want of a program.
    pub fn missing(&mut self, task: &str, program: &str) {
        if self.wants(task) {
            println!("{task:44} skipped: there is no {program} here");
        }
    }

    fn verdict(&mut self, task: &str, good: Option<bool>, row: &str) {
        let word = match good {
            Some(true) => "met",
            Some(false) => "behind",
            None => "",
        };
        println!("{task:44} {row}  {word}");
        if good == Some(false) {
            self.behind.push(task.to_owned());
        }
    }

    /// Says which goals were missed.
    pub fn finish(self) {
        if !self.behind.is_empty() {
            println!("behind: {}", self.behind.join(", "));
        }
    }
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

fn show(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

/// A program in PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A C program of `tests/bench`, compiled with -O2; none where there is no compiler.
pub fn compiled(source: &str) -> Option<PathBuf> {
    let cc = find("cc")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench").join(source);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.file_stem()?);
    let built = Command::new(cc).args(["-O2", "-o"]).arg(&program).arg(&source).status();
    assert!(built.expect("cc runs").success(), "{} does not compile", source.display());
    Some(program)
}

/// The time of so many calls one after the other, each of which has to succeed.
pub fn calls(count: usize, mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    for _ in 0..count {
        let status = command.status().expect("it starts");
        assert!(status.success(), "{command:?}: {status}");
    }
    start.elapsed()
}
