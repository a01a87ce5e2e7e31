//! File descriptors: the three standard ones, and writing to them whole.
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
use super::wait::{Ends, Want, any, poll};

/// Keeps files that the box opens from becoming standard input, output or error where the caller closed
/// one of these.
///
/// A closed one is filled by `/dev/null`, opened for the wrong direction, so that using it fails with
/// `EBADF` as before, and closed on exec, so that a CMD finds it closed as it was given. open(2) takes the
/// lowest free number, hence the loop from below.
pub fn guard_standard() -> Result<()> {
    // The kernel alone is asked about them here.
    let mut polled = [stdin(), stdout(), stderr()].map(|fd| PollFd::new(fd, PollFlags::empty()));
    poll(&mut polled, Deadline::Now, Ends::ByTime)?;
    let is_closed = |fd: &PollFd| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLNVAL));
    for (number, _) in (0..).zip(&polled).filter(|(_, fd)| is_closed(fd)) {
        let wrong = if number == libc::STDIN_FILENO { OFlag::O_WRONLY } else { OFlag::O_RDONLY };
        std::mem::forget(open("/dev/null", wrong | OFlag::O_CLOEXEC, Mode::empty())?);
    }
    Ok(())
}

/// Standard input, which [`guard_standard`] keeps open for the life of the process.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: descriptor 0 is open from guard_standard() on and nothing in the box closes it.
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

/// The number that a path such as `/dev/fd/N` has. Opening the path would open the file behind the descriptor anew.
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

/// A copy of a descriptor that the box was given, closed on exec. Both are one opening of the file.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn copy_of(number: i32) -> Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the number is only handed to the kernel, which says whether it is open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the kernel just gave us this descriptor, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Lets the process have as many as it may, RLIMIT_NOFILE of setrlimit(2).
pub fn raise_fd_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Whether the process may have one more, which EMFILE does not always say.
pub fn has_free_fd() -> bool {
    memory().is_ok()
}

/// Keeps a descriptor that the box was given from the commands that it starts.
pub fn keep(number: i32) -> Result<()> {
    // SAFETY: as in copy_of().
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// How a descriptor was opened, `F_GETFL` of fcntl(2).
pub(super) fn flags(fd: impl AsFd) -> Result<OFlag> {
    fcntl(fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain)
}

/// Whether a descriptor is open for writing.
///
/// # Errors
/// `EBADF`: it is not.
pub fn can_write(fd: impl AsFd) -> Result<()> {
    if flags(fd)? & OFlag::O_ACCMODE == OFlag::O_RDONLY { Err(Errno::EBADF) } else { Ok(()) }
}

/// BLKGETSIZE64 of ioctl(2). It writes 64 bits, though its number has the size of a pointer in it.
const BLOCK_SIZE: libc::Ioctl = libc::_IOR::<usize>(0x12, 114);

/// How many bytes a block device has.
pub fn size_of_device(fd: impl AsFd) -> Result<u64> {
    let mut size: u64 = 0;
    // SAFETY: the request writes 64 bits to a variable of that size, which lives through the call.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), BLOCK_SIZE, &raw mut size) })?;
    Ok(size)
}

/// Makes standard input empty.
pub fn empty_stdin() -> Result<()> {
    let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::dup2_stdin(null)
}

/// Reads what is there, read(2); 0 is the end.
pub fn read(fd: impl AsFd, bytes: &mut [u8]) -> Result<usize> {
    retry(|| nix::unistd::read(fd.as_fd(), bytes))
}

/// Writes what there is room for, write(2).
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    retry(|| nix::unistd::write(fd.as_fd(), bytes))
}

/// Where bytes go.
#[derive(Debug)]
pub struct Outlet<F = OwnedFd> {
    fd: F,
    /// How a write is kept from waiting.
    pub kind: Kind,
}

/// How a write to an [`Outlet`] is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is not; but a pipe that has room takes up to 4096 bytes at once.
    Plain,
    /// It is a socket, which is asked not to wait.
    Socket,
    /// It is a terminal, which ipcbox has opened for itself: write(2) has no flag against waiting there.
    Terminal,
}

impl Outlet {
    /// Where `fd` leads, to write what there is room for without ever waiting.
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
    /// Where `fd` leads, whatever that is.
    pub const fn plain(fd: F) -> Self {
        Self { fd, kind: Kind::Plain }
    }

    /// Writes what there is room for, once.
    ///
    /// # Errors
    /// `EAGAIN`: nothing. `EINTR`: a signal has come.
    pub fn write(&self, bytes: &[u8]) -> Result<usize> {
        if self.kind != Kind::Socket {
            return nix::unistd::write(&self.fd, bytes);
        }
        let fd = self.fd.as_fd().as_raw_fd();
        let (at, len) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: the bytes live through the call, which reads them.
        Errno::result(unsafe { libc::send(fd, at, len, libc::MSG_DONTWAIT) }).map(isize::cast_unsigned)
    }
}

impl<F: AsFd> AsFd for Outlet<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes all of `bytes`, write(2) as often as it takes, also where somebody made the descriptor one that does not
/// wait.
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

/// Whether `fd` is a terminal, isatty(3).
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// A file without a name in memory that holds `bytes`, to be read from its start.
pub fn in_memory(bytes: &[u8]) -> Result<File> {
    let mut file = match memory() {
        // Missing, or forbidden by a seccomp filter.
        Err(Errno::ENOSYS | Errno::EPERM) => spool()?,
        made => File::from(made?),
    };
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(errno)?;
    Ok(file)
}

/// An empty file without a name, on the disk where that can have one (in `$TMPDIR` or `/tmp`), else in memory.
pub fn spool() -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(std::env::temp_dir())
        .or_else(|_| memory().map(File::from))
}

/// What is spooled can be a secret: its owner alone may open it.
fn memory() -> Result<OwnedFd> {
    let file = memfd_create("ipcbox", MFdFlags::MFD_CLOEXEC)?;
    fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(file)
}
