//! `tee --progress`: a block of lines on the terminal, one for each consumer, redrawn in place.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::progress::{Progress, Style, left, line, rate};
use super::screen;
use super::stage::Stage;
use crate::args::signals;
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::{fds, terminal};
use crate::text::{pad, shorten, visible, width};

const INTERVAL: Duration = Duration::from_secs(1);
/// Columns below which nothing is drawn, and below which lines have no label.
const LEAST: (usize, usize) = (8, 18);

/// What is known of a consumer, also after it has left.
pub struct Tally {
    pub name: String,
    /// Its place among the consumers.
    pub number: usize,
    /// Which of the commands it is.
    pub stage: Option<usize>,
    pub taken: u64,
    pub left: Option<Instant>,
    pub failed: bool,
    /// Bytes at the time of the last frame.
    drawn: u64,
}

impl Tally {
    pub const fn new(name: String, stage: Option<usize>) -> Self {
        Self { name, number: 0, stage, taken: 0, left: None, failed: false, drawn: 0 }
    }

    /// Returns why it left, if it has.
    fn state(&self, stages: &[Stage]) -> Option<String> {
        self.left?;
        let end = self.stage.and_then(|stage| stages.get(stage)?.end.as_ref());
        Some(match end.map(|end| end.ended) {
            Some(Ended::Exited(status)) => format!("exited with {status}"),
            Some(Ended::Killed(signal)) => format!("killed by SIG{}", signals::name(signal)),
            None if self.failed => "write failed".into(),
            None => "closed".into(),
        })
    }
}

pub struct Board {
    size: Option<u64>,
    start: Instant,
    /// The time of the last frame.
    last: Instant,
    next: Instant,
    style: Style,
    /// Lines above the cursor that belong to the last frame.
    height: usize,
    /// Columns for which that frame was drawn.
    width: usize,
}

impl Board {
    /// Returns a board for this number of bytes, if it is known. `None`: standard error is not a terminal.
    pub fn new(size: Option<u64>) -> Option<Self> {
        let start = Instant::now();
        let (last, next, style) = (start, start + INTERVAL, screen::style());
        fds::is_terminal(fds::stderr()).then_some(Self { size, start, last, next, style, height: 0, width: 0 })
    }

    /// Returns when the next frame is due.
    pub const fn deadline(&self) -> Deadline {
        Deadline::At(self.next)
    }

    /// Leaves the last frame as it is: other output may have followed it.
    pub const fn leave(&mut self) {
        self.height = 0;
    }

    /// Erases the last frame, so that a message can take its place.
    pub fn clear(&mut self) {
        let erase = self.erase(screen::columns());
        if screen::is_in_front() {
            let _ = fds::write_all(fds::stderr(), erase.as_bytes());
        }
    }

    /// Returns what erases the last frame. If its lines may have wrapped, it stays: its height is unknown.
    fn erase(&mut self, columns: usize) -> String {
        let height = std::mem::take(&mut self.height);
        if height > 0 && columns >= self.width { format!("\x1b[{height}A\r\x1b[J") } else { String::new() }
    }

    /// Draws a frame. In the final one the rates are the mean rates.
    pub fn draw(&mut self, tallies: &mut [&mut Tally], stages: &[Stage], done: bool) {
        let (now, columns) = (Instant::now(), screen::columns());
        self.next = now + INTERVAL;
        if columns < LEAST.0 || !screen::is_in_front() {
            return;
        }
        if done {
            self.last = self.start;
        }
        let (elapsed, since) = (now - self.start, now - self.last);
        self.last = now;
        let labels: Vec<String> = tallies.iter().map(|tally| visible(&tally.name, &[])).collect();
        let widest = labels.iter().map(|label| width(label)).max().unwrap_or(0);
        // At 80 columns, the elapsed time fits beside a bar.
        let widest = widest.min((columns / 3).min(columns / 4 + 4).saturating_sub(2));
        let gap = if self.style.blocks { "…" } else { ".." };
        // Lines that have left the screen could not be redrawn.
        let most = terminal::rows(fds::stderr()).filter(|_| !done).map_or(usize::MAX, |rows| rows - 1);
        let mut frame = self.erase(columns);
        for (tally, label) in tallies.iter_mut().zip(&labels).take(most) {
            let label = if columns < LEAST.1 { "" } else { &pad(&(shorten(label, widest, gap) + ":"), widest + 2) };
            let bytes = tally.taken;
            let before = if done { 0 } else { tally.drawn };
            let rate = rate(bytes - before, since);
            let elapsed = tally.left.map_or(elapsed, |at| at - self.start);
            let progress = Progress { bytes, lines: None, size: self.size, elapsed, rate, done };
            let room = columns - width(label);
            let text = match tally.state(stages) {
                Some(state) => left(&progress, &state, room),
                None => line(None, &progress, self.style, room).text,
            };
            let _ = writeln!(frame, "{label}{text}");
            tally.drawn = bytes;
            self.height += 1;
        }
        self.width = columns;
        let _ = fds::write_all(fds::stderr(), frame.as_bytes());
    }

    pub fn is_due(&self) -> bool {
        self.deadline().is_over()
    }
}
