//! How received data is printed: the lines of streams, and messages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::allow::Origin;
use crate::output::{Lines, json_data};
use crate::sys::socket::name::Name;
use crate::text::{visible_bytes, write_json};

/// A longer line is printed as several objects.
const LONGEST: usize = 16 << 20;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Data as it comes.
    Raw,
    /// Lines and messages that end in this byte.
    Ended(u8),
    /// Objects, a line each.
    Json,
}

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Rendering {
    /// What is added to the data.
    pub framing: Framing,
    /// Whether each line starts with the address.
    pub is_tagged: bool,
    /// Whether there is only one stream at a time, whose lines cannot mix with others.
    pub is_alone: bool,
}

impl Rendering {
    /// The byte that ends a line of a stream.
    pub const fn end(self) -> u8 {
        if let Framing::Ended(end) = self.framing { end } else { b'\n' }
    }

    /// Returns what prints the stream of a peer.
    pub fn stream(self, address: &OsStr, origin: &Origin) -> Wording {
        match self.framing {
            Framing::Json => Wording::Json { head: head(address, origin), held: Vec::new() },
            Framing::Ended(end) if self.is_tagged || !self.is_alone => {
                Wording::Lines(Lines::new(end, self.tag(address)))
            }
            Framing::Raw | Framing::Ended(_) => Wording::Bytes,
        }
    }

    /// Returns a message as it is printed.
    pub fn message(self, address: &OsStr, origin: &Origin, data: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Json => object(&head(address, origin), data).into_bytes(),
            Framing::Ended(end) => {
                // Each line has the tag: a line without it could pretend to come from another address.
                let tag = self.tag(address);
                data.split(|byte| *byte == end).flat_map(|line| [&tag[..], line, &[end]].concat()).collect()
            }
            Framing::Raw => [&self.tag(address)[..], data].concat(),
        }
    }

    fn tag(self, address: &OsStr) -> Vec<u8> {
        if self.is_tagged { [&visible_bytes(address.as_bytes())[..], b": "].concat() } else { Vec::new() }
    }
}

/// The text of one stream.
#[derive(Debug)]
pub enum Wording {
    /// Its bytes.
    Bytes,
    /// Its whole lines.
    Lines(Lines),
    /// An object for each line.
    Json {
        /// The start of each object.
        head: String,
        /// The start of an incomplete line.
        held: Vec<u8>,
    },
}

impl Wording {
    /// Whether a line was printed in part, so that the other sources have to wait.
    pub const fn is_inside(&self) -> bool {
        if let Self::Lines(lines) = self { lines.is_inside() } else { false }
    }

    /// Adds input, and returns what can be printed.
    pub fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes => bytes.to_vec(),
            Self::Lines(lines) => lines.add(bytes),
            Self::Json { head, held } => {
                let mut text = String::new();
                for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                    held.extend_from_slice(part);
                    if part.ends_with(b"\n") || held.len() >= LONGEST {
                        let line = held.strip_suffix(b"\n").unwrap_or(held);
                        text.push_str(&object(head, line));
                        held.clear();
                    }
                }
                text.into_bytes()
            }
        }
    }

    /// Returns the rest at EOF.
    pub fn finish(&mut self) -> Vec<u8> {
        match self {
            Self::Json { head, held } if !held.is_empty() => object(head, &std::mem::take(held)).into_bytes(),
            Self::Lines(lines) => lines.finish(),
            Self::Bytes | Self::Json { .. } => Vec::new(),
        }
    }
}

/// Returns the start of an object, up to its length.
fn head(address: &OsStr, origin: &Origin) -> String {
    let mut head = String::from("{\"address\":");
    write_json(&mut head, &address.to_string_lossy());
    head.push_str(",\"peer\":");
    match &origin.name {
        Name::Unnamed => head.push_str("null"),
        name => write_json(&mut head, &name.to_string()),
    }
    let null = || "null".to_owned();
    let pid = origin.pid.map_or_else(null, |pid| pid.to_string());
    let uid = origin.uid.map_or_else(null, |uid| uid.to_string());
    head + &format!(",\"peer_pid\":{pid},\"uid\":{uid}")
}

fn object(head: &str, data: &[u8]) -> String {
    format!("{head},\"length\":{},{}}}\n", data.len(), json_data(data))
}
