//! Removes the files of an installation, of any version, and the directories that it created.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::{DIRS, HEAD, OWN, RECORD, RECORD_HEAD, is_marked, is_ours, listed, read, temporary};
use crate::exit::{Exit, each};
use crate::sys::errno;
use crate::text::visible;

/// Everything that can be removed below a PREFIX.
pub struct Removal {
    /// Temporary files, then links before files, and the binary last, so that a call that fails can be repeated.
    files: Vec<PathBuf>,
    record: Option<PathBuf>,
    /// The directories that the installation created and that will be empty, deepest first.
    dirs: Vec<Dir>,
    /// Likewise those that contain the record.
    way: Vec<Dir>,
}

/// A directory that the installation created.
struct Dir {
    /// Its path below the PREFIX that was given.
    shown: PathBuf,
    /// Its path without symbolic links, `.` and `..`, by which it cannot be removed.
    real: PathBuf,
}

impl Removal {
    /// Looks for files of ipcbox below `root`. Changes nothing.
    ///
    /// # Errors
    /// Those of reading directories, also if `root` itself is missing.
    pub fn new(root: &Path) -> Result<Self> {
        let mut files = temporary::abandoned(root);
        if files.is_empty() {
            fs::read_dir(root).map_err(errno)?;
        }
        let (mut links, mut others) = (Vec::new(), Vec::new());
        let record = root.join(OWN).join(RECORD);
        for dir in DIRS {
            let is_other = |path: &PathBuf| *path != record && !temporary::is_one(path);
            for path in listed(&root.join(dir))?.into_iter().filter(|path| is_other(path) && is_ours(dir, path)) {
                if path.is_symlink() { links.push(path) } else { others.push(path) }
            }
        }
        files.extend(links);
        files.extend(others);
        let record = Some(record).filter(|path| is_ours(OWN, path));
        let mut removal = Self { files, record, dirs: Vec::new(), way: Vec::new() };
        let real_record = removal.record.as_deref().and_then(real);
        let is_on_way = |dir: &Dir| real_record.as_ref().is_some_and(|record| record.starts_with(&dir.real));
        (removal.way, removal.dirs) = removal.empty_dirs(root).into_iter().partition(is_on_way);
        Ok(removal)
    }

    /// Returns the recorded directories that contain nothing but what is removed, deepest first.
    fn empty_dirs(&self, root: &Path) -> Vec<Dir> {
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
            let Ok(real) = root.join(&dir).canonicalize() else { continue };
            if listed(&real).is_ok_and(|entries| entries.iter().all(|entry| gone.contains(entry))) {
                gone.insert(real.clone());
                empty.push(Dir { shown: shown(root, &dir).unwrap_or_else(|| real.clone()), real });
            }
        }
        empty
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.record.is_none() && self.dirs.is_empty()
    }

    /// Returns a line for everything that would be removed.
    pub fn lines(&self) -> String {
        let words = "would remove";
        let dirs = |dirs: &[Dir]| dirs.iter().map(|dir| line(words, &dir.shown, "/")).collect::<String>();
        let files = self.files.iter().map(|file| line(words, file, "")).collect::<String>();
        let record = self.record.iter().map(|file| line(words, file, "")).collect::<String>();
        [files, dirs(&self.dirs), record, dirs(&self.way)].concat()
    }

    /// Removes everything that can be removed. Returns a line for each, and the failures.
    pub fn carry_out(&self) -> (String, Result<Exit>) {
        let mut done = String::new();
        let mut outcome = each(&self.files, |file| {
            refused(file, temporary::remove(file))?;
            done.push_str(&line("removed", file, ""));
            Ok(())
        });
        if outcome.is_ok() {
            outcome = each(&self.dirs, |dir| {
                refused(&dir.shown, fs::remove_dir(&dir.real))?;
                done.push_str(&line("removed", &dir.shown, "/"));
                Ok(())
            });
        }
        // Otherwise the next call needs the record.
        if outcome.is_ok() {
            outcome = each(&self.record, |record| {
                self.remove_record(record)?;
                done.push_str(&line("removed", record, ""));
                done.extend(self.way.iter().map(|dir| line("removed", &dir.shown, "/")));
                Ok(())
            });
        }
        (done, outcome)
    }

    /// Removes the record and the directories on the way to it. They get the name of a temporary file first, so that
    /// a call that is killed leaves none of them without the record.
    fn remove_record(&self, record: &Path) -> Result<()> {
        let Some((top, parent)) = self.way.last().and_then(|top| Some((top, top.real.parent()?))) else {
            return refused(record, fs::remove_file(record));
        };
        let beside = temporary::path(parent);
        let moved = |dir: &Dir| beside.join(dir.real.strip_prefix(&top.real).unwrap_or(&dir.real));
        refused(&top.shown, fs::rename(&top.real, &beside))?;
        let record = self.way.first().map(|own| moved(own).join(RECORD)).unwrap_or_default();
        let removed = fs::remove_file(record);
        let removed = removed.and_then(|()| self.way.iter().try_for_each(|dir| fs::remove_dir(moved(dir))));
        if removed.is_err() {
            let _ = fs::rename(&beside, &top.real);
        }
        refused(&top.shown, removed)
    }
}

fn refused(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    removed.map_err(errno).with_context(|| format!("cannot remove {}", path.display()))
}

/// Returns the path of a recorded directory as the installation shows it.
fn shown(root: &Path, dir: &str) -> Option<PathBuf> {
    match dir {
        "." => Some(root.to_owned()),
        _ if !dir.starts_with("..") => Some(root.join(dir)),
        _ if root.components().any(|part| matches!(part, Component::ParentDir)) => None,
        _ => {
            let above = root.ancestors().nth(Path::new(dir).components().count())?;
            Some(above.to_owned()).filter(|above| !above.as_os_str().is_empty())
        }
    }
}

/// Returns the directories that the record below `root` lists. Other lines are ignored.
pub fn recorded(root: &Path) -> BTreeSet<String> {
    let record = root.join(OWN).join(RECORD);
    let text = read(&record, HEAD).filter(|_| is_marked(&record)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_above = |dir: &str| dir.split('/').all(|part| part == "..");
    let is_below = |dir: &str| DIRS.iter().any(|known| Path::new(known).ancestors().any(|it| it == Path::new(dir)));
    let lines = text.lines().filter(|line| *line != RECORD_HEAD && !line.is_empty());
    lines.filter(|dir| *dir == "." || is_above(dir) || is_below(dir)).map(str::to_owned).collect()
}

/// Returns the path of a file without symbolic links, except for the file itself.
fn real(file: &Path) -> Option<PathBuf> {
    Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?))
}

fn line(words: &str, path: &Path, end: &str) -> String {
    format!("{words} {}{end}\n", visible(&path.display().to_string(), &[]))
}
