//! `pipe meter`.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::unistd::getpgrp;

use super::pipeline::progress::{Progress, line};
use crate::applets::Verb;
use crate::args::{duration, size};
use crate::exit::{Cause, Exit};
use crate::output::{self, Cell, Column};
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::signal::{self, Signal};
use crate::sys::transfer::{self, ALL, BUFFER, Failure, Flow, Mover, Turn};
use crate::sys::wait::{Want, any};
use crate::sys::{errno, fds, interrupt, pipe, terminal};
use crate::text::width;

/// How much of a second's amount --rate-limit lets through at once.
const BURST: f64 = 0.1;

/// Copies FILE or standard input to standard output, and shows on standard error how far it is: amount, elapsed time,
/// current and mean rate; percentage, bar and time left where the size is known, as that of a regular file and of a
/// block device is.
///
/// The line is drawn where standard error is a terminal and the box is in its foreground, or with --force; it fits the
/// terminal as it is at that moment. At the end stands one final line. With --json it is a JSON object a line instead,
/// wherever standard error goes, the last one with done true. Without either nothing is shown.
///
/// Bytes go from descriptor to descriptor inside the kernel, splice(2), unless neither is a pipe, or --lines counts
/// them. A pipe before or behind it that still has the size of a new one gets 1 MiB where the user may, so that less
/// time is spent taking turns.
#[derive(Args)]
pub struct Meter {
    /// What to read instead of standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    /// How much will come
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: Option<u64>,
    /// Stands before the line
    #[arg(long, value_name = "LABEL")]
    name: Option<String>,
    /// At most so much a second
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate_limit: Option<u64>,
    /// How often the line is drawn (1s)
    #[arg(long, value_name = "DURATION", value_parser = duration::interval, default_value = "1")]
    interval: Duration,
    /// Count lines instead of bytes
    #[arg(long)]
    lines: bool,
    /// Draw although standard error is no terminal
    #[arg(long)]
    force: bool,
    /// A JSON object a line instead
    #[arg(short = 'J', long)]
    json: bool,
}

fn rate(text: &str) -> Result<u64, String> {
    match size::parse(text.strip_suffix("/s").unwrap_or(text))? {
        0 => Err("nothing would ever go through".into()),
        rate => Ok(rate),
    }
}

impl Verb for Meter {
    const NAME: &'static str = "meter";
    const SUMMARY: &'static str = "Copy standard input to standard output with a progress bar";
    const EXAMPLES: &'static str = "
# Progress, on a terminal
seq 100000 | ipcbox pipe meter --size 600K >copy
";

    fn run(self) -> Result<Exit> {
        let name = self.file.as_ref().map_or_else(|| "standard input".into(), |file| file.display().to_string());
        let reading = || format!("cannot read {name}");
        let file = match &self.file {
            Some(path) => {
                let opened = File::open(path).map_err(|error| Cause::plain(errno(error)));
                OwnedFd::from(opened.with_context(reading)?)
            }
            None => fds::copy_of(0).with_context(reading)?,
        };
        let own_size = transfer::left(file.as_fd()).with_context(reading)?;
        output::require()?;
        let size = self.size.or(own_size.filter(|_| !self.lines));
        pipe::widen(&file);
        pipe::widen(fds::stdout());
        let mut gauge = Gauge::new(&self, size);
        pipe::block_sigpipe()?;
        let flowed = flow(file.as_fd(), &mut gauge).map_err(|failure| match failure {
            Failure::Read(errno) => Error::from(errno).context(reading()),
            Failure::Write(errno) => Error::from(errno).context("cannot write to standard output"),
        });
        if flowed.is_ok() || gauge.draws {
            // What is drawn is a line by itself, whatever is told after it.
            gauge.finish();
        }
        if flowed.is_err() {
            // Where nobody reads any more it ends as any filter does.
            signal::let_in(Signal::PIPE)?;
        }
        flowed.map(|()| Exit::Done)
    }
}

/// What shows how far it is.
struct Gauge<'a> {
    meter: &'a Meter,
    size: Option<u64>,
    amount: u64,
    start: Instant,
    /// When it was shown last, and how much that was.
    last: (Instant, u64),
    next: Option<Instant>,
    draws: bool,
    /// How wide the last line was.
    drawn: usize,
}

impl<'a> Gauge<'a> {
    fn new(meter: &'a Meter, size: Option<u64>) -> Self {
        let start = Instant::now();
        let draws = !meter.json && (meter.force || fds::is_terminal(fds::stderr()));
        let next = (draws || meter.json).then(|| start + meter.interval);
        Self { meter, size, amount: 0, start, last: (start, 0), next, draws, drawn: 0 }
    }

    /// Until it is to be shown again.
    fn deadline(&self) -> Deadline {
        self.next.map_or(Deadline::Forever, Deadline::At)
    }

    /// Shows it if it is time.
    fn look(&mut self) {
        let now = Instant::now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = Some(now + self.meter.interval);
            self.show(false);
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn show(&mut self, done: bool) {
        let now = Instant::now();
        let (then, before) = self.last;
        let seconds = now.duration_since(then).as_secs_f64();
        let rate = if seconds > 0.0 { (self.amount - before) as f64 / seconds } else { 0.0 };
        self.last = (now, self.amount);
        let progress = Progress {
            amount: self.amount,
            size: self.size,
            elapsed: now.duration_since(self.start),
            rate,
            lines: self.meter.lines,
        };
        if self.meter.json {
            let record = MeterRecord { progress, done, name: self.meter.name.clone() };
            output::tell(&output::json(&COLUMNS, &[record]));
        } else if self.draws && (self.meter.force || is_in_front()) {
            self.draw(&progress, done);
        }
    }

    fn draw(&mut self, progress: &Progress, done: bool) {
        // The last column is left free: a line that fills it may wrap.
        let columns = terminal::columns(fds::stderr()).unwrap_or(80).saturating_sub(1).max(1);
        let text = line(self.meter.name.as_deref(), progress, columns);
        if self.drawn == 0 {
            interrupt::end_line();
        }
        let blank = self.drawn.min(columns).saturating_sub(width(&text));
        self.drawn = width(&text);
        let end = if done { "\n" } else { "" };
        let _ = fds::write_all(fds::stderr(), format!("\r{text}{}{end}", " ".repeat(blank)).as_bytes());
    }

    fn finish(&mut self) {
        // The final line has the mean of the whole as its rate.
        self.last = (self.start, 0);
        self.show(true);
    }
}

/// Whether standard error is no terminal that another group has.
fn is_in_front() -> bool {
    terminal::foreground(fds::stderr()).is_none_or(|group| group == getpgrp().as_raw())
}

struct MeterRecord {
    progress: Progress,
    done: bool,
    name: Option<String>,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rate: f64) -> Cell {
    Cell::count(rate as u64)
}

const COLUMNS: [Column<MeterRecord>; 9] = [
    Column::new("name", |r| r.name.clone().map_or(Cell::Absent, Cell::Text)),
    Column::new("unit", |r| Cell::word(if r.progress.lines { "lines" } else { "bytes" })),
    Column::new("amount", |r| Cell::count(r.progress.amount)),
    Column::new("size", |r| Cell::known(r.progress.size, Cell::count)),
    Column::new("elapsed_s", |r| Cell::Seconds(r.progress.elapsed)),
    Column::new("rate", |r| whole(r.progress.rate)),
    Column::new("mean_rate", |r| whole(r.progress.mean())),
    Column::new("left_s", |r| Cell::known(r.progress.left(), Cell::Seconds)),
    Column::new("done", |r| Cell::Flag(r.done)),
];

/// Moves all of `from` to standard output, waiting in the calls that do.
fn flow(from: BorrowedFd, gauge: &mut Gauge) -> Result<(), Failure> {
    let mover = Mover::new(Outlet::plain(fds::stdout()));
    let mut mover = if gauge.meter.lines { mover.copying() } else { mover };
    let mut budget = gauge.meter.rate_limit.map(Budget::new);
    loop {
        gauge.look();
        let most = budget.as_mut().map_or(ALL, Budget::now);
        if let Some(budget) = budget.as_ref().filter(|_| most == 0) {
            let pause = Deadline::after(budget.pause());
            any(&[], pause.earlier(gauge.deadline())).map_err(Failure::Read)?;
            continue;
        }
        let deadline = gauge.deadline();
        let flow =
            if gauge.meter.lines { lines(&mut mover, from, most, deadline) } else { mover.turn(from, most, deadline) };
        let wanted = match flow? {
            Flow::End => return Ok(()),
            Flow::Moved(count) => {
                gauge.amount += count as u64;
                if let Some(budget) = &mut budget {
                    budget.spend(count as u64);
                }
                continue;
            }
            Flow::Empty => (from, Want::Readable),
            Flow::Full => (fds::stdout(), Want::Writable),
            Flow::Signal => continue,
        };
        // It was made not to wait, or the time is over.
        if !deadline.is_over() {
            any(&[wanted], deadline).map_err(Failure::Read)?;
        }
    }
}

/// Moves at most `most` lines, and returns how many have ended. Part of a line counts with its end.
fn lines(mover: &mut Mover<BorrowedFd>, from: BorrowedFd, most: usize, deadline: Deadline) -> Turn {
    if mover.reads_next() {
        let flow = mover.fill(from, BUFFER, deadline)?;
        if !matches!(flow, Flow::Moved(_)) {
            return Ok(flow);
        }
    }
    let flow = mover.drain(nth_end(mover.held(), most), deadline)?;
    let Flow::Moved(count) = flow else { return Ok(flow) };
    Ok(Flow::Moved(mover.written(count).split(|byte| *byte == b'\n').count() - 1))
}

/// Where the N-th line ends, or all of it.
fn nth_end(bytes: &[u8], count: usize) -> usize {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(count - 1).map_or(bytes.len(), |(at, _)| at + 1)
}

/// What --rate-limit lets through.
struct Budget {
    rate: f64,
    saved: f64,
    last: Instant,
}

impl Budget {
    #[allow(clippy::cast_precision_loss)]
    fn new(rate: u64) -> Self {
        Self { rate: rate as f64, saved: 0.0, last: Instant::now() }
    }

    /// How much may go now; what was not used is saved for a moment only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn now(&mut self) -> usize {
        let now = Instant::now();
        self.saved += now.duration_since(self.last).as_secs_f64() * self.rate;
        self.saved = self.saved.min((self.rate * BURST).max(1.0));
        self.last = now;
        self.saved as usize
    }

    /// Until there is something again: a tenth of what can be saved, or one.
    fn pause(&self) -> Duration {
        Duration::from_secs_f64((self.rate * BURST / 10.0).max(1.0 - self.saved) / self.rate)
    }

    #[allow(clippy::cast_precision_loss)]
    fn spend(&mut self, count: u64) {
        self.saved -= count as f64;
    }
}
