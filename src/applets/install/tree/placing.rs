//! Puts the files of an installation in their places: all of them, or none.
//!
//! Every file is written beside its place, and all are renamed only when all are written. Therefore a full disk or a
//! missing permission leaves PREFIX unchanged, and a binary that is running is replaced, not written to. The record of
//! the new directories is in its place before any of them, so that --uninstall finds them after a call was killed.

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
use super::{
    Content, DIRS, HEAD, Item, LARGEST, OWN, PAGES, RECORD, RECORD_HEAD, is_marked, is_ours, is_same_file, items, read,
    temporary,
};
use crate::exit::Cause;
use crate::sys::errno;
use crate::text::{counted, visible};

/// The number of files that a message names.
const MOST_NAMED: usize = 8;

/// The permission bits of a directory, whatever the umask.
const DIR_MODE: u32 = 0o755;

/// The file in the place of an item.
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

/// The change to the place of an item.
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

/// The changes that are needed below a PREFIX.
pub struct Installation {
    /// The temporary files of calls that were killed.
    abandoned: Vec<PathBuf>,
    /// The missing directories, parents first.
    dirs: Vec<PathBuf>,
    /// How many of them, the first ones, lead to the record.
    way: usize,
    /// The record is the first one.
    placements: Vec<Placement>,
    /// The files that differ and are not to be replaced, and whether they are of ipcbox.
    kept: Vec<(PathBuf, bool)>,
    /// The version that is installed, if it is known.
    there: Option<String>,
}

impl Installation {
    /// Compares what is below `root` with what this binary installs there. Changes nothing.
    ///
    /// # Errors
    /// `ENOTDIR`, `EISDIR`: a file is in the place of a directory, or the reverse. Those of looking and reading.
    pub fn new(root: &Path, prefix: &str, force: bool) -> Result<Self> {
        let mut items = items(prefix)?;
        let mut dirs = Vec::new();
        let own = root.join(OWN);
        add_missing(&mut dirs, &own)?;
        let mut way = dirs.len();
        for dir in DIRS.iter().filter(|dir| **dir != OWN) {
            add_missing(&mut dirs, &root.join(dir))?;
        }
        let mut created = recorded(root);
        if created.is_empty() && dirs.iter().all(|dir| *dir == own) {
            (dirs, way) = (Vec::new(), 0);
        } else {
            created.extend(dirs.iter().filter_map(|dir| relative(root, dir)));
            items.insert(0, record(&created));
        }
        let abandoned = temporary::abandoned(root);
        let (placements, kept, there) = (Vec::new(), Vec::new(), version(root));
        let mut installation = Self { abandoned, dirs, way, placements, kept, there };
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

    /// Whether everything is in its place.
    pub fn is_empty(&self) -> bool {
        self.abandoned.is_empty() && self.dirs.is_empty() && self.placements.is_empty()
    }

    /// Fails if a file is kept, because then nothing is installed. `line` is the call that replaces it.
    ///
    /// # Errors
    /// `EEXIST`.
    pub fn check(&self, root: &Path, line: &str) -> Result<()> {
        let others: Vec<&PathBuf> = self.kept.iter().filter(|(_, ours)| !ours).map(|(path, _)| path).collect();
        let cause = match others[..] {
            [] if self.kept.is_empty() => return Ok(()),
            [] => {
                let paths: Vec<_> = self.kept.iter().map(|(path, _)| path.strip_prefix(root).unwrap_or(path)).collect();
                let build = match &self.there {
                    Some(version) if version != env!("CARGO_PKG_VERSION") => format!("ipcbox {version}"),
                    _ => "a different build of ipcbox".into(),
                };
                let (files, belong) =
                    (counted(paths.len(), "file"), if paths.len() == 1 { "belongs" } else { "belong" });
                Cause::from_errno(Errno::EEXIST, format!("{files} {belong} to {build}: {}", first(&paths))).hint(line)
            }
            [one] => foreign(format!("{} does not belong to ipcbox", one.display())),
            _ => {
                let paths: Vec<&Path> = others.iter().map(|path| path.as_path()).collect();
                foreign(format!("{} files do not belong to ipcbox: {}", paths.len(), first(&paths)))
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
                (Act::Open, false) => "would add permissions:",
                (Act::Open, true) => "added permissions:",
            };
            match &item.content {
                Content::Link(to) => line(words, path, &format!(" -> {to}")),
                Content::File(_) => line(words, path, ""),
            }
        });
        let remove = if done { "removed" } else { "would remove" };
        let abandoned = self.abandoned.iter().map(|path| line(remove, path, ""));
        abandoned.chain(dirs).chain(placements).collect()
    }

    /// Creates, replaces and opens.
    ///
    /// # Errors
    /// Those of the file operations. PREFIX is then as it was, unless a rename has failed.
    pub fn carry_out(&self) -> Result<()> {
        for path in &self.abandoned {
            let removed = temporary::remove(path);
            removed.map_err(cause).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let mut unfinished = Unfinished::default();
        let (record, rest) = match self.placements.split_first() {
            Some((first, rest)) if first.item.dir == OWN && first.act != Act::Open => (Some(first), rest),
            _ => (None, &self.placements[..]),
        };
        if let Some(record) = record {
            self.put_record(record, &mut unfinished)?;
        }
        for dir in &self.dirs[self.way..] {
            create_dir(dir).map_err(cause).with_context(|| format!("cannot create {}", dir.display()))?;
            unfinished.dirs.push(dir.clone());
        }
        let written = rest.iter().filter(|placement| placement.act != Act::Open);
        let number = unfinished.files.len();
        for Placement { path, item, .. } in written.clone() {
            let written = write(item, path, &mut unfinished.files);
            written.map_err(cause).with_context(|| format!("cannot write {}", path.display()))?;
        }
        unfinished.record = None;
        for (Placement { path, .. }, beside) in written.zip(&unfinished.files[number..]) {
            let renamed = fs::rename(beside, path);
            renamed.map_err(cause).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        for Placement { path, item, .. } in self.placements.iter().filter(|placement| placement.act == Act::Open) {
            let opened = allow(path, item.mode());
            opened.map_err(cause).with_context(|| format!("cannot change the mode of {}", path.display()))?;
        }
        Ok(())
    }

    /// Puts the record into its place, with the directories that lead to it.
    fn put_record(&self, record: &Placement, unfinished: &mut Unfinished) -> Result<()> {
        let Placement { path, item, act } = record;
        let before = if *act == Act::Create { None } else { read(path, LARGEST) };
        let put = |from: &Path, to: &Path| {
            let renamed = fs::rename(from, to);
            renamed.map_err(cause).with_context(|| format!("cannot create {}", to.display()))
        };
        let Some(top) = self.dirs[..self.way].first() else {
            let written = write(item, path, &mut unfinished.files);
            written.map_err(cause).with_context(|| format!("cannot write {}", path.display()))?;
            let beside = unfinished.files.last().map_or(path, |file| file);
            put(beside, path)?;
            unfinished.record = Some((path.clone(), before));
            return Ok(());
        };
        // All of them appear at once: none of them exists without the record.
        let beside = temporary::path(temporary::here(top.parent().unwrap_or(top)));
        unfinished.files.push(beside.clone());
        let moved = |path: &Path| beside.join(path.strip_prefix(top).unwrap_or(path));
        for dir in &self.dirs[..self.way] {
            create_dir(&moved(dir)).map_err(cause).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let written = write(item, &moved(path), &mut unfinished.files);
        written.map_err(cause).with_context(|| format!("cannot write {}", path.display()))?;
        put(unfinished.files.last().map_or(path, |file| file), &moved(path))?;
        put(&beside, top)?;
        unfinished.dirs.extend_from_slice(&self.dirs[..self.way]);
        unfinished.record = Some((path.clone(), None));
        Ok(())
    }
}

/// Everything that a call which fails has to undo.
#[derive(Default)]
struct Unfinished {
    /// New directories, parents first.
    dirs: Vec<PathBuf>,
    /// Temporary files.
    files: Vec<PathBuf>,
    /// The record, and the bytes that were there before.
    record: Option<(PathBuf, Option<Vec<u8>>)>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        match self.record.take() {
            None => {}
            Some((path, None)) => drop(fs::remove_file(path)),
            Some((path, Some(bytes))) => {
                let written = write(&Item::file(OWN, RECORD, bytes), &path, &mut self.files);
                let _ = written.and_then(|()| self.files.last().map_or(Ok(()), |beside| fs::rename(beside, &path)));
            }
        }
        // If it has succeeded, these have been renamed, and the directories are not empty.
        for file in &self.files {
            let _ = temporary::remove(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn foreign(words: String) -> Cause {
    Cause::from_errno(Errno::EEXIST, words).hint("add --prefix ipc- to choose other names for the links")
}

/// Returns the first paths of a list, and how many more there are.
fn first(paths: &[&Path]) -> String {
    let mut words: Vec<String> = paths.iter().take(MOST_NAMED).map(|path| path.display().to_string()).collect();
    if paths.len() > MOST_NAMED {
        words.push(format!("and {} more", paths.len() - MOST_NAMED));
    }
    words.join(", ")
}

/// Returns the version of ipcbox whose page is below `root`.
fn version(root: &Path) -> Option<String> {
    let page = root.join(PAGES).join("ipcbox.1");
    let head = read(&page, HEAD).filter(|_| is_marked(&page))?;
    let head = String::from_utf8_lossy(&head);
    let version = head.split_once("\"ipcbox ")?.1.split_once('"')?.0;
    Some(version.to_owned()).filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
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
            // A hard link would keep the binary that is replaced.
            if has_text || there.is_symlink() && is_same_file(path, &path.with_file_name(to)) {
                return Ok(Occupant::Right);
            }
        }
        Content::File(bytes) => {
            // A symbolic link is not: the file that it leads to, such as a download, can be removed.
            if there.len() == bytes.len() as u64 && read(path, LARGEST).is_some_and(|there| there == *bytes) {
                let is_open = there.mode() & item.mode() == item.mode();
                return Ok(if is_open { Occupant::Right } else { Occupant::Closed });
            }
        }
    }
    Ok(if is_ours(item.dir, path) { Occupant::Ours } else { Occupant::Other })
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

/// Writes the file for this place beside it, and adds its path to `files`.
fn write(item: &Item, path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let beside = temporary::path(path.parent().unwrap_or(path));
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
