//! Unix sockets at paths: a path accepts from its first instant, a live one is never taken, a stale one is.
//!
//! The protocol, under flock(2) on the directory:
//! 1. Bind `.NAME.new` with its mode, and listen. A leftover of a killed process is removed first: only the holder of
//!    the lock creates this name.
//! 2. Rename it to NAME if that is free.
//! 3. Otherwise test the file at NAME. A socket that a process has, listening or not, is in use.
//! 4. Exchange a stale one with `.NAME.new`. If what comes out is not the file that was tested, a process without the
//!    lock has replaced it: exchange back, and start again at 2. If another file comes out of that, it is even newer:
//!    exchange once more, and give up.
//!
//! A process killed in between leaves `.NAME.new`, which the next one removes. A connection that is refused at NAME
//! therefore proves that NAME is stale.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, renameat2};
use nix::sys::socket::{UnixAddr, bind};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, umask};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::{SocketFile, Type, listen, unix_server};
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::fifo::{Kind, Seen, lock};
use crate::sys::wait;

/// How long a caller without a time limit waits for the lock. Any process that may read a directory can lock it.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often a socket must refuse before it is stale. A process without the lock creates the file shortly before the
/// socket is bound to it.
const REFUSALS: u32 = 3;
/// The time between them.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest name in `/proc/self/fd/N` that fits into the address of a socket.
const NAME_MAX: usize = 80;

/// Why a path was not taken or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A process has the socket at the path.
    InUse,
    /// Another kind of file is at the path.
    NotASocket(Kind),
    /// The directory was still locked at the deadline, by these processes if they are known.
    Locked(Vec<i32>),
    /// A process without the lock removed or replaced the socket before it was in place.
    Disturbed,
    /// A call failed.
    Failed(Errno),
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

type Taken<T> = Result<T, Refused>;

/// A socket at a path that this process has taken.
#[derive(Debug)]
pub struct Bound {
    /// The socket. It listens, unless it is for datagrams.
    pub socket: OwnedFd,
    place: Place,
    own: Seen,
}

impl Bound {
    /// Takes a path for a new socket with exactly these permission bits. Without `takes_files`, clients cannot attach
    /// descriptors. Waits for the lock until `deadline`.
    pub fn take(path: &Path, kind: Type, takes_files: bool, mode: u32, deadline: Deadline) -> Taken<Self> {
        let place = Place::open(path)?;
        let socket = unix_server(kind, takes_files)?;
        place.lock(deadline)?;
        place.bind(&socket, mode, deadline)?;
        let own = place.look(&place.temporary).inspect_err(|_| {
            let _ = place.unlink(&place.temporary);
        })?;
        let outcome = listen(socket, kind).map_err(Refused::from).and_then(|socket| place.put(&own).map(|()| socket));
        // After an exchange that was undone, the temporary name can be that of another server's socket.
        if outcome.is_err() && place.look(&place.temporary).is_ok_and(|seen| seen.is(&own)) {
            let _ = place.unlink(&place.temporary);
        }
        let unlocked = place.unlock();
        let bound = Self { socket: outcome?, place, own };
        if unlocked.is_err() {
            let _ = bound.remove();
        }
        unlocked?;
        Ok(bound)
    }

    /// Moves its descriptors to numbers that are not below this one.
    pub fn move_above(&mut self, lowest: i32) -> nix::Result<()> {
        self.place.directory = fds::copy_above(&self.place.directory, lowest)?;
        self.socket = fds::copy_above(&self.socket, lowest)?;
        Ok(())
    }

    /// Removes the path if it is still that of this socket. To be called while the socket listens: then no other
    /// process takes the path in between.
    pub fn remove(&self) -> nix::Result<()> {
        match self.place.look(&self.place.name) {
            Ok(seen) if seen.is(&self.own) => self.place.unlink(&self.place.name),
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// Removes the socket at a path: only a stale one, or with `force` a live one too. Waits for the lock until `deadline`,
/// after a call of `waits` with the processes that hold it. With `force`, does without the lock if it is not free.
///
/// A process without the lock can replace the socket at any time. What is removed is therefore renamed first, and put
/// back if it is not the socket that was tested.
pub fn remove(path: &Path, force: bool, deadline: Deadline, waits: &mut dyn FnMut(&[i32])) -> Taken<()> {
    let mut place = Place::open(path)?;
    let is_missing = match SocketFile::open_at(&place.directory, &place.name) {
        // A killed removal left the socket at the temporary name.
        Err(Errno::ENOENT) if place.look(&place.temporary).is_ok() => true,
        file => is_socket(&file?).map(|()| false)?,
    };
    match place.lock(Deadline::Now) {
        // The holder of the lock has the temporary name.
        Err(Refused::Locked(_)) if force => place.temporary.push(format!(".{}", std::process::id())),
        Err(Refused::Locked(pids)) if deadline != Deadline::Now => {
            waits(&pids);
            place.lock(deadline)?;
        }
        locked => locked?,
    }
    if is_missing {
        place.clear(deadline)?;
    }
    let file = SocketFile::open_at(&place.directory, &place.name)?;
    if force {
        is_socket(&file)?;
    } else {
        prove_stale(&file)?;
    }
    loop {
        match place.rename(&place.name, &place.temporary, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => break,
            Err(Errno::EEXIST) => place.clear(deadline)?,
            // Not supported by this file system.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                let is_same = place.look(&place.name)?.is(&file.seen);
                return if is_same { Ok(place.unlink(&place.name)?) } else { Err(Refused::Disturbed) };
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    let removed = match place.look(&place.temporary) {
        Ok(seen) if seen.is(&file.seen) => place.unlink(&place.temporary).map_err(Refused::from),
        Ok(_) => Err(Refused::Disturbed),
        Err(errno) => Err(errno.into()),
    };
    if removed.is_err() {
        // If an even newer file has the name, this one keeps the temporary name.
        let _ = place.rename(&place.temporary, &place.name, RenameFlags::RENAME_NOREPLACE);
    }
    removed
}

fn is_socket(file: &SocketFile) -> Taken<()> {
    if file.seen.kind == Kind::Socket { Ok(()) } else { Err(Refused::NotASocket(file.seen.kind)) }
}

/// # Errors
/// It is not stale: [`Refused::InUse`], or not a socket.
fn prove_stale(file: &SocketFile) -> Taken<()> {
    is_socket(file)?;
    for refusal in 1..=REFUSALS {
        if file.is_live()? {
            return Err(Refused::InUse);
        }
        if refusal < REFUSALS {
            wait::any(&[], Deadline::after(PAUSE))?;
        }
    }
    Ok(())
}

/// A name in an open directory.
#[derive(Debug)]
struct Place {
    directory: OwnedFd,
    name: OsString,
    /// The name in the same directory that only the holder of the lock uses.
    temporary: OsString,
}

impl Place {
    /// Opens the directory of a path.
    fn open(path: &Path) -> nix::Result<Self> {
        let name = path.file_name().filter(|_| !path.as_os_str().as_bytes().ends_with(b"/")).ok_or(Errno::EISDIR)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        // The lock is that of the directory, so that two names may share a shortened one.
        let short = &name.as_bytes()[..name.len().min(NAME_MAX)];
        let temporary = OsString::from_vec([b".", short, b".new"].concat());
        Ok(Self { directory, name: name.to_owned(), temporary })
    }

    fn lock(&self, deadline: Deadline) -> Taken<()> {
        match lock(&self.directory, deadline) {
            Err(Errno::EAGAIN) => Err(Refused::Locked(lockers(&self.directory))),
            locked => Ok(locked?),
        }
    }

    fn unlock(&self) -> nix::Result<()> {
        crate::sys::fifo::unlock(&self.directory)
    }

    fn look(&self, name: &OsStr) -> nix::Result<Seen> {
        fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(Seen::from)
    }

    fn unlink(&self, name: &OsStr) -> nix::Result<()> {
        unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir)
    }

    fn rename(&self, from: &OsStr, to: &OsStr, flags: RenameFlags) -> nix::Result<()> {
        renameat2(&self.directory, from, &self.directory, to, flags)
    }

    /// Exchanges the name and the temporary name.
    fn exchange(&self) -> nix::Result<()> {
        self.rename(&self.temporary, &self.name, RenameFlags::RENAME_EXCHANGE)
    }

    /// Binds the socket to the temporary name.
    fn bind(&self, socket: &OwnedFd, mode: u32, until: Deadline) -> Taken<()> {
        /// The umask is that of the process.
        static UMASK: Mutex<()> = Mutex::new(());
        let directory = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        let address = UnixAddr::new(&Path::new(&directory).join(&self.temporary))?;
        // A file that bind(2) creates has the mode of the socket, without the bits of the umask.
        fchmod(socket, Mode::from_bits_truncate(mode))?;
        loop {
            let bound = {
                let _alone = UMASK.lock().unwrap_or_else(PoisonError::into_inner);
                let before = umask(Mode::empty());
                let bound = bind(socket.as_raw_fd(), &address);
                umask(before);
                bound
            };
            match bound {
                Err(Errno::EADDRINUSE) => self.clear(until)?,
                bound => return Ok(bound?),
            }
        }
    }

    /// Removes a leftover from the temporary name.
    fn clear(&self, until: Deadline) -> Taken<()> {
        let file = match SocketFile::open_at(&self.directory, &self.temporary) {
            Err(Errno::ENOENT) => return Ok(()),
            file => file?,
        };
        match prove_stale(&file) {
            Ok(()) => Ok(self.unlink(&self.temporary)?),
            // The kernel can release the lock of a killed process before its socket.
            Err(Refused::InUse) if !until.is_over() => {
                wait::any(&[], Deadline::after(PAUSE))?;
                Ok(())
            }
            Err(refused) => Err(refused),
        }
    }

    /// Moves the socket from the temporary name to the name.
    fn put(&self, own: &Seen) -> Taken<()> {
        loop {
            match self.rename(&self.temporary, &self.name, RenameFlags::RENAME_NOREPLACE) {
                Ok(()) => return Ok(()),
                Err(Errno::EEXIST) => {}
                // Not supported by this file system.
                Err(Errno::EINVAL | Errno::ENOSYS) => match self.link() {
                    Err(Errno::EEXIST) => {}
                    linked => return Ok(linked?),
                },
                Err(Errno::ENOENT) => return Err(Refused::Disturbed),
                Err(errno) => return Err(errno.into()),
            }
            let file = match SocketFile::open_at(&self.directory, &self.name) {
                Err(Errno::ENOENT) => continue,
                file => file?,
            };
            prove_stale(&file)?;
            match self.exchange() {
                Ok(()) => {}
                // Without the exchange, the name is missing for a moment, under the lock.
                Err(Errno::EINVAL | Errno::ENOSYS) => {
                    match self.look(&self.name) {
                        Ok(seen) if seen.is(&file.seen) => self.unlink(&self.name)?,
                        Ok(_) | Err(Errno::ENOENT) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    continue;
                }
                Err(Errno::ENOENT) if self.look(&self.temporary).is_ok_and(|seen| seen.is(own)) => continue,
                Err(Errno::ENOENT) => return Err(Refused::Disturbed),
                Err(errno) => return Err(errno.into()),
            }
            let newer = self.look(&self.temporary)?;
            if newer.is(&file.seen) {
                return Ok(self.unlink(&self.temporary)?);
            }
            self.exchange()?;
            if !self.look(&self.temporary)?.is(own) {
                self.exchange()?;
                // The newest file has replaced it as well.
                if self.look(&self.temporary)?.is(&newer) {
                    self.unlink(&self.temporary)?;
                }
                return Err(Refused::Disturbed);
            }
        }
    }

    /// Like a rename that replaces nothing.
    fn link(&self) -> nix::Result<()> {
        let flags = AtFlags::empty();
        linkat(&self.directory, &*self.temporary, &self.directory, &*self.name, flags)?;
        self.unlink(&self.temporary)
    }
}

/// Returns the processes that hold a lock on a file, from `/proc/locks`: `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE`.
fn lockers(file: impl AsFd) -> Vec<i32> {
    let (Ok(stat), Ok(text)) = (fstat(file), std::fs::read_to_string("/proc/locks")) else { return Vec::new() };
    let (major, minor) = (nix::libc::major(stat.st_dev), nix::libc::minor(stat.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == place => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    };
    text.lines().filter_map(holder).collect()
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/takeover.rs"]
mod tests;
