//! An installation below a PREFIX: its files and links, and how those of any version are recognised.

mod placing;
mod removing;
pub mod surroundings;
mod temporary;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::OFlag;

use crate::applets::{APPLETS, embedded, linked};
use crate::sys::errno;
pub use placing::Installation;
pub use removing::Removal;

/// The directory of programs, below PREFIX.
pub const BIN: &str = "bin";
const PAGES: &str = "share/man/man1";
const OTHER_PAGES: &str = "share/man/man7";
const BASH: &str = "share/bash-completion/completions";
const FISH: &str = "share/fish/vendor_completions.d";
const ZSH: &str = "share/zsh/site-functions";
/// The directory of [`RECORD`].
const OWN: &str = "share/ipcbox";
/// The list of the directories that the installation created.
const RECORD: &str = "installed";

/// Every directory that can contain files of an installation. The record is in the last one.
const DIRS: [&str; 7] = [PAGES, OTHER_PAGES, BASH, FISH, ZSH, BIN, OWN];

const PROGRAM: &str = "ipcbox";
const RECORD_HEAD: &str = "# Directories that ipcbox --install-all created. --uninstall removes the empty ones.";

/// The mark of a binary: one that contains it is ipcbox, whatever its version.
static MARK: &[u8] = b"ipcbox --uninstall recognises the binary by this text.";
/// The marks of the other files: one of their first lines contains one of these.
const MARKS: [&str; 4] =
    ["\"ipcbox manual\"", "# Completion of ipcbox and its applets", ".so man1/ipcbox-", RECORD_HEAD];

/// The number of bytes that are searched for such a line.
const HEAD: u64 = 4096;
/// The number of lines, likewise.
const HEAD_LINES: usize = 5;
/// A file of more bytes is not read. A debug build has 64 MiB.
const LARGEST: u64 = 256 << 20;

/// A file or link of an installation.
struct Item {
    dir: &'static str,
    name: String,
    content: Content,
}

enum Content {
    File(Vec<u8>),
    /// The file of the same directory that the link leads to.
    Link(String),
}

impl Item {
    fn file(dir: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { dir, name: name.into(), content: Content::File(bytes) }
    }

    fn link(dir: &'static str, name: String, to: impl Into<String>) -> Self {
        Self { dir, name, content: Content::Link(to.into()) }
    }

    /// Its permission bits, whatever the umask.
    fn mode(&self) -> u32 {
        if self.dir == BIN { 0o755 } else { 0o644 }
    }
}

/// Returns the files of an installation by this binary, and its links, whose names start with `prefix`.
fn items(prefix: &str) -> Result<Vec<Item>> {
    let running = "/proc/self/exe";
    let program = fs::read(running).with_context(|| format!("cannot read {running}"))?;
    let mut items = vec![Item::file(BIN, PROGRAM, program)];
    for (name, text) in embedded::files()? {
        let dir = match name.rsplit_once('.') {
            Some((_, "1")) => PAGES,
            Some((_, "7")) => OTHER_PAGES,
            Some((_, "bash")) => BASH,
            Some((_, "fish")) => FISH,
            _ => ZSH,
        };
        items.push(Item::file(dir, name, text.into_bytes()));
    }
    for applet in APPLETS {
        let name = format!("{prefix}{}", applet.name);
        let page = format!("{PROGRAM}-{}.1", applet.name);
        items.push(Item::link(BASH, name.clone(), "ipcbox.bash"));
        items.push(Item::link(FISH, format!("{name}.fish"), "ipcbox.fish"));
        // With the prefix ipcbox-, that is the name of the page itself.
        if format!("{name}.1") != page {
            items.push(Item::link(PAGES, format!("{name}.1"), page));
        }
        items.push(Item::link(BIN, name, PROGRAM));
    }
    items.sort_by_key(|item| item.dir);
    Ok(items)
}

pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    file(one).is_some_and(|there| file(other) == Some(there))
}

/// Returns whether a path in the directory `dir` of an installation is a file or link of ipcbox, of any version.
fn is_ours(dir: &str, path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Only files with these names are searched for the mark of the binary, because a directory of programs can be large.
    let is_applet = linked(name.strip_suffix(".fish").or(name.strip_suffix(".1")).unwrap_or(&name)).is_some();
    if !file.is_symlink() {
        return if dir == BIN { (is_applet || name == PROGRAM) && is_binary(path) } else { is_marked(path) };
    }
    let (target, Ok(text)) = (fs::canonicalize(path).ok(), fs::read_link(path)) else { return false };
    let text = text.to_string_lossy();
    let Some(target) = target else { return is_applet && is_text_of_link(dir, &text) };
    if dir != BIN {
        return is_text_of_link(dir, &text) && is_marked(&target);
    }
    let target_name = target.file_name().unwrap_or_default().to_string_lossy();
    (is_applet || target_name.starts_with(PROGRAM)) && is_binary(&target)
}

/// Returns whether an installation writes links with this text in the directory `dir`.
fn is_text_of_link(dir: &str, text: &str) -> bool {
    match dir {
        BIN => text == PROGRAM,
        BASH => text == "ipcbox.bash",
        FISH => text == "ipcbox.fish",
        _ => text.starts_with("ipcbox-") && text.ends_with(".1") && !text.contains('/'),
    }
}

/// Returns whether a file has the mark of the binary.
fn is_binary(path: &Path) -> bool {
    let magic = b"\x7fELF";
    read(path, magic.len() as u64).is_some_and(|head| head == magic)
        && read(path, LARGEST).is_some_and(|program| has_mark(&program))
}

/// Returns whether a file has the mark of a text.
fn is_marked(path: &Path) -> bool {
    read(path, HEAD).is_some_and(|head| {
        let head = String::from_utf8_lossy(&head);
        head.lines().take(HEAD_LINES).any(|line| MARKS.iter().any(|mark| line.contains(mark)))
    })
}

/// Returns the first bytes of a regular file that is not too large. Another user can put any other file there.
fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let there = file.metadata().ok().filter(|there| there.is_file() && there.len() <= LARGEST)?;
    let mut bytes = Vec::with_capacity(usize::try_from(there.len().min(most)).ok()?);
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the entries of a directory in order; none if there is no such directory.
fn listed(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => {
            entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        }
    };
    let mut entries = entries.map_err(errno).with_context(|| format!("cannot list {}", dir.display()))?;
    entries.sort();
    Ok(entries)
}

fn has_mark(program: &[u8]) -> bool {
    let mut rest = program;
    while let Some(at) = rest.iter().position(|byte| *byte == MARK[0]) {
        if rest[at..].starts_with(MARK) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
