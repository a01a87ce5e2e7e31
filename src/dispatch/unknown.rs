//! An unknown applet or verb, and what was probably meant.

use std::ffi::OsString;

use super::{NAME, OWN, command_line};
use crate::applets::topics::TOPICS;
use crate::applets::{APPLETS, Applet, Entry, WORDS, named};
use crate::args::foreign;
use crate::args::usage::joined;
use crate::exit::{Cause, Exit};
use crate::text::nearest;

/// Returns the failure for an unknown applet; `rest` are the words after it.
pub fn applet(first: &str, rest: &[OsString]) -> Cause {
    let help = format!("{NAME} --help");
    if first.starts_with('-') {
        let name = |word: &OsString| named(&word.to_string_lossy());
        if let Some((at, (applet, name))) = rest.iter().enumerate().find_map(|(at, word)| Some((at, name(word)?))) {
            let before = [&[first.into()], &rest[..at]].concat();
            if let Some(cause) = late(applet, name, &format!("{NAME} {name}"), &before, &rest[at + 1..]) {
                return cause;
            }
        }
        // Every option of one letter resembles `-h`.
        if first.len() == 2 {
            return Cause::unknown("option", first, &[]).hint(help);
        }
        let known: Vec<&str> = WORDS.iter().map(|word| word.name).chain(OWN).collect();
        return Cause::unknown("option", first, &known).hint(help);
    }
    let has_it = |applet: &&Applet| applet.verbs.iter().any(|verb| verb.name == first);
    let with_it: Vec<&str> = APPLETS.iter().filter(has_it).map(|applet| applet.name).collect();
    let translated = |word: &str| foreign::APPLETS.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    let names = APPLETS.iter().map(|applet| applet.name).chain(WORDS.iter().map(|word| word.name));
    let own: Vec<&str> = names.chain(["help"]).collect();
    let ours = translated(first).map(str::to_owned).or_else(|| match with_it[..] {
        [one] => Some(format!("{one} {first}")),
        _ => None,
    });
    // A misspelt word of another tool.
    let misspelt = || {
        let theirs = foreign::APPLETS.iter().map(|(theirs, _)| *theirs).filter(|theirs| theirs.len() > 4);
        translated(nearest(first, &theirs.collect::<Vec<_>>())?)
    };
    match (ours, &with_it[..]) {
        (Some(ours), _) => instead("applet", first, &ours, rest),
        (None, [most @ .., last]) => {
            let words = format!("no applet '{first}': it is a verb of {} and {last}", most.join(", "));
            Cause::new(Exit::Usage, words).hint(help)
        }
        (None, []) if nearest(first, &own).is_some() => Cause::unknown("applet", first, &own),
        (None, []) => match misspelt() {
            Some(ours) => instead("applet", first, ours, rest),
            None => Cause::unknown("applet", first, &[]).hint(help),
        },
    }
}

/// Returns the failure of `ipcbox help WORD`, unless the word is known, or is a verb or a word of another tool.
pub fn topic(word: &str) -> Option<Cause> {
    let is_verb = APPLETS.iter().any(|applet| applet.verbs.iter().any(|verb| verb.name == word));
    let is_known = named(word).is_some() || WORDS.iter().any(|own| own.name == word);
    if word.starts_with('-') || is_verb || is_known || foreign::APPLETS.iter().any(|(theirs, _)| *theirs == word) {
        return None;
    }
    let known: Vec<&str> = APPLETS.iter().map(|applet| applet.name).chain(TOPICS.map(|(name, _)| name)).collect();
    let cause = Cause::unknown("applet or topic", word, &known);
    Some(cause.hint(format!("list the applets and topics: {NAME} help")))
}

pub fn verb(applet: &Applet, name: &'static str, called: &str, first: &str, rest: &[OsString]) -> Cause {
    let known: Vec<&str> = applet.verbs.iter().map(|verb| verb.name).collect();
    let help = format!("{called} --help");
    if first.starts_with('-') {
        let cause = late(applet, name, called, &[first.into()], rest);
        return cause.unwrap_or_else(|| Cause::unknown("option", first, &[]).hint(help));
    }
    let mut explained =
        foreign::EXPLAINED.iter().filter(|(of, words, ..)| *of == applet.name && words.contains(&first));
    if let Some((.., why, template)) = explained.next() {
        let (ours, more) = template.split_once(" {} ").unwrap_or((template, ""));
        let line = match rest {
            [word] if !word.as_encoded_bytes().starts_with(b"-") => {
                joined(&format!("{called} {ours}"), &[word.to_string_lossy().into_owned()])
            }
            _ => None,
        };
        let line = line.map(|line| format!("{line} {more}"));
        let hint = line.unwrap_or_else(|| format!("{called} {ours} --help"));
        return Cause::new(Exit::Usage, format!("no verb '{first}': {why}")).hint(hint);
    }
    let theirs = foreign::verb(applet.name, first, |ours| known.contains(&ours));
    match theirs.and_then(|ours| applet.verbs.iter().find(|verb| verb.name == ours)) {
        Some(verb) => meant("verb", first, verb.name, &format!("{called} {}", verb.name), Some(verb), rest),
        None if nearest(first, &known).is_some() => Cause::unknown("verb", first, &known),
        None => Cause::unknown("verb", first, &[]).hint(help),
    }
}

/// Returns the failure that suggests `ours`, an applet or a verb with its applet.
fn instead(kind: &str, theirs: &str, ours: &str, rest: &[OsString]) -> Cause {
    let verb = ours.split_once(' ').and_then(|(applet, verb)| {
        let (applet, _) = named(applet)?;
        applet.verbs.iter().find(|entry| entry.name == verb)
    });
    meant(kind, theirs, ours, &format!("{NAME} {ours}"), verb, rest)
}

fn meant(kind: &str, theirs: &str, ours: &str, called: &str, verb: Option<&Entry>, rest: &[OsString]) -> Cause {
    let next = rest.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let verb = verb.filter(|_| foreign::keeps_operands(theirs, &next));
    let line = verb.and_then(|verb| command_line(verb, called, rest).corrected());
    let words = format!("no {kind} '{theirs}'; did you mean '{ours}'?");
    Cause::new(Exit::Usage, words).hint(line.unwrap_or_else(|| format!("{called} --help")))
}

/// Returns the failure for options before the verb, if there is a verb.
fn late(applet: &Applet, name: &str, called: &str, before: &[OsString], rest: &[OsString]) -> Option<Cause> {
    let cause = Cause::new(Exit::Usage, "options go after the verb");
    let (verb, called, words) = if let Some(alone) = applet.alone(name) {
        (alone, called.to_owned(), [before, rest].concat())
    } else {
        let verb = |word: &OsString| applet.verbs.iter().find(|verb| verb.is_called(&word.to_string_lossy()));
        let (at, verb) = rest.iter().enumerate().find_map(|(at, word)| Some((at, verb(word)?)))?;
        (verb, format!("{called} {}", verb.name), [before, &rest[..at], &rest[at + 1..]].concat())
    };
    Some(match command_line(verb, &called, &words).corrected() {
        Some(line) => cause.hint(line),
        None => cause,
    })
}
