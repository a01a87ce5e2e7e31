//! Wrong usage in the box's words: one line that says what is wrong, and a hint where one is known.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::numbers::digits;
use super::signals;
use crate::exit::{Cause, Exit};
use crate::text::quote;

/// A parser's complaint in the box's words. `called` is the line so far (`ipcbox sem run`), `words` what was
/// parsed, `wants_command` whether the verb takes a CMD after `--`.
pub fn explain(error: &clap::Error, called: &str, words: &[String], wants_command: bool) -> Cause {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg).unwrap_or_default();
    let short = arg.split([' ', '=']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let source = std::error::Error::source(error).map(ToString::to_string);
    let help = format!("{called} --help shows how it is used");
    let usage = |words: String| Cause::new(Exit::Usage, words);
    match error.kind() {
        ErrorKind::ValueValidation => {
            let is_interval = |pair: &[String]| pair[0] == "--watch" && pair[1] == value;
            let wrong = usage(format!("{} '{value}': {}", plain(short), source.unwrap_or_default()));
            if let Some(group) = as_group(called, value) {
                return wrong.hint(format!("{} --group", replaced(called, words, value, group)));
            }
            // A value that can be left out is no word of its own.
            if words.windows(2).any(is_interval) {
                return wrong.hint(format!("an interval is written --watch={value}"));
            }
            wrong
        }
        ErrorKind::UnknownArgument => {
            let is_option = arg.starts_with('-');
            let known = text(ContextKind::SuggestedArg);
            // An option that no word is before cannot be CMD's.
            let mut before = words.iter().take_while(|word| *word != arg);
            let is_cmds = !is_option || before.any(|word| !word.starts_with('-'));
            match known {
                Some(known) => usage(format!("no option '{arg}'; did you mean '{known}'?")),
                None if wants_command && is_cmds && !words.iter().any(|word| word == "--") => {
                    usage("a command comes after '--'".into()).hint(with_dashes(called, words, arg))
                }
                None if is_option => match as_kill(called, words, arg) {
                    Some(signal) => usage(format!("a signal is written without '-': {signal}")),
                    None => usage(format!("no option '{arg}'")).hint(help),
                },
                None => usage(format!("'{arg}' is one word too many")).hint(help),
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => usage(format!("{} wants a value", plain(short))).hint(help),
        ErrorKind::InvalidValue => {
            let valid = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => valid.join(", "),
                _ => String::new(),
            };
            usage(format!("{} '{value}': it is one of {valid}", plain(short)))
        }
        ErrorKind::MissingRequiredArgument if arg.starts_with("<CMD") => {
            let end = if words.iter().any(|word| word == "--") { "" } else { " --" };
            let line = [&[called.to_owned()], words].concat().join(" ");
            usage("no command was given".into()).hint(format!("{line}{end} CMD…"))
        }
        ErrorKind::MissingRequiredArgument => usage(format!("{} is missing", plain(short))).hint(help),
        ErrorKind::ArgumentConflict => {
            let prior = text(ContextKind::PriorArg).unwrap_or_default();
            let prior = prior.split([' ', '=']).next().unwrap_or_default();
            usage(if prior == short {
                format!("{} was given twice", plain(short))
            } else {
                format!("{} and {} exclude each other", plain(short), plain(prior))
            })
        }
        ErrorKind::InvalidUtf8 => usage("an option's value is not valid UTF-8".into()),
        _ => {
            let rendered = error.to_string();
            let first = rendered.lines().next().unwrap_or_default();
            usage(first.trim_start_matches("error: ").to_owned()).hint(help)
        }
    }
}

/// The signal that kill(1) would take in the word that begins with this option.
fn as_kill<'a>(called: &str, words: &'a [String], arg: &str) -> Option<&'a str> {
    let word = words.iter().find(|word| word.starts_with(arg))?.strip_prefix('-')?;
    (called.contains("signal ") && signals::parse(word).is_ok()).then_some(word)
}

/// The process group that kill(1) would signal where a PID is written so; -1 is every process.
fn as_group<'a>(called: &str, value: &'a str) -> Option<&'a str> {
    let group = value.strip_prefix('-').filter(|group| digits(group).is_some_and(|it| it > 1))?;
    called.ends_with("signal send").then_some(group)
}

/// The line with another word in the place of one.
fn replaced(called: &str, words: &[String], old: &str, new: &str) -> String {
    let words = words.iter().filter(|word| *word != "--");
    let words = words.map(|word| if word == old { new.to_owned() } else { quote(word) });
    [called.to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// `--slots` or `TARGET` of what clap shows as `--slots <N>` or `<TARGET>...`.
fn plain(arg: &str) -> &str {
    arg.trim_end_matches(['.', '…']).trim_matches(['<', '>', '[', ']'])
}

/// The line as it was meant: `--` before the first word that is one too many.
fn with_dashes(called: &str, words: &[String], first: &str) -> String {
    // Where it stands twice the first one is the verb's own.
    let places: Vec<usize> = (0..words.len()).filter(|n| words[*n] == first).collect();
    let at = places.get(1).or(places.first()).copied().unwrap_or(words.len());
    let quoted = words.iter().enumerate().map(|(n, word)| {
        let dashes = if n == at { "-- " } else { "" };
        format!("{dashes}{}", quote(word))
    });
    format!("{called} {}", quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
#[path = "../../tests/units/args/usage.rs"]
mod tests;
