//! Signals as users write them: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`, in any case, and several as `INT,TERM`.

use crate::sys::signal::{Set, Signal};
use crate::text::nearest;

/// What a signal does to a process that does nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends it.
    Terminate,
    /// Ends it, with a core file.
    Core,
    /// Nothing.
    Ignore,
    /// Stops it.
    Stop,
    /// Continues it.
    Continue,
}

impl Action {
    /// As a word.
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

/// The standard signals: the name of each, what it does by default, and what it means.
const STANDARD: &[(Signal, &str, Action, &str)] = &[
    (Signal::HUP, "HUP", Action::Terminate, "the terminal is gone; daemons read their configuration again"),
    (Signal::INT, "INT", Action::Terminate, "interrupt, from the keyboard: ^C"),
    (Signal::QUIT, "QUIT", Action::Core, "quit, from the keyboard: ^\\"),
    (Signal::ILL, "ILL", Action::Core, "an instruction that does not exist"),
    (Signal::TRAP, "TRAP", Action::Core, "a breakpoint"),
    (Signal::ABRT, "ABRT", Action::Core, "abort(3): the program gave up"),
    (Signal::BUS, "BUS", Action::Core, "memory that has nothing behind it, as beyond the end of a mapped file"),
    (Signal::FPE, "FPE", Action::Core, "an arithmetic error, as a division by zero"),
    (Signal::KILL, "KILL", Action::Terminate, "the end, which cannot be caught, blocked or ignored"),
    (Signal::USR1, "USR1", Action::Terminate, "for the program's own use"),
    (Signal::SEGV, "SEGV", Action::Core, "memory that may not be used so"),
    (Signal::USR2, "USR2", Action::Terminate, "for the program's own use"),
    (Signal::PIPE, "PIPE", Action::Terminate, "a pipe or socket that nobody reads was written to"),
    (Signal::ALRM, "ALRM", Action::Terminate, "the time of alarm(2) is over"),
    (Signal::TERM, "TERM", Action::Terminate, "please end"),
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    (Signal::STKFLT, "STKFLT", Action::Terminate, "unused: a stack fault of a coprocessor"),
    (Signal::CHLD, "CHLD", Action::Ignore, "a child ended, stopped or went on"),
    (Signal::CONT, "CONT", Action::Continue, "go on after a stop"),
    (Signal::STOP, "STOP", Action::Stop, "stop, which cannot be caught, blocked or ignored"),
    (Signal::TSTP, "TSTP", Action::Stop, "stop, from the keyboard: ^Z"),
    (Signal::TTIN, "TTIN", Action::Stop, "a background process read from its terminal"),
    (Signal::TTOU, "TTOU", Action::Stop, "a background process wrote to its terminal"),
    (Signal::URG, "URG", Action::Ignore, "urgent data on a socket"),
    (Signal::XCPU, "XCPU", Action::Core, "the limit of processor time was reached"),
    (Signal::XFSZ, "XFSZ", Action::Core, "the limit of a file's size was reached"),
    (Signal::VTALRM, "VTALRM", Action::Terminate, "a timer of the process's own time is over"),
    (Signal::PROF, "PROF", Action::Terminate, "a profiler's timer is over"),
    (Signal::WINCH, "WINCH", Action::Ignore, "the terminal's window has another size"),
    (Signal::IO, "IO", Action::Terminate, "a descriptor is ready"),
    (Signal::PWR, "PWR", Action::Terminate, "the power fails"),
    (Signal::SYS, "SYS", Action::Core, "a system call that does not exist, or that a filter refused"),
];

/// Other names of standard signals.
const OTHER_NAMES: &[(&str, Signal)] =
    &[("IOT", Signal::ABRT), ("CLD", Signal::CHLD), ("POLL", Signal::IO), ("UNUSED", Signal::SYS)];

/// What glibc calls the signals that it keeps for itself.
const KEPT: &[(i32, &str)] = &[(32, "SIGCANCEL"), (33, "SIGSETXID")];

/// Every signal that a program may use, in order.
pub fn all() -> impl Iterator<Item = Signal> {
    let (first, _) = Signal::real_time();
    Set::ALL.iter().filter(move |signal| standard(*signal).is_some() || signal.number() >= first)
}

fn standard(signal: Signal) -> Option<&'static (Signal, &'static str, Action, &'static str)> {
    STANDARD.iter().find(|(standard, ..)| *standard == signal)
}

/// Its name, without SIG; the first half of the real-time signals are counted from RTMIN, the others from RTMAX. A
/// signal that the C library keeps for itself has its number only.
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

/// The names of a set, separated by commas, as they can be written again.
pub fn names(set: Set) -> String {
    set.iter().map(name).collect::<Vec<_>>().join(",")
}

/// What it does by default.
pub fn action(signal: Signal) -> Action {
    standard(signal).map_or(Action::Terminate, |(.., action, _)| *action)
}

/// What it means.
pub fn meaning(signal: Signal) -> &'static str {
    standard(signal).map_or("for programs' own use; queued, in order, with a value", |(.., meaning)| meaning)
}

/// Reads one signal.
///
/// # Errors
/// Words that say what is wrong, with the nearest name.
pub fn parse(text: &str) -> Result<Signal, String> {
    if text.is_empty() {
        return Err("a signal is a name or a number, as TERM, 15 or RTMIN+3".into());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix('-') {
        return Err(format!("a signal is written without '-': {rest}"));
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
    format!("the C library keeps signal {number} ({name}) for itself")
}

/// `RTMIN`, `RTMIN+N`, `RTMAX` and `RTMAX-N`; none where it is none of these.
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
    Some(signal.ok_or_else(|| format!("real-time signals are {base} to {base}{sign}{most}")))
}

fn unknown(text: &str, name: &str) -> String {
    if let Some((number, kept)) = KEPT.iter().find(|(_, kept)| kept.strip_prefix("SIG") == Some(name)) {
        return kept_back(*number, kept);
    }
    let names = STANDARD.iter().map(|(_, name, ..)| *name);
    let names: Vec<&str> = names.chain(OTHER_NAMES.iter().map(|(name, _)| *name)).chain(["RTMIN", "RTMAX"]).collect();
    match nearest(name, &names) {
        Some(nearest) => format!("no signal '{text}'; did you mean '{nearest}'?"),
        None => format!("no signal '{text}'; signal list has them all"),
    }
}

/// Reads a signal, or 0, which is none and only tests.
///
/// # Errors
/// Words that say what is wrong.
pub fn or_none(text: &str) -> Result<Option<Signal>, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return Ok(None);
    }
    parse(text).map(Some)
}

/// Reads a signal that a process can do something about.
///
/// # Errors
/// Words that say what is wrong; KILL and STOP are refused.
pub fn catchable(text: &str) -> Result<Signal, String> {
    let signal = parse(text)?;
    if signal.is_catchable() {
        return Ok(signal);
    }
    Err(format!("no process can catch, block or ignore {}", name(signal)))
}

/// Reads a mask, as `/proc/PID/status` and `ps -s` print it, but with `0x` before it.
///
/// # Errors
/// Words that say what is wrong.
pub fn mask(text: &str) -> Result<Set, String> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    let bits = is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    bits.map(Set).ok_or_else(|| "a mask is 0x and 1 to 16 hexadecimal digits".into())
}

#[cfg(test)]
#[path = "../../tests/units/args/signals.rs"]
mod tests;
