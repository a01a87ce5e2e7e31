//! What is to be removed, in the order in which it was written: an order that options and words share.

use std::ffi::OsString;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::sys::sysv::Kind;

/// One word that names what is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// `-m ID`, `-q ID`, `-s ID`.
    Id(Kind, String),
    /// `-M KEY`, `-Q KEY`, `-S KEY`.
    Key(Kind, String),
    /// A TARGET, of this kind where `--shm`, `--msg` or `--sem` stands before it.
    Target(Option<Kind>, OsString),
}

/// All of them, and the kinds that options choose.
#[derive(Debug, Clone, Default)]
pub struct Victims {
    /// The words in their order.
    pub words: Vec<Word>,
    /// The kinds that `--shm`, `--msg` and `--sem` name.
    pub kinds: Vec<Kind>,
}

const TARGETS: &str = "targets";

/// Name, letter, kind, and what help says.
const IDS: [(&str, char, Kind, &str); 3] = [
    ("shmem-id", 'm', Kind::Shm, "The segment with this id"),
    ("queue-id", 'q', Kind::Msg, "The message queue with this id"),
    ("semaphore-id", 's', Kind::Sem, "The semaphore set with this id"),
];
const KEYS: [(&str, char, Kind, &str); 3] = [
    ("shmem-key", 'M', Kind::Shm, "The segment behind this key"),
    ("queue-key", 'Q', Kind::Msg, "The message queue behind this key"),
    ("semaphore-key", 'S', Kind::Sem, "The semaphore set behind this key"),
];
const KINDS: [(&str, Kind, &str); 3] = [
    ("shm", Kind::Shm, "TARGETs after it are shared memory"),
    ("msg", Kind::Msg, "TARGETs after it are message queues"),
    ("sem", Kind::Sem, "TARGETs after it are semaphores"),
];

impl Args for Victims {
    fn augment_args(command: Command) -> Command {
        let valued = |(name, letter, _, help): (&'static str, char, Kind, &'static str), value| {
            let arg = Arg::new(name).long(name).short(letter).value_name(value).help(help);
            arg.action(ArgAction::Append).allow_hyphen_values(true)
        };
        let flag = |(name, _, help): (&'static str, Kind, &'static str)| {
            let arg = Arg::new(name).long(name).help(help).hide_short_help(true);
            let arg = arg.num_args(0).default_missing_value("");
            arg.action(ArgAction::Append)
        };
        let targets = Arg::new(TARGETS)
            .value_name("TARGET")
            .help("What to remove")
            .value_parser(clap::value_parser!(OsString))
            .num_args(0..)
            .allow_negative_numbers(true)
            .action(ArgAction::Append);
        command
            .args(IDS.map(|id| valued(id, "ID")))
            .args(KEYS.map(|key| valued(key, "KEY")))
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
        let kinds: Vec<(usize, Kind)> =
            KINDS.iter().flat_map(|(name, kind, _)| places(name).map(|at| (at, *kind))).collect();
        let before = |place: usize| {
            let before = kinds.iter().filter(|(at, _)| *at < place).max_by_key(|(at, _)| *at);
            before.map(|(_, kind)| *kind)
        };
        let mut words: Vec<(usize, Word)> = Vec::new();
        for (name, _, kind, _) in IDS {
            words.extend(places(name).zip(texts(name).map(|text| Word::Id(kind, text))));
        }
        for (name, _, kind, _) in KEYS {
            words.extend(places(name).zip(texts(name).map(|text| Word::Key(kind, text))));
        }
        let targets = matches.get_many::<OsString>(TARGETS).into_iter().flatten();
        words.extend(
            places(TARGETS)
                .zip(targets)
                .map(|(at, text)| (at, Word::Target(before(at), text.clone()))),
        );
        words.sort_unstable_by_key(|(at, _)| *at);
        self.words = words.into_iter().map(|(_, word)| word).collect();
        self.kinds = kinds.into_iter().map(|(_, kind)| kind).collect();
        self.kinds.dedup();
        Ok(())
    }
}
