//! Floor 3: targets, the names and numbers by which a user refers to an object.
//!
//! The text alone decides which form a target has, in every applet. A message shows it as it was typed.

pub mod remembered;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParserFactory};
use nix::errno::Errno;

use crate::exit::{Cause, Exit, words};
use crate::sys::sysv::{Key, ftok};
use crate::text::{NAME_MAX, in_name, is_letter, quote};

/// The longest POSIX name, in bytes after the slash.
pub const POSIX_MAX: usize = 250;

/// An object as the user referred to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    typed: OsString,
    form: Form,
}

/// The forms of a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `/name`: a POSIX object.
    Posix,
    /// `12345`: a System V id.
    Id(i32),
    /// `0x1badc0de`: a System V key.
    Key(Key),
    /// `ftok:PATH[:N]`: the key that ftok(3) computes.
    Ftok(PathBuf, u8),
    /// `private`: a new object without a key.
    Private,
    /// A name: the key is its hash.
    Name(Key),
    /// `./build`, `a/b`: a file that holds slots or a lock.
    File,
}

/// Why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    /// [`Malformed`], in terms of the form that the text resembles most.
    pub fn parse(typed: OsString) -> Result<Self, Malformed> {
        let form = form(typed.as_bytes()).map_err(Malformed)?;
        Ok(Self { typed, form })
    }

    /// Like [`parse`](Self::parse), for an applet that also takes files.
    ///
    /// # Errors
    /// As for `parse`.
    pub fn parse_or_file(typed: OsString) -> Result<Self, Malformed> {
        match is_file(typed.as_bytes()).map_err(Malformed)? {
            true if typed.as_bytes().starts_with(b"~") => {
                Err(Malformed("the shell expands ~ only at the start of a word without quotes".into()))
            }
            true => Ok(Self { typed, form: Form::File }),
            false => Self::parse(typed),
        }
    }

    /// Returns the parser of [`parse_or_file`](Self::parse_or_file).
    pub fn or_file() -> TargetParser {
        OsStringValueParser::new().try_map(Self::parse_or_file)
    }

    /// Returns the parser for a verb that refuses files, of an applet that also takes files.
    pub fn no_file() -> TargetParser {
        OsStringValueParser::new().try_map(|typed| {
            if is_file(typed.as_bytes()).map_err(Malformed)? {
                return Err(Malformed("a file can hold only slots or a lock: give a name".into()));
            }
            Self::parse(typed)
        })
    }

    /// Returns the path, if it is a file.
    pub fn file(&self) -> Option<&Path> {
        (self.form == Form::File).then(|| Path::new(&self.typed))
    }

    /// Its form.
    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// The text as typed.
    pub fn typed(&self) -> &OsStr {
        &self.typed
    }

    /// Returns it as a word for a shell, for hints.
    pub fn quoted(&self) -> String {
        quote(&self.to_string())
    }

    /// Returns the System V key; `None` for an id, a private object, a POSIX object and a file.
    ///
    /// # Errors
    /// The path of `ftok:` does not exist or is inaccessible.
    pub fn key(&self) -> anyhow::Result<Option<Key>> {
        match &self.form {
            Form::Key(key) | Form::Name(key) => Ok(Some(*key)),
            Form::Ftok(path, number) => match ftok(path, *number) {
                Ok(key) => Ok(Some(key)),
                Err(errno) => Err(no_file(path, errno).into()),
            },
            Form::Id(_) | Form::Private | Form::Posix | Form::File => Ok(None),
        }
    }

    /// Returns the System V object it refers to; `kind` is for messages. An id is not looked up: the first use fails
    /// if there is no such object.
    ///
    /// # Errors
    /// `ENOENT`: no object has the key. Wrong usage: it is `private` or a POSIX object.
    pub fn locate<T>(
        &self,
        kind: &str,
        by_key: impl FnOnce(Key) -> nix::Result<T>,
        by_id: impl FnOnce(i32) -> T,
    ) -> anyhow::Result<T> {
        match (self.key()?, &self.form) {
            (Some(key), _) => Ok(by_key(key)?),
            (None, Form::Id(id)) => Ok(by_id(*id)),
            _ => Err(not_private(kind).into()),
        }
    }

    /// Returns what was typed if it is a name, for records.
    pub fn name(&self) -> Option<&OsStr> {
        matches!(self.form, Form::Name(_) | Form::Posix).then_some(&self.typed)
    }
}

fn no_file(path: &Path, errno: Errno) -> Cause {
    let cause =
        Cause::from_errno(errno, format!("cannot compute the ftok key of {}: {}", path.display(), words(errno)));
    match path.as_os_str().as_bytes().first() {
        Some(b'~') => cause.hint("use $HOME instead of ~, which the shell expands only at the start of a word"),
        _ => cause,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.typed.display())
    }
}

/// Parses a word of the command line.
pub type TargetParser =
    clap::builder::TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Target, Malformed>>;

impl ValueParserFactory for Target {
    type Parser = TargetParser;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(Self::parse)
    }
}

/// Returns the key of a name: the 32-bit FNV-1a hash of its bytes, or 1 if that is 0.
pub fn name_key(name: &[u8]) -> Key {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1).cast_signed()
}

/// Whether a text is the path of a file: it has a slash, and not only the one of a POSIX name.
fn is_file(text: &[u8]) -> Result<bool, String> {
    let is_other = text.starts_with(b"ftok:") || !text.strip_prefix(b"/").unwrap_or(text).contains(&b'/');
    if is_other {
        return Ok(false);
    }
    let scheme = text.windows(3).position(|part| part == b"://").map(|at| &text[..at]);
    let is_scheme = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_lowercase)
            && word.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match scheme.filter(|word| is_scheme(word)) {
        Some(word) => Err(format!("{}:// is not supported", String::from_utf8_lossy(word))),
        None => Ok(true),
    }
}

fn form(text: &[u8]) -> Result<Form, String> {
    if text.is_empty() {
        return Err("expected a name".into());
    }
    if let Some(name) = text.strip_prefix(b"/") {
        return posix(name);
    }
    if let Some(path) = text.strip_prefix(b"ftok:") {
        return ftok_of(path);
    }
    if text == b"private" {
        return Ok(Form::Private);
    }
    if text.iter().all(u8::is_ascii_digit) {
        return number(text, 10)
            .and_then(|id| i32::try_from(id).ok())
            .map(Form::Id)
            .ok_or_else(|| format!("expected an id of at most {}", i32::MAX));
    }
    if let Some(digits) = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X")) {
        return match number(digits, 16) {
            Some(key @ 1..) if digits.len() <= 8 => Ok(Form::Key(key.cast_signed())),
            Some(0) => Err("all private objects share key 0: use the id of the object".into()),
            _ => Err("expected 0x followed by 1 to 8 hexadecimal digits".into()),
        };
    }
    name(text)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    is_number.then(|| u32::from_str_radix(text, radix).ok())?
}

fn posix(name: &[u8]) -> Result<Form, String> {
    match name {
        _ if name.contains(&b'/') => Err("expected a name, or a POSIX name with '/' only at the start".into()),
        b"" | b"." | b".." => Err("expected a POSIX name after '/'".into()),
        _ if name.len() > POSIX_MAX => {
            Err(format!("expected a POSIX name of at most {POSIX_MAX} bytes after '/', not {}", name.len()))
        }
        _ => Ok(Form::Posix),
    }
}

fn ftok_of(text: &[u8]) -> Result<Form, String> {
    let colon = text.iter().rposition(|byte| *byte == b':');
    let split = colon.map(|at| (&text[..at], &text[at + 1..]));
    let (path, id) = match split {
        Some((path, n)) if (1..=3).contains(&n.len()) && n.iter().all(u8::is_ascii_digit) => {
            let n = number(n, 10).and_then(|n| u8::try_from(n).ok());
            (path, n.filter(|n| *n > 0).ok_or("expected ftok:PATH:N with N from 1 to 255")?)
        }
        _ => (text, 1),
    };
    if path.is_empty() {
        return Err("expected ftok:PATH or ftok:PATH:N".into());
    }
    Ok(Form::Ftok(Path::new(OsStr::from_bytes(path)).into(), id))
}

fn name(text: &[u8]) -> Result<Form, String> {
    let whole = String::from_utf8_lossy(text);
    if text.contains(&b'/') {
        return Err("expected a name without '/'".into());
    }
    if let Some(bad) = whole.chars().find(|c| !c.is_ascii() || !in_name(*c as u8)) {
        return Err(format!("a name may contain only letters, digits, '.', '_' and '-', not {bad:?}"));
    }
    if !is_letter(text[0]) {
        return Err(format!("expected a name that starts with a letter, for example ci-{whole}"));
    }
    if text.len() > NAME_MAX {
        return Err(format!("expected a name of at most {NAME_MAX} bytes, not {}", text.len()));
    }
    Ok(Form::Name(name_key(text)))
}

/// Returns the failure of a verb that works on System V objects only.
pub fn not_posix(target: &Target, why: &str) -> Cause {
    let typed = target.typed().as_bytes();
    let name = String::from_utf8_lossy(typed.strip_prefix(b"/").unwrap_or(typed));
    Cause::new(Exit::Usage, why).hint(format!("use {name}, without '/'"))
}

/// Returns the failure of a verb that cannot use `private`.
pub fn not_private(kind: &str) -> Cause {
    Cause::new(Exit::Usage, format!("'private' is valid only with the verb create; use the id of the {kind}"))
}

#[cfg(test)]
#[path = "../tests/units/target.rs"]
mod tests;
