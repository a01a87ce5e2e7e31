//! The options and words that name objects, in the order of the command line.

use std::ffi::OsString;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::sys::sysv::Kind;

/// A word that names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// `-m ID`, `-q ID`, `-s ID`.
    Id(Kind, String),
    /// `-M KEY`, `-Q KEY`, `-S KEY`.
    Key(Kind, String),
    /// `--posix-shmem NAME`, `--posix-mqueue NAME`, `--posix-semaphore NAME`.
    Posix(Kind, OsString),
    /// A TARGET, of the kind of the last option before it.
    Target(Option<Kind>, OsString),
}

/// How an option reads the bare words after it.
#[derive(Clone, Copy)]
enum Reads {
    Ids(Kind),
    Keys(Kind),
    Names(Kind),
    Targets(Kind),
}

impl Reads {
    /// Reads a word as one more object of the option's kind. A number is an id or a key, as the option's value is.
    fn word(self, text: &OsString) -> Choice {
        let number = text.to_str().filter(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
        match (self, number) {
            (Self::Ids(kind), Some(number)) => Choice::Id(kind, number.to_owned()),
            (Self::Keys(kind), Some(number)) => Choice::Key(kind, number.to_owned()),
            (Self::Names(kind), _) => Choice::Posix(kind, text.clone()),
            (Self::Ids(kind) | Self::Keys(kind) | Self::Targets(kind), _) => Choice::Target(Some(kind), text.clone()),
        }
    }
}

/// All words, and the kinds that options select.
#[derive(Debug, Clone, Default)]
pub struct Victims {
    pub words: Vec<Choice>,
    /// The kinds of `--shm`, `--msg` and `--sem`.
    pub kinds: Vec<Kind>,
}

const TARGETS: &str = "targets";

/// Name, letter, kind and help.
const IDS: [(&str, char, Kind, &str); 3] = [
    ("shmem-id", 'm', Kind::Shm, "Remove the segment with this id"),
    ("queue-id", 'q', Kind::Msg, "Remove the message queue with this id"),
    ("semaphore-id", 's', Kind::Sem, "Remove the semaphore set with this id"),
];
const KEYS: [(&str, char, Kind, &str); 3] = [
    ("shmem-key", 'M', Kind::Shm, "Remove the segment with this key"),
    ("queue-key", 'Q', Kind::Msg, "Remove the message queue with this key"),
    ("semaphore-key", 'S', Kind::Sem, "Remove the semaphore set with this key"),
];
/// The options of util-linux 2.41.
const NAMES: [(&str, Kind, &str); 3] = [
    ("posix-shmem", Kind::Shm, "Remove this POSIX shared memory object"),
    ("posix-mqueue", Kind::Msg, "Remove this POSIX queue"),
    ("posix-semaphore", Kind::Sem, "Remove this POSIX semaphore"),
];
const KINDS: [(&str, Kind, &str); 3] = [
    ("shm", Kind::Shm, "Select shared memory"),
    ("msg", Kind::Msg, "Select message queues"),
    ("sem", Kind::Sem, "Select semaphores"),
];

impl Args for Victims {
    fn augment_args(command: Command) -> Command {
        let valued = |(name, letter, _, help): (&'static str, char, Kind, &'static str), value| {
            let arg = Arg::new(name).long(name).short(letter).value_name(value).help(help);
            arg.action(ArgAction::Append).allow_hyphen_values(true)
        };
        let flag = |(name, _, help): (&'static str, Kind, &'static str)| {
            let more = format!("{help}\n\nThe selection applies to all filters, and to TARGETs after the option.");
            let arg = Arg::new(name).long(name).help(help).long_help(more);
            let arg = arg.num_args(0).default_missing_value("");
            arg.action(ArgAction::Append)
        };
        let posix = |(name, _, help): (&'static str, Kind, &'static str)| {
            let arg = Arg::new(name).long(name).value_name("NAME").help(help);
            arg.action(ArgAction::Append).value_parser(clap::value_parser!(OsString))
        };
        let targets = Arg::new(TARGETS)
            .value_name("TARGET")
            .help("Objects to remove")
            .value_parser(clap::value_parser!(OsString))
            .num_args(0..)
            .allow_negative_numbers(true)
            .action(ArgAction::Append);
        command
            .args(IDS.map(|id| valued(id, "ID")))
            .args(KEYS.map(|key| valued(key, "KEY")))
            .args(NAMES.map(posix))
            .args(KINDS.map(flag))
            .arg(targets)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Victims {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut victims = Self::default();
        victims.update_from_arg_matches(matches)?;
        Ok(victims)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let places = |name: &str| matches.indices_of(name).into_iter().flatten();
        let texts = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned();
        let mut words: Vec<(usize, Choice)> = Vec::new();
        let mut options: Vec<(usize, Reads)> = Vec::new();
        for (name, _, kind, _) in IDS {
            words.extend(places(name).zip(texts(name).map(|text| Choice::Id(kind, text))));
            options.extend(places(name).map(|at| (at, Reads::Ids(kind))));
        }
        for (name, _, kind, _) in KEYS {
            words.extend(places(name).zip(texts(name).map(|text| Choice::Key(kind, text))));
            options.extend(places(name).map(|at| (at, Reads::Keys(kind))));
        }
        for (name, kind, _) in NAMES {
            let names = matches.get_many::<OsString>(name).into_iter().flatten().cloned();
            words.extend(places(name).zip(names.map(|text| Choice::Posix(kind, text))));
            options.extend(places(name).map(|at| (at, Reads::Names(kind))));
        }
        for (name, kind, _) in KINDS {
            options.extend(places(name).map(|at| (at, Reads::Targets(kind))));
        }
        let targets = matches.get_many::<OsString>(TARGETS).into_iter().flatten();
        words.extend(places(TARGETS).zip(targets).map(|(at, text)| {
            let before = options.iter().filter(|(option, _)| *option < at);
            let reads = before.max_by_key(|(option, _)| *option);
            let word = reads.map_or_else(|| Choice::Target(None, text.clone()), |(_, it)| it.word(text));
            (at, word)
        }));
        words.sort_unstable_by_key(|(at, _)| *at);
        self.words = words.into_iter().map(|(_, word)| word).collect();
        let kinds = options.into_iter().filter_map(|(_, reads)| match reads {
            Reads::Targets(kind) => Some(kind),
            Reads::Ids(_) | Reads::Keys(_) | Reads::Names(_) => None,
        });
        self.kinds = kinds.collect();
        Ok(())
    }
}
