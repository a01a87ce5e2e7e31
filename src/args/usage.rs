//! Wrong usage: the message, and the corrected command line as a hint.
//!
//! A guess becomes a hint only if the parser accepts the corrected line.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::duration;
use super::foreign::{self, Ours};
use super::numbers::digits;
use super::signals;
use crate::exit::{Cause, Exit};
use crate::text::quote;

/// The most faults of one line that are corrected.
const MOST: usize = 5;

type Parse<'a> = dyn Fn(&[String]) -> Result<(), clap::Error> + 'a;

/// A line that the parser refused.
pub struct CommandLine<'a> {
    /// Its start: `ipcbox sem run`.
    pub called: &'a str,
    /// The words after the start.
    pub words: Vec<String>,
    /// Whether the verb runs a CMD after `--`.
    pub takes_command: bool,
    /// Parses other words of the same verb.
    pub parse: Box<Parse<'a>>,
    /// Returns the synopsis, which starts with `called`.
    pub usage: Box<dyn Fn() -> String + 'a>,
}

/// A line that was probably meant.
struct Guess {
    words: Vec<String>,
    /// A better message than the parser's.
    message: Option<String>,
}

impl Guess {
    fn replaced(words: &[String], at: usize, count: usize, with: &[&str]) -> Self {
        let with = with.iter().map(|word| (*word).to_owned());
        let words = words[..at].iter().cloned().chain(with).chain(words[at + count..].iter().cloned());
        Self { words: words.collect(), message: None }
    }

    fn because(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }
}

struct Complaint<'a> {
    kind: ErrorKind,
    /// The option or operand.
    arg: &'a str,
    /// Its value.
    value: &'a str,
    error: &'a clap::Error,
}

impl<'a> Complaint<'a> {
    fn of(error: &'a clap::Error) -> Self {
        let arg = text(error, ContextKind::InvalidArg);
        Self { kind: error.kind(), arg, value: text(error, ContextKind::InvalidValue), error }
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> &str {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text,
        Some(ContextValue::Strings(texts)) => texts.first().map_or("", String::as_str),
        _ => "",
    }
}

impl CommandLine<'_> {
    /// Returns the failure for an error of the parser.
    pub fn explain(&self, error: &clap::Error) -> Cause {
        let complaint = Complaint::of(error);
        let guesses = self.guesses(&self.words, &complaint);
        let better = guesses.iter().find_map(|guess| guess.message.clone());
        let cause = Cause::new(Exit::Usage, better.unwrap_or_else(|| message(&complaint)));
        match self.hint(&complaint, guesses) {
            Some(hint) => cause.hint(hint),
            None => cause,
        }
    }

    /// Returns the corrected line, if the parser accepts it.
    pub fn corrected(&self) -> Option<String> {
        match (self.parse)(&self.words) {
            Ok(()) => Some(joined(self.called, &self.words)),
            Err(error) => self.meant(self.guesses(&self.words, &Complaint::of(&error)), MOST),
        }
    }

    fn hint(&self, complaint: &Complaint, guesses: Vec<Guess>) -> Option<String> {
        if let Some(line) = self.meant(guesses, MOST) {
            return Some(line);
        }
        match complaint.kind {
            ErrorKind::ValueValidation if is_unexpanded(complaint.value) => {
                Some(joined(self.called, &self.words).replace(&quote(complaint.value), complaint.value))
            }
            // The name of a program instead of its pid.
            ErrorKind::ValueValidation if plain(complaint.arg) == "PID" && is_program(complaint.value) => {
                Some(format!("pgrep {}", complaint.value))
            }
            ErrorKind::MissingRequiredArgument => Some(format!("usage: {}", (self.usage)())),
            ErrorKind::UnknownArgument if text(complaint.error, ContextKind::SuggestedArg).is_empty() => {
                Some(format!("{} --help", self.called))
            }
            _ => None,
        }
    }

    /// Returns the first guess that the parser accepts, possibly after further corrections.
    fn meant(&self, guesses: Vec<Guess>, most: usize) -> Option<String> {
        guesses.into_iter().find_map(|guess| match (self.parse)(&guess.words) {
            Ok(()) => Some(joined(self.called, &guess.words)),
            Err(_) if most == 0 => None,
            Err(error) => self.meant(self.guesses(&guess.words, &Complaint::of(&error)), most - 1),
        })
    }

    /// Returns the possible corrections of one fault; none if a word is not UTF-8.
    fn guesses(&self, words: &[String], complaint: &Complaint) -> Vec<Guess> {
        if words.iter().any(|word| word.contains('\u{fffd}')) {
            return Vec::new();
        }
        match complaint.kind {
            ErrorKind::UnknownArgument => self.unknown(words, complaint),
            ErrorKind::ValueValidation => self.wrong_value(words, complaint),
            _ => Vec::new(),
        }
    }

    fn unknown(&self, words: &[String], complaint: &Complaint) -> Vec<Guess> {
        let arg = complaint.arg;
        let dashes = words.iter().position(|word| word == "--");
        let mine = &words[..dashes.unwrap_or(words.len())];
        let Some(at) = place(mine, arg) else { return Vec::new() };
        let is_option = arg.starts_with('-');
        let guess = |with: &[&str]| Guess::replaced(words, at, 1, with);
        if is_option && self.called.ends_with("sem op") && is_delta(arg) {
            return vec![guess(&[&format!("0:{arg}")]).because(NOT_AN_OPERATION)];
        }
        let signal = words[at].strip_prefix('-').filter(|word| signals::parse(word).is_ok());
        if let Some(signal) = signal.filter(|_| self.called.contains("signal ")) {
            return vec![guess(&[signal]).because(without_dash(signal))];
        }
        if let Some(ours) = foreign::option(self.called, arg) {
            return vec![translated(words, at, arg, ours)];
        }
        // The message suggests the nearest option.
        if !text(complaint.error, ContextKind::SuggestedArg).is_empty() {
            return Vec::new();
        }
        let mut guesses = Vec::new();
        if !is_option {
            let options = foreign::BARE.iter().filter(|(verb, _)| self.called.ends_with(verb));
            for (_, option) in options.filter(|(_, option)| !words.iter().any(|word| word == option)) {
                let message = format!("unexpected argument '{arg}' (did you mean {option} {arg}?)");
                let with: &[&str] = if *option == "--max-time" { &[option, arg, "--"] } else { &[option, arg] };
                if arg.starts_with(|c: char| c.is_ascii_digit()) {
                    guesses.push(guess(with).because(message));
                }
            }
        }
        // CMD comes after an operand, so an option before it cannot be CMD's.
        let is_cmds = !is_option || mine[..at].iter().any(|word| !word.starts_with('-'));
        if self.takes_command && is_cmds && dashes.is_none() && digits(arg).is_none() {
            // A whole command line in one word needs a shell.
            let is_line = at + 1 == words.len() && arg.contains(' ');
            let with: &[&str] = if is_line { &["--", "sh", "-c", arg] } else { &["--", &words[at]] };
            guesses.push(guess(with).because(AFTER_DASHES));
        }
        guesses
    }

    fn wrong_value(&self, words: &[String], complaint: &Complaint) -> Vec<Guess> {
        let (arg, value) = (plain(complaint.arg), complaint.value);
        let Some(at) = words.iter().position(|word| word == value) else { return Vec::new() };
        let guess = |with: &str| Guess::replaced(words, at, 1, &[with]);
        if value.is_empty() {
            return Vec::new();
        }
        if let Some(signal) = value.strip_prefix('-').filter(|word| arg == "SIG" && signals::parse(word).is_ok()) {
            return vec![guess(signal).because(without_dash(signal))];
        }
        // kill(1) takes a negative pid for a process group, and -1 for every process.
        let group = value.strip_prefix('-').filter(|group| digits(group).is_some_and(|it| it > 1));
        if let Some(group) = group.filter(|_| self.called.ends_with("signal send")) {
            let mut guess = guess(group);
            guess.words.retain(|word| word != "--");
            guess.words.push("--group".into());
            return vec![guess];
        }
        if self.called.ends_with("sem op") && is_delta(value) {
            return vec![guess(&format!("0:{value}")).because(NOT_AN_OPERATION)];
        }
        // An optional value cannot be a separate word.
        if at > 0 && words[at - 1] == "--watch" {
            return vec![watching(words, at)];
        }
        if arg == "TARGET" {
            let base = value.rsplit('/').next().unwrap_or_default();
            let guesses = [guess(base), guess(&format!("ci-{value}"))].into_iter();
            return guesses.filter(|guess| guess.words[at] != value && (self.parse)(&guess.words).is_ok()).collect();
        }
        let swapped = [at.checked_sub(1), Some(at)].into_iter().flatten().filter(|first| {
            words.get(first + 1).is_some_and(|next| ![&words[*first], next].iter().any(|word| word.starts_with('-')))
        });
        let message = format!("{} (swapped?)", message(complaint));
        let swapped = swapped.map(|first| {
            Guess::replaced(words, first, 2, &[&words[first + 1], &words[first]]).because(message.clone())
        });
        swapped.filter(|guess| (self.parse)(&guess.words).is_ok()).collect()
    }
}

const AFTER_DASHES: &str = "the command goes after '--'";
const NOT_AN_OPERATION: &str = "an operation is INDEX:DELTA, for example 0:-1";

fn without_dash(signal: &str) -> String {
    format!("a signal is written without '-': {signal}")
}

/// Refuses an interval in a separate word after `--watch`, which would be a TARGET.
///
/// # Errors
/// Wrong usage.
pub fn refuse_detached(called: &str, words: &[OsString]) -> Result<(), Cause> {
    let is_interval = |word: &OsStr| word.to_str().is_some_and(|text| duration::interval(text).is_ok());
    let mine = words.iter().position(|word| word == "--").map_or(words, |end| &words[..end]);
    let Some(at) = mine.windows(2).position(|pair| pair[0] == "--watch" && is_interval(&pair[1])) else {
        return Ok(());
    };
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let guess = watching(&words, at + 1);
    let message = guess.message.unwrap_or_default();
    Err(Cause::new(Exit::Usage, message).hint(joined(called, &guess.words)))
}

fn watching(words: &[String], at: usize) -> Guess {
    let whole = format!("--watch={}", words[at]);
    Guess::replaced(words, at - 1, 2, &[&whole]).because("the interval of --watch goes after '='")
}

fn joined(called: &str, words: &[String]) -> String {
    words.iter().fold(called.to_owned(), |line, word| line + " " + &quote(word))
}

fn translated(words: &[String], at: usize, arg: &str, ours: Ours) -> Guess {
    let template = match ours {
        Ours::Words(template) => template,
        Ours::Default(why) => return Guess::replaced(words, at, 1, &[]).because(format!("no option '{arg}': {why}")),
    };
    let (count, value) = match words[at].strip_prefix(arg).filter(|rest| !rest.is_empty()) {
        Some(rest) => (1, Some(rest.trim_start_matches('='))),
        None if template.contains("{}") => (2, words.get(at + 1).map(String::as_str)),
        None => (1, None),
    };
    let with: Vec<String> = template.split(' ').map(|word| word.replace("{}", value.unwrap_or_default())).collect();
    let message = if template.starts_with("-- ") {
        AFTER_DASHES.into()
    } else {
        format!("no option '{arg}'; did you mean '{}'?", with.join(" ").trim_end())
    };
    let with: Vec<&str> = with.iter().map(String::as_str).collect();
    Guess::replaced(words, at, count.min(words.len() - at), &with).because(message)
}

/// Returns the index of the word that contains an option or operand: `-j2`, `--jobs=2`.
fn place(words: &[String], arg: &str) -> Option<usize> {
    let is_long = arg.starts_with("--");
    let has_value = |word: &str| {
        let rest = word.strip_prefix(arg);
        arg.starts_with('-') && rest.is_some_and(|rest| !is_long || rest.starts_with('='))
    };
    // `sem run cc cc` names the target first.
    let mut same = (0..words.len()).filter(|at| words[*at] == arg);
    let first = same.next();
    same.next().or(first).or_else(|| words.iter().position(|word| has_value(word)))
}

fn message(complaint: &Complaint) -> String {
    let arg = plain(complaint.arg);
    let value = complaint.value;
    match complaint.kind {
        ErrorKind::ValueValidation if value.is_empty() => format!("{arg} is empty (an unset variable?)"),
        ErrorKind::ValueValidation if is_unexpanded(value) => {
            format!("{arg}: '{value}' was not expanded: use double quotes or none")
        }
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(complaint.error).map(ToString::to_string).unwrap_or_default();
            refused(arg, value, &source)
        }
        ErrorKind::UnknownArgument if arg.starts_with('-') => match text(complaint.error, ContextKind::SuggestedArg) {
            "" => format!("no option '{arg}'"),
            known => format!("no option '{arg}'; did you mean '{known}'?"),
        },
        ErrorKind::UnknownArgument => format!("unexpected argument '{}'", complaint.arg),
        ErrorKind::InvalidValue if value.is_empty() => format!("{arg} needs a value"),
        ErrorKind::InvalidValue => {
            let valid = match complaint.error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => valid.as_slice(),
                _ => &[],
            };
            let valid = match valid {
                [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
                valid => valid.concat(),
            };
            format!("{arg}: expected {valid}, not '{value}'")
        }
        ErrorKind::MissingRequiredArgument => format!("{arg} is missing"),
        ErrorKind::ArgumentConflict => match plain(text(complaint.error, ContextKind::PriorArg)) {
            prior if prior == arg => format!("{arg} was given twice"),
            prior => format!("{arg} and {prior} cannot be used together"),
        },
        ErrorKind::InvalidUtf8 => "an option's value is not valid UTF-8".into(),
        _ => {
            let rendered = complaint.error.to_string();
            rendered.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

/// Returns the message for a value that was refused because of `why`.
pub fn refused(arg: &str, value: &str, why: &str) -> String {
    if why.starts_with("expected ") {
        format!("{arg}: {why}, not '{value}'")
    } else {
        format!("{arg} '{value}': {why}")
    }
}

/// Whether a shell would expand the value if it were not quoted.
fn is_unexpanded(value: &str) -> bool {
    value
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{($".contains(c)))
}

fn is_program(value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.chars().all(is_name)
}

/// Whether the word is an operation of `sem op` without its index.
fn is_delta(word: &str) -> bool {
    let number = word.trim_end_matches(['n', 'u']);
    digits(number.strip_prefix(['+', '-']).unwrap_or(number)).is_some()
}

/// Returns `--slots` or `TARGET` for `--slots <N>` or `<TARGET>...`, as clap writes them.
fn plain(arg: &str) -> &str {
    let first = arg.split([' ', '=']).next().unwrap_or_default();
    first.trim_end_matches(['.', '…']).trim_matches(['<', '>', '[', ']'])
}

#[cfg(test)]
#[path = "../../tests/units/args/usage.rs"]
mod tests;
