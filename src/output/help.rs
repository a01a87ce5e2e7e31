//! Help as it is read: lines that fit, and on a terminal titles and options in bold.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

/// Breaks lines that are wider than a terminal usually is, between words, each part indented as its line is.
pub fn wrap(text: &str) -> String {
    const WIDTH: usize = 80;
    let mut wrapped = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        let mut rest = line.trim_end();
        let indent = &rest[..rest.len() - rest.trim_start().len()];
        let room = WIDTH - indent.len().min(WIDTH / 2);
        rest = rest.trim_start();
        while let Some((end, letter)) = rest.char_indices().nth(room) {
            let before = if letter == ' ' { Some(end) } else { rest[..end].rfind(' ') };
            let Some(blank) = before else { break };
            let _ = writeln!(wrapped, "{indent}{}", rest[..blank].trim_end());
            rest = rest[blank..].trim_start();
        }
        let _ = writeln!(wrapped, "{}", format!("{indent}{rest}").trim_end());
    }
    wrapped
}

/// The same with titles and options in bold: what stands at the start of a line and ends in `:`, and what begins with a
/// dash and ends before two blanks.
pub fn paint(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let rest = line.trim_start();
        let (indent, len) = (line.len() - rest.len(), rest.len());
        let is_option = indent > 0 && rest.starts_with('-') && !rest.starts_with("- ");
        let end = match rest.split_once(':') {
            _ if is_option => rest.find("  ").unwrap_or(len),
            Some((title, _)) if indent == 0 && title.chars().all(char::is_alphabetic) => title.len() + 1,
            _ => 0,
        };
        let (strong, plain) = rest.split_at(end);
        painted.push_str(&line[..indent]);
        if !strong.is_empty() {
            let _ = write!(painted, "{}", strong.bold());
        }
        painted.push_str(plain);
        painted.push('\n');
    }
    painted
}

#[cfg(test)]
#[path = "../../tests/units/output/help.rs"]
mod tests;
