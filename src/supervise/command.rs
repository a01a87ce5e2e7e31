//! The CMD after `--`: finds it, then executes it in place of ipcbox or starts it once per record.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use crate::exit::{Cause, Exit, ulimit, words};
use crate::sys::child::Unstarted;
use crate::sys::{exec, fds};
use crate::text::{counted, quote};

/// Why a command was not started for a record.
#[derive(Debug)]
pub enum NotStarted {
    /// The record cannot be passed to it.
    Record(Error),
    /// It cannot be executed at all.
    Command(Error),
    /// No process, descriptor or memory was left.
    Want(Error),
    /// Its receiver has gone.
    Gone,
}

/// A command that exists.
#[derive(Debug)]
pub struct Command {
    path: CString,
    words: Vec<OsString>,
    end: &'static [u8],
}

impl Command {
    /// Looks a command up, before anything is taken or created for it.
    ///
    /// # Errors
    /// Status 127: not found. 126: not an executable file.
    pub fn find(words: Vec<OsString>) -> Result<Self> {
        let name = words.first().cloned().unwrap_or_default();
        let found = exec::find(&name).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                let cause = Cause::from_errno(errno, "command not found").exit(Exit::NotFound);
                match meant(&words) {
                    Some(hint) => cause.hint(hint),
                    None => cause,
                }
            }
            errno => Cause::plain(errno).exit(Exit::NotExecutable),
        });
        let shown = if name.is_empty() { OsStr::new("''") } else { &name };
        let path = found.with_context(|| format!("cannot run {}", shown.display()))?;
        Ok(Self { path, words, end: b"" })
    }

    /// Checks the interpreter of a script too, so that it cannot be missing when it is too late.
    ///
    /// # Errors
    /// Status 126.
    pub fn with_interpreter(self) -> Result<Self> {
        match exec::interpreter(&self.path) {
            Ok(()) => Ok(self),
            Err(errno) => Err(self.unstarted(Unstarted::Run(errno))),
        }
    }

    /// Its name and arguments.
    pub fn words(&self) -> &[OsString] {
        &self.words
    }

    /// Replaces each argument that is this word.
    pub fn replacing(mut self, word: &str, by: &OsStr) -> Self {
        self.words.iter_mut().skip(1).filter(|each| *each == word).for_each(|each| by.clone_into(each));
        self
    }

    /// Appends `end` to each record on its standard input.
    pub fn ending_records_in(self, end: &'static [u8]) -> Self {
        Self { end, ..self }
    }

    /// Executes it in place of ipcbox, with `added` in its environment.
    ///
    /// # Errors
    /// Returns only on failure, with status 126.
    pub fn replace(self, added: &[(&str, String)]) -> Result<Infallible> {
        Err(self.unstarted(self.execute(added)))
    }

    /// Like `replace`, in a child, which cannot print a message. Returns only on failure.
    pub fn execute(&self, added: &[(&str, String)]) -> Unstarted {
        Unstarted::Run(exec::replace(&self.path, &self.words, added))
    }

    /// Returns the failure to start it.
    pub fn unstarted(&self, why: Unstarted) -> Error {
        self.not_run(match why {
            Unstarted::Fork(errno) => not_forked(errno, "the process could not be created"),
            Unstarted::Run(errno) => self.not_executed(errno),
        })
    }

    /// Returns a file with a record, for its standard input.
    pub fn input(&self, record: &[u8]) -> Result<File, NotStarted> {
        let file = fds::in_memory(&[record, self.end].concat());
        file.map_err(|errno| NotStarted::Want(self.unstarted(Unstarted::Fork(errno))))
    }

    /// Returns its words. The payload replaces each argument `{}`.
    ///
    /// # Errors
    /// A payload with a NUL cannot be an argument.
    pub fn filled(&self, payload: Option<&[u8]>) -> Result<Vec<OsString>, NotStarted> {
        let mut words = self.words.clone();
        let asked = payload.map_or(Ok(false), |payload| fill(&mut words[1..], payload));
        asked.map(|_| words).map_err(|cause| NotStarted::Record(self.not_run(cause)))
    }

    /// Prepares to execute these words, with `added` in its environment.
    pub fn ready(&self, words: &[OsString], added: &[(&str, String)]) -> Result<exec::Ready<'_>, Errno> {
        exec::Ready::new(&self.path, words, added)
    }

    /// Returns the failure to start it for this payload: one that is an argument can be too long.
    pub fn not_started(&self, payload: Option<&[u8]>, why: Unstarted) -> NotStarted {
        let is_argument = || self.words.iter().skip(1).any(|word| word == "{}");
        match (why, payload) {
            (Unstarted::Run(Errno::E2BIG), Some(payload)) if is_argument() => {
                let words = format!("a record of {} bytes is too long for a command-line argument", payload.len());
                let cause = Cause::from_errno(Errno::E2BIG, words).exit(Exit::NotExecutable);
                NotStarted::Record(self.not_run(cause.hint(ON_STDIN)))
            }
            (Unstarted::Fork(errno) | Unstarted::Run(errno @ (Errno::EAGAIN | Errno::ENOMEM | Errno::ENFILE)), _) => {
                NotStarted::Want(self.unstarted(Unstarted::Fork(errno)))
            }
            (why @ Unstarted::Run(_), _) => NotStarted::Command(self.unstarted(why)),
        }
    }

    fn not_executed(&self, errno: Errno) -> Cause {
        let is_there = || Path::new(OsStr::from_bytes(self.path.to_bytes())).exists();
        let cause = match errno {
            Errno::ENOENT if is_there() => Cause::from_errno(errno, "the program's interpreter or loader is missing"),
            Errno::ENOENT => Cause::from_errno(errno, "the file has been removed"),
            Errno::ENOEXEC => {
                let cause = Cause::from_errno(errno, "neither a binary nor a script that starts with #!");
                if exec::is_text(&self.path) {
                    let line = quoted(&self.words);
                    cause.hint(format!("write CMD as sh {line}"))
                } else {
                    cause
                }
            }
            errno => Cause::plain(errno),
        };
        cause.exit(Exit::NotExecutable)
    }

    fn not_run(&self, cause: Cause) -> Error {
        Error::from(cause).context(format!("cannot run {self}"))
    }
}

/// Its name as typed.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.words.first().map(OsString::as_os_str).unwrap_or_default().display())
    }
}

/// Returns the hint for a command that is not found: many are known only to a shell, or to env(1).
fn meant(words: &[OsString]) -> Option<String> {
    let name = words.first()?.to_str()?;
    let is_name = |name: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.chars().all(is_letter) && name.starts_with(|c: char| !c.is_ascii_digit())
    };
    let is_assignment = name.split_once('=').is_some_and(|(variable, _)| is_name(variable));
    if is_assignment && words.len() > 1 {
        return Some(format!("write CMD as env {}", quoted(words)));
    }
    let rest = |from: &[OsString]| {
        if from.is_empty() { String::new() } else { format!(" {}", quoted(from)) }
    };
    // A whole line as one word.
    if name.contains(|c: char| c.is_whitespace() || "&|;<>()`$".contains(c)) {
        return Some(format!("write CMD as sh -c {}", quote(&format!("{name}{}", rest(&words[1..])))));
    }
    // The variable by which bash exports a function.
    if std::env::var_os(format!("BASH_FUNC_{name}%%")).is_some() {
        return Some(format!("write the bash function as bash -c {}", quote(&quoted(words))));
    }
    for (shell, builtins) in BUILTINS {
        if builtins.contains(&name) {
            // An operator in a word of its own was meant for the shell.
            let line: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
            let line = quote(&line.join(" "));
            return Some(format!("write the shell builtin as {shell} -c {line}"));
        }
    }
    let is_plain = !name.is_empty() && !name.contains('/') && !is_assignment;
    is_plain.then(|| {
        let line = quote(&format!(". ./FILE; {}", quoted(words)));
        format!("write a shell function as sh -c {line}")
    })
}

/// The built-in commands of shells, and the words that begin compound commands.
const BUILTINS: [(&str, &[&str]); 2] = [
    (
        "sh",
        &[
            "!", ".", ":", "alias", "bg", "case", "cd", "eval", "exec", "exit", "export", "fg", "for", "if", "jobs",
            "read", "set", "shift", "trap", "type", "ulimit", "umask", "unset", "until", "wait", "while", "{",
        ],
    ),
    ("bash", &["[[", "declare", "function", "let", "popd", "pushd", "shopt", "source", "time"]),
];

fn quoted(words: &[OsString]) -> String {
    words.iter().map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// Quotes a word, unless it is an operator or a keyword of the shell.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_operator = ["&&", "||", "|", ";", "&", "!", "{", "}", "[[", "]]"].contains(&&*word);
    if is_operator { word.into_owned() } else { quote(&word) }
}

/// Returns why the process could not be created.
pub fn not_forked(errno: Errno, what: &str) -> Cause {
    // RLIMIT_NPROC does not apply to root.
    let is_root = nix::unistd::geteuid().is_root();
    match errno {
        Errno::EAGAIN => Cause::from_errno(errno, "the process limit is reached").exit(Exit::Failed).hint(if is_root {
            "raise pids.max of the cgroup".to_owned()
        } else {
            ulimit('u', 1, 0)
        }),
        errno => Cause::from_errno(errno, format!("{what}: {}", words(errno))),
    }
}

const ON_STDIN: &str = "omit {} to pass the record only on standard input";

/// Replaces every word `{}` with `payload`, and returns whether there was one.
///
/// # Errors
/// There is one, and `payload` has a NUL, which an argument cannot contain.
pub fn fill(words: &mut [OsString], payload: &[u8]) -> Result<bool, Cause> {
    let mut places = words.iter_mut().filter(|word| *word == "{}").peekable();
    let found = places.peek().is_some();
    if found && payload.contains(&0) {
        let length = counted(payload.len(), "byte");
        let cause = Cause::new(
            Exit::NotExecutable,
            format!("a record of {length} contains a NUL byte, and cannot be an argument"),
        );
        return Err(cause.hint(ON_STDIN));
    }
    for place in places {
        OsStr::from_bytes(payload).clone_into(place);
    }
    Ok(found)
}

#[cfg(test)]
#[path = "../../tests/units/supervise/command.rs"]
mod tests;
