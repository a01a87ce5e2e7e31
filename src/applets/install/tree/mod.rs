//! An installation below a PREFIX: its files and links, and how those of any version are recognised.

mod placing;
mod removing;
pub mod surroundings;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::applets::{APPLETS, embedded};
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

/// The name of the binary.
const PROGRAM: &str = "ipcbox";
/// The start of the record.
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

/// Returns whether two paths lead to one file.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    file(one).is_some_and(|there| file(other) == Some(there))
}

/// Returns whether a path is a file or link of ipcbox, of any version.
fn is_ours(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    if !file.is_symlink() {
        return file.is_file() && is_marked(path);
    }
    match fs::canonicalize(path) {
        Ok(target) => target.metadata().is_ok_and(|file| file.is_file()) && is_marked(&target),
        // One that dangles is recognised by its text, if this leads to a file beside it.
        Err(_) => fs::read_link(path)
            .is_ok_and(|to| to.to_string_lossy().starts_with(PROGRAM) && to.components().count() == 1),
    }
}

/// Returns whether a file has a mark. Only a file whose name starts with that of ipcbox is searched for that of the
/// binary, because a directory of programs can be large.
fn is_marked(path: &Path) -> bool {
    let mut head = Vec::new();
    let Ok(mut file) = File::open(path) else { return false };
    if file.by_ref().take(HEAD).read_to_end(&mut head).is_err() {
        return false;
    }
    if head.starts_with(b"\x7fELF") {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return name.trim_start_matches('.').starts_with(PROGRAM)
            && file.read_to_end(&mut head).is_ok()
            && has_mark(&head);
    }
    let head = String::from_utf8_lossy(&head);
    head.lines().take(HEAD_LINES).any(|line| MARKS.iter().any(|mark| line.contains(mark)))
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
