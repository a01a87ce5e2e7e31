//! `pipe meter`.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use clap::Args;

use super::pipeline::progress::{Progress, Style, line, rate as per_second};
use super::pipeline::screen;
use crate::applets::Verb;
use crate::args::{duration, size};
use crate::exit::{Cause, Exit};
use crate::output::{self, Cell, Column};
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::signal::{self, Signal};
use crate::sys::transfer::{self, ALL, BUFFER, Failure, Flow, Mover, Turn};
use crate::sys::wait::{Want, any};
use crate::sys::{errno, fds, interrupt, pipe};

/// The part of a second's amount that --rate-limit lets through at once.
const BURST: f64 = 0.1;

/// Copies FILE or standard input to standard output. A progress line on standard error shows the amount copied, the
/// elapsed time, and the current and mean rates. If the size is known, the line also shows a percentage, a bar and the
/// ETA.
///
/// The size of a regular file or block device is known; for a pipe, use --size. If standard error is not a terminal,
/// use --force or --json to show progress.
#[derive(Args)]
pub struct Meter {
    /// File to read instead of standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    /// Expect SIZE bytes, or SIZE lines with --lines
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: Option<u64>,
    /// Start the progress line with LABEL
    #[arg(long, value_name = "LABEL")]
    name: Option<String>,
    /// Pass at most RATE bytes (or lines) per second
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate_limit: Option<u64>,
    /// Draw the progress line every DURATION (default: 1s)
    #[arg(long, value_name = "DURATION", value_parser = duration::interval, default_value = "1")]
    interval: Duration,
    /// Measure size and rates in lines instead of bytes
    #[arg(long)]
    lines: bool,
    /// Draw progress even if stderr is not a terminal
    #[arg(long)]
    force: bool,
    /// Report progress as one JSON object per interval
    #[arg(short = 'J', long)]
    json: bool,
}

fn rate(text: &str) -> Result<u64, String> {
    match size::parse(text.strip_suffix("/s").unwrap_or(text))? {
        0 => Err("expected a rate of at least 1 byte or line per second".into()),
        rate => Ok(rate),
    }
}

impl Verb for Meter {
    const NAME: &'static str = "meter";
    const SUMMARY: &'static str = "Copy data and show a progress bar on the terminal";
    const EXAMPLES: &'static str = "
# Show progress while a file is written
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
            // An error message must not continue the line that is drawn.
            gauge.finish();
        }
        if flowed.is_err() {
            // A filter whose reader has gone dies of SIGPIPE.
            signal::let_in(Signal::PIPE)?;
        }
        flowed.map(|()| Exit::Done)
    }
}

/// Counts what passes and shows it.
struct Gauge<'a> {
    meter: &'a Meter,
    size: Option<u64>,
    bytes: u64,
    lines: u64,
    start: Instant,
    /// Time and amount of the last line.
    last: (Instant, u64),
    next: Option<Instant>,
    draws: bool,
    style: Style,
    /// Columns of the last line.
    drawn: usize,
}

impl<'a> Gauge<'a> {
    fn new(meter: &'a Meter, size: Option<u64>) -> Self {
        let start = Instant::now();
        let draws = !meter.json && (meter.force || fds::is_terminal(fds::stderr()));
        let next = (draws || meter.json).then(|| start + meter.interval);
        let style = screen::style();
        Self { meter, size, bytes: 0, lines: 0, start, last: (start, 0), next, draws, style, drawn: 0 }
    }

    /// When the next line is due.
    fn deadline(&self) -> Deadline {
        self.next.map_or(Deadline::Forever, Deadline::At)
    }

    /// Shows a line if it is due.
    fn look(&mut self) {
        let now = Instant::now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = Some(now + self.meter.interval);
            self.show(false);
        }
    }

    fn show(&mut self, done: bool) {
        let now = Instant::now();
        let (then, before) = self.last;
        let mut progress = Progress {
            bytes: self.bytes,
            lines: self.meter.lines.then_some(self.lines),
            size: self.size,
            elapsed: now.duration_since(self.start),
            rate: 0.0,
            done,
        };
        let amount = progress.amount();
        progress.rate = per_second(amount - before, now.duration_since(then));
        self.last = (now, amount);
        if self.meter.json {
            let record = MeterRecord { progress, name: self.meter.name.clone() };
            output::to_stderr(&output::json(&COLUMNS, &[record]));
        } else if self.draws && (self.meter.force || screen::is_in_front()) {
            self.draw(&progress);
        }
    }

    fn draw(&mut self, progress: &Progress) {
        let columns = screen::columns();
        let line = line(self.meter.name.as_deref(), progress, self.style, columns);
        if self.drawn == 0 {
            interrupt::end_line();
        }
        let blank = " ".repeat(self.drawn.min(columns).saturating_sub(line.width));
        self.drawn = line.width;
        let end = if progress.done { "\n" } else { "" };
        let _ = fds::write_all(fds::stderr(), format!("\r{}{blank}{end}", line.text).as_bytes());
    }

    fn finish(&mut self) {
        // The rate in the final line is the mean rate.
        self.last = (self.start, 0);
        self.show(true);
    }
}

struct MeterRecord {
    progress: Progress,
    name: Option<String>,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rate: f64) -> Cell {
    Cell::count(rate as u64)
}

const COLUMNS: [Column<MeterRecord>; 9] = [
    Column::new("name", |r| Cell::known(r.name.clone(), Cell::Text)),
    Column::new("bytes", |r| Cell::count(r.progress.bytes)),
    Column::new("lines", |r| Cell::known(r.progress.lines, Cell::count)),
    Column::new("size", |r| Cell::known(r.progress.size, Cell::count)),
    Column::new("rate", |r| whole(r.progress.rate)),
    Column::new("mean_rate", |r| whole(r.progress.mean())),
    Column::new("elapsed_s", |r| Cell::Seconds(r.progress.elapsed)),
    Column::new("eta_s", |r| Cell::known(r.progress.eta(), Cell::Seconds)),
    Column::new("done", |r| Cell::Flag(r.progress.done)),
];

/// Moves all of `from` to standard output. Calls on a descriptor that blocks wait themselves.
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
                let lines = if gauge.meter.lines { ends(mover.written(count)) } else { 0 };
                gauge.bytes += count as u64;
                gauge.lines += lines;
                if let Some(budget) = &mut budget {
                    budget.spend(if gauge.meter.lines { lines } else { count as u64 });
                }
                continue;
            }
            Flow::Empty => (from, Want::Readable),
            Flow::Full => (fds::stdout(), Want::Writable),
            Flow::Signal => continue,
        };
        // The descriptor is nonblocking, or a line is due.
        if !deadline.is_over() {
            any(&[wanted], deadline).map_err(Failure::Read)?;
        }
    }
}

/// Moves bytes in which at most `most` lines end.
fn lines(mover: &mut Mover<BorrowedFd>, from: BorrowedFd, most: usize, deadline: Deadline) -> Turn {
    if mover.reads_next() {
        let flow = mover.fill(from, BUFFER, deadline)?;
        if !matches!(flow, Flow::Moved(_)) {
            return Ok(flow);
        }
    }
    mover.drain(nth_end(mover.held(), most), deadline)
}

/// How many lines end in `bytes`.
fn ends(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// The number of bytes up to the end of the N-th line, or all.
fn nth_end(bytes: &[u8], count: usize) -> usize {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(count - 1).map_or(bytes.len(), |(at, _)| at + 1)
}

/// Bytes or lines that --rate-limit allows.
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

    /// How much may pass now. An unused allowance is saved up to [`BURST`].
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn now(&mut self) -> usize {
        let now = Instant::now();
        self.saved += now.duration_since(self.last).as_secs_f64() * self.rate;
        self.saved = self.saved.min((self.rate * BURST).max(1.0));
        self.last = now;
        self.saved as usize
    }

    /// Time until a tenth of the burst, at least 1, is allowed.
    fn pause(&self) -> Duration {
        Duration::from_secs_f64((self.rate * BURST / 10.0).max(1.0 - self.saved) / self.rate)
    }

    #[allow(clippy::cast_precision_loss)]
    fn spend(&mut self, count: u64) {
        self.saved -= count as f64;
    }
}
