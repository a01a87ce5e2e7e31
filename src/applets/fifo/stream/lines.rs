//! Lines of several FIFOs that are not to be mixed, and how many bytes so many lines are.

use clap::Args;

/// What lines end in.
#[derive(Debug, Clone, Copy, Args)]
pub struct Ending {
    /// Lines end in NUL instead of newline
    #[arg(short = '0', long)]
    null: bool,
}

impl Ending {
    /// That byte.
    pub const fn byte(self) -> u8 {
        if self.null { 0 } else { b'\n' }
    }
}

/// A line longer than this is no longer held back until it is whole.
const LONG: usize = 1 << 20;

/// The lines of one FIFO, each with a tag before it.
#[derive(Debug)]
pub struct Lines {
    tag: Vec<u8>,
    end: u8,
    begun: Vec<u8>,
    /// The beginning of a long line has been given out.
    long: bool,
}

impl Lines {
    /// Lines that end in `end`.
    pub const fn new(tag: Vec<u8>, end: u8) -> Self {
        Self { tag, end, begun: Vec::new(), long: false }
    }

    /// Whether it has given out the beginning of a line, so that others must wait for the end of that.
    pub const fn is_in_a_line(&self) -> bool {
        self.long
    }

    /// Whether it holds the beginning of a line.
    pub const fn has_begun(&self) -> bool {
        self.long || !self.begun.is_empty()
    }

    /// Takes what was read, and adds the lines that are whole now to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|byte| *byte == self.end) {
            let is_last = piece.last() == Some(&self.end);
            if self.long {
                out.extend(piece);
                self.long = !is_last;
                continue;
            }
            self.begun.extend(piece);
            if is_last || self.begun.len() >= LONG {
                out.extend(&self.tag);
                out.append(&mut self.begun);
                self.long = !is_last;
            }
        }
    }

    /// Nothing more comes: adds what is held, and an end to it, to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.has_begun() {
            return;
        }
        if !self.long {
            out.extend(&self.tag);
            out.append(&mut self.begun);
        }
        out.push(self.end);
        self.long = false;
    }
}

/// How many bytes the whole lines at the start of `bytes` are, at most `most` of them, and how many lines these are.
pub fn whole(bytes: &[u8], end: u8, most: u64) -> (usize, u64) {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == end);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    ends.take(most).fold((0, 0), |(_, lines), (at, _)| (at + 1, lines + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(lines: &mut Lines, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        lines.push(bytes, &mut out);
        out
    }

    #[test]
    fn lines_come_out_whole_with_their_tag() {
        let mut lines = Lines::new(b"f: ".to_vec(), b'\n');
        assert_eq!(pushed(&mut lines, b"a"), b"");
        assert_eq!(pushed(&mut lines, b"b\nc\n\nd"), b"f: ab\nf: c\nf: \n");
        assert!(lines.has_begun() && !lines.is_in_a_line());
        let mut out = Vec::new();
        lines.finish(&mut out);
        lines.finish(&mut out);
        assert_eq!(out, b"f: d\n");
    }

    #[test]
    fn a_long_line_is_given_out_in_pieces() {
        let mut lines = Lines::new(b"f: ".to_vec(), 0);
        let piece = vec![b'x'; LONG];
        assert_eq!(pushed(&mut lines, &piece).len(), LONG + 3);
        assert!(lines.is_in_a_line());
        assert_eq!(pushed(&mut lines, b"yz"), b"yz");
        assert_eq!(pushed(&mut lines, b"!\0a\0b"), b"!\0f: a\0");
        assert!(!lines.is_in_a_line());
    }

    #[test]
    fn whole_lines_are_counted_in_bytes() {
        assert_eq!(whole(b"a\nbc\nd", b'\n', 9), (5, 2));
        assert_eq!(whole(b"a\nbc\nd", b'\n', 1), (2, 1));
        assert_eq!(whole(b"a\nbc\nd", b'\n', 0), (0, 0));
        assert_eq!(whole(b"abc", b'\n', 9), (0, 0));
        assert_eq!(whole(b"\0\0", 0, u64::MAX), (2, 2));
    }
}
