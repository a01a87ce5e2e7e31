//! Wrong usage: the message, and the corrected command line as a hint.
//!
//! A guess becomes a hint only if the parser accepts the corrected line.

mod guesses;

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::address::{Address, Meant};
use super::duration;
use super::signals;
use crate::exit::{Cause, Exit};
use crate::text::{in_home, is_control, quote};

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
        let meant = self.meant(self.guesses(&self.words, &complaint), MOST);
        let line = meant.as_ref().and_then(|guess| self.line(&guess.words));
        let better = meant.and_then(|guess| guess.message);
        let better = better.or_else(|| self.needing(&complaint));
        let cause = Cause::new(Exit::Usage, better.unwrap_or_else(|| message(&complaint)));
        match line.or_else(|| self.hint(&complaint)) {
            Some(hint) => cause.hint(hint),
            None => cause,
        }
    }

    /// Returns the message for an option that lacks another one.
    fn needing(&self, complaint: &Complaint) -> Option<String> {
        let lacks = |words: &[String]| {
            let error = (self.parse)(words).err();
            error.is_some_and(|error| text(&error, ContextKind::InvalidArg) == complaint.arg)
        };
        let needed = complaint.arg.starts_with('-') && complaint.kind == ErrorKind::MissingRequiredArgument;
        let mine = self.words.iter().take_while(|word| *word != "--").count();
        let mut places = (0..mine).filter(|at| needed && self.words[*at].starts_with('-'));
        // Without it, and possibly its value, nothing is lacking.
        let at = places.find(|at| {
            let without = |count| Guess::replaced(&self.words, *at, count, &[]).words;
            !lacks(&without(1)) && (*at + 1 >= mine || !lacks(&without(2)))
        })?;
        Some(format!("{} needs {}", plain(&self.words[at]), plain(complaint.arg)))
    }

    /// Returns the corrected line, if the parser accepts it.
    pub fn corrected(&self) -> Option<String> {
        let typed = Guess { words: self.words.clone(), message: None };
        self.line(&self.meant(vec![typed], MOST)?.words)
    }

    /// Returns the line with these words, if the parser accepts it.
    fn line(&self, words: &[String]) -> Option<String> {
        joined(self.called, words).filter(|_| (self.parse)(words).is_ok())
    }

    fn hint(&self, complaint: &Complaint) -> Option<String> {
        let value = complaint.value;
        match complaint.kind {
            ErrorKind::ValueValidation if is_variable(value) => {
                let word = if value == "$$" { value.to_owned() } else { format!("\"{value}\"") };
                self.expanded(value, &word)
            }
            ErrorKind::ValueValidation if plain(complaint.arg) == "ADDR" => match meant_address(value)? {
                Meant::Expanded(word) => self.expanded(value, &word),
                Meant::Line(line) => Some(line),
                Meant::Address(_) => None,
            },
            ErrorKind::ValueValidation if self.is_file_of_home(&self.words, value) => {
                let rest = value.strip_prefix('~').filter(|rest| rest.starts_with('/'))?;
                self.expanded(value, &in_home("", rest))
            }
            // The name of a program instead of its pid.
            ErrorKind::ValueValidation if plain(complaint.arg) == "PID" && is_program(value) => {
                Some(format!("pgrep {value}"))
            }
            ErrorKind::MissingRequiredArgument => {
                let usage = (self.usage)();
                // An option that only another one needs is not in the usage.
                let is_needed = complaint.arg.starts_with('-') && !usage.contains(plain(complaint.arg));
                Some(if is_needed { format!("add {}", bare(complaint.arg)) } else { format!("write {usage}") })
            }
            ErrorKind::UnknownArgument if text(complaint.error, ContextKind::SuggestedArg).is_empty() => {
                Some(format!("{} --help", self.called))
            }
            _ => None,
        }
    }

    /// Whether a word is the path of a file in a home directory, which the shell has not expanded, of a verb that takes
    /// files.
    fn is_file_of_home(&self, words: &[String], value: &str) -> bool {
        let Some((_, rest)) = value.split_once('/').filter(|(user, _)| user.starts_with('~')) else { return false };
        let expand = |word: &String| if word == value { format!("/home/{rest}") } else { word.clone() };
        (self.parse)(&words.iter().map(expand).collect::<Vec<_>>()).is_ok()
    }

    /// Returns the line with a word that the shell expands, if it is clear which one is wrong.
    fn expanded(&self, value: &str, word: &str) -> Option<String> {
        let end = self.words.iter().position(|word| word == "--").unwrap_or(self.words.len());
        let mut places = (0..end).filter(|at| self.words[*at] == value);
        let (at, None) = (places.next()?, places.next()) else { return None };
        let start = joined(self.called, &self.words[..at])?;
        let rest = joined("", &self.words[at + 1..])?;
        Some(format!("{start} {word}{rest}"))
    }

    /// Returns the first guess in which the parser finds no wrong word, possibly after further corrections.
    fn meant(&self, guesses: Vec<Guess>, most: usize) -> Option<Guess> {
        guesses.into_iter().find_map(|guess| match (self.parse)(&guess.words) {
            Ok(()) => Some(guess),
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => Some(guess),
            Err(_) if most == 0 => None,
            Err(error) => {
                let meant = self.meant(self.guesses(&guess.words, &Complaint::of(&error)), most - 1)?;
                Some(Guess { words: meant.words, message: guess.message })
            }
        })
    }
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
    let cause = Cause::new(Exit::Usage, message);
    Err(match joined(called, &guess.words) {
        Some(line) => cause.hint(line),
        None => cause,
    })
}

fn watching(words: &[String], at: usize) -> Guess {
    let whole = format!("--watch={}", words[at]);
    Guess::replaced(words, at - 1, 2, &[&whole]).because("the interval of --watch goes after '='")
}

/// Returns what was probably meant by a wrong address.
fn meant_address(value: &str) -> Option<Meant> {
    Address::parse(value.into()).err()?.meant
}

/// Returns a line for a shell, unless a terminal cannot show one of the words exactly.
pub fn joined(start: &str, words: &[String]) -> Option<String> {
    let is_exact = |word: &String| !word.contains(|letter| letter == '\u{fffd}' || is_control(letter));
    let line = || words.iter().fold(start.to_owned(), |line, word| line + " " + &quote(word));
    words.iter().all(is_exact).then(line)
}

fn message(complaint: &Complaint) -> String {
    let arg = plain(complaint.arg);
    let value = complaint.value;
    match complaint.kind {
        ErrorKind::ValueValidation if value.is_empty() => format!("{arg} is empty (an unset variable?)"),
        ErrorKind::ValueValidation if is_variable(value) => {
            format!("{arg}: the shell did not expand '{value}': use double quotes or no quotes")
        }
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(complaint.error).map(ToString::to_string).unwrap_or_default();
            refused(arg, value, &source)
        }
        ErrorKind::UnknownArgument if arg == "-" => "'=' follows an option that takes no value".into(),
        ErrorKind::TooManyValues => format!("{arg} takes no value"),
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
        ErrorKind::MissingRequiredArgument => format!("{} is missing", arg.replace('|', " or ")),
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
    if why.starts_with("expected ") && why.contains(", not ") {
        // It has the length of a value that is too long to repeat.
        format!("{arg}: {why}")
    } else if why.starts_with("expected ") {
        format!("{arg}: {why}, not '{value}'")
    } else if why.contains(&format!("'{value}'")) {
        format!("{arg}: {why}")
    } else {
        format!("{arg} '{value}': {why}")
    }
}

/// Whether the value is a variable that the shell did not expand, and nothing else.
fn is_variable(value: &str) -> bool {
    let name = value.strip_prefix('$').unwrap_or_default();
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    value == "$$" || name.starts_with(|c: char| is_name(c) && !c.is_ascii_digit()) && name.chars().all(is_name)
}

fn is_program(value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let is_signal = signals::parse(value).is_ok();
    !is_signal && value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.chars().all(is_name)
}

/// Returns `--slots` or `TARGET` for `--slots <N>` or `<TARGET>...`, as clap writes them.
fn plain(arg: &str) -> &str {
    let first = arg.split([' ', '=']).next().unwrap_or_default();
    first.trim_end_matches(['.', '…']).trim_matches(['<', '>', '[', ']'])
}

/// Returns `--max-time DURATION` for `--max-time <DURATION>`.
fn bare(arg: &str) -> String {
    arg.replace(['<', '>'], "")
}

#[cfg(test)]
#[path = "../../tests/units/args/usage.rs"]
mod tests;
