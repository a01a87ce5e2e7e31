//! Puts the files of an installation in their places: all of them, or none.
//!
//! Every file is written beside its place, and all are renamed only when all are written. Therefore a full disk or a
//! missing permission leaves PREFIX unchanged, and a binary that is running is replaced, not written to.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};

use super::removing::recorded;
use super::{BIN, Content, DIRS, Item, OWN, RECORD, RECORD_HEAD, is_ours, is_same_file, items};
use crate::exit::Cause;
use crate::sys::errno;
use crate::text::{counted, visible};

/// The permission bits of a directory, whatever the umask.
const DIR_MODE: u32 = 0o755;

/// What is in the place of an item.
enum Occupant {
    Right,
    Nothing,
    /// The right content, which other users cannot read or execute.
    Closed,
    /// Something else, of ipcbox.
    Ours,
    /// Something else.
    Other,
}

/// What is done to the place of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Replace,
    Open,
}

/// An item that is not in its place.
struct Placement {
    act: Act,
    path: PathBuf,
    item: Item,
}

/// What has to be done below a PREFIX.
pub struct Installation {
    /// The missing directories, parents first.
    dirs: Vec<PathBuf>,
    placements: Vec<Placement>,
    /// The files that differ and are not to be replaced, and whether they are of ipcbox.
    kept: Vec<(PathBuf, bool)>,
}

impl Installation {
    /// Compares what is below `root` with what this binary installs there. Changes nothing.
    ///
    /// # Errors
    /// `ENOTDIR`, `EISDIR`: a file is in the place of a directory, or the reverse. Those of looking and reading.
    pub fn new(root: &Path, prefix: &str, force: bool) -> Result<Self> {
        let mut items = items(prefix)?;
        let mut dirs = Vec::new();
        for dir in DIRS.iter().filter(|dir| **dir != OWN) {
            add_missing(&mut dirs, &root.join(dir))?;
        }
        let mut created = recorded(root);
        created.extend(dirs.iter().filter_map(|dir| relative(root, dir)));
        if !created.is_empty() {
            add_missing(&mut dirs, &root.join(OWN))?;
            created.extend(dirs.iter().filter_map(|dir| relative(root, dir)));
            // First, so that a call that is killed leaves it.
            items.insert(0, record(&created));
        }
        let mut installation = Self { dirs, placements: Vec::new(), kept: Vec::new() };
        for item in items {
            let path = root.join(item.dir).join(&item.name);
            let act = match found(&path, &item).with_context(|| format!("cannot read {}", path.display()))? {
                Occupant::Right => continue,
                Occupant::Nothing => Act::Create,
                Occupant::Closed => Act::Open,
                // The record is changed by every installation.
                Occupant::Ours if force || item.dir == OWN => Act::Replace,
                Occupant::Other if force => Act::Replace,
                found => {
                    installation.kept.push((path, matches!(found, Occupant::Ours)));
                    continue;
                }
            };
            installation.placements.push(Placement { act, path, item });
        }
        Ok(installation)
    }

    /// Returns the names of the links to the binary that are missing or will be replaced.
    pub fn new_links(&self) -> impl Iterator<Item = &str> {
        let links = self.placements.iter().map(|placement| &placement.item);
        let links = links.filter(|item| item.dir == BIN && matches!(item.content, Content::Link(_)));
        links.map(|item| item.name.as_str())
    }

    /// Whether everything is in its place.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty() && self.placements.is_empty()
    }

    /// Fails if a file is kept, because then nothing is installed. `again` is the call.
    ///
    /// # Errors
    /// `EEXIST`.
    pub fn check(&self, again: &str) -> Result<()> {
        let others: Vec<&PathBuf> = self.kept.iter().filter(|(_, ours)| !ours).map(|(path, _)| path).collect();
        let cause = match others[..] {
            [] if self.kept.is_empty() => return Ok(()),
            [] => {
                let words = format!("{} of ipcbox differ from those of this version", counted(self.kept.len(), "file"));
                Cause::from_errno(Errno::EEXIST, words).hint(format!("list them: {again} --force --dry-run"))
            }
            [first, ..] => {
                let more = others.len() - 1;
                let more = if more == 0 { String::new() } else { format!(" ({more} more)") };
                let words = format!("{} is not a file of ipcbox{more}", first.display());
                Cause::from_errno(Errno::EEXIST, words).hint("add --prefix ipc- to choose other names for the links")
            }
        };
        bail!(cause)
    }

    /// Returns a line for everything that has to be done, or with `done` that was done.
    pub fn lines(&self, done: bool) -> String {
        let line = |words: &str, path: &Path, end: &str| {
            format!("{words} {}\n", visible(&format!("{}{end}", path.display()), &[]))
        };
        let create = if done { "created" } else { "would create" };
        let dirs = self.dirs.iter().map(|dir| line(create, dir, "/"));
        let placements = self.placements.iter().map(|Placement { act, path, item }| {
            let words = match (act, done) {
                (Act::Create, _) => create,
                (Act::Replace, false) => "would replace",
                (Act::Replace, true) => "replaced",
                (Act::Open, false) => "would let other users use",
                (Act::Open, true) => "let other users use",
            };
            match &item.content {
                Content::Link(to) => line(words, path, &format!(" -> {to}")),
                Content::File(_) => line(words, path, ""),
            }
        });
        let kept = self.kept.iter().map(|(path, _)| line("would not replace", path, ""));
        dirs.chain(placements).chain(kept).collect()
    }

    /// Creates, replaces and opens.
    ///
    /// # Errors
    /// Those of the file operations. PREFIX is then as it was, unless a rename has failed.
    pub fn carry_out(&self) -> Result<()> {
        let mut unfinished = Unfinished { dirs: Vec::new(), files: Vec::new() };
        for dir in &self.dirs {
            create_dir(dir).map_err(cause).with_context(|| format!("cannot create {}", dir.display()))?;
            unfinished.dirs.push(dir.clone());
        }
        let written = self.placements.iter().filter(|placement| placement.act != Act::Open);
        for Placement { path, item, .. } in written.clone() {
            let written = write(item, path, &mut unfinished.files);
            written.map_err(cause).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for (Placement { path, .. }, beside) in written.zip(&unfinished.files) {
            let renamed = fs::rename(beside, path);
            renamed.map_err(cause).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        for Placement { path, item, .. } in self.placements.iter().filter(|placement| placement.act == Act::Open) {
            let opened = allow(path, item.mode());
            opened.map_err(cause).with_context(|| format!("cannot change the mode of {}", path.display()))?;
        }
        Ok(())
    }
}

/// What an installation that fails leaves behind: its files beside their places, and empty directories.
struct Unfinished {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // If it has succeeded, these files have been renamed, and the directories are not empty.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Returns what is at a path where this item belongs.
fn found(path: &Path, item: &Item) -> Result<Occupant> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => bail!(Errno::EISDIR),
        Ok(there) => there,
        Err(error) if is_nothing(&error) => return Ok(Occupant::Nothing),
        Err(error) => return Err(cause(error)),
    };
    match &item.content {
        Content::Link(to) => {
            let has_text = fs::read_link(path).is_ok_and(|text| text == Path::new(to));
            if has_text || is_same_file(path, &path.with_file_name(to)) {
                return Ok(Occupant::Right);
            }
        }
        Content::File(bytes) => {
            // A symbolic link is not: the file that it leads to, such as a download, can be removed.
            if there.is_file() && there.len() == bytes.len() as u64 && fs::read(path).is_ok_and(|there| there == *bytes)
            {
                let is_open = there.mode() & item.mode() == item.mode();
                return Ok(if is_open { Occupant::Right } else { Occupant::Closed });
            }
        }
    }
    Ok(if is_ours(path) { Occupant::Ours } else { Occupant::Other })
}

/// Adds the directories that are missing on the way to `dir`, and `dir` itself.
fn add_missing(dirs: &mut Vec<PathBuf>, dir: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for dir in dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty()) {
        match fs::metadata(dir) {
            Ok(there) if there.is_dir() => break,
            // A symbolic link that leads nowhere is not missing.
            Err(error) if is_nothing(&error) && fs::symlink_metadata(dir).is_err() => missing.push(dir.to_owned()),
            Err(error) if !is_nothing(&error) => {
                return Err(cause(error)).with_context(|| format!("cannot look for {}", dir.display()));
            }
            _ => bail!(Cause::from_errno(Errno::ENOTDIR, format!("{} is not a directory", dir.display()))),
        }
    }
    missing.retain(|dir| !dirs.contains(dir));
    dirs.extend(missing.into_iter().rev());
    Ok(())
}

/// Whether nothing is there. With a file in the place of a parent directory, the parent is what is wrong.
fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Returns a directory as the record lists it: below PREFIX, `.` for PREFIX, or as many `..` as it is above.
fn relative(root: &Path, dir: &Path) -> Option<String> {
    match dir.strip_prefix(root) {
        Ok(below) if below.as_os_str().is_empty() => Some(".".into()),
        Ok(below) => below.to_str().map(str::to_owned),
        // The parent of `a/..` is not `a`.
        Err(_) if root.components().any(|part| part == Component::ParentDir) => None,
        Err(_) => Some(vec![".."; root.components().count() - dir.components().count()].join("/")),
    }
}

fn record(created: &BTreeSet<String>) -> Item {
    let lines = created.iter().map(|dir| format!("{dir}\n"));
    Item::file(OWN, RECORD, format!("{RECORD_HEAD}\n{}", lines.collect::<String>()).into_bytes())
}

/// Creates a directory that other users can use, whatever the umask. It keeps the set-group-ID bit that it inherits.
fn create_dir(dir: &Path) -> std::io::Result<()> {
    // No other thread creates files. A chmod(2) would change another directory if the owner of the one above has put a
    // symbolic link here.
    let before = umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let created = DirBuilder::new().mode(DIR_MODE).create(dir);
    umask(before);
    created
}

/// Adds permission bits to a file. It can have been replaced since it was read, also by a symbolic link.
fn allow(path: &Path, mode: u32) -> std::io::Result<()> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let there = file.metadata()?;
    if !there.is_file() {
        return Err(Errno::EINVAL.into());
    }
    file.set_permissions(Permissions::from_mode(there.mode() | mode))
}

/// Returns where the file for this place is written first. It is hidden, so that no shell reads it.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut paths = (0_u32..).map(|n| path.with_file_name(format!(".{name}.{}.{n}", std::process::id())));
    // A killed call may have left one: in a container, many calls have the same pid.
    paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_default()
}

/// Writes the file for this place beside it, and adds its path to `files`.
fn write(item: &Item, path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let beside = beside(path);
    match &item.content {
        Content::Link(to) => {
            symlink(to, &beside)?;
            files.push(beside);
            Ok(())
        }
        Content::File(bytes) => {
            let mut file = File::create_new(&beside)?;
            files.push(beside);
            file.write_all(bytes)?;
            file.set_permissions(Permissions::from_mode(item.mode()))
        }
    }
}

/// Returns the errno of a file operation.
fn cause(error: std::io::Error) -> anyhow::Error {
    errno(error).into()
}
