//! A verb as its table describes it.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use ipcbox::applets::{Entry, SHARED};
use ipcbox::args::synopsis;

use super::roff::{Page, command_line, tied};
use crate::support::World;

/// Options that verbs share: described in full in ipcbox(1) alone.
#[derive(Default)]
pub struct Common(BTreeMap<String, Arg>);

impl Common {
    /// The section that they are in.
    pub const TITLE: &str = "COMMON OPTIONS";

    /// Those that these verbs have.
    pub fn of<'a>(verbs: impl IntoIterator<Item = &'a Entry>) -> Self {
        let options = verbs.into_iter().flat_map(|entry| options(&entry.parser("", &[])));
        Self(options.filter(is_shared).map(|arg| (sorting(&arg), arg)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Describes each of them: in one line, or with all there is to it.
    pub fn describe(&self, page: &mut Page, in_full: bool) {
        for arg in self.0.values() {
            let mut text = paragraphs(arg);
            if !in_full {
                text = sentences(&arg.get_help().unwrap().to_string());
            }
            page.item(&term(arg), text);
        }
    }
}

fn is_shared(arg: &Arg) -> bool {
    arg.get_help_heading().is_some_and(|title| SHARED.contains(&title))
}

/// Its place among others: by its long name, else by its letter.
fn sorting(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_short().into_iter().collect(), str::to_owned)
}

fn options(parser: &Command) -> Vec<Arg> {
    parser.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).cloned().collect()
}

/// The help of an argument, as sentences.
fn paragraphs(arg: &Arg) -> Vec<String> {
    let text = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let mut paragraphs = sentences(&text);
    // The first one is the short help, which the second one continues.
    if paragraphs.len() > 1 {
        let second = paragraphs.remove(1);
        paragraphs[0] = format!("{} {second}", paragraphs[0]);
    }
    paragraphs
}

fn sentences(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
    paragraphs.map(|text| if text.ends_with(['.', ':']) { text } else { text + "." }).collect()
}

/// An option as it is written, or a positional argument.
fn term(arg: &Arg) -> String {
    if arg.is_positional() {
        return command_line(&synopsis::value_name(arg));
    }
    command_line(synopsis::term(arg).trim_start())
}

/// What follows the name of a verb in SYNOPSIS: its own options, those that it shares, and its arguments.
pub fn synopsis(entry: &Entry) -> Vec<String> {
    let parser = entry.parser("", &[]);
    let (shared, own): (Vec<Arg>, Vec<Arg>) = options(&parser).into_iter().partition(is_shared);
    let written = |arg: &Arg, short| {
        let text = synopsis::brief(arg, short);
        if arg.is_required_set() { text } else { format!("[{text}]") }
    };
    let own = own.iter().map(|arg| written(arg, false));
    let words = own.chain(shared.iter().map(|arg| written(arg, true))).chain(synopsis::operands(&parser));
    words.map(|word| tied(&command_line(&word))).collect()
}

/// The title of a verb's part.
fn usage(entry: &Entry, called: &str) -> String {
    command_line(&synopsis::usage(&entry.parser(called, &[]), called))
}

/// A verb's part of its page.
pub fn verb(page: &mut Page, entry: &Entry, called: &str) {
    let parser = entry.parser(called, &[]);
    page.part(&usage(entry, called));
    let about = parser.get_long_about().or(parser.get_about()).map(ToString::to_string);
    let other = entry.aliases.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let other = if other.is_empty() { other } else { format!(" Also called {other}.") };
    page.paragraph(&format!("{}.{other}", entry.summary));
    for paragraph in about.iter().flat_map(|text| sentences(text)) {
        page.paragraph(&paragraph);
    }
    let (shared, own): (Vec<Arg>, Vec<Arg>) = options(&parser).into_iter().partition(is_shared);
    for arg in parser.get_positionals().chain(&own) {
        page.item(&term(arg), paragraphs(arg));
    }
    if !shared.is_empty() {
        let names: Vec<String> = shared.iter().map(|arg| name(arg)).collect();
        page.paragraph(&format!("Also {}: see {}.", names.join(", "), Common::TITLE));
    }
    for (with, columns) in columns(called, &parser) {
        page.paragraph(&format!("Columns{with}, which are the keys in JSON: {columns}."));
    }
    examples(page, entry.examples);
}

/// The name of an option, short if it has a letter.
fn name(arg: &Arg) -> String {
    synopsis::brief(arg, true).split([' ', '[']).next().unwrap().to_owned()
}

/// The columns of a verb's records as ipcbox itself lists them, and with which option.
fn columns(called: &str, parser: &Command) -> Vec<(String, String)> {
    let has = |id: &str| parser.get_arguments().any(|arg| arg.get_id() == id);
    if !has("columns") {
        return Vec::new();
    }
    let world = World::new();
    let rest = match called {
        "ipcbox fifo stat" => "/dev/null",
        "ipcbox signal stat" => "1",
        "ipcbox signal send" => "--dry-run 0 1",
        "ipcbox signal join" => "-n 1",
        "ipcbox signal wait" => "-n INT",
        "ipcbox ipcrm-lite" => "--mine --dry-run",
        _ => "",
    };
    let modes = ["", "--holders", "--waiters", "--limits"];
    let modes = modes.into_iter().filter(|mode| has(mode.trim_start_matches('-')) || mode.is_empty());
    let line = called.trim_start_matches("ipcbox ");
    let mut found: Vec<(String, String)> = Vec::new();
    for mode in modes {
        let output = world.call(&format!("{line} {mode} --columns ? {rest}")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let hint = stderr.split("hint: there are ").nth(1);
        let hint = hint.unwrap_or_else(|| panic!("{line} {mode}: {stderr}"));
        let columns = hint.trim_end().replace(',', ", ");
        match found.last_mut().filter(|(_, before)| *before == columns) {
            Some((modes, _)) => *modes = format!("{modes} or `{mode}`"),
            None if mode.is_empty() => found.push((String::new(), columns)),
            None => found.push((format!(" with `{mode}`"), columns)),
        }
    }
    found
}

/// A verb's examples: what a comment says is a paragraph above the lines.
fn examples(page: &mut Page, text: &str) {
    let mut lines = text.trim().lines().peekable();
    while lines.peek().is_some() {
        let comment: Vec<&str> =
            std::iter::from_fn(|| lines.next_if(|line| line.starts_with("# "))).map(|line| &line[2..]).collect();
        let commands: Vec<&str> = std::iter::from_fn(|| lines.next_if(|line| !line.starts_with("# "))).collect();
        page.paragraph(&format!("Example: {}:", comment.join(" ")));
        page.example(&commands.join("\n"));
    }
}

/// Another name of an applet that has no verbs.
pub fn other_name(page: &mut Page, entry: &Entry, called: &str) {
    let parser = entry.parser(called, &[]);
    page.part(&usage(entry, called));
    let about = parser.get_long_about().or(parser.get_about()).unwrap().to_string();
    for paragraph in sentences(&about) {
        page.paragraph(&paragraph);
    }
}
