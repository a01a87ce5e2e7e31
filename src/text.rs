//! Floor 1: pure text, for terminals and JSON.

use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthStr;

/// Whether a character can drive a terminal: C0 and C1 controls, DEL, and the bidirectional controls.
pub fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text with its control characters escaped, except those in `kept`.
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

/// Like [`visible`], for bytes. Bytes that are not UTF-8 stay, except 0x80 to 0x9f, the controls of 8-bit terminals.
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

/// Appends a JSON string with control characters escaped.
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

/// Returns the width of a text on a terminal, in columns.
pub fn width(text: &str) -> usize {
    // The fast path matters in listings of 10,000 objects.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) { text.len() } else { text.width() }
}

/// Pads a text on the right to a width in columns.
pub fn pad(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(width(text)))
}

/// Pads a text on the left to a width in columns.
pub fn pad_left(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + text
}

/// Shortens a text to a width in columns: `gap` replaces its middle.
pub fn shorten(text: &str, columns: usize, gap: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(gap));
    let mut head = String::new();
    for letter in text.chars() {
        head.push(letter);
        if width(&head) > room.div_ceil(2) && !gap.is_empty() || width(&head) > room {
            head.pop();
            break;
        }
    }
    let room = room - width(&head);
    let starts = text.char_indices().map(|(at, _)| at);
    let tail = starts.map(|at| &text[at..]).find(|tail| width(tail) <= room).unwrap_or("");
    head + gap + tail
}

/// Returns the line of a message. Names in it can come from other users, so control characters are escaped.
pub fn line(who: &str, words: impl fmt::Display) -> String {
    format!("{who}: {}\n", visible(&words.to_string(), &[]))
}

/// The longest name that a user gives to an object, in bytes.
pub const NAME_MAX: usize = 64;

/// Returns whether a text has the form of such a name, whatever its length.
pub fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(|first| is_letter(*first)) && text.iter().all(|byte| in_name(*byte))
}

/// Whether a name can start with this byte.
pub const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether a name can contain this byte.
pub fn in_name(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit() || b".-".contains(&byte)
}

/// Quotes a word for a shell.
pub fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns a word for a shell: `prefix`, the home directory and `rest`, which is empty or begins with a slash.
pub fn in_home(prefix: &str, rest: &str) -> String {
    match quote(rest) {
        _ if rest.is_empty() => format!("\"{prefix}$HOME\""),
        plain if plain == rest => format!("\"{prefix}$HOME{rest}\""),
        quoted => format!("\"{prefix}$HOME\"{quoted}"),
    }
}

/// Returns a count with its noun: `1 byte`, `2 bytes`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Returns the word of `known` that is most similar to `word`, if one letter is wrong, missing or swapped, or two of a word of five or more.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = if word.len() > 4 { 2 } else { 1 };
    let distance = |name: &&&str| strsim::osa_distance(word, name);
    known.iter().min_by_key(distance).filter(|name| distance(name) <= most).copied()
}

/// Returns the length of the whole lines at the start of `bytes`, at most `most` of them, and their number.
pub fn whole(bytes: &[u8], end: u8, most: u64) -> (usize, u64) {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == end);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    ends.take(most).fold((0, 0), |(_, lines), (at, _)| (at + 1, lines + 1))
}

#[cfg(test)]
#[path = "../tests/units/text.rs"]
mod tests;
