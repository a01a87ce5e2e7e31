//! The formats in which a message is printed.

use std::io::Write as _;

use crate::output::json_data;
use crate::sys::message::Message;

/// A way to print a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The data, followed by these bytes.
    Ended(&'static [u8]),
    /// The data up to the first NUL, and a newline.
    Text,
    Json,
    Format(Format),
}

/// A parsed `--format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number(bool),
    Length,
    Data,
}

impl Format {
    /// Parses a format.
    ///
    /// # Errors
    /// The letters that may follow a percent sign.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let piece = match (letter, if letter == '%' { letters.next() } else { None }) {
                ('%', Some('t')) => Piece::Number(false),
                ('%', Some('p')) => Piece::Number(true),
                ('%', Some('l')) => Piece::Length,
                ('%', Some('d')) => Piece::Data,
                ('%', Some('n')) => Piece::Text("\n".into()),
                ('%', Some('%')) => Piece::Text("%".into()),
                ('%', _) => return Err("expected a format that contains only %t, %p, %l, %d, %n and %%".into()),
                (letter, _) => Piece::Text(letter.to_string()),
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
                (_, piece) => pieces.push(piece),
            }
        }
        Ok(Self(pieces))
    }

    /// Whether it has %p (`priority`) or %t, which only one of the families has.
    pub fn asks_for(&self, priority: bool) -> bool {
        self.0.contains(&Piece::Number(priority))
    }
}

impl Shape {
    pub fn write(&self, message: &Message, is_posix: bool, out: &mut Vec<u8>) {
        let (number, data) = (message.number(), message.data());
        match self {
            Self::Ended(end) => {
                out.extend_from_slice(data);
                out.extend_from_slice(end);
            }
            Self::Text => {
                out.extend_from_slice(text(data));
                out.push(b'\n');
            }
            Self::Json => {
                let name = if is_posix { "priority" } else { "type" };
                let (length, data) = (data.len(), json_data(data));
                let line = format!("{{\"{name}\":{number},\"length\":{length},{data}}}\n");
                out.extend_from_slice(line.as_bytes());
            }
            Self::Format(Format(pieces)) => {
                for piece in pieces {
                    // Writing to memory does not fail.
                    let _ = match piece {
                        Piece::Text(text) => out.write_all(text.as_bytes()),
                        Piece::Number(_) => write!(out, "{number}"),
                        Piece::Length => write!(out, "{}", data.len()),
                        Piece::Data => out.write_all(data),
                    };
                }
            }
        }
    }

    /// Whether a message is `wanted`, apart from a newline and a NUL at its end.
    pub fn is(&self, data: &[u8], wanted: &[u8]) -> bool {
        let data = if *self == Self::Text { text(data) } else { data };
        let data = data.strip_suffix(b"\0").unwrap_or(data);
        data == wanted || data.strip_suffix(b"\n") == Some(wanted)
    }
}

fn text(data: &[u8]) -> &[u8] {
    data.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/msgq/queue/format.rs"]
mod tests;
