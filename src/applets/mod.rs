//! Floor 8: the applets, and the definition of a verb.

pub mod complete;
mod completions;
pub mod doctor;
mod embedded;
pub mod fifo;
mod help;
mod install;
mod ipcrm_lite;
mod ipcs_lite;
mod key;
mod man;
pub mod msgq;
pub mod pipe;
pub mod sem;
pub mod shm;
pub mod signal;
pub mod sock;
pub mod statuses;
pub mod topics;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use clap::{ArgMatches, Args, Command};

use crate::args::synopsis::has_value;
use crate::exit::Exit;
pub use help::{PRINT_HELP, SHARED};

/// A verb: the struct of its arguments.
pub trait Verb: Args {
    /// Its name on the command line.
    const NAME: &'static str;
    /// Other names.
    const ALIASES: &'static [&'static str] = &[];
    /// What it does, as an imperative of at most 60 columns.
    const SUMMARY: &'static str;
    /// Small complete tasks, for help and the manual page: lines of shell that run unchanged in an empty directory.
    const EXAMPLES: &'static str;
    /// Whether it runs CMD.
    const RUNS: Runs = Runs::Nothing;
    /// Whether it writes to files, including standard output. Without it, a short call saves a system call.
    const WRITES: bool = true;
    /// The long options that may be abbreviated.
    const ABBREVIABLE: &'static [&'static str] = &[];
    /// Exit statuses that have a meaning of their own here, or that cannot be derived from the arguments.
    const STATUSES: &'static [(Exit, &'static str)] = &[];

    /// Runs the verb.
    fn run(self) -> Result<Exit>;
}

/// Whether a verb runs CMD, and returns the exit status of CMD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Never.
    Nothing,
    /// If something follows `--`.
    Optionally,
    /// If there is this option and something follows `--`.
    With(&'static str),
    /// Always.
    Command,
    /// It runs CMD for each of many records, and has an exit status of its own.
    Each,
    /// A server runs CMD and returns its exit status.
    ByServer,
}

impl Runs {
    /// Returns whether the verb takes CMD after `--`.
    pub const fn takes_command(self) -> bool {
        matches!(self, Self::Optionally | Self::With(_) | Self::Command | Self::Each)
    }
}

/// A verb's place in its applet's table.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it does, in one line.
    pub summary: &'static str,
    /// Lines of shell that use it, below comments with their purpose.
    pub examples: &'static str,
    /// Whether it runs CMD.
    pub runs: Runs,
    /// Whether it writes to files, including standard output.
    pub writes: bool,
    /// The long options that may be abbreviated.
    pub abbreviable: &'static [&'static str],
    /// Exit statuses that have a meaning of their own here.
    pub statuses: &'static [(Exit, &'static str)],
    /// Adds its arguments to a parser.
    pub arguments: fn(Command) -> Command,
    /// Runs it with the parsed arguments, which it takes from the matches.
    pub run: fn(&mut ArgMatches) -> Result<Exit>,
}

impl Entry {
    /// Returns the entry of verb `V`.
    pub const fn of<V: Verb>() -> Self {
        Self {
            name: V::NAME,
            aliases: V::ALIASES,
            summary: V::SUMMARY,
            examples: V::EXAMPLES,
            runs: V::RUNS,
            writes: V::WRITES,
            abbreviable: V::ABBREVIABLE,
            statuses: V::STATUSES,
            arguments: V::augment_args,
            run: |matches| V::from_arg_matches_mut(matches)?.run(),
        }
    }

    /// Returns whether this is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Returns these words with abbreviated long options written out, as getopt_long(3) does.
    pub fn in_full(&self, words: &[OsString]) -> Vec<OsString> {
        let mut words = words.to_vec();
        for word in words.iter_mut().take_while(|word| *word != "--") {
            let Some(text) = word.to_str().and_then(|text| text.strip_prefix("--")) else {
                continue;
            };
            let (short, value) = text.split_at(text.find('=').unwrap_or(text.len()));
            let mut meant = self.abbreviable.iter().filter(|name| name.starts_with(short));
            if let (Some(name), None) = (meant.next(), meant.next()) {
                *word = format!("--{name}{value}").into();
            }
        }
        words
    }

    /// Returns its parser for a command line of `called` and `words`.
    pub fn parser(&self, called: &str, words: &[OsString]) -> Command {
        // clap has --help only if it has a text for it, which `Entry::help` replaces.
        let empty = Command::new(self.name).bin_name(called).no_binary_name(true).override_help("");
        let parser = (self.arguments)(empty).args_override_self(true);
        // A negative value must reach the value parser, if only to be refused with the reason. Visiting all arguments
        // costs 3% of the instructions of a short call, so it is skipped if no word looks like one.
        if !words.iter().any(|word| matches!(word.as_bytes(), [b'-', b'0'..=b'9' | b'.', ..])) {
            return parser;
        }
        parser.mut_args(|arg| {
            let may_be_below = !arg.is_positional() && has_value(&arg);
            if may_be_below { arg.allow_negative_numbers(true) } else { arg }
        })
    }
}

/// An applet: a table of verbs.
pub struct Applet {
    /// Its name, as an argument and as a link.
    pub name: &'static str,
    /// Its purpose, in one line.
    pub summary: &'static str,
    /// An example of its use.
    pub example: &'static str,
    /// Its verbs. An applet without verbs has one entry for each of its names that behaves differently.
    pub verbs: &'static [Entry],
}

/// The applets, in the order of lists.
pub const APPLETS: &[Applet] = &[
    fifo::APPLET,
    ipcrm_lite::APPLET,
    ipcs_lite::APPLET,
    msgq::APPLET,
    pipe::APPLET,
    sem::APPLET,
    shm::APPLET,
    signal::APPLET,
    sock::APPLET,
];

/// The commands of ipcbox itself, which are no applets.
pub const WORDS: &[Entry] = &[
    Entry::of::<key::Key>(),
    Entry::of::<install::InstallAll>(),
    Entry::of::<install::Uninstall>(),
    Entry::of::<install::Install>(),
    Entry::of::<man::Man>(),
    Entry::of::<completions::Completions>(),
];

impl Applet {
    /// Returns the entry of an applet without verbs under one of its names.
    pub fn alone(&self, name: &str) -> Option<&'static Entry> {
        self.own().iter().find(|entry| entry.is_called(name))
    }

    /// Returns the entries that have names of the applet; none in an applet with verbs.
    fn own(&self) -> &'static [Entry] {
        let is_alone = self.verbs.first().is_some_and(|entry| entry.name == self.name);
        if is_alone { self.verbs } else { &[] }
    }

    /// Returns its names, as an argument and as a link.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let called = |entry: &'static Entry| [entry.name].into_iter().chain(entry.aliases.iter().copied());
        let others = self.own().iter().flat_map(called);
        [self.name].into_iter().chain(others.filter(|name| *name != self.name))
    }
}

/// An applet, and the name that it was called by.
pub type Called = (&'static Applet, &'static str);

fn names() -> impl Iterator<Item = Called> {
    APPLETS.iter().flat_map(|applet| applet.names().map(move |name| (applet, name)))
}

/// Returns the applet with this name.
pub fn named(word: &str) -> Option<Called> {
    names().find(|(_, name)| *name == word)
}

/// Returns the applet of a link: its base name is that of the applet, or ends in `-` and that name.
pub fn linked(base: &str) -> Option<Called> {
    let ends_so =
        |(_, name): &Called| base.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'));
    names().filter(ends_so).max_by_key(|(_, name)| name.len())
}

#[cfg(test)]
#[path = "../../tests/units/applets.rs"]
mod tests;
