//! How long to wait, and the ways to do it.
//!
//! There are two ways to wait: for a descriptor ([`ready`]), and in a call that has no time limit of its own
//! ([`interruptible`]).

use std::os::fd::BorrowedFd;

use nix::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::deadline::Deadline;
use super::interrupt;

/// Waits until one of `fds` can be read or is at its end, ppoll(2): its place in the list, or `None`
/// when the time is over. Of several the first counts.
pub fn ready(fds: &[BorrowedFd], deadline: Deadline) -> Result<Option<usize>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match ppoll(&mut polled, deadline.left().map(TimeSpec::from), None) {
            Ok(_) => return Ok(polled.iter().position(|fd| fd.any() == Some(true))),
            Err(Errno::EINTR) => interrupt::calm()?,
            Err(errno) => return Err(errno),
        }
    }
}

/// `ENOMEM` for the `EAGAIN` by which a call that waits for nothing says that the kernel has no room, as of mmap(2):
/// here that is the word for a wait that is over.
pub(super) fn without_waiting<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|errno| if errno == Errno::EAGAIN { Errno::ENOMEM } else { errno })
}

/// What is awaited of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Something to read, or the end.
    Bytes,
    /// Room to write, or that nobody is left to read it.
    Room,
    /// That nobody is left to read what is written.
    Leaving,
}

/// Waits until one of `fds` has what is wanted of it, ppoll(2): for each whether it has; none where the time is over.
pub fn any(fds: &[(BorrowedFd, Want)], deadline: Deadline) -> Result<Vec<bool>> {
    let flags = |want| match want {
        Want::Bytes => PollFlags::POLLIN,
        Want::Room => PollFlags::POLLOUT,
        Want::Leaving => PollFlags::empty(),
    };
    let mut polled: Vec<PollFd> = fds.iter().map(|(fd, want)| PollFd::new(*fd, flags(*want))).collect();
    loop {
        match ppoll(&mut polled, deadline.left().map(TimeSpec::from), None) {
            Ok(_) => return Ok(polled.iter().map(|fd| fd.any() == Some(true)).collect()),
            Err(Errno::EINTR) => interrupt::calm()?,
            Err(errno) => return Err(errno),
        }
    }
}

/// Waits until `fd` takes more, or nobody is left to read what it takes, ppoll(2). `None`: a signal that is
/// [caught](interrupt::catch) has come.
///
/// # Errors
/// `EAGAIN`: the time is over.
pub fn room(fd: BorrowedFd, deadline: Deadline) -> Result<Option<()>> {
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    loop {
        if interrupt::any() {
            return Ok(None);
        }
        match ppoll(&mut polled, deadline.left().map(TimeSpec::from), None) {
            Ok(0) => return Err(Errno::EAGAIN),
            Ok(_) => return Ok(Some(())),
            Err(Errno::EINTR) => interrupt::calm()?,
            Err(errno) => return Err(errno),
        }
    }
}

/// Calls `act`, which blocks in a system call that has no time limit, until it is done. `None`: a signal that is
/// [caught](interrupt::catch) has come, and it is not done.
///
/// The limit is a timer that goes off again and again from then on: a single alarm could come just before the call
/// blocks, and leave it so for ever. What is done at that instant is done. The last try begins when the time is over, so that
/// what came in time is had also by who was stopped meanwhile. With [`Deadline::Now`] `act` is to ask for no waiting by itself.
///
/// # Errors
/// `EAGAIN`: the time is over. Else those of `act`.
pub fn interruptible<T>(deadline: Deadline, mut act: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    if deadline != Deadline::Now {
        interrupt::alarm(deadline)?;
    }
    let mut is_last = false;
    loop {
        if interrupt::any() {
            return Ok(None);
        }
        match act() {
            // A call that does not wait has not been answered yet.
            Err(Errno::EINTR) if deadline == Deadline::Now || interrupt::any() => {}
            Err(Errno::EINTR) if is_last => return Err(Errno::EAGAIN),
            Err(Errno::EINTR) => is_last = deadline.is_over(),
            answer => return answer.map(Some),
        }
    }
}
