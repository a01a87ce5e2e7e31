//! Floor 5: files that hold slots or a lock, for callers in any namespace.
//!
//! A file has one line, `ipcbox slots 4` or `ipcbox lock`; who holds what is in record locks alone. They are on bytes
//! far behind the content, because some network file systems refuse access to locked bytes.
//!
//! Each slot has two bytes, and a lock is one slot. ipcbox holds the first byte by its open file, which it shares only
//! with children that wait for it. CMD holds the second one itself, taken between fork and exec. The first alone would
//! be free when ipcbox is killed, a moment before the kernel kills CMD. The second alone would be lost when CMD closes
//! its descriptors. A slot is free when both bytes are. Callers queue at the first byte alone, because the kernel keeps
//! the order only among the requests that wait for one lock.
//!
//! A file that has been replaced is noticed by whoever takes something from it: see [`SlotFile::again`].

mod bytes;
mod content;
mod holding;
mod taking;
mod users;
mod waited;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::stat::fstat;

use self::bytes::{LOCKS, of_command};
pub use self::content::Kept;
use self::content::{Written, initialise, other, written};
pub use self::users::{Held, Waiter, waiters_among};
pub use self::waited::{missed, notice, take};
use crate::args::creating::{Creating, user};
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::fifo::{self, Kind, Seen, behind, look};
use crate::sys::posix::File;
use crate::sys::record_lock::{Mode, lock, lock_for_process};
use crate::sys::regular;

/// The most slots of a file: a waiter can have a thread for each.
pub const MOST: u16 = 256;

/// An open file that holds slots or a lock.
#[derive(Debug)]
pub struct SlotFile {
    path: PathBuf,
    file: OwnedFd,
    /// The file behind the path when it was opened.
    pub seen: Seen,
    /// What it holds.
    pub kept: Kept,
}

impl AsFd for SlotFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl SlotFile {
    /// Opens the file at `path`. One that is missing or empty gets what it holds from `wanted`, if given.
    ///
    /// # Errors
    /// `ENOENT`: it is missing or empty, and `wanted` is not given. Status 4: it is something else. Status 5: it
    /// may not be used. `EEXIST`: it exists, and `creating` is exclusive. Wrong usage: its owner could not lock it.
    pub fn open(path: &Path, wanted: Option<Kept>, creating: Creating) -> Result<Self> {
        let bits = creating.bits();
        if bits & 0o600 != 0o600 {
            let cause = Cause::new(Exit::Usage, format!("mode {bits:04o} does not let the owner lock the file"));
            bail!(cause.hint(format!("use -m {:o}", bits | 0o600)));
        }
        let find = || {
            let (file, seen) = found(path, regular::open_to_lock)?;
            creating.trust([seen.uid]).map_err(|cause| cause.hint(format!("add --foreign; {SHARED}")))?;
            Ok(((file, seen), []))
        };
        let accept = |(file, seen): (OwnedFd, Seen)| {
            let kept = match written(&file)? {
                Written::Kept(kept) => kept,
                Written::Other => bail!(other()),
                Written::Nothing => match wanted {
                    Some(kept) => initialise(&file, kept)?,
                    None => bail!(empty()),
                },
            };
            Ok(Self { path: path.into(), file, seen, kept })
        };
        let create = || {
            let kept = wanted.ok_or(Errno::ENOENT)?;
            let file = regular::create(path, bits).map_err(uncreated)?;
            let complete = || anyhow::Ok((behind(&file)?, initialise(&file, kept)?));
            let (seen, kept) = complete().inspect_err(|_| regular::discard(path))?;
            Ok(Self { path: path.into(), file, seen, kept })
        };
        creating.open_or_create(find, accept, create)
    }

    /// Opens an existing file of any user to look at it, without write permission.
    ///
    /// # Errors
    /// Bare `ENOENT`: it is missing. Status 3: it is empty. Status 4: it is something else.
    pub fn look(path: &Path) -> Result<Self> {
        let (file, seen) = found(path, regular::open_to_look)?;
        match written(&file)? {
            Written::Kept(kept) => Ok(Self { path: path.into(), file, seen, kept }),
            Written::Nothing => bail!(empty()),
            Written::Other => bail!(other()),
        }
    }

    /// Returns its attributes.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn file(&self) -> nix::Result<File> {
        fstat(&self.file).map(File::from)
    }

    /// Opens the file once more, if the path still leads to it. `None`: it was removed, replaced or rewritten, or the
    /// caller lost access to it. [`open`](Self::open) finds the same and names the cause.
    ///
    /// # Errors
    /// It cannot be opened for another reason.
    pub fn again(&self) -> nix::Result<Option<OwnedFd>> {
        let file = match regular::open_to_lock(&self.path) {
            Err(
                Errno::ENOENT
                | Errno::ELOOP
                | Errno::EISDIR
                | Errno::ENXIO
                | Errno::ENOTDIR
                | Errno::EACCES
                | Errno::EPERM
                | Errno::EROFS
                | Errno::ENODEV
                | Errno::ETXTBSY,
            ) => return Ok(None),
            file => file?,
        };
        let found = behind(&file)?;
        let is_same = found.kind == Kind::Regular && found.is(&self.seen);
        Ok((is_same && written(&file)? == Written::Kept(self.kept)).then_some(file))
    }

    /// Takes the second bytes in the child that executes CMD; `own` is from [`again`](Self::again). This process must
    /// not close a descriptor of the file afterwards, because that would release them. CMD may: the first bytes stay.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn take_for_command(&self, own: &OwnedFd, numbers: &[u16], mode: Mode) -> nix::Result<()> {
        let kept = regular::only_for_command(own, &[own, &self.file])?;
        numbers.iter().try_for_each(|number| lock_for_process(&kept, of_command(*number), mode))?;
        std::mem::forget(kept);
        Ok(())
    }

    /// Takes the second bytes in a holder process, which keeps the file open until it exits.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn take_for_holder(&self, numbers: &[u16], mode: Mode) -> nix::Result<()> {
        numbers.iter().try_for_each(|number| lock_for_process(&self.file, of_command(*number), mode))
    }

    /// Removes the file if no process holds or waits for anything, or in any case if `force`.
    ///
    /// # Errors
    /// `EAGAIN`: it is in use. `ENOENT`: it was removed or replaced.
    pub fn remove(&self, force: bool) -> nix::Result<()> {
        if !force {
            lock_all(&self.file)?;
        }
        remove(&self.path, &self.seen)
    }

    /// Removes the file if it is empty, which the creator leaves behind if it is killed before it has written the line.
    /// Returns whether it was.
    ///
    /// # Errors
    /// Status 5: it belongs to another user. Status 1: it is in use, and not `force`.
    pub fn remove_empty(path: &Path, force: bool) -> Result<bool> {
        if !path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
            return Ok(false);
        }
        let (file, seen) = found(path, regular::open_to_lock)?;
        let denied = |_| Cause::new(Exit::Denied, format!("the file is empty and owned by {}", user(seen.uid)));
        Creating { mode: None, foreign: None, exclusive: false }.trust([seen.uid]).map_err(denied)?;
        match lock_all(&file) {
            Err(Errno::EAGAIN) if !force => bail!(Cause::new(Exit::Failed, "the file is empty, but in use")),
            Err(Errno::EAGAIN) => {}
            locked => locked.map_err(|errno| unlocked(&file, errno))?,
        }
        // Its line may have been written since.
        let is_empty = written(&file)? == Written::Nothing;
        if is_empty {
            remove(path, &seen)?;
        }
        Ok(is_empty)
    }
}

/// Locks everything, so that no caller can take anything until this process exits. Then the caller checks the path.
fn lock_all(file: &OwnedFd) -> nix::Result<()> {
    lock(file, LOCKS, Mode::Exclusive, Deadline::Now)
}

fn remove(path: &Path, seen: &Seen) -> nix::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fifo::remove(directory.unwrap_or(Path::new(".")), path.file_name().unwrap_or_default(), seen)
}

const SHARED: &str = "create the file with -m 666, or run all callers as one user";

/// Opens the file at a path, which must be a regular one.
fn found(path: &Path, open: fn(&Path) -> nix::Result<OwnedFd>) -> Result<(OwnedFd, Seen)> {
    loop {
        // First, because opening a device can have effects.
        let seen = look(path)?;
        let is = match seen.kind {
            Kind::Regular => "",
            Kind::Fifo => "a FIFO",
            Kind::Directory => "a directory",
            Kind::Link => "a symbolic link (not followed)",
            Kind::Device => "a device",
            Kind::Socket => "a socket",
        };
        if !is.is_empty() {
            bail!(Cause::new(Exit::Exists, format!("the path is {is}, not a file that holds slots or a lock")));
        }
        match open(path) {
            Ok(file) if behind(&file)?.is(&seen) => return Ok((file, seen)),
            // It has been replaced.
            Ok(_) | Err(Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => {}
            Err(errno) => return Err(unopened(&seen, errno)),
        }
    }
}

fn unopened(seen: &Seen, errno: Errno) -> anyhow::Error {
    let cause = |words: String| Cause::from_errno(errno, words);
    match errno {
        Errno::EACCES | Errno::EPERM => {
            let (owner, mode) = (user(seen.uid), seen.mode & 0o777);
            let cause = cause(format!("no write permission; owned by {owner}, mode {mode:04o}"));
            cause.hint(format!("{SHARED}; other users add --foreign")).into()
        }
        Errno::EROFS => cause("the file system is read-only, and a lock needs write access".into()).into(),
        errno => errno.into(),
    }
}

fn uncreated(errno: Errno) -> anyhow::Error {
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT => cause("the directory does not exist"),
        Errno::EACCES | Errno::EPERM => cause("no permission to create a file in the directory"),
        Errno::EROFS => cause("the file system is read-only"),
        errno => return errno.into(),
    }
    .into()
}

/// Returns the failure that a file has no line yet.
fn empty() -> Cause {
    Cause::from_errno(Errno::ENOENT, "the file is empty")
}

/// Returns the failure to lock a file.
pub fn unlocked(file: impl AsFd, errno: Errno) -> Cause {
    match errno {
        Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS => {
            let system = behind(file).ok().and_then(|seen| regular::file_system(&seen));
            let system =
                system.map_or_else(|| "the file system".to_owned(), |system| format!("the file system ({system})"));
            Cause::from_errno(errno, format!("{system} has no record locks"))
                .exit(Exit::Failed)
                .hint("use a path on another file system; on NFS, start the lock service")
        }
        errno => Cause::plain(errno),
    }
}
