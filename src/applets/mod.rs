//! Floor 8: the applets, and the shape that they share.

pub mod fifo;
mod help;
mod install;
mod ipcrm_lite;
mod ipcs_lite;
mod key;
pub mod msgq;
pub mod pipe;
pub mod sem;
pub mod shm;
pub mod signal;
pub mod statuses;
pub mod topics;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use clap::{ArgMatches, Args, Command};

use crate::args::synopsis::has_value;
use crate::exit::Exit;
pub use help::SHARED;

/// A verb: the struct of its arguments, which knows how to run.
pub trait Verb: Args {
    /// Its name on the command line.
    const NAME: &'static str;
    /// Other names.
    const ALIASES: &'static [&'static str] = &[];
    /// One line that says what it does.
    const SUMMARY: &'static str;
    /// Whole small problems: lines for a shell, which run as they stand in an empty directory. They stand in the help
    /// and the manual page.
    const EXAMPLES: &'static str;
    /// Whether it runs a command.
    const RUNS: Runs = Runs::Nothing;
    /// Whether it writes to files, standard output included. A short call that does not is spared a system call.
    const WRITES: bool = true;
    /// The long options that may be abbreviated.
    const ABBREVIABLE: &'static [&'static str] = &[];
    /// Exit statuses that mean something else here than usual, or that the arguments do not show.
    const STATUSES: &'static [(Exit, &'static str)] = &[];

    /// Does it.
    fn run(self) -> Result<Exit>;
}

/// Whether a verb runs a command, whose status is then its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// It runs none.
    Nothing,
    /// It does where there is `--` and something after it.
    Optionally,
    /// It does where there is this option, `--` and something after it.
    With(&'static str),
    /// It always does.
    Command,
    /// It runs one for each of many records, and has a status of its own.
    Each,
    /// Somebody else runs it, and tells its status.
    ByServer,
}

impl Runs {
    /// Whether the verb takes a command after `--`.
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
    /// One line that says what it does.
    pub summary: &'static str,
    /// Lines for a shell that show it at work, and comments that say what for.
    pub examples: &'static str,
    /// Whether it runs a command.
    pub runs: Runs,
    /// Whether it writes to files, standard output included.
    pub writes: bool,
    /// The long options that may be abbreviated.
    pub abbreviable: &'static [&'static str],
    /// Exit statuses that mean something else here than usual.
    pub statuses: &'static [(Exit, &'static str)],
    /// Adds its arguments to a parser.
    pub arguments: fn(Command) -> Command,
    /// Runs it with what was parsed, which is taken out of there.
    pub run: fn(&mut ArgMatches) -> Result<Exit>,
}

impl Entry {
    /// The place of verb `V`.
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

    /// Whether it goes by this name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// These words, with the long options in them written out that are abbreviated, as getopt_long(3) reads them.
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

    /// Its parser, for a line that begins with `called` and goes on with `words`.
    pub fn parser(&self, called: &str, words: &[OsString]) -> Command {
        let empty = Command::new(self.name).bin_name(called).no_binary_name(true);
        let parser = (self.arguments)(empty).args_override_self(true);
        // An option's value may be below 0, or is refused with the reason. To go through all arguments is a thirtieth
        // of a short call's instructions, and spared where no word is such a number.
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
    /// Its name, as a word and as a link.
    pub name: &'static str,
    /// One line that says what it is for.
    pub summary: &'static str,
    /// A line that shows it at work.
    pub example: &'static str,
    /// Its verbs. An applet that has none has one entry that is called as the applet is; others after it are what the
    /// applet is under other names.
    pub verbs: &'static [Entry],
}

/// The applets, in the order in which they are listed.
pub const APPLETS: &[Applet] = &[
    fifo::APPLET,
    ipcrm_lite::APPLET,
    ipcs_lite::APPLET,
    msgq::APPLET,
    pipe::APPLET,
    sem::APPLET,
    shm::APPLET,
    signal::APPLET,
];

/// The commands of ipcbox itself, which are no applets.
pub const WORDS: &[Entry] = &[Entry::of::<key::Key>(), Entry::of::<install::Install>()];

impl Applet {
    /// The one verb of an applet that has none, under this name of the applet's.
    pub fn alone(&self, name: &str) -> Option<&'static Entry> {
        self.own().iter().find(|entry| entry.is_called(name))
    }

    /// The verbs that have the applet's own names; none in most applets.
    fn own(&self) -> &'static [Entry] {
        let is_alone = self.verbs.first().is_some_and(|entry| entry.name == self.name);
        if is_alone { self.verbs } else { &[] }
    }

    /// The names that it is called by, as a word and as a link.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let called = |entry: &'static Entry| [entry.name].into_iter().chain(entry.aliases.iter().copied());
        let others = self.own().iter().flat_map(called);
        [self.name].into_iter().chain(others.filter(|name| *name != self.name))
    }
}

/// An applet, and the name that it is called by.
pub type Called = (&'static Applet, &'static str);

fn names() -> impl Iterator<Item = Called> {
    APPLETS.iter().flat_map(|applet| applet.names().map(move |name| (applet, name)))
}

/// The applet that a word names.
pub fn named(word: &str) -> Option<Called> {
    names().find(|(_, name)| *name == word)
}

/// The applet that a link's base name stands for: its own name, or one that ends in `-` and its name.
pub fn linked(base: &str) -> Option<Called> {
    let ends_so =
        |(_, name): &Called| base.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'));
    names().filter(ends_so).max_by_key(|(_, name)| name.len())
}

#[cfg(test)]
#[path = "../../tests/units/applets.rs"]
mod tests;
