//! Floor 2: exit statuses and failures. All status numbers are assigned here.
//!
//! A failure is an [`anyhow::Error`] whose chain holds a [`Cause`] (a message for the user) or a bare [`Errno`].
//! The applet adds one context, "cannot VERB OBJECT"; the dispatch prints the chain once.

use std::fmt;

use anyhow::Error;
use nix::errno::Errno;

use crate::sys::process::setting;
use crate::sys::rlimit;
use crate::text::{line, nearest};

/// The exit status of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, for a reason that has no status of its own.
    Failed,
    /// 2: usage error; nothing was done.
    Usage,
    /// 3: no such object, process or reader.
    Missing,
    /// 4: the object exists, or differs from what was requested.
    Exists,
    /// 5: permission denied.
    Denied,
    /// 124, or the value of `--timeout-status`: timed out.
    NotInTime(u8),
    /// 125: failed before the command started.
    BeforeCommand,
    /// 126: the command cannot be executed.
    NotExecutable,
    /// 127: the command was not found.
    NotFound,
    /// The status of a command or an awaited process, as a shell reports it.
    Command(u8),
}

impl Exit {
    /// The default of `--timeout-status`.
    pub const TIMED_OUT: u8 = 124;

    /// Returns the number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Missing => 3,
            Self::Exists => 4,
            Self::Denied => 5,
            Self::NotInTime(status) | Self::Command(status) => status,
            Self::BeforeCommand => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
        }
    }

    /// Returns the status in a verb that exits with its command's: 125 for every failure before the command started.
    pub const fn before_command(self) -> Self {
        match self {
            Self::Failed | Self::Usage | Self::Missing | Self::Exists | Self::Denied => Self::BeforeCommand,
            other => other,
        }
    }

    /// Returns the status of a failure: that of the first cause in its chain.
    pub fn of(error: &Error) -> Self {
        error
            .chain()
            .find_map(|link| {
                if let Some(cause) = link.downcast_ref::<Cause>() {
                    return Some(cause.exit);
                }
                if let Some(failures) = link.downcast_ref::<Failures>() {
                    return failures.0.first().map(Self::of);
                }
                errno(link).map(Self::from)
            })
            .unwrap_or(Self::Failed)
    }
}

/// Whether a failure is a timeout.
pub fn is_late(error: &Error) -> bool {
    matches!(Exit::of(error), Exit::NotInTime(_))
}

impl From<Errno> for Exit {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ESRCH | Errno::EIDRM => Self::Missing,
            Errno::EEXIST => Self::Exists,
            Errno::EACCES | Errno::EPERM => Self::Denied,
            Errno::EAGAIN | Errno::ETIMEDOUT => Self::NotInTime(Self::TIMED_OUT),
            _ => Self::Failed,
        }
    }
}

/// Returns the errno of a failure that has no context yet.
pub fn bare(error: &Error) -> Option<Errno> {
    let is_worded = error.chain().nth(1).is_some();
    errno(error.as_ref()).filter(|_| !is_worded)
}

/// The reason of a failure, as the user reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    exit: Exit,
    words: String,
    hint: Option<String>,
    silent: bool,
}

impl Cause {
    /// A cause without an errno.
    #[inline(never)]
    pub fn new(exit: Exit, words: impl Into<String>) -> Self {
        Self { exit, words: words.into(), hint: None, silent: false }
    }

    /// An unknown word of a kind ("verb", "applet"), with the known word that is most similar.
    pub fn unknown(kind: &str, word: &str, known: &[&str]) -> Self {
        let meant = nearest(word, known).map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
        Self::new(Exit::Usage, format!("no {kind} '{word}'{meant}"))
    }

    /// A failed system call, in words that fit the mechanism. The errno is appended and sets the status.
    #[inline(never)]
    pub fn from_errno(errno: Errno, words: impl fmt::Display) -> Self {
        Self { hint: known_step(errno), ..Self::new(errno.into(), format!("{words} ({errno:?})")) }
    }

    /// An errno in its usual words.
    #[inline(never)]
    pub fn plain(errno: Errno) -> Self {
        Self::from_errno(errno, words(errno))
    }

    /// A system call that fails with `EPERM` only if a seccomp filter denies it, as in older container runtimes.
    pub fn forbidden(call: &str) -> Self {
        Self::from_errno(Errno::EPERM, format!("a seccomp filter forbids {call}"))
    }

    /// Sets another status.
    pub const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds a hint: an imperative, or a command line that works as printed.
    #[inline(never)]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Appends a detail.
    pub fn note(mut self, more: &str) -> Self {
        self.words = format!("{}; {more}", self.words);
        self
    }

    /// Suppresses the message; only the status reports the failure.
    pub const fn silent(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Cause {}

/// Adds to a failure its record's number, and how many were sent before. `what`: "line", or empty for one record.
pub fn at_record(error: Error, what: &str, sent: u64) -> Error {
    let cause = match error.downcast::<Cause>() {
        Ok(cause) => cause,
        Err(error) => return error,
    };
    let cause = match sent {
        0 => cause,
        1 => cause.note("1 message was sent before the failure"),
        sent => cause.note(&format!("{sent} messages were sent before the failure")),
    };
    if what.is_empty() { cause.into() } else { Error::from(cause).context(format!("{what} {}", sent + 1)) }
}

/// The failures of a verb that tries all of its targets.
#[derive(Debug)]
pub struct Failures(pub Vec<Error>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} failures", self.0.len())
    }
}

impl std::error::Error for Failures {}

/// Calls `act` for every target. Each failure is reported, and the first one sets the status.
pub fn each<T>(targets: impl IntoIterator<Item = T>, act: impl FnMut(T) -> anyhow::Result<()>) -> anyhow::Result<Exit> {
    let failures: Vec<Error> = targets.into_iter().map(act).filter_map(Result::err).collect();
    if failures.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failures(failures).into())
}

/// Returns the message of each failure, a line each, and a line for its hint. `who` is the prefix.
pub fn lines(who: &str, error: &Error) -> String {
    if let Some(failures) = error.downcast_ref::<Failures>() {
        return failures.0.iter().map(|error| lines(who, error)).collect();
    }
    let causes = || error.chain().filter_map(|link| link.downcast_ref::<Cause>());
    if causes().any(|cause| cause.silent) {
        return String::new();
    }
    let words = error.chain().map(|link| match errno(link) {
        Some(errno) => Cause::plain(errno).to_string(),
        None => link.to_string(),
    });
    let mut text = line(who, words.collect::<Vec<_>>().join(": "));
    let of_cause = causes().find_map(|cause| cause.hint.clone());
    if let Some(hint) = of_cause.or_else(|| error.chain().find_map(|link| known_step(errno(link)?))) {
        text.push_str(&line("hint", hint));
    }
    text
}

/// The hint for an errno, whatever the object.
fn known_step(errno: Errno) -> Option<String> {
    match errno {
        Errno::EMFILE => Some(ulimit('n', 1, 0)),
        Errno::ENFILE => Some(doubled("fs.file-max")),
        _ => None,
    }
}

/// Returns the hint that sets a parameter of the kernel.
pub fn sysctl(name: &str, value: u64) -> String {
    format!("sysctl -w {name}={value}")
}

/// Returns the hint that doubles a parameter of the kernel.
pub fn doubled(name: &str) -> String {
    match setting(&name.replace('.', "/")) {
        Some(present) if present > 0 => sysctl(name, present.saturating_mul(2)),
        _ => format!("raise {name}"),
    }
}

/// Doubles a limit of System V objects, up to the kernel's bound. `None`: it has its default, so objects have leaked.
pub fn more_objects(present: u64) -> Option<u64> {
    const DEFAULT: u64 = 32000;
    (present < DEFAULT).then(|| present.saturating_mul(2).clamp(128, DEFAULT))
}

/// Returns the hint that doubles a limit of the process, to at least `least`. `unit` is that of `ulimit`, in bytes.
pub fn ulimit(letter: char, unit: u64, least: u64) -> String {
    let Some((soft, hard)) = rlimit::limits(letter) else { return format!("raise ulimit -{letter}") };
    let wanted = soft.saturating_mul(2).max(least).max(1);
    let wanted = if nix::unistd::geteuid().is_root() { wanted } else { wanted.min(hard) };
    if wanted <= soft || wanted < least {
        return format!("raise the hard limit of ulimit -{letter}");
    }
    format!("ulimit -{letter} {}", wanted.div_ceil(unit))
}

/// Returns the errno in a link of a chain, also if the standard library wrapped it.
fn errno(link: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let wrapped = || link.downcast_ref::<std::io::Error>()?.raw_os_error();
    link.downcast_ref().copied().or_else(|| wrapped().map(Errno::from_raw))
}

/// Returns the meaning of an errno, in lower case except for names.
pub fn words(errno: Errno) -> String {
    let plain = PLAIN.iter().find(|(known, _)| *known == errno);
    if let Some((_, words)) = plain {
        return (*words).into();
    }
    let mut words = errno.desc().to_owned();
    // "I/O error" begins with a name.
    if words.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase) {
        words[..1].make_ascii_lowercase();
    }
    words
}

/// Errnos whose usual description is jargon, or names another object than those here.
const PLAIN: &[(Errno, &str)] = &[
    (Errno::EAGAIN, "temporarily unavailable"),
    (Errno::EBADF, "bad file descriptor"),
    (Errno::EDOM, "value out of range"),
    (Errno::EIDRM, "the object was removed"),
    (Errno::ELOOP, "too many symbolic links"),
    (Errno::ENFILE, "too many open files in the system"),
    (Errno::ENOEXEC, "not in an executable format"),
    (Errno::ENOSYS, "not supported by this kernel"),
    (Errno::ENOTTY, "not a terminal"),
    (Errno::EOPNOTSUPP, "not supported"),
    (Errno::EOVERFLOW, "value too large"),
    (Errno::ERANGE, "value out of range"),
    (Errno::ESPIPE, "not seekable"),
    (Errno::ETXTBSY, "the file is open for writing"),
    (Errno::EXDEV, "not on the same file system"),
];

#[cfg(test)]
#[path = "../tests/units/exit.rs"]
mod tests;
