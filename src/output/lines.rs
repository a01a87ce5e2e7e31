//! Whole lines of several sources in one output: a partial line is kept until the rest arrives.

/// A longer line is passed on in pieces, and the other sources wait for its end.
const LONGEST: usize = 1 << 20;

/// The lines of one source.
#[derive(Debug)]
pub struct Lines {
    end: u8,
    /// Precedes each line.
    tag: Vec<u8>,
    /// The start of an incomplete line.
    held: Vec<u8>,
    inside: bool,
}

impl Lines {
    /// Creates a source of lines that end in `end`.
    pub const fn new(end: u8, tag: Vec<u8>) -> Self {
        Self { end, tag, held: Vec::new(), inside: false }
    }

    /// Whether a line was passed on in part, so that the other sources have to wait.
    pub const fn is_inside(&self) -> bool {
        self.inside
    }

    /// Whether a line is incomplete.
    pub const fn has_begun(&self) -> bool {
        self.inside || !self.held.is_empty()
    }

    /// Adds input, and returns what can be passed on: whole lines, and pieces of a line that is too long.
    pub fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        let whole = bytes.iter().rposition(|byte| *byte == self.end).map_or(0, |last| last + 1);
        let begun = if whole == 0 { self.held.len() } else { 0 };
        let is_long = self.inside && whole == 0 || begun + bytes.len() - whole > LONGEST;
        let (ready, rest) = bytes.split_at(if is_long { bytes.len() } else { whole });
        if ready.is_empty() {
            self.held.extend_from_slice(rest);
            return Vec::new();
        }
        let mut held = std::mem::replace(&mut self.held, rest.to_vec());
        held.extend_from_slice(ready);
        self.tagged(held)
    }

    /// Returns the rest at EOF, with an end for the last line.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut left = self.tagged(held);
        if std::mem::take(&mut self.inside) {
            left.push(self.end);
        }
        left
    }

    fn tagged(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(last) = bytes.last() else { return bytes };
        let was_inside = std::mem::replace(&mut self.inside, *last != self.end);
        if self.tag.is_empty() {
            return bytes;
        }
        let mut tagged = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        for (number, line) in bytes.split_inclusive(|byte| *byte == self.end).enumerate() {
            if number > 0 || !was_inside {
                tagged.extend_from_slice(&self.tag);
            }
            tagged.extend_from_slice(line);
        }
        tagged
    }
}

#[cfg(test)]
#[path = "../../tests/units/output/lines.rs"]
mod tests;
