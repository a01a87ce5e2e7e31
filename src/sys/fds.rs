//! File descriptors: the three standard ones, and complete writes.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, fchmod, fstat};

use super::deadline::Deadline;
use super::errno;
use super::interrupt::retry;
use super::memfd;
use super::wait::{Ends, Want, any, poll};

/// Keeps files that ipcbox opens from becoming standard input, output or error if the caller closed one of these.
///
/// A closed one becomes `/dev/null`, opened for the wrong direction, so that using it fails with `EBADF`, and
/// close-on-exec, so that CMD finds it closed. open(2) takes the lowest free number, hence the ascending loop.
pub fn guard_standard() -> Result<()> {
    // Asks only the kernel: the descriptors may be closed here.
    let mut polled = [stdin(), stdout(), stderr()].map(|fd| PollFd::new(fd, PollFlags::empty()));
    poll(&mut polled, Deadline::Now, Ends::ByTime)?;
    let is_closed = |fd: &PollFd| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLNVAL));
    for (number, _) in (0..).zip(&polled).filter(|(_, fd)| is_closed(fd)) {
        let wrong = if number == libc::STDIN_FILENO { OFlag::O_WRONLY } else { OFlag::O_RDONLY };
        std::mem::forget(open("/dev/null", wrong | OFlag::O_CLOEXEC, Mode::empty())?);
    }
    Ok(())
}

/// Standard input, which [`guard_standard`] guarantees to be open.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: descriptor 0 is open after guard_standard(), and ipcbox never closes it.
    unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) }
}

/// Standard output, likewise.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// Standard error, likewise.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

/// Returns the number in a path such as `/dev/fd/N`. Opening that path would open the file behind it a second time.
pub fn descriptor(path: &OsStr) -> Option<i32> {
    let path = path.to_str()?;
    match path {
        "/dev/stdin" => return Some(0),
        "/dev/stdout" => return Some(1),
        "/dev/stderr" => return Some(2),
        _ => {}
    }
    let digits = path.strip_prefix("/dev/fd/").or(path.strip_prefix("/proc/self/fd/"))?;
    digits.parse().ok().filter(|fd| *fd >= 0)
}

/// Duplicates an inherited descriptor, closed on exec. Both share one open file description.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn copy_of(number: i32) -> Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the number is only passed to the kernel, which checks it.
    copy_above(unsafe { BorrowedFd::borrow_raw(number) }, 3)
}

/// Duplicates a descriptor as one with at least this number, closed on exec.
///
/// # Errors
/// `EINVAL`: the number is beyond the limit of open files. `EMFILE`: no other is free.
pub fn copy_above(fd: impl AsFd, lowest: i32) -> Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(lowest))?;
    // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Makes a file the descriptor `number` of the program that is executed next, dup2(2).
///
/// # Errors
/// `EBADF`: the number is beyond the limit of open files.
pub fn pass_as(file: impl AsFd, number: i32) -> Result<()> {
    let file = file.as_fd();
    if file.as_raw_fd() == number {
        return inherit(file);
    }
    // SAFETY: the call takes two plain integers. Its caller executes a program next, so nothing uses what it closes.
    Errno::result(unsafe { libc::dup2(file.as_raw_fd(), number) }).map(drop)
}

/// Keeps a descriptor open in the program that is executed next.
pub fn inherit(file: impl AsFd) -> Result<()> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Raises the soft limit of descriptors to the hard limit, RLIMIT_NOFILE of setrlimit(2).
pub fn raise_fd_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Returns the soft limit of descriptors. `None`: there is none.
pub fn limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft != libc::RLIM_INFINITY).then_some(soft)
}

/// Returns whether the process can open one more descriptor. EMFILE can have other reasons.
pub fn has_free_fd() -> bool {
    memory().is_ok()
}

pub(super) fn flags(fd: impl AsFd) -> Result<OFlag> {
    fcntl(fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain)
}

/// Checks that a descriptor is open for writing.
///
/// # Errors
/// `EBADF`: it is not.
pub fn can_write(fd: impl AsFd) -> Result<()> {
    if flags(fd)? & OFlag::O_ACCMODE == OFlag::O_RDONLY { Err(Errno::EBADF) } else { Ok(()) }
}

/// Checks that a descriptor is open for reading.
///
/// # Errors
/// `EBADF`: it is not.
pub fn can_read(fd: impl AsFd) -> Result<()> {
    if flags(fd)? & OFlag::O_ACCMODE == OFlag::O_WRONLY { Err(Errno::EBADF) } else { Ok(()) }
}

/// BLKGETSIZE64 of ioctl(2). It writes 64 bits, although its number encodes the size of a pointer.
const BLOCK_SIZE: libc::Ioctl = libc::_IOR::<usize>(0x12, 114);

/// Returns the size of a block device in bytes.
pub fn size_of_device(fd: impl AsFd) -> Result<u64> {
    let mut size: u64 = 0;
    // SAFETY: the request writes 64 bits to a variable of that size, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), BLOCK_SIZE, &raw mut size) })?;
    Ok(size)
}

/// Replaces standard input by an empty file.
pub fn empty_stdin() -> Result<()> {
    set_stdin(open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Replaces standard input by this file.
pub fn set_stdin(file: impl AsFd) -> Result<()> {
    nix::unistd::dup2_stdin(file)
}

/// Reads once, read(2). 0 is EOF.
pub fn read(fd: impl AsFd, bytes: &mut [u8]) -> Result<usize> {
    retry(|| nix::unistd::read(fd.as_fd(), bytes))
}

/// Writes once, write(2), and returns how many bytes fit.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    retry(|| nix::unistd::write(fd.as_fd(), bytes))
}

/// A destination of bytes.
#[derive(Debug)]
pub struct Outlet<F = OwnedFd> {
    fd: F,
    /// The way writes avoid blocking.
    pub kind: Kind,
}

/// The way writes to an [`Outlet`] avoid blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They do not. A writable pipe still takes up to 4096 bytes at once without blocking.
    Plain,
    /// A socket: each write asks not to block.
    Socket,
    /// A terminal, which ipcbox has opened once more, since write(2) has no flag for this.
    Terminal,
}

impl Outlet {
    /// Creates an outlet to `fd` that avoids blocking, see [`Kind`].
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let kind = match fstat(&fd)?.st_mode & libc::S_IFMT {
            libc::S_IFSOCK => Kind::Socket,
            libc::S_IFCHR if is_terminal(&fd) => Kind::Terminal,
            _ => return Ok(Self::plain(fd)),
        };
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let opened = (kind == Kind::Terminal).then(|| open(&*path, flags, Mode::empty()).ok());
        Ok(Self { fd: opened.flatten().unwrap_or(fd), kind })
    }
}

impl<F: AsFd> Outlet<F> {
    /// Creates an outlet to `fd` that writes with plain write(2).
    pub const fn plain(fd: F) -> Self {
        Self { fd, kind: Kind::Plain }
    }

    /// Writes once, and returns how many bytes fit.
    ///
    /// # Errors
    /// `EAGAIN`: none fit. `EINTR`: a signal came.
    pub fn write(&self, bytes: &[u8]) -> Result<usize> {
        if self.kind != Kind::Socket {
            return nix::unistd::write(&self.fd, bytes);
        }
        let fd = self.fd.as_fd().as_raw_fd();
        let (at, len) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: the bytes live through the call, which only reads them.
        Errno::result(unsafe { libc::send(fd, at, len, libc::MSG_DONTWAIT) }).map(isize::cast_unsigned)
    }
}

impl<F: AsFd> AsFd for Outlet<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes all of `bytes`, even if another process has made the descriptor non-blocking.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(fd.as_fd(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EAGAIN) => drop(any(&[(fd.as_fd(), Want::Writable)], Deadline::Forever)?),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Returns whether `fd` is a terminal, isatty(3).
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Creates an unnamed file in memory that holds `bytes`, positioned at its start.
pub fn in_memory(bytes: &[u8]) -> Result<File> {
    let mut file = match memory() {
        // memfd_create is missing, or denied by a seccomp filter.
        Err(Errno::ENOSYS | Errno::EPERM) => spool()?,
        made => File::from(made?),
    };
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(errno)?;
    Ok(file)
}

/// Like [`in_memory`], but no process can change the file any more, as far as the kernel can forbid that.
pub fn sealed(bytes: &[u8]) -> Result<OwnedFd> {
    let file = OwnedFd::from(in_memory(bytes)?);
    // A file that is not in memory has no seals.
    let _ = memfd::seal(&file);
    Ok(file)
}

/// Creates an empty unnamed file, in `$TMPDIR` or `/tmp` if that file system supports it, in memory otherwise.
pub fn spool() -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(std::env::temp_dir())
        .or_else(|_| memory().map(File::from))
}

/// The content may be secret, so only the owner may open it.
fn memory() -> Result<OwnedFd> {
    let file = memfd_create("ipcbox", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(file)
}
