//! Floor 1: text as a person or a program reads it, on a terminal and in JSON.

use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthStr;

/// Whether a letter drives a terminal instead of being shown: controls, DEL and U+0080 to U+009F among them, and what
/// changes the direction in which the letters around it are written.
pub fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with its control characters, but those in `kept`, as visible escapes.
pub fn visible(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_control(letter) && !kept.contains(&letter) {
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The same of bytes. Those that are no UTF-8 stay, but for the controls of terminals that have eight bits.
pub fn visible_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.extend(visible(chunk.valid(), &[]).into_bytes());
        for byte in chunk.invalid() {
            match byte {
                0x80..=0x9f => shown.extend(format!("\\x{byte:02x}").into_bytes()),
                byte => shown.push(*byte),
            }
        }
    }
    shown
}

/// Adds a JSON string, in which control characters are escapes.
pub fn write_json(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            letter if is_control(letter) => {
                let _ = write!(line, "\\u{:04x}", u32::from(letter));
            }
            letter => line.push(letter),
        }
    }
    line.push('"');
}

/// How many columns a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text with blanks after it, up to so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(width(text)))
}

/// A text with blanks before it, up to so many columns.
pub fn pad_left(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + text
}

/// A line that tells something. A name in it can be a stranger's, and neither drives a terminal nor begins a line of
/// its own.
pub fn line(who: &str, words: impl fmt::Display) -> String {
    format!("{who}: {}\n", visible(&words.to_string(), &[]))
}

/// A word as a shell reads it back.
pub fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// So many of something, as a message says it: `1 byte`, `2 bytes`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Words that users of other tools try, with what they are here; the first that the applet has is meant.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("ls", &["list", "stat"]),
    ("list", &["stat"]),
    ("show", &["stat"]),
    ("info", &["stat"]),
    ("recv", &["read"]),
    ("receive", &["recv", "read"]),
    ("read", &["recv", "get"]),
    ("send", &["write"]),
    ("write", &["send", "set"]),
    ("delete", &["rm"]),
    ("remove", &["rm"]),
    ("chmod", &["set"]),
    ("chown", &["set"]),
    ("waitpid", &["join"]),
    ("acquire", &["wait"]),
    ("down", &["wait"]),
    ("release", &["post"]),
    ("up", &["post"]),
];

/// The word of `known` that `word` most likely stands for.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let foreign = ELSEWHERE.iter().filter(|(other, _)| *other == word);
    let translated = foreign.flat_map(|(_, ours)| *ours).find_map(|ours| known.iter().find(|name| *name == ours));
    // A letter or two that are wrong, missing or swapped.
    let most = if word.len() > 3 { 2 } else { 1 };
    let distance = |name: &&&str| strsim::osa_distance(word, name);
    translated.or_else(|| known.iter().min_by_key(distance).filter(|name| distance(name) <= most)).copied()
}

#[cfg(test)]
#[path = "../tests/units/text.rs"]
mod tests;
