//! The line that shows how far a transfer is.

use std::time::Duration;

use crate::text::{visible, width};

/// How far a transfer is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// How many bytes, or lines.
    pub amount: u64,
    /// How many there will be, where that is known.
    pub size: Option<u64>,
    /// Since the start.
    pub elapsed: Duration,
    /// Bytes or lines a second, lately.
    pub rate: f64,
    /// Whether lines are counted.
    pub lines: bool,
}

impl Progress {
    /// Bytes or lines a second, since the start.
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.amount as f64 / seconds } else { 0.0 }
    }

    /// How much is done, 0 to 100.
    pub fn percent(&self) -> Option<u64> {
        let size = self.size.filter(|size| *size > 0)?;
        let percent = u128::from(self.amount) * 100 / u128::from(size);
        Some(u64::try_from(percent).unwrap_or(100).min(100))
    }

    /// How long the rest takes at the mean rate.
    #[allow(clippy::cast_precision_loss)]
    pub fn left(&self) -> Option<Duration> {
        let left = self.size?.saturating_sub(self.amount);
        let mean = self.mean();
        if mean <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(left as f64 / mean).ok()
    }
}

/// The line, at most so many columns wide: what fits, the most wanted first.
pub fn line(label: Option<&str>, progress: &Progress, columns: usize) -> String {
    let amount = if progress.lines { progress.amount.to_string() } else { bytes(progress.amount) };
    let label = label.map(|label| format!("{}:", visible(label, &[])));
    let percent = progress.percent().map(|percent| format!("{percent}%"));
    let left = progress.left().map(|left| format!("ETA {}", clock(left)));
    let each = |rate: f64| {
        if progress.lines { format!("{rate:.0}/s") } else { format!("{}/s", bytes(whole(rate))) }
    };
    let (rate, mean) = (each(progress.rate), format!("({} mean)", each(progress.mean())));
    // In the order of the line, each with how much it is wanted.
    let mut parts = [
        (label, 4),
        (Some(amount), 0),
        (Some(clock(progress.elapsed)), 3),
        (Some(rate), 2),
        (Some(mean), 6),
        (percent, 1),
        (left, 5),
    ];
    let text = |parts: &[(Option<String>, u8)]| {
        let known = parts.iter().filter_map(|(part, _)| part.as_deref());
        known.collect::<Vec<_>>().join(" ")
    };
    while width(&text(&parts)) > columns {
        let least = parts.iter_mut().filter(|(part, wanted)| part.is_some() && *wanted > 0);
        match least.max_by_key(|(_, wanted)| *wanted) {
            Some((part, _)) => *part = None,
            None => break,
        }
    }
    let text = text(&parts);
    // The bar takes what is left.
    let room = columns.saturating_sub(width(&text) + 1);
    match progress.percent() {
        Some(percent) if room >= 8 => {
            let inner = room.min(52) - 2;
            let done = inner * usize::try_from(percent).unwrap_or(100) / 100;
            format!("{text} [{}{}]", "=".repeat(done), " ".repeat(inner - done))
        }
        _ => text,
    }
}

/// A size in powers of 1024, in at most 7 columns.
#[allow(clippy::cast_precision_loss)]
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 999.5 {
            return match unit {
                "B" => format!("{count}B"),
                _ if value < 9.995 => format!("{value:.2}{unit}"),
                _ if value < 99.95 => format!("{value:.1}{unit}"),
                _ => format!("{value:.0}{unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1}EiB")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn whole(rate: f64) -> u64 {
    rate as u64
}

/// `M:SS`, or `H:MM:SS`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/pipe/pipeline/progress.rs"]
mod tests;
