//! Floor 2: exit statuses and failures, the only author of status numbers.
//!
//! A failure is an [`anyhow::Error`] whose chain holds a [`Cause`] (words made for the user) or a bare [`Errno`].
//! The applet adds one context, "cannot VERB OBJECT"; the dispatch prints the whole once.

use std::fmt;

use anyhow::Error;
use nix::errno::Errno;

use crate::text::{line, nearest};

/// How a call of the box ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, for a cause that has no status of its own.
    Failed,
    /// 2: wrong usage; nothing was tried.
    Usage,
    /// 3: no such object, process or reader.
    Missing,
    /// 4: it exists already, or not as asked.
    Exists,
    /// 5: permission denied.
    Denied,
    /// 124, or what `--timeout-status` says: not in time.
    NotInTime(u8),
    /// 125: failed before the command started.
    BeforeCommand,
    /// 126: the command could not be executed.
    NotExecutable,
    /// 127: the command was not found.
    NotFound,
    /// The status of a command, or of the process that it is all about, as a shell has it.
    Command(u8),
}

impl Exit {
    /// The number for "not in time" where `--timeout-status` gives no other.
    pub const TIMED_OUT: u8 = 124;

    /// The number.
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

    /// The same in a verb whose status is otherwise that of a command: what failed before the command
    /// started is 125, whatever it was.
    pub const fn before_command(self) -> Self {
        match self {
            Self::Failed | Self::Usage | Self::Missing | Self::Exists | Self::Denied => Self::BeforeCommand,
            other => other,
        }
    }

    /// The status of a failure: that of the first cause in its chain that has one.
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

/// Whether a failure is that something did not happen in time.
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

/// The errno that a failure is, if nothing has been added to it yet.
pub fn bare(error: &Error) -> Option<Errno> {
    let is_worded = error.chain().nth(1).is_some();
    error.downcast_ref().copied().filter(|_| !is_worded)
}

/// Why something failed, in words made for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    exit: Exit,
    words: String,
    hint: Option<String>,
    silent: bool,
}

impl Cause {
    /// A cause that no errno stands for.
    pub fn new(exit: Exit, words: impl Into<String>) -> Self {
        Self { exit, words: words.into(), hint: None, silent: false }
    }

    /// A word of a kind ("verb", "applet") that there is not, with the nearest that there is.
    pub fn unknown(kind: &str, word: &str, known: &[&str]) -> Self {
        let meant = nearest(word, known).map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
        Self::new(Exit::Usage, format!("no {kind} '{word}'{meant}"))
    }

    /// A cause that the kernel told, in words that fit the mechanism; the errno's name is added, and gives the status.
    pub fn from_errno(errno: Errno, words: impl fmt::Display) -> Self {
        let hint = known_step(errno).map(str::to_owned);
        Self { hint, ..Self::new(errno.into(), format!("{words} ({errno:?})")) }
    }

    /// The errno in the C library's words.
    pub fn plain(errno: Errno) -> Self {
        Self::from_errno(errno, words(errno))
    }

    /// A system call that fails with `EPERM` only if a seccomp filter denies it, as an older container runtime does.
    pub fn forbidden(call: &str) -> Self {
        Self::from_errno(Errno::EPERM, format!("a seccomp filter forbids {call}"))
    }

    /// Another status than the errno's own.
    pub const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The step that mends it, printed as one more line.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// More that is to be known, after the words.
    pub fn note(mut self, more: &str) -> Self {
        self.words = format!("{}; {more}", self.words);
        self
    }

    /// Not said at all; the status alone tells.
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

/// What failed of several targets; all of them were tried.
#[derive(Debug)]
pub struct Failures(pub Vec<Error>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} failures", self.0.len())
    }
}

impl std::error::Error for Failures {}

/// Does `act` for every target; each failure is told, and the first one gives the status.
pub fn each<T>(targets: impl IntoIterator<Item = T>, act: impl FnMut(T) -> anyhow::Result<()>) -> anyhow::Result<Exit> {
    let failures: Vec<Error> = targets.into_iter().map(act).filter_map(Result::err).collect();
    if failures.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failures(failures).into())
}

/// The lines that tell of a failure: for each what could not be done and why, and a hint where there is one.
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
    let of_cause = causes().find_map(|cause| cause.hint.as_deref());
    if let Some(hint) = of_cause.or_else(|| error.chain().find_map(|link| known_step(errno(link)?))) {
        text.push_str(&line("hint", hint));
    }
    text
}

/// The step that mends what an errno stands for, wherever it comes from.
const fn known_step(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::EMFILE => Some("ulimit -n is the limit"),
        Errno::ENFILE => Some("/proc/sys/fs/file-max is the limit"),
        _ => None,
    }
}

/// The errno that a link of a chain is, also where the standard library wrapped it.
fn errno(link: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let wrapped = || link.downcast_ref::<std::io::Error>()?.raw_os_error();
    link.downcast_ref().copied().or_else(|| wrapped().map(Errno::from_raw))
}

/// What an errno means, as it stands in a message: in lower case, but for names in it.
pub fn words(errno: Errno) -> String {
    // The one that is worded otherwise there.
    if errno == Errno::EBADF {
        return "bad file descriptor".into();
    }
    let mut words = errno.desc().to_owned();
    // "I/O error" begins with a name.
    if words.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase) {
        words[..1].make_ascii_lowercase();
    }
    words
}

#[cfg(test)]
#[path = "../tests/units/exit.rs"]
mod tests;
