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
    /// This record has no such field: no JSON key, an empty cell.
    Absent,
    /// It has one, whose value is not known: `null`, or `-`.
    Unknown,
    /// A number.
    Number(i64),
    /// A number that can be beyond those.
    Large(u64),
    /// A text that is always the same.
    Word(&'static str),
    /// Text.
    Text(String),
    /// A yes or no.
    Flag(bool),
    /// A time that something takes, in seconds.
    Seconds(Duration),
    /// Values of one kind.
    List(Vec<Self>),
    /// Records inside this one, each with its keys.
    Records(Vec<Vec<(&'static str, Self)>>),
}

/// The last second of the year 9999, where RFC 3339 ends.
const TIME_MAX: i64 = 253_402_300_799;

impl Cell {
    /// A text that is always the same.
    pub const fn word(word: &'static str) -> Self {
        Self::Word(word)
    }

    /// A name of the user's or the file system's; what is not UTF-8 in it is replaced.
    pub fn name(name: &OsStr) -> Self {
        Self::Text(String::from_utf8_lossy(name.as_bytes()).into_owned())
    }

    /// How many, or how much; unknown where that is more than a number here can be.
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

    /// Seconds since 1970, as RFC 3339 in UTC; 0, never, is unknown, and so is what that format cannot write.
    pub fn time(seconds: i64) -> Self {
        let known = u64::try_from(seconds).ok().filter(|_| (1..=TIME_MAX).contains(&seconds));
        known.map_or(Self::Unknown, |seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            Self::Text(humantime::format_rfc3339_seconds(time).to_string())
        })
    }

    /// A process id; 0 is one of another pid namespace, or none, and unknown.
    pub fn pid(pid: i32) -> Self {
        if pid == 0 { Self::Unknown } else { Self::Number(pid.into()) }
    }

    /// The value where there is one, else unknown.
    pub fn known<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Unknown, make)
    }

    /// Whether a table aligns it to the right.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Large(_) | Self::Seconds(_))
    }

    /// Adds it to a line as JSON; `Absent` is nothing.
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
            Self::Records(records) => list(line, records.iter(), |line, record| {
                object(line, record.iter().map(|(key, cell)| (*key, cell)));
            }),
        };
    }

    /// As text. On a terminal control characters are shown as escapes, so that they cannot drive it.
    pub fn text(&self, terminal: bool) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Unknown => "-".into(),
            Self::Number(number) => number.to_string(),
            Self::Large(number) => number.to_string(),
            Self::Word(word) => (*word).to_owned(),
            Self::Text(text) if terminal => visible(text, &[]),
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.into(),
            Self::Seconds(time) => format!("{:.6}", time.as_secs_f64()),
            Self::List(cells) => cells.iter().map(|cell| cell.text(terminal)).collect::<Vec<_>>().join(" "),
            Self::Records(records) => {
                let cells = |record: &Vec<(_, Self)>| {
                    let texts = record.iter().map(|(_, cell)| cell.text(terminal));
                    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
                };
                records.iter().map(cells).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Adds a JSON string. Most texts need no escapes, and there can be very many.
fn write_string(line: &mut String, text: &str) -> fmt::Result {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        write_json(line, text);
        return Ok(());
    }
    line.push('"');
    line.push_str(text);
    line.write_char('"')
}

/// Adds a JSON array.
fn list<T>(line: &mut String, items: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) -> fmt::Result {
    let mut mark = '[';
    for item in items {
        line.push(mark);
        write(line, item);
        mark = ',';
    }
    line.write_str(if mark == '[' { "[]" } else { "]" })
}

/// Adds a record as a JSON object; fields that it has not are left out.
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
