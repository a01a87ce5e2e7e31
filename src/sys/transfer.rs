//! Moves bytes between descriptors: inside the kernel if it supports the pair, through a buffer otherwise.

mod whole;

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::libc::{S_IFBLK, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::stat::fstat;
use nix::sys::uio::pwrite;
use nix::unistd::{Whence, lseek, read};

use super::deadline::Deadline;
use super::fds::{Kind, Outlet};
use super::interrupt::retry;
use super::pipe;
use super::wait::{interruptible, ready, room};
pub use whole::{left, read_at, read_some, reading, seek, write_at, write_some};

/// The largest request to the kernel, in bytes. Its limit is just below 2 GiB.
pub const ALL: usize = 1 << 30;
/// The size of the buffer in bytes, small enough for the processor's cache.
pub const BUFFER: usize = 128 << 10;

/// The outcome of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// This many bytes were written.
    Moved(usize),
    /// No input is available now.
    Empty,
    /// There is data, but no room to write it now.
    Full,
    /// EOF.
    End,
    /// A [caught](super::interrupt::catch) signal came.
    Signal,
}

/// The result of a turn.
pub type Turn = std::result::Result<Flow, Failure>;

/// Which side failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Reading failed.
    Read(Errno),
    /// Writing failed.
    Write(Errno),
}

impl From<Failure> for Errno {
    fn from(failure: Failure) -> Self {
        let (Failure::Read(errno) | Failure::Write(errno)) = failure;
        errno
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Splice,
    Sendfile,
    Buffer,
}

/// Moves bytes to one destination.
#[derive(Debug)]
pub struct Mover<F = OwnedFd> {
    to: Outlet<F>,
    /// The next offset in the destination; `None` is its own file offset.
    at: Option<i64>,
    way: Way,
    /// A pipe between two files of which neither is one.
    relay: Option<Relay>,
    /// Whether the source is a socket, from which a read asks not to block.
    receives: bool,
    buffer: Vec<u8>,
    /// The part of the buffer that has been read but not written.
    held: Range<usize>,
}

#[derive(Debug)]
struct Relay {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in it.
    inside: usize,
}

impl<F: AsFd> Mover<F> {
    /// Creates a mover that uses splice(2), or the buffer if writes must never block.
    pub const fn new(to: Outlet<F>) -> Self {
        let way = if matches!(to.kind, Kind::Plain) { Way::Splice } else { Way::Buffer };
        Self { to, at: None, way, relay: None, receives: false, buffer: Vec::new(), held: 0..0 }
    }

    /// Creates a mover from one source, of which `from` or `to` is a socket. Between a socket and a file it puts a pipe,
    /// where [`new`](Self::new) would copy. sendfile(2) takes twice the time, because its own pipe is small.
    pub fn between(from: impl AsFd, to: Outlet<F>) -> Result<Self> {
        let [source, target] = [fstat(from)?, fstat(&to)?].map(|stat| stat.st_mode & S_IFMT);
        let mover = Self { receives: source == S_IFSOCK, ..Self::new(to) };
        Ok(match (source, target) {
            _ if mover.way == Way::Buffer => mover,
            (S_IFIFO, _) | (_, S_IFIFO) => mover,
            (S_IFREG | S_IFBLK | S_IFSOCK, _) => {
                let (read, write) = pipe::new()?;
                pipe::widen(&write);
                Self { relay: Some(Relay { read, write, inside: 0 }), ..mover.copying() }
            }
            _ => mover.copying(),
        })
    }

    /// Uses the buffer from the start.
    pub fn copying(self) -> Self {
        Self { way: Way::Buffer, relay: None, ..self }
    }

    /// Whether bytes go through the buffer.
    pub fn copies(&self) -> bool {
        self.way == Way::Buffer && self.relay.is_none()
    }

    /// Uses the buffer from now on. Bytes in the pipe between are read into it.
    ///
    /// # Errors
    /// Reading that pipe failed.
    pub fn copy_from_now_on(&mut self) -> Result<()> {
        self.way = Way::Buffer;
        let Some(relay) = self.relay.take() else { return Ok(()) };
        if let Some(bytes) = pipe::take_all(&relay.read)? {
            self.hold(&bytes);
        }
        Ok(())
    }

    /// Returns the destination.
    pub const fn to(&self) -> &Outlet<F> {
        &self.to
    }

    /// Returns the bytes that have been read but not written.
    pub fn held(&self) -> &[u8] {
        &self.buffer[self.held.clone()]
    }

    /// Returns the `count` bytes that the last turn wrote from the buffer.
    pub fn written(&self, count: usize) -> &[u8] {
        &self.buffer[self.held.start - count..self.held.start]
    }

    /// Returns whether the next turn reads into the buffer.
    pub fn reads_next(&self) -> bool {
        self.copies() && self.held.is_empty()
    }

    /// Returns whether bytes have been read but not written.
    pub fn has_rest(&self) -> bool {
        !self.held.is_empty() || self.relay.as_ref().is_some_and(|relay| relay.inside > 0)
    }

    /// Appends bytes to those that are held for writing.
    pub fn hold(&mut self, bytes: &[u8]) {
        if self.held.is_empty() {
            self.forget();
        }
        self.buffer.truncate(self.held.end);
        self.buffer.extend_from_slice(bytes);
        self.held.end = self.buffer.len();
    }

    /// Discards the held bytes.
    pub fn forget(&mut self) {
        self.held = 0..0;
    }

    /// Moves up to `most` bytes once, held bytes first. With [`Deadline::Now`] splice(2) does not block, even on
    /// blocking descriptors, but a read into the buffer blocks if `from` does, and a write if the destination does.
    pub fn turn(&mut self, from: impl AsFd, most: usize, deadline: Deadline) -> Turn {
        let from = from.as_fd();
        if let Some(flow) = self.by_relay(from, most.min(ALL), deadline)? {
            return Ok(flow);
        }
        let is_new = self.way != Way::Buffer;
        while self.way != Way::Buffer {
            match self.by_kernel(from, most.min(ALL), deadline) {
                Err(errno) if UNSUPPORTED.contains(&errno) => {
                    let is_next = self.way == Way::Splice && self.at.is_some();
                    self.way = if is_next { Way::Sendfile } else { Way::Buffer };
                }
                Err(Errno::EAGAIN) => return blocked(from).map_err(Failure::Read),
                // Reading a pipe that is open for reading cannot fail.
                Err(errno @ Errno::EBADF) => return Err(Failure::Read(errno)),
                Err(errno) if errno == Errno::EPIPE || pipe::is_pipe(from) => return Err(Failure::Write(errno)),
                Err(errno) => return Err(Failure::Read(errno)),
                Ok(None) => return Ok(Flow::Signal),
                // Before urgent data of TCP too, if the peer has closed.
                Ok(Some(0)) if self.receives => self.way = Way::Buffer,
                Ok(Some(0)) => return Ok(Flow::End),
                Ok(Some(count)) => return Ok(Flow::Moved(count)),
            }
        }
        if is_new && self.receives {
            // The caller may have to look for room first.
            return Ok(Flow::Moved(0));
        }
        if self.held.is_empty() {
            match self.fill(from, most, deadline)? {
                Flow::Moved(_) => {}
                flow => return Ok(flow),
            }
        }
        self.drain(usize::MAX, deadline)
    }

    fn by_kernel(&mut self, from: BorrowedFd, most: usize, deadline: Deadline) -> Result<Option<usize>> {
        let Self { to, at, way, .. } = self;
        if *way == Way::Sendfile {
            at.iter().try_for_each(|at| lseek(&*to, *at, Whence::SeekSet).map(drop))?;
            let moved = within(deadline, || sendfile(&*to, from, None, most))?;
            *at = at.map(|at| at + moved.unwrap_or(0).cast_signed() as i64);
            return Ok(moved);
        }
        spliced(from, to.as_fd(), at.as_mut(), most, deadline)
    }

    /// Moves bytes through the pipe between. `None`: there is none.
    fn by_relay(
        &mut self,
        from: BorrowedFd,
        most: usize,
        deadline: Deadline,
    ) -> std::result::Result<Option<Flow>, Failure> {
        let Some(relay) = &mut self.relay else { return Ok(None) };
        if relay.inside == 0 {
            match spliced(from, relay.write.as_fd(), None, most, deadline) {
                Err(errno) if UNSUPPORTED.contains(&errno) => {
                    self.relay = None;
                    return Ok(None);
                }
                Err(Errno::EAGAIN) => return Ok(Some(Flow::Empty)),
                Err(errno) => return Err(Failure::Read(errno)),
                Ok(None) => return Ok(Some(Flow::Signal)),
                Ok(Some(0)) if self.receives => {
                    self.relay = None;
                    return Ok(None);
                }
                Ok(Some(0)) => return Ok(Some(Flow::End)),
                Ok(Some(count)) => relay.inside = count,
            }
        }
        match spliced(relay.read.as_fd(), self.to.as_fd(), None, relay.inside, deadline) {
            // For example, a file opened for appending.
            Err(errno) if UNSUPPORTED.contains(&errno) => {
                self.copy_from_now_on().map_err(Failure::Read)?;
                Ok(None)
            }
            Err(Errno::EAGAIN) => Ok(Some(Flow::Full)),
            Err(errno) => Err(Failure::Write(errno)),
            Ok(None) => Ok(Some(Flow::Signal)),
            Ok(Some(count)) => {
                relay.inside -= count;
                Ok(Some(Flow::Moved(count)))
            }
        }
    }

    /// Fills the buffer, which must be empty.
    pub fn fill(&mut self, from: impl AsFd, most: usize, deadline: Deadline) -> Turn {
        let most = most.min(BUFFER);
        if self.buffer.len() < most {
            self.buffer.resize(most, 0);
        }
        let Self { buffer, receives, .. } = self;
        let bytes = &mut buffer[..most];
        let flags = MsgFlags::MSG_DONTWAIT;
        let came =
            within(
                deadline,
                || {
                    if *receives { recv(from.as_fd().as_raw_fd(), bytes, flags) } else { read(&from, bytes) }
                },
            );
        match came {
            Ok(None) => Ok(Flow::Signal),
            Ok(Some(0)) => Ok(Flow::End),
            Ok(Some(count)) => {
                self.held = 0..count;
                Ok(Flow::Moved(count))
            }
            Err(Errno::EAGAIN) => Ok(Flow::Empty),
            Err(errno) => Err(Failure::Read(errno)),
        }
    }

    /// Writes up to `most` held bytes, once.
    pub fn drain(&mut self, most: usize, deadline: Deadline) -> Turn {
        let Self { to, at, buffer, held, .. } = self;
        let bytes = &buffer[held.start..held.end.min(held.start.saturating_add(most))];
        let written = within(deadline, || match *at {
            Some(at) => pwrite(&*to, bytes, at),
            None => to.write(bytes),
        });
        match written {
            Ok(None) => Ok(Flow::Signal),
            Ok(Some(count)) => {
                held.start += count;
                *at = at.map(|at| at + count.cast_signed() as i64);
                Ok(Flow::Moved(count))
            }
            Err(Errno::EAGAIN) => Ok(Flow::Full),
            Err(errno) => Err(Failure::Write(errno)),
        }
    }

    fn all(&mut self, from: BorrowedFd, most: u64) -> Result<u64> {
        let mut done = 0;
        while done < most {
            match self.turn(from, usize::try_from(most - done).unwrap_or(ALL), Deadline::Forever)? {
                Flow::Moved(count) => done += count as u64,
                Flow::End => break,
                Flow::Empty => drop(ready(&[from], Deadline::Forever)?),
                Flow::Full => drop(room(self.to.as_fd(), Deadline::Forever)?),
                Flow::Signal => return Err(Errno::EINTR),
            }
        }
        Ok(done)
    }
}

/// Not supported, or denied by a seccomp filter. If EPERM comes from a sealed file, the write that follows reports it.
const UNSUPPORTED: [Errno; 4] = [Errno::EINVAL, Errno::ENOSYS, Errno::EPERM, Errno::ESPIPE];

fn spliced(
    from: BorrowedFd,
    to: BorrowedFd,
    mut at: Option<&mut i64>,
    most: usize,
    deadline: Deadline,
) -> Result<Option<usize>> {
    let nonblock = if deadline == Deadline::Now { SpliceFFlags::SPLICE_F_NONBLOCK } else { SpliceFFlags::empty() };
    let flags = SpliceFFlags::SPLICE_F_MOVE | nonblock;
    within(deadline, || splice(from, None, to, at.as_deref_mut(), most, flags))
}

fn blocked(from: BorrowedFd) -> Result<Flow> {
    Ok(if pipe::has_bytes(from)? { Flow::Full } else { Flow::Empty })
}

/// Calls `act` until it succeeds, fails or is late. `None`: a caught signal came, ignored with [`Deadline::Now`].
fn within<T>(deadline: Deadline, act: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    if deadline == Deadline::Now { retry(act).map(Some) } else { interruptible(deadline, act) }
}

/// Moves up to `most` bytes from the file offset of `from` to `at` in the file `to`, until EOF. Returns their number.
pub fn pull(from: BorrowedFd, to: BorrowedFd, at: u64, most: u64) -> Result<u64> {
    let at = i64::try_from(at).map_err(|_| Errno::EFBIG)?;
    Mover { at: Some(at), ..Mover::new(Outlet::plain(to)) }.all(from, most)
}

/// Moves up to `most` bytes from `at` in the file `from`, whose offset is 0, to `to`, until EOF. Returns their number.
///
/// A pipe gets a copy: splice(2) would pass on the file's own pages, which another process could still modify.
pub fn pour(from: BorrowedFd, at: u64, to: BorrowedFd, most: u64) -> Result<u64> {
    if fstat(to).is_ok_and(|stat| stat.st_mode & S_IFMT == S_IFREG) {
        if at > 0 {
            seek(from, at)?;
        }
        return Mover { way: Way::Sendfile, ..Mover::new(Outlet::plain(to)) }.all(from, most);
    }
    let mut place = at;
    copy(from, &mut place, to, most)?;
    Ok(place - at)
}

/// Copies up to `most` bytes from offset `at` of the file `from` through a buffer, until EOF, and advances `at`.
///
/// # Errors
/// `EINTR`: a [caught](super::interrupt::catch) signal came.
pub fn copy(from: impl AsFd, at: &mut u64, to: impl AsFd, most: u64) -> Result<()> {
    let end = at.saturating_add(most);
    let mut buffer = Vec::new();
    while *at < end {
        buffer.resize(usize::try_from(end - *at).unwrap_or(usize::MAX).min(BUFFER), 0);
        let came = read_at(from.as_fd(), *at, &mut buffer)?;
        let mut bytes = &buffer[..came];
        while !bytes.is_empty() {
            let written = write_some(to.as_fd(), || nix::unistd::write(&to, bytes))?;
            bytes = &bytes[written..];
            *at += written as u64;
        }
        if came < buffer.len() {
            break;
        }
    }
    Ok(())
}
#[cfg(test)]
#[path = "../../tests/units/sys/transfer.rs"]
mod tests;
