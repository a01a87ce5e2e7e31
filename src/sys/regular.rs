//! Regular files that several processes lock, opened without following a final symbolic link.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{File, read_to_string};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::libc::{major, minor};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fchmod, umask};
use nix::sys::uio::pread;
use nix::unistd::{close, ftruncate, unlink};

use super::fifo::{Seen, behind};
use super::transfer::write_at;

/// The lowest number of the descriptor that CMD gets. Shells use lower ones.
const HIGH: i32 = 100;
/// The same where the limit of open files does not allow that.
const LOW: i32 = 10;

// Without O_NONBLOCK, opening a FIFO that has just taken the place of the file would block.
const FLAGS: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a file for reading and writing, as an exclusive lock requires.
///
/// # Errors
/// `ELOOP`: it is a symbolic link. The caller must check the type with [`behind`].
pub fn open_to_lock(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDWR | FLAGS, Mode::empty())
}

/// Opens a file for reading; otherwise as [`open_to_lock`].
pub fn open_to_look(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | FLAGS, Mode::empty())
}

/// Creates an empty file with exactly these permission bits.
///
/// # Errors
/// `EEXIST`: the path exists, even as a dangling link. `ENOENT`: the directory does not exist.
pub fn create(path: &Path, mode: u32) -> Result<OwnedFd> {
    // No other thread of ipcbox creates files, so the umask affects this call only. A later chmod would leave a moment
    // in which another user is refused.
    let before = umask(Mode::empty());
    let bits = Mode::from_bits_truncate(mode);
    let file = open(path, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | FLAGS, bits);
    umask(before);
    let file = file?;
    // The directory can have default permissions, acl(5).
    let set = behind(&file).and_then(|seen| if seen.mode == mode { Ok(()) } else { fchmod(&file, bits) });
    if let Err(errno) = set {
        discard(path);
        return Err(errno);
    }
    Ok(file)
}

/// Removes a file that this process has just created and could not complete, unless another process has written to it.
pub fn discard(path: &Path) {
    if path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
        let _ = unlink(path);
    }
}

/// Returns the first bytes of a file, at most `len`, or fewer if a read ends with a newline.
pub fn start(file: impl AsFd, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len && !bytes[..done].ends_with(b"\n") {
        match pread(&file, &mut bytes[done..], i64::try_from(done).map_err(|_| Errno::EFBIG)?)? {
            0 => break,
            read => done += read,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Writes the content of an empty file, all of it or nothing.
///
/// # Errors
/// `EFBIG`: the limit of the caller (RLIMIT_FSIZE) is lower. `ENOSPC`, `EDQUOT`: there is no room.
pub fn fill(file: impl AsFd, content: &[u8]) -> Result<()> {
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < content.len() as u64 {
        return Err(Errno::EFBIG);
    }
    write_at(file.as_fd(), 0, content).or_else(|errno| ftruncate(&file, 0).and(Err(errno)))
}

/// In the child that executes CMD: duplicates a descriptor with a high number, which exec does not close, and closes the
/// `others` of the file. Otherwise exec would do so, and release what this process has locked by then.
///
/// # Errors
/// `EMFILE`: the limit of open files is too low.
pub fn only_for_command(file: &OwnedFd, others: &[&OwnedFd]) -> Result<OwnedFd> {
    // `EINVAL`: the limit of open files is lower.
    let number = match fcntl(file, FcntlArg::F_DUPFD(HIGH)) {
        Err(Errno::EINVAL) => fcntl(file, FcntlArg::F_DUPFD(LOW)),
        number => number,
    };
    let number = number.map_err(|errno| if errno == Errno::EINVAL { Errno::EMFILE } else { errno })?;
    // Their owners are copies of those in the parent, and are never dropped: the child executes CMD or exits at once.
    for other in others {
        close(other.as_raw_fd())?;
    }
    // SAFETY: it has just been created, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Returns whether the file at `path` begins with `start`, if it may be read.
pub fn begins_with(path: &OsStr, start: &[u8]) -> bool {
    let mut found = Vec::new();
    let file = open_to_look(Path::new(path)).ok().map(File::from);
    let read = file.and_then(|file| file.take(start.len() as u64).read_to_end(&mut found).ok());
    read.is_some() && found == start
}

/// Returns the type of the file system of a file, `/proc/self/mountinfo`. `None`: it is not known.
pub fn file_system(seen: &Seen) -> Option<String> {
    let device = format!("{}:{}", major(seen.device), minor(seen.device));
    let mounts = read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
    line.split_once(" - ")?.1.split(' ').next().map(str::to_owned)
}
