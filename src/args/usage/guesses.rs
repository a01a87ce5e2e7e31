//! The corrections of a wrong word, each of which the parser still has to accept.

use clap::error::{ContextKind, ErrorKind};

use super::{CommandLine, Complaint, Guess, meant_address, message, plain, text, watching};
use crate::args::address::{Address, Meant};
use crate::args::foreign::{self, Ours};
use crate::args::numbers::digits;
use crate::args::signals;

/// The verbs in which the name of a file may become the name of an object.
const NAMING: [&str; 7] = [" create", " run", " lock", " barrier", " hold", " get", " stat"];
const AFTER_DASHES: &str = "the command goes after '--'";
const NOT_AN_OPERATION: &str = "an operation is INDEX:DELTA, for example 0:-1";

fn without_dash(signal: &str) -> String {
    format!("a signal is written without '-': {signal}")
}

impl CommandLine<'_> {
    /// Returns the possible corrections of one fault.
    pub(super) fn guesses(&self, words: &[String], complaint: &Complaint) -> Vec<Guess> {
        match complaint.kind {
            ErrorKind::UnknownArgument => self.unknown(words, complaint),
            ErrorKind::ValueValidation => self.wrong_value(words, complaint),
            ErrorKind::MissingRequiredArgument => self.missing(words, complaint),
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
        if let Some(signal) = signal.filter(|_| self.called.contains("signal ") && !self.takes_command) {
            return vec![guess(&[signal]).because(without_dash(signal))];
        }
        if let Some(ours) = foreign::option(self.called, arg) {
            return translated(words, at, arg, ours).into_iter().collect();
        }
        if let Some(guess) = at.checked_sub(1).and_then(|host| one_address(words, host)).filter(|_| self.is_sock()) {
            return vec![guess];
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
                if arg.starts_with(|c: char| c.is_ascii_digit()) {
                    guesses.push(guess(&[option, arg]).because(message));
                }
            }
        }
        if self.takes_command && !is_option && dashes.is_none() && digits(arg).is_none() {
            // A whole command line in one word needs a shell.
            let is_line = at + 1 == words.len() && arg.contains(' ');
            let with: &[&str] = if is_line { &["--", "sh", "-c", arg] } else { &["--", &words[at]] };
            guesses.push(guess(with).because(AFTER_DASHES));
        }
        guesses
    }

    fn missing(&self, words: &[String], complaint: &Complaint) -> Vec<Guess> {
        let arg = complaint.arg;
        let mut guesses = Vec::new();
        // An option without a value, which another one needs.
        if arg.starts_with("--") && arg == plain(arg) {
            guesses.push(Guess::replaced(words, 0, 0, &[arg]));
        }
        let operand = words.iter().position(|word| !word.starts_with('-'));
        // In `shm memfd`, the operand is a FILE.
        let is_leaks = words.iter().any(|word| word == "--leaks");
        if let Some(at) = operand.filter(|_| is_leaks && plain(arg) == "CMD") {
            guesses.push(Guess::replaced(words, at, 0, &["--"]).because(AFTER_DASHES));
        }
        guesses.retain(|guess| (self.parse)(&guess.words).is_ok());
        if self.is_sock() && ["CMD", "SERVER"].contains(&plain(arg)) {
            guesses.extend(self.dashed(words));
        }
        guesses
    }

    /// Returns the line with the missing `--` after the addresses of a server.
    fn dashed(&self, words: &[String]) -> Option<Guess> {
        let is_address = |word: &str| {
            let known = ["unix:", "dgram:", "seqpacket:", "tcp:", "udp:", "fd:", "@"];
            known.iter().any(|known| word.starts_with(known))
        };
        let places = (1..words.len()).filter(|at| !words[*at].starts_with('-') && !is_address(&words[*at]));
        let guess = |at| Guess::replaced(words, at, 0, &["--"]).because(AFTER_DASHES);
        let mut guesses = places.map(guess);
        guesses.find(|guess| (self.parse)(&guess.words).is_ok()).filter(|_| !words.contains(&"--".into()))
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
        if arg == "ADDR" && value == ":::" {
            return self.dashed(words).into_iter().collect();
        }
        if arg == "ADDR" {
            // A name before a port can be an address of its own.
            let is_host = |word: &String| word == "localhost" || word.contains(['.', ':']);
            let host = at.checked_sub(1).filter(|host| is_host(&words[*host])).unwrap_or(at);
            if let Some(guess) = one_address(words, host) {
                return vec![guess];
            }
        }
        if let Some(Meant::Address(meant)) = meant_address(value).filter(|_| arg == "ADDR") {
            return meant.to_str().map(guess).into_iter().collect();
        }
        if arg == "PID" && self.called.ends_with("signal send") && is_group(value) {
            return self.grouped(words).into_iter().collect();
        }
        if self.called.ends_with("sem op") && is_delta(value) {
            return vec![guess(&format!("0:{value}")).because(NOT_AN_OPERATION)];
        }
        // An optional value cannot be a separate word.
        if at > 0 && words[at - 1] == "--watch" {
            return vec![watching(words, at)];
        }
        if arg == "TARGET" {
            let posix = value.strip_prefix("/dev/shm/").filter(|_| self.called.contains("shm "));
            if let Some(posix) = posix {
                return vec![guess(&format!("/{posix}"))];
            }
            // Another object must not be removed or overwritten.
            let is_path = value.chars().all(|c| c.is_ascii_alphanumeric() || "~/._-".contains(c));
            if self.is_file_of_home(words, value) || !is_path || !NAMING.iter().any(|verb| self.called.ends_with(verb))
            {
                return Vec::new();
            }
            let base = value.rsplit('/').next().unwrap_or_default();
            let guesses = [guess(base), guess(&format!("ci-{value}"))].into_iter();
            return guesses.filter(|guess| guess.words[at] != value && (self.parse)(&guess.words).is_ok()).collect();
        }
        let swapped = [at.checked_sub(1), Some(at)].into_iter().flatten().filter(|first| {
            // Two numbers can be anything.
            let pair = [Some(&words[*first]), words.get(first + 1)].map(|word| word.map(|word| digits(word).is_some()));
            let is_option = |word: &String| word.starts_with('-');
            matches!(pair, [Some(one), Some(other)] if one != other) && !words[*first..first + 2].iter().any(is_option)
        });
        let message = format!("{} (swapped?)", message(complaint));
        let swapped = swapped.map(|first| {
            Guess::replaced(words, first, 2, &[&words[first + 1], &words[first]]).because(message.clone())
        });
        swapped.filter(|guess| (self.parse)(&guess.words).is_ok()).collect()
    }

    fn is_sock(&self) -> bool {
        self.called.contains("sock ")
    }

    /// Returns the line with `--group`, which applies to every pid, so all of them must be negative.
    fn grouped(&self, words: &[String]) -> Option<Guess> {
        let rest: Vec<String> = words.iter().filter(|word| !is_group(word)).cloned().collect();
        let error = (self.parse)(&rest).err()?;
        let words = words.iter().filter(|word| *word != "--");
        let positive = words.map(|word| if is_group(word) { word[1..].into() } else { word.clone() });
        let words = positive.chain(["--group".into()]).collect();
        (error.kind() == ErrorKind::MissingRequiredArgument).then_some(Guess { words, message: None })
    }
}

fn translated(words: &[String], at: usize, arg: &str, ours: Ours) -> Option<Guess> {
    let template = match ours {
        Ours::Words(template) => template,
        Ours::Default(why) => {
            return Some(Guess::replaced(words, at, 1, &[]).because(format!("no option '{arg}': {why}")));
        }
    };
    // The signal and the delay of timeout(1) would be one step.
    if template.starts_with("--then ") && words[..at].iter().any(|word| word == "--then") {
        return None;
    }
    let (count, value) = match words[at].strip_prefix(arg).filter(|rest| !rest.is_empty()) {
        Some(rest) => (1, rest.trim_start_matches('=')),
        None if template.contains("{}") => (2, words.get(at + 1)?.as_str()),
        None => (1, ""),
    };
    let with: Vec<String> = template.split(' ').map(|word| word.replace("{}", value)).collect();
    let with: Vec<&str> = with.iter().map(String::as_str).collect();
    if template.starts_with("-- ") {
        let mut guess = Guess::replaced(words, at, count, &[]);
        let is_whole = guess.words.iter().any(|word| word == "--");
        guess.words.extend(with.iter().map(|word| (*word).to_owned()));
        return (!is_whole).then(|| guess.because(AFTER_DASHES));
    }
    let message = format!("no option '{arg}'; did you mean '{}'?", with.join(" "));
    Some(Guess::replaced(words, at, count, &with).because(message))
}

/// Returns the line with HOST and PORT as one word, if they are two words, as for nc(1).
fn one_address(words: &[String], host: usize) -> Option<Guess> {
    let [name, port] = words.get(host..host + 2)? else { return None };
    digits(port)?;
    let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
    let address = format!("tcp:{name}:{port}");
    Address::of_server(address.clone().into()).ok()?;
    Some(Guess::replaced(words, host, 2, &[&address]).because("HOST and PORT are one word: tcp:HOST:PORT"))
}

/// Returns the index of the word that contains an option or operand: `-j2`, `--jobs=2`.
fn place(words: &[String], arg: &str) -> Option<usize> {
    if arg.starts_with('-') {
        let is_rest = |rest: &str| rest.is_empty() || !arg.starts_with("--") || rest.starts_with('=');
        // CMD may have the same option.
        return words.iter().position(|word| word.strip_prefix(arg).is_some_and(is_rest));
    }
    let first = words.iter().position(|word| word == arg)?;
    // `sem run cc cc` names the target first.
    let is_target = words.get(first + 1).is_some_and(|next| next == arg);
    Some(if is_target { first + 1 } else { first })
}

/// Whether kill(1) would take the word for a process group; `-1` is every process.
fn is_group(word: &str) -> bool {
    word.strip_prefix('-').and_then(digits).is_some_and(|it| it > 1)
}

/// Whether the word is an operation of `sem op` without its index.
fn is_delta(word: &str) -> bool {
    let number = word.trim_end_matches(['n', 'u']);
    digits(number.strip_prefix(['+', '-']).unwrap_or(number)).is_some()
}
