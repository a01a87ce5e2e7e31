//! One row per task: the cost of ipcbox, that of the peer, their ratio and its spread, the goal and the verdict.
//!
//! `ahead`: the median meets the goal. `level`: it does not, but the middle half of the rounds reaches it. `behind`:
//! neither.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_ipcbox");

/// The goal for the ratio of a task.
#[derive(Clone, Copy)]
pub enum Goal {
    /// ipcbox costs at most this multiple of the peer.
    Time(f64),
    /// ipcbox is at least this multiple as fast as the peer.
    Speed(f64),
    /// No goal: the figure is for comparison.
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

    /// Returns the verdict on a median and its quartiles.
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

pub struct Table {
    filter: Option<String>,
    behind: Vec<String>,
}

impl Table {
    /// Begins a table of the tasks whose name contains `filter`.
    pub fn new(filter: Option<String>) -> Self {
        let (task, ours, peer, ratio, spread, goal) = ("task", "ours", "peer", "ratio", "spread", "goal");
        println!("{task:54} {ours:>10} {peer:>10} {ratio:>7} {spread:>15} {goal:>11}");
        Self { filter, behind: Vec::new() }
    }

    /// Returns whether this task was requested.
    pub fn wants(&self, task: &str) -> bool {
        self.filter.as_ref().is_none_or(|word| task.contains(word.as_str()))
    }

    /// Returns whether a task whose name begins with `group` was requested.
    pub fn concerns(&self, group: &str) -> bool {
        self.wants(group) || self.filter.as_ref().is_some_and(|word| word.starts_with(group))
    }

    /// Measures `ours` and `peer` in turn, `rounds` times. Each checks its result and returns the time of one round.
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

    /// Adds two rows for single waits measured in turn: the medians, with a goal, and the 99th percentiles.
    pub fn latency(&mut self, task: &str, goal: Goal, pairs: &[(Duration, Duration)]) {
        let (mut ours, mut peer): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        for (name, percent, goal) in [("median", 50, goal), ("99 %", 99, Goal::Shown)] {
            let (ours, peer) = (part(&mut ours, percent), part(&mut peer, percent));
            let ratio = ours.as_secs_f64() / peer.as_secs_f64();
            self.row(&format!("{task}: {name}"), goal, &show(ours), &show(peer), [ratio; 3]);
        }
    }

    /// Adds a count of ipcbox and that of a peer.
    pub fn count(&mut self, task: &str, goal: Goal, ours: u64, peer: u64) {
        if self.wants(task) {
            let ratio = ours as f64 / peer as f64;
            self.row(task, goal, &ours.to_string(), &peer.to_string(), [ratio; 3]);
        }
    }

    /// Adds the growth of a cost from the smallest work to the largest: the worst step divided by the proportional one.
    pub fn step(&mut self, task: &str, goal: Goal, largest: Duration, smallest: Duration, worst: f64) {
        self.row(task, goal, &show(largest), &show(smallest), [worst; 3]);
    }

    /// Adds a figure of ipcbox that has a limit.
    pub fn bound(&mut self, task: &str, figure: f64, most: f64) {
        if self.wants(task) {
            let places = if most < 100.0 { 2 } else { 0 };
            let text = |number: f64| format!("{number:.places$}");
            self.row(task, Goal::Time(1.0), &text(figure), &text(most), [figure / most; 3]);
        }
    }

    /// Reports a task that is skipped because a program is missing.
    pub fn missing(&mut self, task: &str, program: &str) {
        if self.wants(task) {
            println!("{task:54} skipped: needs {program}");
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

    /// Lists the goals that were missed.
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

/// Returns the given percentile.
fn part(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn show(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

/// Finds a program in PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

pub fn command(program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    command
}

/// Compiles a C program of `tests/bench` with -O2, static as ipcbox is. `None`: there is no compiler.
pub fn compiled(source: &str) -> Option<PathBuf> {
    let cc = find("cc")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench").join(source);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.file_stem()?);
    let built = Command::new(cc).args(["-O2", "-static", "-o"]).arg(&program).arg(&source).status();
    assert!(built.expect("cc runs").success(), "{} does not compile", source.display());
    Some(program)
}

/// Times `count` successive calls, each of which must succeed.
pub fn calls(count: usize, mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    for _ in 0..count {
        let status = command.status().expect("it starts");
        assert!(status.success(), "{command:?}: {status}");
    }
    start.elapsed()
}
