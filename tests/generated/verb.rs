//! The parts of a page that describe a verb.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use ipcbox::applets::{Entry, SHARED};
use ipcbox::args::synopsis;

use super::roff::{Page, command_line, tied};
use crate::support::World;

/// Options that verbs share, which only ipcbox(1) describes in full.
#[derive(Default)]
pub struct Common(BTreeMap<String, Arg>);

impl Common {
    /// The title of their section.
    pub const TITLE: &str = "COMMON OPTIONS";

    /// Returns those of these verbs. If the texts about one differ, it is the most frequent text.
    pub fn of<'a>(verbs: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut found: BTreeMap<String, Vec<(usize, Arg)>> = BTreeMap::new();
        for arg in verbs.into_iter().flat_map(|entry| options(&entry.parser("", &[]))).filter(is_shared) {
            let alike = found.entry(sorting(&arg)).or_default();
            match alike.iter_mut().find(|(_, known)| paragraphs(known) == paragraphs(&arg)) {
                Some((count, _)) => *count += 1,
                None => alike.push((1, arg)),
            }
        }
        let most = |alike: Vec<(usize, Arg)>| alike.into_iter().max_by_key(|(count, _)| *count).unwrap().1;
        Self(found.into_iter().map(|(name, alike)| (name, most(alike))).collect())
    }

    fn has(&self, arg: &Arg) -> bool {
        is_shared(arg) && self.0.get(&sorting(arg)).is_some_and(|common| paragraphs(common) == paragraphs(arg))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds each of them, in one line or in full.
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

/// Returns the sort key of an option: its long name, otherwise its letter.
fn sorting(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_short().into_iter().collect(), str::to_owned)
}

fn options(parser: &Command) -> Vec<Arg> {
    parser.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).cloned().collect()
}

/// Returns the help of an argument as sentences.
fn paragraphs(arg: &Arg) -> Vec<String> {
    let text = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let mut paragraphs = sentences(&text);
    // The first paragraph is the short help, which the second one continues.
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

/// Returns the term of an option or a positional argument.
fn term(arg: &Arg) -> String {
    if arg.is_positional() {
        return command_line(&synopsis::value_name(arg));
    }
    command_line(synopsis::term(arg).trim_start())
}

/// Returns what follows the name of a verb in SYNOPSIS: its own options, shared options, and arguments.
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

/// Returns the title of a verb's part.
fn usage(entry: &Entry, called: &str) -> String {
    command_line(&synopsis::usage(&entry.parser(called, &[]), called))
}

/// Adds a verb's part of its page.
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
    for arg in parser.get_positionals().chain(&own) {
        page.item(&term(arg), paragraphs(arg));
    }
    if !shared.is_empty() {
        let names: Vec<String> = shared.iter().map(name).collect();
        page.paragraph(&format!("Also {}: see {}.", names.join(", "), Common::TITLE));
    }
    for (modes, columns) in columns(called, &parser) {
        let with = if modes.is_empty() { String::new() } else { format!(" with `{}`", modes.join("` or `")) };
        page.paragraph(&format!("Columns and JSON keys{with}: {}.", columns.replace(',', ", ")));
    }
    examples(page, entry.examples);
}

/// Returns the name of an option, its letter if it has one.
fn name(arg: &Arg) -> String {
    synopsis::brief(arg, true).split([' ', '[']).next().unwrap().to_owned()
}

/// Returns the columns of a verb's records as ipcbox lists them, `A,B`: first the usual ones, then each other list with
/// the options that select it.
pub fn columns(called: &str, parser: &Command) -> Vec<(Vec<&'static str>, String)> {
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
    let line = called.trim_start_matches("ipcbox ");
    let list = |mode: &str| {
        let output = world.call(&format!("{line} {mode} --columns ? {rest}")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let hint = stderr.split("hint: choose from ").nth(1);
        hint.unwrap_or_else(|| panic!("{line} {mode}: {stderr}")).trim_end().to_owned()
    };
    let mut found = vec![(Vec::new(), list(""))];
    let modes = ["--holders", "--waiters", "--limits", "--summary", "--stuck"];
    for mode in modes.into_iter().filter(|mode| has(mode.trim_start_matches('-'))) {
        let columns = list(mode);
        match found.iter_mut().find(|(_, known)| *known == columns) {
            Some((modes, _)) => modes.push(mode),
            None => found.push((vec![mode], columns)),
        }
    }
    found
}

/// Adds a verb's examples, each with its comment as a paragraph above it.
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

/// Adds another name of an applet without verbs.
pub fn other_name(page: &mut Page, entry: &Entry, called: &str) {
    let parser = entry.parser(called, &[]);
    page.part(&usage(entry, called));
    let about = parser.get_long_about().or(parser.get_about()).unwrap().to_string();
    for paragraph in sentences(&about) {
        page.paragraph(&paragraph);
    }
}
