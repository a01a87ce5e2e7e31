//! The line that shows how far a transfer is:
//!
//! ```text
//! NAME:  512MiB     1:05  977KiB/s (7.88MiB/s mean)  50% [███████▌       ] ETA 1:05
//! ```
//!
//! Every part has a fixed width, so that the bar starts at the same column whatever the numbers are. The final line
//! leaves the place of the ETA blank. In a narrow terminal parts are dropped until a bar of [`ENOUGH`] columns fits:
//! the mean rate first, then the elapsed time, the rate, the name and the ETA. The amount always stays; the
//! percentage is dropped only if it does not fit beside it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use owo_colors::OwoColorize;

use crate::text::{pad, pad_left, shorten, visible, width};

/// Columns of a bar, with its brackets, for which other parts are dropped.
const ENOUGH: usize = 10;
/// Columns of the smallest and the largest bar.
const BAR: (usize, usize) = (6, 52);
/// Columns of a number of bytes, and of a time.
const AMOUNT: usize = 7;
const CLOCK: usize = 8;
/// An ETA beyond this, 9,999 days, does not fit its place.
const LONGEST: Duration = Duration::from_hours(9_999 * 24);

// The places of the parts in the line. The bar stands between the percentage and the ETA.
const NAME: usize = 0;
const ELAPSED: usize = 2;
const RATE: usize = 3;
const MEAN: usize = 4;
const PERCENT: usize = 5;
const ETA: usize = 6;

/// How far a transfer is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub bytes: u64,
    /// Lines so far, if lines are counted: then `size` and the rates are in lines too.
    pub lines: Option<u64>,
    /// The expected total, if it is known.
    pub size: Option<u64>,
    pub elapsed: Duration,
    /// Bytes or lines per second since the last line.
    pub rate: f64,
    pub done: bool,
}

impl Progress {
    /// Lines so far if they are counted, else bytes.
    pub fn amount(&self) -> u64 {
        self.lines.unwrap_or(self.bytes)
    }

    /// Bytes or lines per second since the start.
    pub fn mean(&self) -> f64 {
        rate(self.amount(), self.elapsed)
    }

    /// How many of `whole` parts are done; `None` if the size is not known.
    fn share(&self, whole: usize) -> Option<usize> {
        let size = self.size.filter(|size| *size > 0)?;
        let share = u128::from(self.amount()) * whole as u128 / u128::from(size);
        Some(usize::try_from(share).unwrap_or(whole).min(whole))
    }

    /// How long the rest takes at the mean rate; `None` if that is not known, and once the transfer is over.
    #[allow(clippy::cast_precision_loss)]
    pub fn eta(&self) -> Option<Duration> {
        let left = self.size.filter(|_| !self.done)?.saturating_sub(self.amount());
        let mean = self.mean();
        if mean <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(left as f64 / mean).ok()
    }
}

#[allow(clippy::cast_precision_loss)]
pub fn rate(amount: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { amount as f64 / seconds } else { 0.0 }
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether the bar is drawn with block elements, each cell in eight steps, or with `#`.
    pub blocks: bool,
    pub color: bool,
}

/// Whether the locale's encoding is UTF-8: the first of these variables that is not empty counts, as in setlocale(3).
pub fn is_utf8(get: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(get).find(|value| !value.is_empty());
    set.is_some_and(|locale| {
        let locale = locale.as_bytes().to_ascii_lowercase();
        let mut parts = locale.split(|byte| *byte == b'.');
        let encoding = parts.nth(1).and_then(|rest| rest.split(|byte| *byte == b'@').next());
        matches!(encoding, Some(b"utf-8" | b"utf8"))
    })
}

/// A drawn line, and its width in columns without the escape sequences in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Drawn {
    pub text: String,
    pub width: usize,
}

/// Returns the line for a terminal that has room for `columns` columns.
pub fn line(name: Option<&str>, progress: &Progress, style: Style, columns: usize) -> Drawn {
    let count = |count, digits| if progress.lines.is_some() { short(count, digits) } else { bytes(count) };
    let rate = |rate: f64| format!("{}/s", count(whole(rate), 5));
    let (amount_width, rate_width) = if progress.lines.is_some() { (9, 7) } else { (AMOUNT, 9) };
    let percent = progress.share(100);
    let eta = match progress.eta() {
        _ if progress.done => String::new(),
        Some(eta) if eta < LONGEST => format!("ETA {}", clock(eta)),
        _ => "ETA -".into(),
    };
    let mut parts = [
        name.map(|name| format!("{}:", visible(name, &[]))),
        Some(pad_left(&count(progress.amount(), amount_width), amount_width)),
        Some(pad_left(&clock(progress.elapsed), CLOCK)),
        Some(pad_left(&rate(progress.rate), rate_width)),
        Some(pad_left(&format!("({} mean)", rate(progress.mean())), rate_width + 7)),
        percent.map(|percent| format!("{percent:3}%")),
        percent.map(|_| pad(&eta, 12)),
    ];
    // Each part is followed by a blank.
    let taken = |parts: &[Option<String>]| parts.iter().flatten().map(|part| width(part) + 1).sum::<usize>();
    let enough = percent.map_or(0, |_| ENOUGH);
    for part in [MEAN, ELAPSED, RATE, NAME, ETA, PERCENT] {
        let wanted = if part == PERCENT { 0 } else { enough };
        if taken(&parts) + wanted <= columns + usize::from(wanted == 0) {
            break;
        }
        parts[part] = None;
    }
    let room = columns.saturating_sub(taken(&parts));
    let (least, most) = BAR;
    let bar = Some(room.min(most)).filter(|room| *room >= least).and_then(|room| bar(progress, style, room - 2));
    let eta = parts[ETA].take();
    let (bar, bar_width) = bar.map_or((None, 0), |bar| (Some(bar.text), bar.width + 1));
    let width = (taken(&parts) + bar_width + eta.as_ref().map_or(0, |eta| width(eta) + 1)).saturating_sub(1);
    let text = parts.into_iter().chain([bar, eta]).flatten().collect::<Vec<_>>().join(" ");
    Drawn { text, width }
}

/// Returns the text for a transfer that was given up, with its state in place of the rate and the bar. If it does not
/// fit, the elapsed time is dropped and the state shortened.
pub fn left(progress: &Progress, state: &str, columns: usize) -> String {
    let amount = pad_left(&bytes(progress.bytes), AMOUNT);
    let text = format!("{amount} {}  {state}", pad_left(&clock(progress.elapsed), CLOCK));
    if width(&text) <= columns { text } else { shorten(&format!("{amount}  {state}"), columns, "") }
}

/// A bar of `inner` cells and two brackets.
fn bar(progress: &Progress, style: Style, inner: usize) -> Option<Drawn> {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let filled = if style.blocks {
        let eighths = progress.share(inner * 8)?;
        "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
    } else {
        "#".repeat(progress.share(inner)?)
    };
    let blank = " ".repeat(inner - width(&filled));
    let filled = if style.color && !filled.is_empty() { filled.cyan().to_string() } else { filled };
    Some(Drawn { text: format!("[{filled}{blank}]"), width: inner + 2 })
}

/// A number in at most `digits` columns, at least 5: from there on with a decimal prefix.
#[allow(clippy::cast_precision_loss)]
fn short(count: u64, digits: usize) -> String {
    let text = count.to_string();
    if text.len() <= digits {
        return text;
    }
    let mut value = count as f64 / 1000.0;
    for unit in ["k", "M", "G", "T", "P"] {
        if value < 999.5 {
            return three_digits(value) + unit;
        }
        value /= 1000.0;
    }
    three_digits(value) + "E"
}

/// A size in powers of 1024, in at most 7 columns.
#[allow(clippy::cast_precision_loss)]
fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count}B");
    }
    let mut value = count as f64 / 1024.0;
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 999.5 {
            return three_digits(value) + unit;
        }
        value /= 1024.0;
    }
    three_digits(value) + "EiB"
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn whole(rate: f64) -> u64 {
    rate as u64
}

/// `M:SS`, `H:MM:SS`, or from 100 hours on `4d04h`: at most 8 columns.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        1..100 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/pipe/pipeline/progress.rs"]
mod tests;
