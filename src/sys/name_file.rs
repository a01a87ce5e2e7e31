//! The file of names of a user: `/dev/shm/.ipcbox-names.UID`.
//!
//! Any process of the user appends whole lines, and nothing locks it. So a reader must expect a torn line, which a full
//! file system or a kill leaves, and text of any kind. The file is trusted for its owner alone: it counts only if it is
//! a regular file of that user without another hard link, and at most 1 MiB long.
//!
//! A file that has grown is replaced by a shorter one, whose first line has its length. A writer that then finds that its
//! descriptor has no name any more appends again. The process that replaces the file copies what came in between.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{S_IFMT, S_IFREG};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, stat};
use nix::sys::uio::pread;
use nix::unistd::{geteuid, unlink};

use super::deadline::Deadline;
use super::{errno, fds, fifo};

const DIR: &str = "/dev/shm";
const PREFIX: &str = ".ipcbox-names.";
/// A file is compacted when it is longer than this, and twice as long as it was after the last time.
const LONG: usize = 64 << 10;
/// The start of a compacted file; its length follows.
const COMPACTED: &str = "# compacted: ";
/// The longest file that counts.
const MOST: usize = 1 << 20;
/// The longest file after an append. Several processes can append the last line at once.
const FULL: usize = MOST - LONG;
/// How often a line is appended to a file that was replaced at the same time.
const ATTEMPTS: usize = 16;

/// Whether `name`, which starts with a slash, is such a file, or one that was about to replace it. Another object can have
/// that name, too: only a file that counts is one, and a file that cannot be examined.
pub fn is_one(name: &OsStr) -> bool {
    let user = name.to_str().and_then(|name| name.strip_prefix('/')).and_then(|name| name.strip_prefix(PREFIX));
    user.is_some_and(|user| {
        let (user, beside) = user.split_once('~').unwrap_or((user, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let file = std::fs::symlink_metadata(format!("{DIR}{}", name.display()));
        is_number(user)
            && is_number(beside)
            && file.map_or(true, |file| user.parse() == Ok(file.uid()) && file.len() <= MOST as u64)
    })
}

/// Returns the content of a user's file.
///
/// # Errors
/// `ENOENT`: there is none. `EACCES`, `ELOOP`, `EINVAL`: it does not count.
pub fn read(user: u32) -> Result<Vec<u8>> {
    content(&opened(user, OFlag::O_RDONLY)?, user)
}

/// Appends a line, which ends in a newline, to the caller's file, unless it is there. Returns the content before, or
/// `None` if it was there. A missing file is created, readable by its owner only. A file that has grown is replaced by
/// what `compact` makes of its content.
///
/// # Errors
/// Those of [`read`]. `EFBIG`: more than 1 MiB or the caller's RLIMIT_FSIZE. `ENOSPC`: no room; the line may be torn.
pub fn append(line: &[u8], compact: impl Fn(&[u8]) -> Vec<u8>) -> Result<Option<Vec<u8>>> {
    let user = geteuid().as_raw();
    let mut before = None;
    let mut is_compacted = false;
    for _ in 0..ATTEMPTS {
        let file = opened_or_created(user)?;
        let text = content(&file, user)?;
        if text.split_inclusive(|byte| *byte == b'\n').any(|there| there == line) {
            return Ok(before);
        }
        let size = text.len() + line.len();
        if getrlimit(Resource::RLIMIT_FSIZE)?.0 < size as u64 {
            return Err(Errno::EFBIG);
        }
        if !is_compacted && size > length(&text).saturating_mul(2).clamp(LONG, FULL) {
            is_compacted = true;
            // Unless another process does it, or there is no room.
            let _ = replace(&file, user, &text, &compact);
            continue;
        }
        if size > FULL {
            return Err(Errno::EFBIG);
        }
        if fds::write(&file, line)? < line.len() {
            return Err(Errno::ENOSPC);
        }
        before.get_or_insert(text);
        if fstat(&file)?.st_nlink > 0 {
            return Ok(before);
        }
    }
    Err(Errno::ESTALE)
}

/// Returns the length of a file after it was last compacted, 0 for never.
fn length(text: &[u8]) -> usize {
    let line = text.strip_prefix(COMPACTED.as_bytes()).and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    line.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// Replaces the file by a new one with what `compact` makes of its text, and what was appended to that since.
fn replace(old: &File, user: u32, text: &[u8], compact: impl Fn(&[u8]) -> Vec<u8>) -> Result<()> {
    // Held until the old file is closed: one process at a time.
    fifo::lock(old, Deadline::Now)?;
    if fstat(old)?.st_nlink == 0 {
        return Err(Errno::ESTALE);
    }
    let mut beside = path(user, "~");
    // A process that was killed here has left it.
    let _ = unlink(&beside);
    let new = match created(&beside) {
        Err(Errno::EEXIST) => {
            // Another user has taken the name.
            beside = path(user, &format!("~{}", std::process::id()));
            created(&beside)
        }
        created => created,
    }?;
    let short = compact(text);
    let short = [format!("{COMPACTED}{}\n", short.len()).as_bytes(), &short].concat();
    let filled = fds::write_all(&new, &short).and_then(|()| std::fs::rename(&beside, path(user, "")).map_err(errno));
    if filled.is_err() {
        let _ = unlink(&beside);
    }
    filled?;
    let mut rest = vec![0; usize::try_from(fstat(old)?.st_size).unwrap_or(0).saturating_sub(text.len())];
    let count = pread(old, &mut rest, i64::try_from(text.len()).unwrap_or(i64::MAX))?;
    fds::write_all(&new, &rest[..count])
}

fn path(user: u32, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{DIR}/{PREFIX}{user}{suffix}"))
}

fn opened(user: u32, access: OFlag) -> Result<File> {
    // Without O_NONBLOCK, a FIFO that another user created there would block.
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(open(&path(user, ""), flags, Mode::empty())?))
}

fn opened_or_created(user: u32) -> Result<File> {
    let existing = || opened(user, OFlag::O_RDWR | OFlag::O_APPEND);
    match existing() {
        Err(Errno::ENOENT) => {}
        opened => return opened,
    }
    // Root of a user namespace must not take the name that belongs to root of the machine.
    if user == 0 && stat(DIR)?.st_uid != 0 {
        return Err(Errno::EACCES);
    }
    match created(&path(user, "")) {
        Err(Errno::EEXIST) => existing(),
        created => created,
    }
}

fn created(path: &Path) -> Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = open(path, flags, mode)?;
    // The umask may have removed bits.
    fchmod(&file, mode)?;
    Ok(File::from(file))
}

/// Returns the content of a file that counts, which may have been replaced since it was opened.
///
/// # Errors
/// `EINVAL`: it does not count.
fn content(file: &File, user: u32) -> Result<Vec<u8>> {
    let FileStat { st_mode, st_uid, st_nlink, st_size, .. } = fstat(file)?;
    let size = usize::try_from(st_size).unwrap_or(usize::MAX);
    if st_mode & S_IFMT != S_IFREG || st_uid != user || st_nlink > 1 || size > MOST {
        return Err(Errno::EINVAL);
    }
    let mut text = vec![0; size];
    if size > 0 {
        let len = pread(file, &mut text, 0)?;
        text.truncate(len);
    }
    Ok(text)
}

#[cfg(test)]
#[path = "../../tests/units/sys/name_file.rs"]
mod tests;
