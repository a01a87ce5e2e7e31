//! Signals on the command line, in either case: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`; lists: `INT,TERM`.

use crate::sys::signal::{Set, Signal};
use crate::text::nearest;

/// What a signal does to a process that neither catches nor ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Kills it.
    Terminate,
    /// Kills it, with a core file.
    Core,
    /// Nothing.
    Ignore,
    /// Stops it.
    Stop,
    /// Continues it.
    Continue,
}

impl Action {
    /// Returns the action as a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Core => "core",
            Self::Ignore => "ignore",
            Self::Stop => "stop",
            Self::Continue => "continue",
        }
    }
}

/// The standard signals, each with its name, its default action and its meaning.
const STANDARD: &[(Signal, &str, Action, &str)] = &[
    (Signal::HUP, "HUP", Action::Terminate, "the terminal was closed; daemons reload their configuration"),
    (Signal::INT, "INT", Action::Terminate, "interrupt from the keyboard (^C)"),
    (Signal::QUIT, "QUIT", Action::Core, "quit from the keyboard (^\\)"),
    (Signal::ILL, "ILL", Action::Core, "an invalid instruction"),
    (Signal::TRAP, "TRAP", Action::Core, "a breakpoint"),
    (Signal::ABRT, "ABRT", Action::Core, "the program called abort(3)"),
    (Signal::BUS, "BUS", Action::Core, "access to unbacked memory, such as beyond the end of a mapped file"),
    (Signal::FPE, "FPE", Action::Core, "an arithmetic error, such as a division by zero"),
    (Signal::KILL, "KILL", Action::Terminate, "kill; cannot be caught, blocked or ignored"),
    (Signal::USR1, "USR1", Action::Terminate, "user-defined"),
    (Signal::SEGV, "SEGV", Action::Core, "invalid access to memory"),
    (Signal::USR2, "USR2", Action::Terminate, "user-defined"),
    (Signal::PIPE, "PIPE", Action::Terminate, "a write to a pipe or socket without a reader"),
    (Signal::ALRM, "ALRM", Action::Terminate, "the timer of alarm(2) has expired"),
    (Signal::TERM, "TERM", Action::Terminate, "terminate"),
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    (Signal::STKFLT, "STKFLT", Action::Terminate, "a stack fault of a coprocessor (unused)"),
    (Signal::CHLD, "CHLD", Action::Ignore, "a child exited, stopped or continued"),
    (Signal::CONT, "CONT", Action::Continue, "continue if stopped"),
    (Signal::STOP, "STOP", Action::Stop, "stop; cannot be caught, blocked or ignored"),
    (Signal::TSTP, "TSTP", Action::Stop, "stop from the keyboard (^Z)"),
    (Signal::TTIN, "TTIN", Action::Stop, "a background process read from its terminal"),
    (Signal::TTOU, "TTOU", Action::Stop, "a background process wrote to its terminal"),
    (Signal::URG, "URG", Action::Ignore, "urgent data on a socket"),
    (Signal::XCPU, "XCPU", Action::Core, "the CPU time limit was reached"),
    (Signal::XFSZ, "XFSZ", Action::Core, "the file size limit was reached"),
    (Signal::VTALRM, "VTALRM", Action::Terminate, "a CPU timer has expired"),
    (Signal::PROF, "PROF", Action::Terminate, "a profiling timer has expired"),
    (Signal::WINCH, "WINCH", Action::Ignore, "the terminal window was resized"),
    (Signal::IO, "IO", Action::Terminate, "a file descriptor is ready"),
    (Signal::PWR, "PWR", Action::Terminate, "power failure"),
    (Signal::SYS, "SYS", Action::Core, "an invalid system call, or one blocked by a seccomp filter"),
];

/// Other names of standard signals.
const OTHER_NAMES: &[(&str, Signal)] =
    &[("IOT", Signal::ABRT), ("CLD", Signal::CHLD), ("POLL", Signal::IO), ("UNUSED", Signal::SYS)];

/// The signals that glibc reserves, with its names for them.
const KEPT: &[(i32, &str)] = &[(32, "SIGCANCEL"), (33, "SIGSETXID")];

/// Returns every signal that a program may use, in order.
pub fn all() -> impl Iterator<Item = Signal> {
    let (first, _) = Signal::real_time();
    Set::ALL.iter().filter(move |signal| standard(*signal).is_some() || signal.number() >= first)
}

fn standard(signal: Signal) -> Option<&'static (Signal, &'static str, Action, &'static str)> {
    STANDARD.iter().find(|(standard, ..)| *standard == signal)
}

/// Returns the name of a signal, without SIG. The first half of the real-time signals is counted from RTMIN, the others
/// from RTMAX. A signal that the C library reserves has only its number.
pub fn name(signal: Signal) -> String {
    let number = signal.number();
    let (min, max) = Signal::real_time();
    if let Some((_, name, ..)) = standard(signal) {
        return (*name).into();
    }
    match (number - min, max - number) {
        (0, _) => "RTMIN".into(),
        (_, 0) => "RTMAX".into(),
        (up, down) if up > 0 && up <= down => format!("RTMIN+{up}"),
        (up, down) if up > 0 && down > 0 => format!("RTMAX-{down}"),
        _ => number.to_string(),
    }
}

/// Returns the names of a set, separated by commas, in the syntax of an argument.
pub fn names(set: Set) -> String {
    set.iter().map(name).collect::<Vec<_>>().join(",")
}

/// Returns the default action of a signal.
pub fn action(signal: Signal) -> Action {
    standard(signal).map_or(Action::Terminate, |(.., action, _)| *action)
}

/// Returns the meaning of a signal.
pub fn meaning(signal: Signal) -> &'static str {
    standard(signal).map_or("user-defined real-time signal, queued in order with a value", |(.., meaning)| meaning)
}

/// Parses one signal.
///
/// # Errors
/// The expected syntax, or the nearest name.
pub fn parse(text: &str) -> Result<Signal, String> {
    if text.is_empty() {
        return Err("expected a signal: a name or a number, such as TERM, 15 or RTMIN+3".into());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix('-') {
        return Err(format!("expected a signal without '-': {rest}"));
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_number(name.parse().unwrap_or(i32::MAX));
    }
    if let Some(found) = real_time(name) {
        return found;
    }
    let standard = STANDARD.iter().map(|(signal, name, ..)| (*name, *signal));
    let mut named = standard.chain(OTHER_NAMES.iter().copied());
    named.find(|(named, _)| *named == name).map(|(_, signal)| signal).ok_or_else(|| unknown(text, name))
}

fn of_number(number: i32) -> Result<Signal, String> {
    let signal = Signal::new(number).ok_or_else(|| format!("expected a signal from 1 to {}", Signal::MAX))?;
    let (first, _) = Signal::real_time();
    if standard(signal).is_none() && number < first {
        let kept = KEPT.iter().find(|(kept, _)| *kept == number).map_or("", |(_, name)| name);
        return Err(kept_back(number, kept));
    }
    Ok(signal)
}

fn kept_back(number: i32, name: &str) -> String {
    format!("the C library reserves signal {number} ({name})")
}

/// Parses `RTMIN`, `RTMIN+N`, `RTMAX` and `RTMAX-N`; `None` if it is none of these.
fn real_time(name: &str) -> Option<Result<Signal, String>> {
    let (min, max) = Signal::real_time();
    let most = max - min;
    let (from, sign, rest) = if let Some(rest) = name.strip_prefix("RTMIN") {
        (min, '+', rest)
    } else {
        (max, '-', name.strip_prefix("RTMAX")?)
    };
    let offset = if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse::<u8>().ok() };
    let signal = offset
        .map(i32::from)
        .filter(|offset| *offset <= most)
        .and_then(|offset| Signal::new(if sign == '+' { from + offset } else { from - offset }));
    let base = &name[..name.len() - rest.len()];
    Some(signal.ok_or_else(|| format!("expected a real-time signal from {base} to {base}{sign}{most}")))
}

fn unknown(text: &str, name: &str) -> String {
    if let Some((number, kept)) = KEPT.iter().find(|(_, kept)| kept.strip_prefix("SIG") == Some(name)) {
        return kept_back(*number, kept);
    }
    let names = STANDARD.iter().map(|(_, name, ..)| *name);
    let names: Vec<&str> = names.chain(OTHER_NAMES.iter().map(|(name, _)| *name)).chain(["RTMIN", "RTMAX"]).collect();
    match nearest(name, &names) {
        Some(nearest) => format!("no signal '{text}'; did you mean '{nearest}'?"),
        None => format!("no such signal: '{text}' (list them: ipcbox signal list)"),
    }
}

/// Parses a signal, or 0, which sends none and only tests.
///
/// # Errors
/// Those of [`parse`].
pub fn or_none(text: &str) -> Result<Option<Signal>, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return Ok(None);
    }
    parse(text).map(Some)
}

/// Parses a signal that a process can catch, block or ignore.
///
/// # Errors
/// Those of [`parse`]; KILL and STOP are refused.
pub fn catchable(text: &str) -> Result<Signal, String> {
    let signal = parse(text)?;
    if signal.is_catchable() {
        return Ok(signal);
    }
    Err(format!("no process can catch, block or ignore {}", name(signal)))
}

/// Parses a mask as `/proc/PID/status` and `ps -s` print it, with or without `0x`.
///
/// # Errors
/// The expected syntax.
pub fn mask(text: &str) -> Result<Set, String> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    let bits = is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    bits.map(Set).ok_or_else(|| "expected a mask of 0x followed by 1 to 16 hexadecimal digits".into())
}

#[cfg(test)]
#[path = "../../tests/units/args/signals.rs"]
mod tests;
