//! A pipe for a reply. The sender, a process of the same user, finds it by pid, descriptor number and inode.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, readlink};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat, stat};
use nix::unistd::getpid;

use super::process::numbers;
use super::signal::{Set, Signal, block, discard, set_mask};
use super::{errno, fds, pipe};

/// The address of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The process that owns it, as `/proc` numbers it.
    pub pid: i32,
    /// Its descriptor in that process.
    pub fd: i32,
    /// The inode of the pipe, which identifies it if the descriptor has been reused.
    pub inode: u64,
}

/// The receiving side. It keeps the write end open until the sender has come, since the pipe would be at EOF otherwise.
#[derive(Debug)]
pub struct Mailbox {
    end: OwnedFd,
    other: Option<OwnedFd>,
    inode: u64,
}

impl Mailbox {
    /// Creates a mailbox.
    pub fn new() -> Result<Self> {
        let (end, other) = pipe::for_commands()?;
        let inode = fstat(&end)?.st_ino;
        Ok(Self { end, other: Some(other), inode })
    }

    /// Returns the address for the sender.
    pub fn address(&self) -> Address {
        let own = || readlink("/proc/self").ok()?.to_str()?.parse().ok();
        let pid = own().unwrap_or_else(|| getpid().as_raw());
        Address { pid, fd: self.end.as_raw_fd(), inode: self.inode }
    }

    /// Turns SIGIO on writes on or off, fcntl(2), for a process that waits in another call.
    pub fn signals(&self, wanted: bool) -> Result<()> {
        if !wanted {
            return fcntl(&self.end, FcntlArg::F_SETFL(OFlag::empty())).map(drop);
        }
        pipe::signal_when_readable(&self.end)
    }

    /// Closes the write end, now that the sender has the pipe open. EOF then means that the sender has closed it.
    pub fn accepted(&mut self) {
        self.other = None;
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// Opens another process's mailbox for writing, without blocking.
///
/// # Errors
/// `ENOENT`, `ENXIO`: the process or its mailbox is gone. `EACCES`: it belongs to another user. `ESTALE`: the
/// descriptor is another file now, or the process has only one end of the pipe.
pub fn open_for(address: Address) -> Result<OwnedFd> {
    let dir = format!("/proc/{}/fd", address.pid);
    let path = format!("{dir}/{}", address.fd);
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    // Checked before opening, because opening anything but a pipe can have side effects.
    let is_it = |file: FileStat| {
        let is_pipe = SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFIFO;
        if is_pipe && file.st_ino == address.inode { Ok(()) } else { Err(Errno::ESTALE) }
    };
    is_it(stat(&*path)?)?;
    // A receiver has both ends open. A pipeline stage, which a forged address could name, has only one.
    let mut ends = Mode::empty();
    for fd in numbers(&dir).map_err(errno)? {
        let path = format!("{dir}/{fd}");
        if stat(&*path).and_then(is_it).is_ok() {
            // The mode of the link shows how the descriptor is open, proc_pid_fd(5).
            ends |= lstat(&*path).map_or(Mode::empty(), |link| Mode::from_bits_truncate(link.st_mode));
        }
    }
    if !ends.contains(Mode::S_IRUSR | Mode::S_IWUSR) {
        return Err(Errno::ESTALE);
    }
    let fd = open(&*path, flags, Mode::empty())?;
    is_it(fstat(&fd)?)?;
    Ok(fd)
}

/// Writes all, or what fits if the descriptor is non-blocking. Raises no SIGPIPE. Returns the number of bytes.
///
/// # Errors
/// `EPIPE`: no reader is left.
pub fn put(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    let pipe = Set::of(Signal::PIPE);
    let before = block(pipe)?;
    let mut at = 0;
    let outcome = loop {
        if at == bytes.len() {
            break Ok(at);
        }
        match fds::write(&fd, &bytes[at..]) {
            Ok(written) => at += written,
            Err(Errno::EAGAIN) => break Ok(at),
            Err(errno) => break Err(errno),
        }
    };
    if outcome == Err(Errno::EPIPE) && !before.has(Signal::PIPE) {
        // This write raised the signal, unless it is ignored.
        discard(pipe);
    }
    set_mask(before)?;
    outcome
}
