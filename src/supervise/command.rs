//! A CMD after `--`, which the box becomes, or starts for each of many records.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use crate::exit::{Cause, Exit, words};
use crate::sys::child::{self, Standard, Unstarted};
use crate::sys::{exec, fds};
use crate::text::{counted, quote};

/// Why a command was not started for a record.
#[derive(Debug)]
pub enum NotStarted {
    /// The record is none that it can be given.
    Record(Error),
    /// It cannot be executed at all.
    Command(Error),
    /// There was no process, descriptor or memory for it.
    Want(Error),
}

/// A command that was found.
#[derive(Debug)]
pub struct Command {
    path: CString,
    words: Vec<OsString>,
    end: &'static [u8],
}

impl Command {
    /// Looks a command up before anything is taken for it.
    ///
    /// # Errors
    /// Status 127 where it is not found, 126 where it is no file that may be executed.
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

    /// Looks up as well what it is run by, where it begins with `#!`: for one that is not to find out when it is too
    /// late.
    ///
    /// # Errors
    /// Status 126.
    pub fn with_interpreter(self) -> Result<Self> {
        match exec::interpreter(&self.path) {
            Ok(()) => Ok(self),
            Err(errno) => Err(self.unstarted(Unstarted::Run(errno))),
        }
    }

    /// It and its arguments.
    pub fn words(&self) -> &[OsString] {
        &self.words
    }

    /// The same, for records that end in `end` on its standard input, and nowhere else.
    pub fn ending_records_in(self, end: &'static [u8]) -> Self {
        Self { end, ..self }
    }

    /// Becomes it, with `added` in its environment.
    ///
    /// # Errors
    /// Returns only where that failed, with status 126.
    pub fn replace(self, added: &[(&str, String)]) -> Result<Infallible> {
        Err(self.unstarted(self.execute(added)))
    }

    /// The same in a child, which has nobody to tell. Returns only where that failed.
    pub fn execute(&self, added: &[(&str, String)]) -> Unstarted {
        Unstarted::Run(exec::replace(&self.path, &self.words, added))
    }

    /// The failure to start it, or to become it.
    pub fn unstarted(&self, why: Unstarted) -> Error {
        self.not_run(match why {
            Unstarted::Fork(errno) => not_forked(errno, "no process could be started for it"),
            Unstarted::Run(errno) => self.not_executed(errno),
        })
    }

    /// Starts it for one record, which it finds on its standard input and wherever `{}` is an argument by itself. Gives
    /// its process id. What it prints goes to `output`, or to the box's standard output.
    ///
    /// # Errors
    /// Those with status 126; a record with a NUL cannot be an argument, nor can a very long one.
    pub fn start(
        &self,
        record: &[u8],
        added: &[(&str, String)],
        output: Option<BorrowedFd>,
    ) -> Result<i32, NotStarted> {
        let mut words = self.words.clone();
        let asked = fill(&mut words[1..], record).map_err(|cause| NotStarted::Record(self.not_run(cause)))?;
        let run = || {
            let input = fds::in_memory(&[record, self.end].concat())?;
            let standard = Standard { input: Some(input.as_fd()), output, error: None };
            child::start_program(&self.path, &words, added, standard)
        };
        run().map_err(|unstarted| match unstarted {
            Unstarted::Run(Errno::E2BIG) if asked => {
                let words = format!("a record of {} bytes is too long for an argument", record.len());
                let cause = Cause::from_errno(Errno::E2BIG, words).exit(Exit::NotExecutable);
                NotStarted::Record(self.not_run(cause.hint("without {} it is on standard input alone")))
            }
            Unstarted::Fork(errno) | Unstarted::Run(errno @ (Errno::EAGAIN | Errno::ENOMEM | Errno::ENFILE)) => {
                NotStarted::Want(self.unstarted(Unstarted::Fork(errno)))
            }
            why @ Unstarted::Run(_) => NotStarted::Command(self.unstarted(why)),
        })
    }

    fn not_executed(&self, errno: Errno) -> Cause {
        let is_there = || Path::new(OsStr::from_bytes(self.path.to_bytes())).exists();
        let cause = match errno {
            Errno::ENOENT if is_there() => Cause::from_errno(errno, "its interpreter or loader is missing"),
            Errno::ENOENT => Cause::from_errno(errno, "it is no longer there"),
            Errno::ENOEXEC => {
                let cause = Cause::from_errno(errno, "it is neither a program nor begins with #!");
                if exec::is_text(&self.path) {
                    let line = quoted(&self.words);
                    cause.hint(format!("a script begins with #!/bin/sh, or is run by it: sh {line}"))
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

/// Its name as it was typed.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.words.first().map(OsString::as_os_str).unwrap_or_default().display())
    }
}

/// What was meant by a command that is not found, as the words after a verb's options: what only a shell knows, or
/// env(1) does.
fn meant(words: &[OsString]) -> Option<String> {
    let name = words.first()?.to_str()?;
    let is_name = |name: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.chars().all(is_letter) && name.starts_with(|c: char| !c.is_ascii_digit())
    };
    let is_assignment = name.split_once('=').is_some_and(|(variable, _)| is_name(variable));
    if is_assignment && words.len() > 1 {
        return Some(format!("env {}", quoted(words)));
    }
    let rest = |from: &[OsString]| {
        if from.is_empty() { String::new() } else { format!(" {}", quoted(from)) }
    };
    // A whole line in one word.
    if name.contains(|c: char| c.is_whitespace() || "&|;<>()`$".contains(c)) {
        return Some(format!("sh -c {}", quote(&format!("{name}{}", rest(&words[1..])))));
    }
    // bash exports a function so.
    if std::env::var_os(format!("BASH_FUNC_{name}%%")).is_some() {
        return Some(format!("{name} is a function of bash: bash -c {}", quote(&quoted(words))));
    }
    for (shell, builtins) in BUILTINS {
        if builtins.contains(&name) {
            // An operator in a word of its own was meant for the shell.
            let line: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
            let line = quote(&line.join(" "));
            return Some(format!("{name} is part of the shell: {shell} -c {line}"));
        }
    }
    let is_plain = !name.is_empty() && !name.contains('/') && !is_assignment;
    is_plain.then(|| {
        let line = quote(&format!(". ./FILE; {}", quoted(words)));
        format!("a function or alias is known to its shell only, as in sh -c {line}")
    })
}

/// What a shell does by itself, and the words that begin its compound commands.
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

/// Words as a shell reads them back.
fn quoted(words: &[OsString]) -> String {
    words.iter().map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// The same, but for the words that a shell has for itself.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_operator = ["&&", "||", "|", ";", "&", "!", "{", "}", "[[", "]]"].contains(&&*word);
    if is_operator { word.into_owned() } else { quote(&word) }
}

/// Why there could be no process.
pub fn not_forked(errno: Errno, what: &str) -> Cause {
    match errno {
        Errno::EAGAIN => Cause::from_errno(errno, "no more processes can be started")
            .exit(Exit::Failed)
            .hint("ulimit -u, or the cgroup's pids.max, is the limit"),
        errno => Cause::from_errno(errno, format!("{what}: {}", words(errno))),
    }
}

/// Puts `payload` in the place of every word that is `{}` and nothing else, and tells whether there was one.
///
/// # Errors
/// It would be put somewhere and has a NUL, which no argument can have.
pub fn fill(words: &mut [OsString], payload: &[u8]) -> Result<bool, Cause> {
    let mut places = words.iter_mut().filter(|word| *word == "{}").peekable();
    let found = places.peek().is_some();
    if found && payload.contains(&0) {
        let length = counted(payload.len(), "byte");
        let cause = Cause::new(Exit::NotExecutable, format!("a record of {length} with a NUL cannot be an argument"));
        return Err(cause.hint("without {} it is on standard input alone"));
    }
    for place in places {
        OsStr::from_bytes(payload).clone_into(place);
    }
    Ok(found)
}

#[cfg(test)]
#[path = "../../tests/units/supervise/command.rs"]
mod tests;
