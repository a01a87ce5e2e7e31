//! Floor 9: chooses the applet and the verb, prints an error once, and returns the exit status.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::mem::forget;
use std::path::Path;

use anyhow::{Context, Error, Result};
use clap::error::ErrorKind;

use crate::applets::topics::{self, TOPICS};
use crate::applets::{APPLETS, Applet, Entry, Runs, WORDS, complete, doctor, linked, named};
use crate::args::synopsis;
use crate::args::usage::{CommandLine, refuse_detached};
use crate::exit::{Cause, Exit, bare};
use crate::output;
use crate::sys::{fds, file_limit, init};

mod unknown;

const NAME: &str = "ipcbox";

const VERSION: &str = concat!("ipcbox ", env!("CARGO_PKG_VERSION"), "\n");

/// The options of `ipcbox` itself.
const OWN: [&str; 5] = ["--help", "--version", "--list", "-h", "-V"];

/// A failure and its exit status, which depends on the verb.
struct Failed {
    error: Error,
    exit: Exit,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit = Exit::of(&error);
        Self { error, exit }
    }
}

type Handled = std::result::Result<Exit, Failed>;

/// Runs `ipcbox` with its argument vector and returns the exit status.
pub fn main(argv: Vec<OsString>) -> u8 {
    init::obey_signals();
    let mut words = argv.into_iter();
    let called = words.next().unwrap_or_default();
    let base = Path::new(&called).file_name().unwrap_or_default().to_string_lossy();
    let words: Vec<OsString> = words.collect();
    let outcome = match (&words[..], linked(&base)) {
        // The completions call the binary by whatever name it has.
        ([word, kind, start], _) if word == "--complete" => offer(kind, start),
        (_, Some((applet, name))) => in_applet(applet, name, &base, &words),
        (_, None) => in_ipcbox(&words),
    };
    let exit = outcome.unwrap_or_else(|failed| {
        output::report(&failed.error);
        failed.exit
    });
    exit.code()
}

/// Handles a call by the name of ipcbox: an applet's name, or a word of its own.
fn in_ipcbox(words: &[OsString]) -> Handled {
    let Some((first, rest)) = words.split_first() else {
        return help();
    };
    let first = first.to_string_lossy();
    if let Some((applet, name)) = named(&first) {
        return in_applet(applet, name, &format!("{NAME} {first}"), rest);
    }
    if let Some(word) = WORDS.iter().find(|word| word.is_called(&first)) {
        if !word.name.starts_with('-') {
            output::called(word.name);
        }
        return in_verb(word, &format!("{NAME} {first}"), rest);
    }
    match (&*first, rest) {
        ("-h" | "--help" | "help", []) => help(),
        ("help", [word]) if word == "help" || OWN.iter().any(|own| word == own) => help(),
        ("-V" | "--version", [word]) if word == "-v" || word == "--verbose" => {
            print(&format!("{VERSION}{}", doctor::report()))
        }
        ("-V" | "--version", [word]) if word == "-h" || word == "--help" => help(),
        ("-V" | "--version", [word, rest @ ..]) => Err(after_version(word, rest).into()),
        ("-v" | "--verbose", [word]) if word == "-V" || word == "--version" => {
            let words = format!("'{first}' must come after '{}'", word.display());
            Err(Cause::new(Exit::Usage, words).hint(format!("{NAME} --version --verbose")).into())
        }
        ("help", [_, _, word, ..]) | ("-h" | "--help" | "--list", [word, ..]) => Err(too_many(word).into()),
        ("help", topic) => {
            if let Some(text) = topics::find(topic) {
                return explain(&text);
            }
            if let [word] = topic
                && let Some(cause) = unknown::topic(&word.to_string_lossy())
            {
                return Err(cause.into());
            }
            // `help sem run` is `sem run --help`.
            let line = topic.iter().cloned();
            in_ipcbox(&line.chain([OsString::from("--help")]).collect::<Vec<_>>())
        }
        ("-V" | "--version", []) => version(),
        ("--list", []) => {
            let names = APPLETS.iter().map(|applet| format!("{}\n", applet.name));
            print(&names.collect::<String>())
        }
        _ => Err(unknown::applet(&first, rest).into()),
    }
}

fn offer(kind: &OsStr, start: &OsStr) -> Handled {
    print(&complete::words(&kind.to_string_lossy(), &start.to_string_lossy())?)
}

fn version() -> Handled {
    print(VERSION)
}

fn after_version(word: &OsStr, rest: &[OsString]) -> Cause {
    let known = ["--verbose", "--help"];
    match word.to_str() {
        Some("-v" | "--verbose" | "-h" | "--help") => too_many(rest.first().map_or(word, |word| word)),
        Some(option) if option.starts_with("--") => Cause::unknown("option", option, &known),
        _ => too_many(word),
    }
}

fn too_many(word: &OsStr) -> Cause {
    Cause::new(Exit::Usage, format!("unexpected argument '{}'", word.display()))
}

/// Handles a call of an applet. The first word is the verb, if the applet has verbs.
fn in_applet(applet: &Applet, name: &'static str, called: &str, words: &[OsString]) -> Handled {
    output::called(name);
    if let Some(alone) = applet.alone(name) {
        let words = &alone.in_full(words);
        return match words.first() {
            Some(word) if word == "-V" || word == "--version" => version(),
            _ => in_verb(alone, called, words),
        };
    }
    let Some((first, rest)) = words.split_first() else {
        output::to_stderr(&verbs(applet, called));
        return Ok(Exit::Usage);
    };
    let first = first.to_string_lossy();
    if let Some(verb) = applet.verbs.iter().find(|verb| verb.is_called(&first)) {
        return in_verb(verb, &format!("{called} {first}"), rest);
    }
    match (&*first, rest) {
        ("-h" | "--help", _) | ("help", []) => explain(&verbs(applet, called)),
        ("help", [verb, ..]) => in_applet(applet, name, called, &[verb.clone(), "--help".into()]),
        ("-V" | "--version", _) => version(),
        _ => Err(unknown::verb(applet, name, called, &first, rest).into()),
    }
}

fn in_verb(verb: &Entry, called: &str, words: &[OsString]) -> Handled {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let has = |option: &str| words[..end].iter().any(|word| word == option);
    let has_command = end + 1 < words.len();
    let runs_command = match verb.runs {
        Runs::Nothing | Runs::Each => false,
        Runs::Optionally => has_command || has("--shell"),
        Runs::With(option) => has_command && has(option),
        Runs::Command | Runs::ByServer => true,
    };
    parse_and_run(verb, called, words).map_err(|error| {
        let is_worded = bare(&error).is_none();
        let failed =
            Failed::from(if is_worded { error } else { error.context(format!("cannot complete '{}'", verb.name)) });
        let exit = if runs_command { failed.exit.before_command() } else { failed.exit };
        Failed { exit, ..failed }
    })
}

fn parse_and_run(verb: &Entry, called: &str, words: &[OsString]) -> Result<Exit> {
    fds::guard_standard().context("cannot check standard input, output and error")?;
    let mut parser = verb.parser(called, words);
    let mut matches = match parser.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let long = words.iter().take_while(|word| *word != "--").any(|word| word == "--help");
            return explain(&verb.help(called, long));
        }
        Err(error) => anyhow::bail!(command_line(verb, called, words).explain(&error)),
    };
    refuse_detached(called, words)?;
    // Dropping the parser costs instructions, and the process exits soon.
    forget(parser);
    if verb.writes {
        file_limit::report().context("cannot ignore SIGXFSZ")?;
    }
    (verb.run)(&mut matches)
}

/// Returns the line of a verb, for the failure that it is wrong.
fn command_line<'a>(verb: &'a Entry, called: &'a str, words: &[OsString]) -> CommandLine<'a> {
    let parse = |words: &[String]| {
        let typed: Vec<OsString> = words.iter().map(OsString::from).collect();
        match verb.parser(called, &typed).try_get_matches_from(typed) {
            Err(error) if error.kind() != ErrorKind::DisplayHelp => Err(error),
            _ => Ok(()),
        }
    };
    CommandLine {
        called,
        words: words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        takes_command: verb.runs.takes_command(),
        parse: Box::new(parse),
        usage: Box::new(|| synopsis::usage(&verb.parser(called, &[]), called)),
    }
}

fn print<E: From<Error>>(text: &str) -> std::result::Result<Exit, E> {
    file_limit::report().map_err(Error::from)?;
    output::print(text.as_bytes())?;
    Ok(Exit::Done)
}

fn explain<E: From<Error>>(text: &str) -> std::result::Result<Exit, E> {
    file_limit::report().map_err(Error::from)?;
    output::help(text)?;
    Ok(Exit::Done)
}

fn help() -> Handled {
    let mut text = format!("Usage: {NAME} APPLET VERB [OPTION]... [TARGET] [ARG]...\n\n");
    let applets = APPLETS.iter().map(|applet| (applet.name, applet.summary));
    lines(&mut text, "Applets:", applets);
    let words = WORDS.iter().map(|word| (word.name, word.summary));
    let own = [
        ("--list", "Print the names of the applets"),
        ("--version", "Print the version (--verbose: also kernel features and limits)"),
        ("help", "Explain an applet, a verb or a topic: ipcbox help sem run"),
    ];
    text.push('\n');
    lines(&mut text, "Commands of ipcbox itself:", words.chain(own));
    text.push('\n');
    lines(&mut text, "Topics of ipcbox help:", TOPICS.into_iter());
    text.push_str("\nA link named after an applet, such as sem or ipc-sem, calls that applet.\n");
    explain(&text)
}

/// Returns an applet's verbs and one example.
fn verbs(applet: &Applet, called: &str) -> String {
    let mut text = format!("{}\n\nUsage: {called} VERB [OPTION]... [TARGET] [ARG]...\n\n", applet.summary);
    lines(&mut text, "Verbs:", applet.verbs.iter().map(|verb| (verb.name, verb.summary)));
    let _ = write!(text, "\nExample: {}\n", applet.example.replace(&format!("{NAME} {}", applet.name), called));
    let _ = writeln!(text, "For help on a verb, run {called} VERB --help.");
    text
}

fn lines<'a>(text: &mut String, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    let _ = writeln!(text, "{title}");
    for (name, summary) in entries {
        let _ = writeln!(text, "  {name:<15}{summary}");
    }
}
