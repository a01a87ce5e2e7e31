//! A verb as its table describes it.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, ArgAction, Command};
use ipcbox::applets::Entry;

use super::roff::{Page, bold, italic};
use crate::support::World;

/// Options that several verbs have in the same words: described once.
#[derive(Default)]
pub struct Common(BTreeMap<String, Arg>);

impl Common {
    /// The section that they are in.
    pub const TITLE: &str = "COMMON OPTIONS";

    /// Those that several of these have, each with the verbs that are one's own.
    pub fn of<'a>(ones: impl IntoIterator<Item = &'a [Entry]>) -> Self {
        let mut found: BTreeMap<String, (BTreeSet<usize>, Arg)> = BTreeMap::new();
        for (one, verbs) in ones.into_iter().enumerate() {
            for arg in verbs.iter().flat_map(|entry| options(&entry.parser("", &[]))) {
                found.entry(said(&arg)).or_insert((BTreeSet::new(), arg)).0.insert(one);
            }
        }
        // Groups of options that verbs share have a title; others want to be met more often.
        found.retain(|_, (ones, arg)| ones.len() > if arg.get_help_heading().is_some() { 1 } else { 2 });
        Self(found.into_values().map(|(_, arg)| (sorting(&arg), arg)).collect())
    }

    pub fn describe(&self, page: &mut Page) {
        self.0.values().for_each(|arg| page.item(&term(arg), paragraphs(arg)));
    }

    fn has(&self, arg: &Arg) -> bool {
        self.0.get(&sorting(arg)).is_some_and(|common| said(common) == said(arg))
    }
}

/// All that is said of an option.
fn said(arg: &Arg) -> String {
    format!("{} {:?}", term(arg), paragraphs(arg))
}

/// Its place among others: by its long name, else by its letter.
fn sorting(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_short().into_iter().collect(), str::to_owned)
}

fn options(parser: &Command) -> Vec<Arg> {
    parser.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).cloned().collect()
}

fn positionals(parser: &Command) -> Vec<Arg> {
    parser.get_arguments().filter(|arg| arg.is_positional()).cloned().collect()
}

/// What clap says of an argument, as sentences.
fn paragraphs(arg: &Arg) -> Vec<String> {
    let text = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let mut paragraphs = sentences(&text);
    // The first one is the short help, which the second one goes on from.
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

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().as_str().to_uppercase(), ToString::to_string)
}

/// An option as it is written, or a positional argument.
fn term(arg: &Arg) -> String {
    if arg.is_positional() {
        return italic(&value(arg));
    }
    let short = arg.get_short().map(|letter| bold(&format!("-{letter}")));
    let long = arg.get_long().map(|name| bold(&format!("--{name}")));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes = arg.get_num_args().is_none_or(|range| range.takes_values());
    let value = if takes && arg.get_action().takes_values() {
        let value = italic(&value(arg));
        let is_optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
        match (is_optional, arg.is_require_equals_set()) {
            (true, true) => format!("[={value}]"),
            (true, false) => format!(" [{value}]"),
            (false, _) => format!(" {value}"),
        }
    } else {
        String::new()
    };
    format!("{}{value}", names.join(", "))
}

/// A line of SYNOPSIS.
pub fn usage(entry: &Entry, called: &str) -> String {
    let parser = entry.parser(called, &[]);
    let options = options(&parser);
    let required = options
        .iter()
        .filter(|arg| arg.is_required_set())
        .map(|arg| format!("--{} {}", arg.get_long().unwrap(), value(arg)));
    let any = (!options.is_empty()).then(|| "[OPTION]...".to_owned());
    let places = positionals(&parser).into_iter().map(|arg| {
        let many = matches!(arg.get_action(), ArgAction::Append) || arg.is_last_set();
        let dashes = if arg.is_last_set() { "-- " } else { "" };
        let dots = if many { "..." } else { "" };
        let text = format!("{dashes}{}", value(&arg));
        match (arg.is_required_set(), arg.is_last_set()) {
            (true, _) => format!("{text}{dots}"),
            (false, true) => format!("[{text}{dots}]"),
            (false, false) => format!("[{text}]{dots}"),
        }
    });
    let words: Vec<String> = any.into_iter().chain(required).chain(places).collect();
    synopsis(called, &words.join(" "))
}

/// What is typed as it stands in bold, what stands for something in italics.
pub fn synopsis(called: &str, rest: &str) -> String {
    let word = |word: &str| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == ':';
        let core = word.trim_matches(|c| !is_name(c));
        if word.starts_with('-') {
            bold(word)
        } else if core.chars().all(|c| c.is_ascii_uppercase() || c == ':') && !core.is_empty() {
            let (before, after) = word.split_once(core).unwrap();
            let before = if before.contains("--") { before.replace("--", "\\fB\\-\\-\\fR") } else { before.to_owned() };
            format!("{before}{}{after}", italic(core))
        } else {
            bold(word)
        }
    };
    let rest: Vec<String> = rest.split(' ').map(word).collect();
    format!("{} {}", bold(called), rest.join(" "))
}

/// A verb's part of its page.
pub fn verb(page: &mut Page, entry: &Entry, called: &str, common: &Common) {
    let parser = entry.parser(called, &[]);
    page.part(&usage(entry, called));
    let about = parser.get_long_about().or(parser.get_about()).map(ToString::to_string);
    let other = entry.aliases.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let other = if other.is_empty() { other } else { format!(" Also called {other}.") };
    page.paragraph(&format!("{}.{other}", entry.summary));
    for paragraph in about.iter().flat_map(|text| sentences(text)) {
        page.paragraph(&paragraph);
    }
    let (shared, own): (Vec<Arg>, Vec<Arg>) = options(&parser).into_iter().partition(|arg| common.has(arg));
    for arg in positionals(&parser).iter().chain(&own) {
        page.item(&term(arg), paragraphs(arg));
    }
    if !shared.is_empty() {
        let names = shared.iter().map(|arg| match (arg.get_short(), arg.get_long()) {
            (Some(letter), _) => format!("-{letter}"),
            (None, long) => format!("--{}", long.unwrap()),
        });
        let names: Vec<String> = names.collect();
        page.paragraph(&format!("Also {}: see {}.", names.join(", "), Common::TITLE));
    }
    for (with, columns) in columns(called, &parser) {
        page.paragraph(&format!("Columns{with}, which are the keys in JSON: {columns}."));
    }
    examples(page, entry.examples);
}

/// The columns of a verb's records as the box itself tells them, and with which option.
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
    let mut told: Vec<(String, String)> = Vec::new();
    for mode in modes {
        let output = world.call(&format!("{line} {mode} --columns ? {rest}")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let hint = stderr.split("hint: there are ").nth(1);
        let hint = hint.unwrap_or_else(|| panic!("{line} {mode}: {stderr}"));
        let columns = hint.trim_end().replace(',', ", ");
        match told.last_mut().filter(|(_, before)| *before == columns) {
            Some((modes, _)) => *modes = format!("{modes} or `{mode}`"),
            None if mode.is_empty() => told.push((String::new(), columns)),
            None => told.push((format!(" with `{mode}`"), columns)),
        }
    }
    told
}

/// A verb's examples: what a comment says is a paragraph above the lines.
fn examples(page: &mut Page, text: &str) {
    let mut lines = text.trim().lines().peekable();
    while lines.peek().is_some() {
        let said: Vec<&str> =
            std::iter::from_fn(|| lines.next_if(|line| line.starts_with("# "))).map(|line| &line[2..]).collect();
        let commands: Vec<&str> = std::iter::from_fn(|| lines.next_if(|line| !line.starts_with("# "))).collect();
        page.paragraph(&format!("Example: {}:", said.join(" ")));
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
