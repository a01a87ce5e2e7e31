//! The written part of a page, `man/src/NAME.txt`.
//!
//! | a line that begins with | is |
//! |---|---|
//! | `# ` `## ` | the title of a section, or of a part of one |
//! | `@word` | the place of what is generated: see [`Block::Generated`] |
//! | `: ` | what there is to say about the line above it; more paragraphs of it begin so too |
//! | four blanks | a line that stands as it is; together they are commands that a test runs, see [`Example`] |
//! | `%word ` | what the example below it needs, not printed: see [`Example`] |
//!
//! Everything else is paragraphs, with an empty line between two.

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
    /// A term, and the paragraphs about it.
    Item(String, Vec<String>),
    /// Lines that stand as they are.
    Example(Example),
    /// Where the generator puts what it has under this word: `verbs`, `exit`, `applets`, `words`, `common`.
    Generated(String),
}

/// The pieces of a text.
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
        } else if let Some(said) = line.strip_prefix(": ") {
            let said = paragraph(said, &mut lines);
            match blocks.pop() {
                Some(Block::Paragraph(term)) => blocks.push(Block::Item(term, vec![said])),
                Some(Block::Item(term, mut before)) => {
                    before.push(said);
                    blocks.push(Block::Item(term, before));
                }
                _ => panic!("nothing that this is about: {line}"),
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
