//! The exit statuses that can occur in a verb: one source for help and manual pages.

use clap::Command;

use super::{Entry, Runs};
use crate::args::synopsis::value_name;
use crate::exit::Exit;

/// What a status means in a verb that has no words of its own for it.
pub const fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "success",
        Exit::Failed => "any other failure",
        Exit::Usage => "usage error; nothing was done",
        Exit::Missing => "no such object, process or reader",
        Exit::Exists => "the object already exists, or differs from the requested one",
        Exit::Denied => "permission denied",
        Exit::NotInTime(_) => "timeout",
        Exit::BeforeCommand => "any failure before CMD starts, such as a usage error",
        Exit::NotExecutable => "CMD cannot be executed",
        Exit::NotFound => "CMD was not found",
        Exit::Command(_) => "the exit status of CMD, or 128+N if signal N killed CMD",
    }
}

/// Every status, in the order of lists.
pub const ALL: [Exit; 11] = [
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::Missing,
    Exit::Exists,
    Exit::Denied,
    Exit::NotInTime(Exit::TIMED_OUT),
    Exit::BeforeCommand,
    Exit::NotExecutable,
    Exit::NotFound,
    Exit::Command(0),
];

/// Returns the number of a status, or `-` for that of CMD.
pub fn label(exit: Exit) -> String {
    match exit {
        Exit::Command(_) => "-".into(),
        exit => exit.code().to_string(),
    }
}

/// Returns what a verb acts on, if that can be missing.
fn object(parser: &Command) -> Option<String> {
    let nouns = [
        ("TARGET", "object"),
        ("ADDR", "server"),
        ("PATH", "FIFO"),
        ("PIPE", "pipe, process or descriptor"),
        ("PID", "process"),
        ("FILE", "file"),
        ("DIR", "directory"),
    ];
    let has = |name: &str| parser.get_positionals().any(|arg| value_name(arg) == name);
    let found: Vec<&str> = nouns.into_iter().filter(|(name, _)| has(name)).map(|(_, noun)| noun).collect();
    let has_file = || parser.get_opts().any(|arg| value_name(arg) == "FILE");
    match &found[..] {
        [] => has_file().then(|| "file".into()),
        found => Some(found.join(" or ")),
    }
}

impl Entry {
    /// Returns the statuses that can occur, each with its meaning in this verb.
    pub fn exit_statuses(&self) -> Vec<(Exit, String)> {
        let parser = self.parser("", &[]);
        ALL.into_iter().filter_map(|exit| Some((exit, self.status(exit, &parser)?))).collect()
    }

    fn status(&self, exit: Exit, parser: &Command) -> Option<String> {
        if let Some((_, words)) = self.statuses.iter().find(|(own, _)| *own == exit) {
            return Some((*words).to_owned());
        }
        let has = |ids: &[&str]| parser.get_arguments().any(|arg| ids.contains(&arg.get_id().as_str()));
        let object = object(parser);
        let is_fifo = object.as_deref() == Some("FIFO");
        let has_own = !matches!(self.runs, Runs::Command | Runs::ByServer);
        let with_command = matches!(self.runs, Runs::Optionally | Runs::With(_));
        let can_occur = match exit {
            Exit::Done | Exit::Failed | Exit::Usage => has_own,
            Exit::Missing | Exit::Denied => has_own && object.is_some(),
            // What creates an object in any case compares one that exists.
            Exit::Exists => {
                let creates = has(&["mode"]) && has(&["foreign"]) && !has(&["create"]);
                has_own && (creates || is_fifo || has(&["exclusive", "lock"]))
            }
            Exit::NotInTime(_) => has(&["timeout", "max_time", "wait"]),
            Exit::NotExecutable | Exit::NotFound => !matches!(self.runs, Runs::Nothing | Runs::ByServer),
            Exit::BeforeCommand | Exit::Command(_) => !has_own || with_command,
        };
        let words = match (exit, &object) {
            (Exit::Missing, _) if self.name == "create" && is_fifo => "no such directory".into(),
            (Exit::Missing, _) if self.name == "create" => "the PATH in ftok:PATH does not exist".into(),
            (Exit::Missing, Some(noun)) => format!("no such {noun}"),
            (Exit::Exists, _) if has(&["exclusive"]) => {
                "the object exists and does not match, or --exclusive was given".into()
            }
            (Exit::Exists, _) if has(&["lock"]) => "SEM exists, but is not a lock".into(),
            (Exit::Exists, _) if is_fifo => "PATH is not a FIFO".into(),
            (Exit::NotInTime(_), _) if has(&["timeout_status"]) => {
                "timeout (--timeout-status sets a different status)".into()
            }
            (Exit::BeforeCommand, _) if with_command => "any failure before CMD starts, if CMD is given".into(),
            (exit, _) => meaning(exit).to_owned(),
        };
        can_occur.then_some(words)
    }
}
