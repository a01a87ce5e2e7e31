//! Times in the time zone of the user, as ctime(3) writes them.

use chrono::{DateTime, Datelike, Local, TimeZone, Timelike, Utc, Weekday};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 as `Sun Nov 22 04:17:30 2026`; the bare number where no calendar has it.
#[must_use]
pub fn ctime(seconds: i64) -> String {
    // To the C library an empty TZ is UTC.
    let utc = std::env::var_os("TZ").is_some_and(|zone| zone.is_empty());
    let text = if utc { written(&Utc, seconds) } else { written(&Local, seconds) };
    text.unwrap_or_else(|| seconds.to_string())
}

fn written<Z: TimeZone>(zone: &Z, seconds: i64) -> Option<String> {
    let time: DateTime<Z> = zone.timestamp_opt(seconds, 0).earliest()?;
    let weekday = match time.weekday() {
        Weekday::Mon => "Mon",
        Weekday::Tue => "Tue",
        Weekday::Wed => "Wed",
        Weekday::Thu => "Thu",
        Weekday::Fri => "Fri",
        Weekday::Sat => "Sat",
        Weekday::Sun => "Sun",
    };
    let month = MONTHS.get(time.month0() as usize)?;
    let (day, year) = (time.day(), time.year());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(format!("{weekday} {month} {day:>2} {hour:02}:{minute:02}:{second:02} {year}"))
}

#[cfg(test)]
mod tests {
    use super::{Utc, written};

    #[test]
    fn times_as_ctime_writes_them() {
        assert_eq!(written(&Utc, 0).as_deref(), Some("Thu Jan  1 00:00:00 1970"));
        assert_eq!(written(&Utc, 1_795_321_050).as_deref(), Some("Sun Nov 22 04:17:30 2026"));
        assert_eq!(written(&Utc, i64::MAX), None);
    }
}
