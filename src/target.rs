//! Floor 3: what a user may call an object.
//!
//! The text alone decides which of the forms it is, the same for every applet; an object's name in a message is
//! the text as it was typed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParserFactory};
use nix::errno::Errno;

use crate::exit::{Cause, Exit, words};
use crate::sys::sysv::{Key, ftok};

/// The longest name, in bytes.
pub const NAME_MAX: usize = 64;
/// The longest POSIX name after its slash, in bytes.
pub const POSIX_MAX: usize = 250;

/// An object as the user called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    typed: OsString,
    form: Form,
}

/// The forms of a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `/name`: a POSIX object; the text has the slash.
    Posix,
    /// `12345`: a System V id.
    Id(i32),
    /// `0x1badc0de`: a System V key.
    Key(Key),
    /// `ftok:PATH[:N]`: the key of a path.
    Ftok(PathBuf, u8),
    /// `private`: a new object without a key.
    Private,
    /// A name, which stands for the key that is its hash.
    Name(Key),
}

/// Why a text is no target, with what it came nearest to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// [`Malformed`] says which form the text came nearest to.
    pub fn parse(typed: OsString) -> Result<Self, Malformed> {
        let form = form(typed.as_bytes()).map_err(Malformed)?;
        Ok(Self { typed, form })
    }

    /// Which form it has.
    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// The text as it was typed.
    pub fn typed(&self) -> &OsStr {
        &self.typed
    }

    /// The System V key that it stands for; `None` for an id, a private and a POSIX object.
    ///
    /// # Errors
    /// The path of `ftok:` is not there or cannot be reached.
    pub fn key(&self) -> anyhow::Result<Option<Key>> {
        match &self.form {
            Form::Key(key) | Form::Name(key) => Ok(Some(*key)),
            Form::Ftok(path, number) => match ftok(path, *number) {
                Ok(key) => Ok(Some(key)),
                Err(errno) => Err(no_file(path, errno).into()),
            },
            Form::Id(_) | Form::Private | Form::Posix => Ok(None),
        }
    }

    /// The System V object that it names, a `kind` in words. The object of an id is not looked up: its use shows
    /// whether it exists.
    ///
    /// # Errors
    /// `ENOENT`: none has the key. Wrong usage: it is `private` or a POSIX object.
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

    /// The name, for records: what was typed, where that is a name of the box's or a POSIX one.
    pub fn name(&self) -> Option<&OsStr> {
        matches!(self.form, Form::Name(_) | Form::Posix).then_some(&self.typed)
    }
}

fn no_file(path: &Path, errno: Errno) -> Cause {
    let cause = Cause::from_errno(errno, format!("no key for {}: {}", path.display(), words(errno)));
    match path.as_os_str().as_bytes().first() {
        Some(b'~') => cause.hint("the shell left ~ unexpanded: write ftok:$HOME/…"),
        _ => cause,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.typed.display())
    }
}

impl ValueParserFactory for Target {
    type Parser = clap::builder::TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Self, Malformed>>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(Self::parse)
    }
}

/// The key of a name: the 32-bit FNV-1a hash of its bytes, where 0 becomes 1.
pub fn name_key(name: &[u8]) -> Key {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1).cast_signed()
}

fn form(text: &[u8]) -> Result<Form, String> {
    if text.is_empty() {
        return Err("a target is not empty".into());
    }
    if let Some(name) = text.strip_prefix(b"/") {
        return posix(text, name);
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
            .ok_or_else(|| format!("an id is at most {}", i32::MAX));
    }
    if let Some(digits) = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X")) {
        return match number(digits, 16) {
            Some(key @ 1..) if digits.len() <= 8 => Ok(Form::Key(key.cast_signed())),
            Some(0) => Err("key 0 names nothing: objects without a key have it".into()),
            _ => Err("a key is 0x and 1 to 8 hexadecimal digits".into()),
        };
    }
    name(text)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    is_number.then(|| u32::from_str_radix(text, radix).ok())?
}

fn posix(text: &[u8], name: &[u8]) -> Result<Form, String> {
    let whole = String::from_utf8_lossy(text);
    if name.contains(&b'/') {
        return Err(format!(
            "a POSIX name has one slash, at the start; for the key of a file, which another file can share, write ftok:{whole}"
        ));
    }
    match name {
        b"" => Err("a POSIX name has at least one byte after its slash".into()),
        b"." | b".." => Err("a POSIX name is neither /. nor /..".into()),
        _ if name.len() > POSIX_MAX => {
            Err(format!("a POSIX name has at most {POSIX_MAX} bytes after its slash, not {}", name.len()))
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
            (path, n.filter(|n| *n > 0).ok_or("the number after ftok:PATH: is 1 to 255")?)
        }
        _ => (text, 1),
    };
    if path.is_empty() {
        return Err("ftok: wants a path after it".into());
    }
    Ok(Form::Ftok(Path::new(OsStr::from_bytes(path)).into(), id))
}

fn name(text: &[u8]) -> Result<Form, String> {
    let whole = String::from_utf8_lossy(text);
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let in_name = |byte: &u8| is_letter(*byte) || byte.is_ascii_digit() || b".-".contains(byte);
    if text.contains(&b'/') || matches!(text[0], b'.' | b'~') {
        return Err(format!(
            "a name has no slash and begins with a letter; for the key of a file, which another file can share, write ftok:{whole}"
        ));
    }
    if let Some(bad) = whole.chars().find(|c| !c.is_ascii() || !in_name(&(*c as u8))) {
        return Err(format!("a name has letters, digits, '.', '_' and '-' only, not {bad:?}"));
    }
    if !is_letter(text[0]) {
        return Err(format!("a name begins with a letter or '_', as in ci-{whole}"));
    }
    if text.len() > NAME_MAX {
        return Err(format!("a name has at most {NAME_MAX} bytes, not {}", text.len()));
    }
    Ok(Form::Name(name_key(text)))
}

/// A target that a verb for System V objects alone was given, as a cause of wrong usage.
pub fn not_posix(target: &Target, why: &str) -> Cause {
    let typed = target.typed().as_bytes();
    let name = String::from_utf8_lossy(typed.strip_prefix(b"/").unwrap_or(typed));
    Cause::new(Exit::Usage, why).hint(format!("write {name}, without the slash"))
}

/// `private` where something that exists is meant, as a cause of wrong usage.
pub fn not_private(kind: &str) -> Cause {
    Cause::new(Exit::Usage, format!("a private {kind} is found by its id; 'private' is for create alone"))
}

#[cfg(test)]
#[path = "../tests/units/target.rs"]
mod tests;
