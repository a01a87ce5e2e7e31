//! Bytes that come in pieces, made into whole lines.

use crate::output::tinted;
use crate::text::visible;

/// How long a line may get before it is passed on in pieces, while nobody else writes.
const LONGEST: usize = 1 << 20;

/// What one command prints, as lines.
pub struct Lines {
    end: u8,
    /// Stands before each line.
    tag: Vec<u8>,
    /// What has not been taken.
    held: Vec<u8>,
    /// How far it has no end of a line.
    searched: usize,
    /// What has been taken last was not the end of a line.
    inside: bool,
}

impl Lines {
    /// Nothing yet; lines end in `end`.
    pub fn new(end: u8, tag: Option<&str>, color: Option<usize>) -> Self {
        let tag = tag.map(|tag| visible(tag, &[]));
        let tag = tag.map_or_else(String::new, |tag| match color {
            Some(color) => format!("{}: ", tinted(&tag, color)),
            None => format!("{tag}: "),
        });
        Self { end, tag: tag.into(), held: Vec::new(), searched: 0, inside: false }
    }

    /// More has come.
    pub fn add(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether a line has been taken in part.
    pub const fn is_inside(&self) -> bool {
        self.inside
    }

    /// The lines that are whole, with their tags; of one that is too long to be kept what there is.
    pub fn take(&mut self) -> Vec<u8> {
        let last = self.held[self.searched..].iter().rposition(|byte| *byte == self.end);
        let whole = last.map_or(0, |last| self.searched + last + 1);
        let rest = self.held.len() - whole;
        let count = if rest > LONGEST || (whole == 0 && self.inside) { self.held.len() } else { whole };
        self.searched = self.held.len() - count;
        let taken: Vec<u8> = self.held.drain(..count).collect();
        self.tagged(taken)
    }

    /// All that is left, with an end to the last line.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut left = self.tagged(held);
        if self.inside {
            left.push(self.end);
            self.inside = false;
        }
        left
    }

    fn tagged(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(last) = bytes.last() else { return bytes };
        let ends = *last == self.end;
        let tagged = if self.tag.is_empty() {
            bytes
        } else {
            let mut tagged = Vec::with_capacity(bytes.len() + bytes.len() / 2);
            for line in bytes.split_inclusive(|byte| *byte == self.end) {
                if !self.inside {
                    tagged.extend_from_slice(&self.tag);
                }
                tagged.extend_from_slice(line);
                self.inside = false;
            }
            tagged
        };
        self.inside = !ends;
        tagged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_whole_and_the_last_gets_its_end() {
        let mut lines = Lines::new(b'\n', Some("a"), None);
        lines.add(b"on");
        assert_eq!(lines.take(), b"");
        lines.add(b"e\ntwo\nthr");
        assert_eq!(lines.take(), b"a: one\na: two\n");
        lines.add(b"ee");
        assert_eq!(lines.finish(), b"a: three\n");
        assert_eq!(lines.finish(), b"");
    }

    #[test]
    fn a_line_that_is_too_long_is_taken_in_pieces() {
        let mut lines = Lines::new(0, Some("a"), None);
        lines.add(&vec![b'x'; LONGEST]);
        assert!(lines.take().is_empty() && !lines.is_inside());
        lines.add(b"y");
        assert_eq!(lines.take().len(), LONGEST + 4);
        assert!(lines.is_inside());
        lines.add(b"z");
        assert_eq!(lines.take(), b"z");
        lines.add(b"\0b");
        assert_eq!(lines.take(), b"\0");
        assert!(!lines.is_inside());
        assert_eq!(lines.finish(), b"a: b\0");
    }
}
