//! The help of a verb: `-h` lists its options, `--help` adds what a user needs at the prompt.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::statuses::label;
use super::{Entry, linked};
use crate::args::synopsis::{term, usage, value_name};

/// The column of the help of an option: 52 columns remain on a terminal of 80.
const COLUMN: usize = 28;
/// The column of the text about a status or a form of TARGET.
pub const NEAR: usize = 17;
const WIDTH: usize = 80;

/// The forms of TARGET. `Some(true)` marks those only for `create`, `Some(false)` those for other verbs.
const FORMS: &[(&str, &str, Option<bool>)] = &[
    ("build-slots", "a name that means the same object for all users", None),
    ("12345", "a System V id, as printed by ipcs", Some(false)),
    ("0x1badc0de", "a System V key, as printed by ipcs", None),
    ("ftok:PATH[:N]", "the System V key that ftok(3) returns for an existing PATH", None),
    ("/name", "a POSIX object", None),
    (FILE, "a file with slots or a lock, also across containers", None),
    ("private", "a new System V object without a key", Some(true)),
];

const FILE: &str = "./file, dir/file";
/// The verbs of `sem` that take a file.
const OF_FILES: [&str; 6] = ["run", "lock", "hold", "create", "stat", "rm"];

/// The verbs that take no POSIX object, which has no key and releases nothing when a process is killed.
const SYSTEM_V_ONLY: [&str; 6] = ["key", "run", "lock", "hold", "barrier", "op"];
/// The forms of ADDR.
const ADDRESSES: &[(&str, &str)] = &[
    ("./x, /run/x", "a unix socket at this path; also unix:x, with no slash"),
    ("@name", "a unix socket with an abstract name"),
    ("tagger", "a name that is short for @ipcbox.tagger"),
    ("dgram:PATH", "a unix socket for datagrams; also dgram:@name"),
    ("seqpacket:PATH", "a unix socket for messages; also seqpacket:@name"),
    ("tcp:HOST:PORT", "a TCP port; also 127.0.0.1:PORT and [::1]:PORT"),
    ("udp:HOST:PORT", "a UDP port"),
    ("fd:N", "an open socket that ipcbox inherited"),
];

impl Entry {
    /// Returns the help of a verb that was called as `called`: its options, and with `long` how they are used.
    pub fn help(&self, called: &str, long: bool) -> String {
        let parser = self.parser(called, &[]);
        let mut text = format!("{}\n\nUsage: {}\n", self.summary, usage(&parser, called));
        for (title, rows) in groups(&parser, long) {
            let _ = write!(text, "\n{title}:\n{}", rows.concat());
        }
        if long {
            self.explain(&mut text, &parser, called);
        }
        text
    }

    /// Adds the parts that only `--help` has.
    fn explain(&self, text: &mut String, parser: &Command, called: &str) {
        if let Some(about) = parser.get_long_about().or(parser.get_about()) {
            // clap drops the full stop of a text that is one paragraph.
            let about = about.to_string().replace('`', "");
            let _ = write!(text, "\n{}.\n", about.trim_end_matches('.'));
        }
        let _ = write!(text, "\nExamples:\n  {}\n", self.examples.trim().replace('\n', "\n  "));
        if parser.get_positionals().any(|arg| value_name(arg) == "TARGET") {
            let creates = self.name == "create";
            let is_sem = called.split(' ').find_map(linked).is_some_and(|(applet, _)| applet.name == "sem");
            let has = |form: &str| match form {
                "/name" => !SYSTEM_V_ONLY.contains(&self.name),
                FILE => is_sem && OF_FILES.contains(&self.name),
                _ => true,
            };
            text.push_str("\nTARGET:\n");
            for (form, words, only) in FORMS {
                if only.is_none_or(|create| create == creates) && has(form) {
                    text.push_str(&row(form, words, NEAR));
                }
            }
        }
        if parser.get_positionals().any(|arg| value_name(arg) == "ADDR") {
            text.push_str("\nADDR:\n");
            for (form, words) in ADDRESSES {
                text.push_str(&row(form, words, NEAR));
            }
        }
        text.push_str("\nExit status:\n");
        for (exit, words) in self.exit_statuses() {
            text.push_str(&row(&label(exit), &words, NEAR));
        }
        let page = called.split(' ').find_map(linked).map_or(String::new(), |(applet, _)| format!("-{}", applet.name));
        let _ = write!(text, "\nManual page: man ipcbox{page}\n");
    }
}

/// Returns the arguments in groups, each with its title: the verb's own first, then those that verbs share.
fn groups(parser: &Command, long: bool) -> Vec<(String, Vec<String>)> {
    let arguments = || parser.get_arguments().filter(|arg| !arg.is_hide_set());
    let operands = arguments().filter(|arg| arg.is_positional()).map(|arg| described(arg, &value_name(arg), long));
    let mut groups = vec![("Arguments".to_owned(), operands.collect()), ("Options".to_owned(), Vec::new())];
    for arg in arguments().filter(|arg| !arg.is_positional()) {
        let title = arg.get_help_heading().unwrap_or("Options");
        let at = groups.iter().position(|(known, _)| known == title).unwrap_or_else(|| {
            groups.push((title.to_owned(), Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(described(arg, &term(arg), long));
    }
    groups[1].1.push(row("-h, --help", PRINT_HELP, COLUMN));
    // The order of the shared groups does not depend on the order of a verb's fields.
    groups[2..].sort_by_key(|(title, _)| SHARED.iter().position(|shared| shared == title));
    groups.retain(|(_, rows)| !rows.is_empty());
    groups
}

/// The help of `--help`.
pub const PRINT_HELP: &str = "Print help (-h prints a shorter version)";

/// The titles of options that verbs share, in their order.
pub const SHARED: [&str; 3] = ["Creating", "Waiting", "Output"];

/// Returns the lines about an argument: its help, and with `long` the paragraphs after it.
fn described(arg: &Arg, term: &str, long: bool) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = row(term, &help, COLUMN);
    if let Some(all) = arg.get_long_help().filter(|_| long) {
        for paragraph in all.to_string().replace('`', "").split("\n\n").skip(1) {
            let _ = writeln!(text, "{:COLUMN$}{paragraph}", "");
        }
    }
    text
}

/// Returns a term and its text, side by side if there is room.
pub fn row(term: &str, help: &str, column: usize) -> String {
    let width = column - 4;
    if term.len() <= width || 4 + term.len() + help.len() <= WIDTH {
        return format!("  {term:<width$}  {help}\n");
    }
    format!("  {term}\n{:column$}{help}\n", "")
}
