//! `ipcbox help TOPIC`: what several applets have in common. The manual pages have the same text.

use std::ffi::OsString;
use std::fmt::Write as _;

use super::help::{NEAR, row};
use super::statuses::{ALL, label, meaning};

/// The topics, each with what it is about.
pub const TOPICS: [(&str, &str); 4] = [
    ("targets", "Name an object: name, id, key, ftok:PATH or /posix"),
    ("exit", "List the exit statuses"),
    ("json", "Read the output in a program"),
    ("cookbook", "List recipes for scripts and CI jobs"),
];

/// Returns the text of a topic, if the words name one.
pub fn find(words: &[OsString]) -> Option<String> {
    let [word] = words else { return None };
    match word.to_str()? {
        "targets" => Some(plain(include_str!("../../man/src/topics/targets.txt"))),
        "exit" => Some(statuses()),
        "json" => Some(plain(include_str!("../../man/src/topics/json.txt"))),
        "cookbook" => Some(recipes()),
        _ => None,
    }
}

/// Formats the source of a page: paragraphs, and terms with their text beside them.
fn plain(source: &str) -> String {
    let mut text = String::new();
    let mut after_row = false;
    for block in source.trim_end().split("\n\n") {
        let block = block.replace('`', "");
        if let Some((term, words)) = block.split_once("\n: ") {
            text.push_str(if after_row || text.is_empty() { "" } else { "\n" });
            text.push_str(&row(term, &words.replace('\n', " "), NEAR));
            after_row = true;
        } else {
            let _ = writeln!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, block.replace('\n', " "));
            after_row = false;
        }
    }
    text
}

/// Returns every exit status, and the rules that apply to all verbs.
fn statuses() -> String {
    let mut text = "Exit status:\n".to_owned();
    for exit in ALL {
        text.push_str(&row(&label(exit), meaning(exit), NEAR));
    }
    text.push_str(
        "\nA verb that runs CMD returns the exit status of CMD. Any failure before CMD starts is then 125, so that 1 to 5 are \
         statuses of CMD. --timeout-status N returns N instead of 124.\n\n\
         With several targets, all are tried, each failure is reported, and the status is that of the first failure.\n\n\
         VERB --help lists the statuses that can occur in a verb.\n",
    );
    text
}

/// Returns the titles of the cookbook.
fn recipes() -> String {
    let mut text = String::new();
    let mut section = "";
    let mut others = Vec::new();
    for line in include_str!("../../man/src/cookbook.txt").lines() {
        if let Some(title) = line.strip_prefix("# ") {
            section = title;
        } else if let Some(title) = line.strip_prefix("## ") {
            if section == "INSTEAD OF" {
                others.push(title);
                continue;
            }
            if !section.is_empty() {
                let (first, rest) = section.split_at(1);
                let _ = writeln!(text, "{first}{}:", rest.to_lowercase());
                section = "";
            }
            let _ = writeln!(text, "  {title}");
        }
    }
    let _ = write!(text, "\nInstead of {}.\nManual page: man ipcbox-cookbook\n", others.join(", "));
    text
}
