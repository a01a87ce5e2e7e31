//! Durations: `250ms`, `1m30s`, `1.5m`, and a bare number of seconds.

use std::time::Duration;

/// Digits before the point, which keeps every sum far inside a [`Duration`].
const DIGITS_MAX: usize = 12;
/// Digits after the point that are counted. Any further digit only rounds up.
const DECIMALS: usize = 18;
const PARTS: u128 = 1_000_000_000_000_000_000;
/// A second, in nanoseconds.
const SECOND: u128 = 1_000_000_000;

/// Parses a duration, rounded up to whole nanoseconds, so that only 0 becomes 0. A number without a unit is seconds.
///
/// # Errors
/// The expected syntax. Months and years are refused because they have no fixed length.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text.len() > 64 {
        return Err("expected a duration of at most 64 characters".into());
    }
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let is_bare = text.chars().all(is_number);
    let mut rest = text.trim_start();
    let mut nanos = 0;
    loop {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        nanos += term(number, if is_bare { "s" } else { unit })?;
        rest = after.trim_start();
        if rest.is_empty() {
            let [seconds, nanos] = [nanos / SECOND, nanos % SECOND].map(u64::try_from);
            return Ok(
                Duration::from_secs(seconds.map_err(|_| WRITTEN)?) + Duration::from_nanos(nanos.map_err(|_| WRITTEN)?)
            );
        }
    }
}

/// Returns the nanoseconds of a number and its unit.
fn term(number: &str, unit: &str) -> Result<u128, String> {
    let of_unit: u128 = match unit {
        "ns" | "nsec" | "nanos" => 1,
        "us" | "usec" | "µs" => 1_000,
        "ms" | "msec" | "millis" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "wk" | "wks" | "week" | "weeks" => 7 * 86_400 * SECOND,
        "M" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years" => {
            return Err(format!("'{unit}' has no fixed length; weeks (w) are the longest unit"));
        }
        _ => return Err(WRITTEN.into()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() > DIGITS_MAX {
        return Err(format!("expected a duration with at most {DIGITS_MAX} digits"));
    }
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(WRITTEN.into());
    }
    let (counted, beyond) = fraction.split_at(fraction.len().min(DECIMALS));
    let read = |digits: String| digits.parse::<u128>().map_err(|_| WRITTEN);
    let whole = read(format!("0{whole}"))?;
    let parts = read(format!("{counted:0<DECIMALS$}"))? + u128::from(beyond.contains(|c| c != '0'));
    Ok(whole * of_unit + (parts * of_unit).div_ceil(PARTS))
}

/// Parses the interval of something repeated, at least 10 ms.
///
/// # Errors
/// The expected syntax.
pub fn interval(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        short if short < Duration::from_millis(10) => Err("expected an interval of at least 10ms".into()),
        interval => Ok(interval),
    }
}

const WRITTEN: &str = "expected a duration such as 5, 0.25, 250ms, 1m30s, 2h or 1d";

/// Formats a duration as a user would type it: `1m30s`, `1.5s`, `250ms`.
pub fn show(duration: Duration) -> String {
    let minutes = Duration::from_secs(duration.as_secs() / 60 * 60);
    let whole = |duration| humantime::format_duration(duration).to_string().replace(' ', "");
    if duration.subsec_nanos() == 0 {
        return whole(duration);
    }
    let before = if minutes.is_zero() { String::new() } else { whole(minutes) };
    let nanos = u128::from(duration.as_secs() % 60) * SECOND + u128::from(duration.subsec_nanos());
    let mut units = [("s", SECOND, 9), ("ms", 1_000_000, 6), ("us", 1_000, 3)].into_iter();
    let (unit, parts, digits) = units.find(|(_, parts, _)| nanos >= *parts).unwrap_or(("ns", 1, 0));
    let number = format!("{}.{:0digits$}", nanos / parts, nanos % parts);
    format!("{before}{}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
#[path = "../../tests/units/args/duration.rs"]
mod tests;
