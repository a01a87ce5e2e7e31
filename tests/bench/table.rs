//! One row a task: what the box takes, what its peer takes, their ratio with its spread, the goal, and the verdict.
//!
//! `ahead` is a median that meets the goal; `level` one that misses it while the middle half of the rounds holds it; `behind` is all else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The binary that is measured.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ipcbox");

/// What the ratio of a task is to be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// The box's cost is at most so many times the peer's.
    Time(f64),
    /// The box's speed is at least so many times the peer's.
    Speed(f64),
    /// No goal; the figure is for comparison.
    Shown,
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::Time(most) => format!("time<={most}"),
            Self::Speed(least) => format!("speed>={least}"),
            Self::Shown => String::new(),
        }
    }

    /// The verdict on a median and the quarters around it.
    fn verdict(self, [low, middle, high]: [f64; 3]) -> &'static str {
        let (met, within) = match self {
            Self::Time(most) => (middle <= most, low <= most),
            Self::Speed(least) => (middle >= least, high >= least),
            Self::Shown => return "",
        };
        if met {
            "ahead"
        } else if within {
            "level"
        } else {
            BEHIND
        }
    }
}

const BEHIND: &str = "behind";

/// The table, printed as it grows.
pub struct Table {
    filter: Option<String>,
    behind: Vec<String>,
}

impl Table {
    /// A table of the tasks that have `filter` in their name.
    pub fn new(filter: Option<String>) -> Self {
        let (task, ours, peer, ratio, spread, goal) = ("task", "ours", "peer", "ratio", "spread", "goal");
        println!("{task:54} {ours:>10} {peer:>10} {ratio:>7} {spread:>15} {goal:>11}");
        Self { filter, behind: Vec::new() }
    }

    /// Whether a task of this name is to be run.
    pub fn wants(&self, task: &str) -> bool {
        self.filter.as_ref().is_none_or(|word| task.contains(word.as_str()))
    }

    /// Whether one of the tasks whose names begin so is to be run.
    pub fn concerns(&self, group: &str) -> bool {
        self.wants(group) || self.filter.as_ref().is_some_and(|word| word.starts_with(group))
    }

    /// Measures `ours` and `peer` in turn, `rounds` times; each gives the time of one round and has checked what it
    /// did.
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
        let pairs: Vec<(Duration, Duration)> = (0..rounds).map(|_| (ours(), peer())).collect();
        let ratio = |(ours, peer): &(Duration, Duration)| match goal {
            Goal::Speed(_) => peer.as_secs_f64() / ours.as_secs_f64(),
            Goal::Time(_) | Goal::Shown => ours.as_secs_f64() / peer.as_secs_f64(),
        };
        let ratios = sorted(pairs.iter().map(ratio));
        let spread = [1, 2, 3].map(|quarter| ratios[ratios.len() * quarter / 4]);
        let side = |pick: fn(&(Duration, Duration)) -> Duration| {
            show(part(&mut pairs.iter().map(pick).collect::<Vec<_>>(), 50))
        };
        self.row(task, goal, &side(|pair| pair.0), &side(|pair| pair.1), spread);
    }

    /// Two rows for single waits that were measured in turn: the medians, with a goal, and the 99th percentiles.
    pub fn latency(&mut self, task: &str, goal: Goal, pairs: &[(Duration, Duration)]) {
        let (mut ours, mut peer): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        for (name, percent, goal) in [("median", 50, goal), ("99 %", 99, Goal::Shown)] {
            let (ours, peer) = (part(&mut ours, percent), part(&mut peer, percent));
            let ratio = ours.as_secs_f64() / peer.as_secs_f64();
            self.row(&format!("{task}: {name}"), goal, &show(ours), &show(peer), [ratio; 3]);
        }
    }

    /// A count of the box's beside a peer's.
    pub fn count(&mut self, task: &str, goal: Goal, ours: u64, peer: u64) {
        if self.wants(task) {
            let ratio = ours as f64 / peer as f64;
            self.row(task, goal, &ours.to_string(), &peer.to_string(), [ratio; 3]);
        }
    }

    /// How a cost grows from the smallest work to the largest: the worst step, as a part of what it was to cost in
    /// proportion.
    pub fn step(&mut self, task: &str, goal: Goal, largest: Duration, smallest: Duration, worst: f64) {
        self.row(task, goal, &show(largest), &show(smallest), [worst; 3]);
    }

    /// A figure of the box's that is to be at most so much.
    pub fn bound(&mut self, task: &str, figure: f64, most: f64) {
        if self.wants(task) {
            let places = if most < 100.0 { 2 } else { 0 };
            let text = |number: f64| format!("{number:.places$}");
            self.row(task, Goal::Time(1.0), &text(figure), &text(most), [figure / most; 3]);
        }
    }

    /// Says that a task was skipped for want of a program.
    pub fn missing(&mut self, task: &str, program: &str) {
        if self.wants(task) {
            println!("{task:54} skipped: there is no {program} here");
        }
    }

    fn row(&mut self, task: &str, goal: Goal, ours: &str, peer: &str, spread: [f64; 3]) {
        let [low, middle, high] = spread;
        let verdict = goal.verdict(spread);
        let spread = if low < high { format!("{low:.3}..{high:.3}") } else { String::new() };
        let goal = goal.text();
        println!("{task:54} {ours:>10} {peer:>10} {middle:>7.3} {spread:>15} {goal:>11}  {verdict}");
        if verdict == BEHIND {
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

/// The time that `percent` of 100 are not above.
fn part(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn show(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

/// A program in PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A program and its words.
pub fn command(program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    command
}

/// A C program of `tests/bench`, compiled with -O2 and static as the box is; none where there is no compiler.
pub fn compiled(source: &str) -> Option<PathBuf> {
    let cc = find("cc")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench").join(source);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.file_stem()?);
    let built = Command::new(cc).args(["-O2", "-static", "-o"]).arg(&program).arg(&source).status();
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
