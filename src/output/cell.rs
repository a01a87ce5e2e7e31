//! One value of a record, as text and as JSON.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

use crate::text::{visible, write_json};

/// One value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The record has no such field: no JSON key, an empty cell.
    Absent,
    /// The value is unknown: `null`, or `-`.
    Unknown,
    /// A number.
    Number(i64),
    /// A number that may exceed `i64`.
    Large(u64),
    /// A constant text.
    Word(&'static str),
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A duration, in seconds.
    Seconds(Duration),
    /// Values of one type.
    List(Vec<Self>),
    /// Nested records, each with its keys.
    Records(Vec<Vec<(&'static str, Self)>>),
    /// A short text for a table, and the value for JSON.
    Short(String, Box<Self>),
}

/// The last second of the year 9999, the limit of RFC 3339.
const TIME_MAX: i64 = 253_402_300_799;

impl Cell {
    /// A constant text.
    pub const fn word(word: &'static str) -> Self {
        Self::Word(word)
    }

    /// A name. Bytes that are not UTF-8 are replaced.
    pub fn name(name: &OsStr) -> Self {
        Self::Text(String::from_utf8_lossy(name.as_bytes()).into_owned())
    }

    /// A count; unknown if it exceeds `i64`.
    pub fn count(number: impl TryInto<i64>) -> Self {
        number.try_into().map_or(Self::Unknown, Self::Number)
    }

    /// A System V key, as `0x%08x`.
    pub fn key(key: i32) -> Self {
        Self::Text(format!("{key:#010x}"))
    }

    /// Permission bits, in octal.
    pub fn mode(mode: u32) -> Self {
        Self::Text(format!("{mode:04o}"))
    }

    /// Seconds since 1970, as RFC 3339 in UTC. 0 (never) and years after 9999 are unknown.
    pub fn time(seconds: i64) -> Self {
        let known = u64::try_from(seconds).ok().filter(|_| (1..=TIME_MAX).contains(&seconds));
        known.map_or(Self::Unknown, |seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            Self::Text(humantime::format_rfc3339_seconds(time).to_string())
        })
    }

    /// A process id. 0 is unknown: no process, or one of another PID namespace.
    pub fn pid(pid: i32) -> Self {
        if pid == 0 { Self::Unknown } else { Self::Number(pid.into()) }
    }

    /// The value if there is one, else unknown.
    pub fn known<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Unknown, make)
    }

    /// Whether a table aligns it to the right.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Large(_) | Self::Seconds(_))
    }

    /// Appends the value as JSON; nothing for `Absent`.
    fn json(&self, line: &mut String) {
        let _ = match self {
            Self::Absent => Ok(()),
            Self::Unknown => line.write_str("null"),
            Self::Number(number) => write!(line, "{number}"),
            Self::Large(number) => write!(line, "{number}"),
            Self::Word(word) => write_string(line, word),
            Self::Text(text) => write_string(line, text),
            Self::Flag(flag) => write!(line, "{flag}"),
            Self::Seconds(time) => write!(line, "{:.6}", time.as_secs_f64()),
            Self::List(cells) => list(line, cells.iter(), |line, cell| cell.json(line)),
            Self::Short(_, value) => {
                value.json(line);
                Ok(())
            }
            Self::Records(records) => list(line, records.iter(), |line, record| {
                object(line, record.iter().map(|(key, cell)| (*key, cell)));
            }),
        };
    }

    /// Returns the value as text. On a terminal, control characters are escaped.
    pub fn text(&self, terminal: bool) -> String {
        let mut text = String::new();
        self.write(&mut text, terminal);
        text
    }

    pub(super) fn write(&self, out: &mut String, terminal: bool) {
        let _ = match self {
            Self::Absent => Ok(()),
            Self::Unknown => out.write_char('-'),
            Self::Number(number) => write!(out, "{number}"),
            Self::Large(number) => write!(out, "{number}"),
            Self::Word(word) => out.write_str(word),
            Self::Text(text) | Self::Short(text, _) if terminal => out.write_str(&visible(text, &[])),
            Self::Text(text) | Self::Short(text, _) => out.write_str(text),
            Self::Flag(flag) => out.write_str(if *flag { "yes" } else { "no" }),
            Self::Seconds(time) => write!(out, "{:.6}", time.as_secs_f64()),
            Self::List(cells) => out.write_str(&texts(cells.iter(), terminal)),
            Self::Records(records) => {
                let record = |record: &Vec<(_, Self)>| texts(record.iter().map(|(_, cell)| cell), terminal);
                out.write_str(&records.iter().map(record).collect::<Vec<_>>().join(", "))
            }
        };
    }
}

/// Returns the texts of some cells, without empty ones.
fn texts<'a>(cells: impl Iterator<Item = &'a Cell>, terminal: bool) -> String {
    let texts = cells.map(|cell| cell.text(terminal)).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(" ")
}

/// Appends a JSON string. The fast path for texts without escapes matters in listings of 100,000 objects.
fn write_string(line: &mut String, text: &str) -> fmt::Result {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        write_json(line, text);
        return Ok(());
    }
    line.push('"');
    line.push_str(text);
    line.write_char('"')
}

fn list<T>(line: &mut String, items: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) -> fmt::Result {
    let mut mark = '[';
    for item in items {
        line.push(mark);
        write(line, item);
        mark = ',';
    }
    line.write_str(if mark == '[' { "[]" } else { "]" })
}

/// Appends a record as a JSON object, without absent fields.
pub(super) fn object<'a>(line: &mut String, fields: impl Iterator<Item = (&'a str, impl Borrow<Cell>)>) {
    let mut mark = '{';
    for (key, cell) in fields.filter(|(_, cell)| *cell.borrow() != Cell::Absent) {
        line.push(mark);
        line.push('"');
        line.push_str(key);
        line.push_str("\":");
        cell.borrow().json(line);
        mark = ',';
    }
    line.push_str(if mark == '{' { "{}" } else { "}" });
}

impl<N: Into<i64>> From<N> for Cell {
    fn from(number: N) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
#[path = "../../tests/units/output/cell.rs"]
mod tests;
