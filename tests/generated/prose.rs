//! The written part of a page, `man/src/NAME.txt`.
//!
//! | a line that starts with | is |
//! |---|---|
//! | `# ` `## ` | the title of a section, or of a part of one |
//! | `@word` | the place of a generated part: see [`Block::Generated`] |
//! | `: ` | the text about the line above it; further paragraphs of that text start in the same way |
//! | four blanks | a literal line; together they are commands that a test runs, see [`Example`] |
//! | `%word ` | a directive for the example below it, not printed: see [`Example`] |
//!
//! Everything else is a paragraph, separated from the next one by an empty line.

use std::iter::Peekable;

use crate::printed::Example;

/// A piece of a page.
pub enum Block {
    /// The title of a section.
    Section(String),
    /// The title of a part of a section.
    Part(String),
    /// A paragraph.
    Paragraph(String),
    /// A term, and its paragraphs.
    Item(String, Vec<String>),
    /// Literal lines.
    Example(Example),
    /// The place of a generated part: `verbs`, `exit`, `applets`, `words` or `common`; or of a text of `ipcbox help`:
    /// `targets` or `json`.
    Generated(String),
}

/// Parses a text.
pub fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut next = Example::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            blocks.push(Block::Part(title.to_owned()));
        } else if let Some(title) = line.strip_prefix("# ") {
            blocks.push(Block::Section(title.to_owned()));
        } else if let Some(word) = line.strip_prefix('@') {
            blocks.push(Block::Generated(word.to_owned()));
        } else if line.starts_with('%') {
            next.direct(line);
        } else if let Some(first) = line.strip_prefix("    ") {
            let mut text = format!("{first}\n");
            while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
                text.push_str(line.strip_prefix("    ").unwrap_or_default());
                text.push('\n');
            }
            next.text = format!("{}\n", text.trim_end());
            blocks.push(Block::Example(std::mem::take(&mut next)));
        } else if let Some(text) = line.strip_prefix(": ") {
            let text = paragraph(text, &mut lines);
            match blocks.pop() {
                Some(Block::Paragraph(term)) => blocks.push(Block::Item(term, vec![text])),
                Some(Block::Item(term, mut before)) => {
                    before.push(text);
                    blocks.push(Block::Item(term, before));
                }
                _ => panic!("no term above: {line}"),
            }
        } else if !line.is_empty() {
            blocks.push(Block::Paragraph(paragraph(line, &mut lines)));
        }
    }
    blocks
}

fn paragraph<'a>(first: &str, lines: &mut Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut text = first.to_owned();
    let ends = |line: &str| {
        let marks = ["# ", "## ", "@", "%", ": ", "    "];
        line.is_empty() || marks.iter().any(|mark| line.starts_with(mark))
    };
    while let Some(line) = lines.next_if(|line| !ends(line)) {
        text.push(' ');
        text.push_str(line);
    }
    text
}
