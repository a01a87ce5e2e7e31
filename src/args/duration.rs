//! Durations: `250ms`, `1m30s`, `1.5m`, and a bare number of seconds.

use std::time::Duration;

/// Longest run of digits, which keeps every sum far inside a [`Duration`].
const DIGITS_MAX: usize = 12;

/// Reads a duration. A number without a unit is seconds.
///
/// # Errors
/// Words that say what is wrong. Months and years are refused: they have no fixed length.
pub fn parse(text: &str) -> Result<Duration, String> {
    let is_digit = |c: char| c.is_ascii_digit();
    let long = |run: &str| run.len() > DIGITS_MAX;
    if text.len() > 64 || text.split(|c| !is_digit(c)).any(long) {
        return Err(format!("a duration has numbers of at most {DIGITS_MAX} digits"));
    }
    let calendar = ["M", "month", "months", "y", "year", "years", "yr", "yrs"];
    let mut units = text.split(|c: char| !c.is_alphabetic());
    if let Some(unit) = units.find(|unit| calendar.contains(unit)) {
        return Err(format!("'{unit}' has no fixed length; days (d) are the longest unit"));
    }
    if !text.contains(is_digit) {
        return Err(WRITTEN.into());
    }
    let whole = if text.starts_with('.') { "0" } else { "" };
    let bare = text.chars().all(|c| is_digit(c) || c == '.');
    let unit = if bare { "s" } else { "" };
    let text = text.strip_suffix('.').unwrap_or(text);
    humantime::parse_duration(&format!("{whole}{text}{unit}")).map_err(|_| WRITTEN.to_owned())
}

/// Reads how often something is done, which is at most every 10 ms.
///
/// # Errors
/// Words that say what is wrong.
pub fn interval(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        short if short < Duration::from_millis(10) => Err("an interval is at least 10ms".into()),
        interval => Ok(interval),
    }
}

const WRITTEN: &str = "a duration is written 5, 0.25, 250ms, 1m30s, 2h or 1d";

/// Shows a duration as it would be typed, in the fewest words.
#[must_use]
pub fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_timeout_sleep_and_flock_take() {
        for (text, millis) in [
            ("0", 0),
            ("5", 5_000),
            ("0.25", 250),
            (".5", 500),
            ("5.", 5_000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1.5m", 90_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1d 2h", 93_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(show(Duration::from_millis(90_250)), "1m30s250ms");
    }

    #[test]
    fn what_no_duration_is() {
        for text in ["", "-1", "5x", "s", ".", "1e3", "1y", "2M", "1month", "inf", "1..2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["18446744073709551615s999999999ns1ns", "9999999999999"] {
            assert!(parse(text).unwrap_err().contains("digits"), "{text}");
        }
    }
}
