//! Help for a reader: lines that fit the terminal, with titles and terms in bold.
//!
//! The text alone decides: a line without indentation that ends in `:` and stands above an indented one is a title, and
//! an indented line that contains two blanks is a term and its explanation.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

/// The width without a terminal, and the most that is used of one: longer lines are hard to read.
pub const USUAL: usize = 80;
const WIDEST: usize = 100;
const NARROWEST: usize = 30;
/// Columns of text below which a text goes beneath its term.
const ROOM: usize = 24;
/// The indentation of a text beneath its term.
const BENEATH: usize = 8;

const USAGE: &str = "Usage: ";

/// Breaks lines between words, aligned with the text above; on a narrow terminal a text goes beneath its term.
pub fn wrap(text: &str, columns: usize) -> String {
    let width = columns.clamp(NARROWEST, WIDEST);
    let mut wrapped = String::with_capacity(text.len() + text.len() / 4);
    for line in text.lines() {
        let line = &if line.starts_with(USAGE) { unbroken(line) } else { line.to_owned() };
        let (head, body) = line.split_at(start(line));
        let column = head.chars().count();
        let is_narrow = column > BENEATH && width < column + ROOM;
        let (indent, mut before) = if is_narrow { (BENEATH, String::new()) } else { (column, head.to_owned()) };
        if is_narrow {
            if !head.trim().is_empty() {
                let _ = writeln!(wrapped, "{}", head.trim_end());
            }
            before.push_str(&" ".repeat(BENEATH));
        }
        let mut rest = body.trim_end();
        let room = width - indent;
        while let Some((end, letter)) = rest.char_indices().nth(room) {
            let blank = if letter == ' ' { Some(end) } else { rest[..end].rfind(' ') };
            let Some(blank) = blank.or_else(|| rest.find(' ')) else { break };
            let _ = writeln!(wrapped, "{before}{}", rest[..blank].trim_end());
            before = " ".repeat(indent);
            rest = rest[blank..].trim_start();
        }
        let _ = writeln!(wrapped, "{}", format!("{before}{rest}").trim_end());
    }
    wrapped.replace(TIED, " ")
}

/// A blank at which a line is not broken.
const TIED: char = '\u{a0}';

/// The line of usage with what stands in brackets in one piece.
fn unbroken(line: &str) -> String {
    let mut depth = 0;
    let letters = line.chars().map(|letter| {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        if letter == ' ' && depth > 0 { TIED } else { letter }
    });
    letters.collect()
}

/// Where the text of a line starts: after its term if it has one.
fn start(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    if line.starts_with(USAGE) {
        return USAGE.len();
    }
    match term(line) {
        0 => indent,
        end => line.len() - line[end..].trim_start().len(),
    }
}

/// Where the term of a line ends; 0 if it has none.
fn term(line: &str) -> usize {
    let rest = line.trim_start();
    let indent = line.len() - rest.len();
    let is_option = rest.starts_with('-') && !rest.starts_with("- ");
    match rest.trim_end().find("  ") {
        _ if indent == 0 => 0,
        Some(end) => indent + end,
        // An option too long to have its text beside it.
        None if is_option && [2, 6].contains(&indent) => line.len(),
        None => 0,
    }
}

/// Makes titles and terms bold.
pub fn paint(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() * 2);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_title =
            line.ends_with(':') && !line.starts_with(' ') && lines.peek().is_some_and(|it| it.starts_with(' '));
        let end = match line.split_once(' ') {
            _ if is_title => line.len(),
            Some((word @ ("Usage:" | "Example:"), _)) => word.len(),
            _ => term(line),
        };
        let (strong, plain) = line.split_at(end);
        let indent = strong.len() - strong.trim_start().len();
        painted.push_str(&strong[..indent]);
        if !strong.is_empty() {
            let _ = write!(painted, "{}", (&strong[indent..]).bold());
        }
        painted.push_str(plain);
        painted.push('\n');
    }
    painted
}

#[cfg(test)]
#[path = "../../tests/units/output/help.rs"]
mod tests;
