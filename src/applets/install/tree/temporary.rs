//! Temporary files. Each is named after the process that writes it, so that those of a killed call are recognised.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{DIRS, OWN, listed};
use crate::sys::process::exists;
use crate::sys::process::procfs::stat;

/// The start of every name. It is hidden, so that no shell reads the file.
const START: &str = ".ipcbox-";

/// Returns a path in `dir` that no other call uses, and this one only once.
pub fn path(dir: &Path) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = stat(pid.cast_signed()).map_or(0, |stat| stat.start);
    dir.join(format!("{START}{pid}-{start}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// Returns the temporary files and directories of calls for this PREFIX that no longer run, if they can be listed.
pub fn abandoned(root: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = DIRS.iter().map(|dir| root.join(dir)).collect();
    // New directories are created in the deepest one that exists.
    let own = root.join(OWN);
    dirs.extend(own.ancestors().find(|dir| here(dir).is_dir()).filter(|dir| *dir != own).map(|dir| here(dir).into()));
    dirs.iter().flat_map(|dir| listed(dir).unwrap_or_default()).filter(|path| is_abandoned(path)).collect()
}

/// Returns whether a path has the name of a temporary file.
pub fn is_one(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(START))
}

/// Returns the directory that a path stands for.
pub fn here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

fn is_abandoned(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = name.strip_prefix(START).unwrap_or_default().split('-').map(|part| part.parse().ok());
    let Some([pid, start, _]) = numbers.collect::<Option<Vec<u64>>>().and_then(|all| <[u64; 3]>::try_from(all).ok())
    else {
        return false;
    };
    let Ok(pid) = i32::try_from(pid) else { return false };
    match stat(pid) {
        Ok(there) => there.start != start || there.is_zombie(),
        Err(_) => !exists(pid),
    }
}

/// Removes a temporary file or directory.
///
/// # Errors
/// Those of unlink(2) and rmdir(2).
pub fn remove(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
