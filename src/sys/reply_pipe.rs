//! A pipe that a process keeps for an answer, and that another one of the same user finds by process id, number and
//! inode.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, readlink};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat, stat};
use nix::unistd::getpid;

use super::process::numbers;
use super::signal::{Set, Signal, block, discard, set_mask};
use super::{errno, fds, pipe};

/// Where a mailbox is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The process that has it, as `/proc` numbers it.
    pub pid: i32,
    /// The number of its descriptor there.
    pub fd: i32,
    /// The pipe's inode, by which another one in its place is told apart.
    pub inode: u64,
}

/// One's own mailbox. Both ends are kept until somebody has come to write: with the one end alone it would be at its
/// end.
#[derive(Debug)]
pub struct Mailbox {
    end: OwnedFd,
    other: Option<OwnedFd>,
    inode: u64,
}

impl Mailbox {
    /// A new one.
    pub fn new() -> Result<Self> {
        let (end, other) = pipe::for_commands()?;
        let inode = fstat(&end)?.st_ino;
        Ok(Self { end, other: Some(other), inode })
    }

    /// Where others find it.
    pub fn address(&self) -> Address {
        let own = || readlink("/proc/self").ok()?.to_str()?.parse().ok();
        let pid = own().unwrap_or_else(|| getpid().as_raw());
        Address { pid, fd: self.end.as_raw_fd(), inode: self.inode }
    }

    /// Whether the signal SIGIO is to come when somebody writes, fcntl(2): for a wait that is for something else.
    pub fn signals(&self, wanted: bool) -> Result<()> {
        if !wanted {
            return fcntl(&self.end, FcntlArg::F_SETFL(OFlag::empty())).map(drop);
        }
        pipe::signal_when_readable(&self.end)
    }

    /// Somebody has come: from here on it is at its end when he has gone.
    pub fn accepted(&mut self) {
        self.other = None;
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// Opens somebody's mailbox for writing, without ever waiting.
///
/// # Errors
/// `ENOENT`, `ENXIO`: the process or its mailbox has gone. `EACCES`: it is another user's. `ESTALE`: something else has
/// taken its place, or the process has one end of it alone.
pub fn open_for(address: Address) -> Result<OwnedFd> {
    let dir = format!("/proc/{}/fd", address.pid);
    let path = format!("{dir}/{}", address.fd);
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    // Looked at before it is opened: opening can do things where it is no pipe.
    let is_it = |file: FileStat| {
        let is_pipe = SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFIFO;
        if is_pipe && file.st_ino == address.inode { Ok(()) } else { Err(Errno::ESTALE) }
    };
    is_it(stat(&*path)?)?;
    // Who waits for an answer has both ends; a stage of a pipeline, which a forged address could name, has one.
    let mut ends = Mode::empty();
    for fd in numbers(&dir).map_err(errno)? {
        let path = format!("{dir}/{fd}");
        if stat(&*path).and_then(is_it).is_ok() {
            // The link's own bits are those by which it is open, proc_pid_fd(5).
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

/// Writes as much as there is room for, without SIGPIPE where nobody reads any more. Gives how much that was.
///
/// # Errors
/// `EPIPE`: nobody reads any more.
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
        // The signal of this write, if that is not ignored.
        discard(pipe);
    }
    set_mask(before)?;
    outcome
}
