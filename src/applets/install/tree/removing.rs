//! Removes the files of an installation, of any version, and the directories that it created.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::{BIN, DIRS, OWN, PROGRAM, RECORD, RECORD_HEAD, is_ours};
use crate::exit::{Exit, each};
use crate::sys::errno;
use crate::text::visible;

/// What can be removed below a PREFIX.
pub struct Removal {
    /// Links before files, and the binary last, so that a call that fails can be repeated.
    files: Vec<PathBuf>,
    record: Option<PathBuf>,
    /// The directories that the installation created and that will be empty, deepest first.
    dirs: Vec<PathBuf>,
}

impl Removal {
    /// Looks for files of ipcbox below `root`. Changes nothing.
    ///
    /// # Errors
    /// Those of reading directories, also if `root` itself is missing.
    pub fn new(root: &Path) -> Result<Self> {
        fs::read_dir(root).map_err(errno)?;
        let (mut links, mut files) = (Vec::new(), Vec::new());
        let record = root.join(OWN).join(RECORD);
        for dir in DIRS {
            for path in listed(&root.join(dir))?.into_iter().filter(|path| *path != record) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_link = path.is_symlink();
                // A copy of the binary with another name was not installed.
                let is_installed = is_link || dir != BIN || name == PROGRAM || name.starts_with(".ipcbox.");
                if is_installed && is_ours(&path) {
                    if is_link { links.push(path) } else { files.push(path) }
                }
            }
        }
        let record = Some(record).filter(|path| is_ours(path));
        let mut removal = Self { files: [links, files].concat(), record, dirs: Vec::new() };
        removal.dirs = removal.empty_dirs(root);
        Ok(removal)
    }

    /// Returns the recorded directories that contain nothing but what is removed, deepest first.
    fn empty_dirs(&self, root: &Path) -> Vec<PathBuf> {
        let mut gone: BTreeSet<PathBuf> = self.files.iter().chain(&self.record).filter_map(|file| real(file)).collect();
        let depth = |dir: &str| {
            Path::new(dir).components().fold(0, |depth, part| match part {
                Component::ParentDir => depth - 1,
                Component::CurDir => depth,
                _ => depth + 1,
            })
        };
        let mut created: Vec<String> = recorded(root).into_iter().collect();
        created.sort_by_key(|dir| -depth(dir));
        let mut empty = Vec::new();
        for dir in created {
            // Without `.` and `..`, which cannot be removed by these names.
            let Ok(dir) = root.join(dir).canonicalize() else { continue };
            if listed(&dir).is_ok_and(|entries| entries.iter().all(|entry| gone.contains(entry))) {
                gone.insert(dir.clone());
                empty.push(dir);
            }
        }
        empty
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.record.is_none() && self.dirs.is_empty()
    }

    /// Returns a line for everything that would be removed.
    pub fn lines(&self) -> String {
        let all = self.files.iter().chain(&self.record).map(|file| line("would remove", file, ""));
        all.chain(self.dirs.iter().map(|dir| line("would remove", dir, "/"))).collect()
    }

    /// Removes everything that can be removed. Returns a line for each, and the failures.
    pub fn carry_out(&self) -> (String, Result<Exit>) {
        let mut done = String::new();
        let mut remove = |path: &PathBuf, end: &str| {
            let removed = if end.is_empty() { fs::remove_file(path) } else { fs::remove_dir(path) };
            removed.map_err(errno).with_context(|| format!("cannot remove {}", path.display()))?;
            done.push_str(&line("removed", path, end));
            Ok(())
        };
        let mut outcome = each(&self.files, |file| remove(file, ""));
        // Otherwise the next call needs the record.
        if outcome.is_ok() {
            outcome = each(&self.record, |record| remove(record, ""));
        }
        if outcome.is_ok() {
            outcome = each(&self.dirs, |dir| remove(dir, "/"));
        }
        (done, outcome)
    }
}

/// Returns the directories that the record below `root` lists. Other lines are ignored.
pub fn recorded(root: &Path) -> BTreeSet<String> {
    let record = root.join(OWN).join(RECORD);
    let text = if is_ours(&record) { fs::read_to_string(&record).unwrap_or_default() } else { String::new() };
    let is_above = |dir: &str| dir.split('/').all(|part| part == "..");
    let is_below = |dir: &str| DIRS.iter().any(|known| Path::new(known).ancestors().any(|it| it == Path::new(dir)));
    let lines = text.lines().filter(|line| *line != RECORD_HEAD && !line.is_empty());
    lines.filter(|dir| *dir == "." || is_above(dir) || is_below(dir)).map(str::to_owned).collect()
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

/// Returns the path of a file without symbolic links, except for the file itself.
fn real(file: &Path) -> Option<PathBuf> {
    Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?))
}

fn line(words: &str, path: &Path, end: &str) -> String {
    format!("{words} {}{end}\n", visible(&path.display().to_string(), &[]))
}
