//! Remembered names. An object has only the hash of its name, so whoever creates it by name records the name first.
//!
//! A line of a user's [file](crate::sys::name_file) is the key in eight hexadecimal digits, a blank, and the TARGET. It
//! counts only if the TARGET still stands for that key, so that junk and torn lines do no harm.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::unistd::geteuid;

use super::{Form, Target, form};
use crate::sys::name_file;
use crate::sys::sysv::{Key, is_used};
use crate::text::NAME_MAX;

/// Hexadecimal digits of a key.
const DIGITS: usize = 8;
/// The longest TARGET that is recorded: `ftok:`, the longest path, and the number.
const LONGEST: usize = 4096 + 16;
/// The bytes of lines without an object that compaction keeps, the last ones. They can belong to objects that are about
/// to be created, and to other IPC namespaces.
const KEPT: usize = 32 << 10;

/// The most names of an object that are shown. One path has any number of spellings, so that the file of another user
/// could fill the tables of root.
const MOST: usize = 8;

/// Records the name in a TARGET, whose object is about to be created. If it was not recorded before, returns the other
/// recorded names of the same key, if an object has that key.
///
/// A failure is ignored: the name is then unknown to lists.
pub fn remember(target: &Target) -> Vec<OsString> {
    let Some((key, name)) = recorded(target) else { return Vec::new() };
    let line = [format!("{key:0DIGITS$x} ").as_bytes(), name.as_bytes(), b"\n"].concat();
    let Ok(Some(before)) = name_file::append(&line, compacted) else { return Vec::new() };
    let is_other = |(of, other): &(Key, &OsStr)| *of == key && *other != name && stands_for(other, key);
    let others = before.split(|byte| *byte == b'\n').flat_map(read_line).filter(is_other);
    let others: Vec<OsString> = others.map(|(_, other)| other.to_owned()).collect();
    if others.is_empty() || is_used(key) { others } else { Vec::new() }
}

/// Returns the key behind a TARGET and the name that lists show for it: the path of `ftok:` is absolute.
pub fn recorded(target: &Target) -> Option<(Key, OsString)> {
    let text = match target.form() {
        Form::Name(_) => target.typed().to_owned(),
        Form::Ftok(path, number) => {
            let path = std::path::absolute(path).ok()?;
            let short = [b"ftok:", path.as_os_str().as_bytes()].concat();
            let is_same = form(&short) == Ok(Form::Ftok(path, *number));
            let number = if is_same { String::new() } else { format!(":{number}") };
            OsString::from_vec([&short, number.as_bytes()].concat())
        }
        Form::Posix | Form::Id(_) | Form::Key(_) | Form::Private | Form::File => return None,
    };
    let key = target.key().ok()??;
    is_plain(text.as_bytes()).then_some((key, text))
}

/// Whether a line can hold this TARGET, and a list can show it: names are separated by commas there, and JSON is UTF-8.
/// The length is checked first, because a line of blanks has many texts.
fn is_plain(text: &[u8]) -> bool {
    let longest = if text.starts_with(b"ftok:/") { LONGEST } else { NAME_MAX };
    text.len() <= longest
        && !text.iter().any(|byte| byte.is_ascii_control() || *byte == b',')
        && std::str::from_utf8(text).is_ok()
}

/// Whether this is a name, or an absolute path of `ftok:`, that stands for this key now.
fn stands_for(text: &OsStr, key: Key) -> bool {
    let Ok(target) = Target::parse(text.to_owned()) else { return false };
    let is_name = match target.form() {
        Form::Name(_) => true,
        Form::Ftok(path, _) => path.is_absolute(),
        _ => false,
    };
    is_name && target.key().is_ok_and(|now| now == Some(key))
}

/// Returns the keys and texts that a line may hold: a torn line may have another one before its newline.
fn read_line(line: &[u8]) -> impl Iterator<Item = (Key, &OsStr)> {
    let blanks = (DIGITS..line.len()).filter(|at| line[*at] == b' ');
    blanks.filter_map(|at| {
        let digits = std::str::from_utf8(&line[at - DIGITS..at]).ok()?;
        let key = u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|it| it.is_ascii_hexdigit()))?;
        let text = &line[at + 1..];
        is_plain(text).then(|| (key.cast_signed(), OsStr::from_bytes(text)))
    })
}

/// A file, and the places of the texts in it by key. Neither copies nor compares texts, because root reads the files of
/// others, who can write many of one key.
#[derive(Debug, Default)]
struct Texts {
    file: Vec<u8>,
    places: HashMap<Key, Vec<Range<usize>>>,
}

impl Texts {
    fn of(file: Vec<u8>) -> Self {
        let mut places: HashMap<Key, Vec<Range<usize>>> = HashMap::new();
        let mut end = 0;
        for line in file.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            let (end, line) = line.strip_suffix(b"\n").map_or((end, line), |line| (end - 1, line));
            for (key, text) in read_line(line) {
                places.entry(key).or_default().push(end - text.len()..end);
            }
        }
        Self { file, places }
    }

    /// Returns the texts that may be names of this key. None is checked yet.
    fn of_key(&self, key: Key) -> impl Iterator<Item = &OsStr> {
        self.places.get(&key).into_iter().flatten().map(|place| OsStr::from_bytes(&self.file[place.clone()]))
    }
}

/// Returns the lines of a file that are still needed, each once.
fn compacted(file: &[u8]) -> Vec<u8> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut seen = HashSet::new();
    let mut room = KEPT;
    for line in file.split(|byte| *byte == b'\n').rev() {
        for (key, text) in read_line(line).filter(|(key, text)| stands_for(text, *key)) {
            if !seen.insert((key, text)) {
                continue;
            }
            let line = [format!("{key:0DIGITS$x} ").as_bytes(), text.as_bytes(), b"\n"].concat();
            if !is_used(key) {
                if line.len() > room {
                    room = 0;
                    continue;
                }
                room -= line.len();
            }
            kept.push(line);
        }
    }
    kept.reverse();
    kept.concat()
}

/// The names that were remembered. The file of a user is read when one of its names is first wanted.
///
/// A user's names are those in the user's own file. Root sees the names that others gave to their own objects, too.
#[derive(Debug, Default)]
pub struct Remembered {
    caller: OnceCell<u32>,
    files: RefCell<HashMap<u32, Texts>>,
}

impl Remembered {
    /// Returns the names of an existing object with this key and these owners. There are none for the key 0.
    pub fn names(&self, key: Key, owners: [u32; 2]) -> Vec<OsString> {
        if key == 0 {
            return Vec::new();
        }
        let caller = *self.caller.get_or_init(|| geteuid().as_raw());
        let others = owners.into_iter().filter(|_| caller == 0);
        let mut files = self.files.borrow_mut();
        let mut names: Vec<OsString> = Vec::new();
        for user in [caller].into_iter().chain(others) {
            let file = files.entry(user).or_insert_with(|| Texts::of(name_file::read(user).unwrap_or_default()));
            for name in file.of_key(key) {
                if names.len() < MOST && !names.iter().any(|known| known == name) && stands_for(name, key) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }
}

#[cfg(test)]
#[path = "../../tests/units/target/remembered.rs"]
mod tests;
