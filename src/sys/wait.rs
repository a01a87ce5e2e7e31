//! Waits with a deadline: for descriptors, by the only ppoll(2), and in calls without a timeout ([`interruptible`]).

use std::os::fd::BorrowedFd;

use nix::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::deadline::Deadline;
use super::interrupt::{self, Timer, retry};

/// The event to wait for on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Input or EOF.
    Readable,
    /// Room to write, or no reader left.
    Writable,
    /// No process has the other end open.
    PeerClosed,
}

impl Want {
    pub(super) fn of(self, fd: BorrowedFd) -> PollFd {
        let flags = match self {
            Self::Readable => PollFlags::POLLIN,
            Self::Writable => PollFlags::POLLOUT,
            Self::PeerClosed => PollFlags::empty(),
        };
        PollFd::new(fd, flags)
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor at this index is ready, the first one if several are.
    Ready(usize),
    /// A caught signal came; [`interrupt::take`] returns it.
    Signal,
    /// The deadline has passed.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Only the deadline.
    ByTime,
    /// Also a [caught](interrupt::catch) signal.
    BySignal,
}

/// Waits until one of `polled` is ready, ppoll(2). A signal just before is not missed: its handler starts a timer.
pub(super) fn poll(polled: &mut [PollFd], deadline: Deadline, ends: Ends) -> Result<Wake> {
    retry(|| {
        if ends == Ends::BySignal && interrupt::any() {
            return Ok(Wake::Signal);
        }
        ppoll(polled, deadline.left().map(TimeSpec::from), None)?;
        Ok(polled.iter().position(|fd| fd.any() == Some(true)).map_or(Wake::Late, Wake::Ready))
    })
}

/// Waits until one of `fds` has input or EOF. Returns the index of the first one, `None` on timeout.
pub fn ready(fds: &[BorrowedFd], deadline: Deadline) -> Result<Option<usize>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| Want::Readable.of(*fd)).collect();
    let wake = poll(&mut polled, deadline, Ends::ByTime)?;
    Ok(if let Wake::Ready(place) = wake { Some(place) } else { None })
}

/// Like [`ready`], but a caught signal also ends the wait.
pub fn ready_or_signal(fds: &[BorrowedFd], deadline: Deadline) -> Result<Wake> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| Want::Readable.of(*fd)).collect();
    poll(&mut polled, deadline, Ends::BySignal)
}

/// Like [`ready_or_signal`], but returns the indices of all that are ready; none on a signal or timeout.
pub fn all_ready_or_signal(fds: &[BorrowedFd], deadline: Deadline) -> Result<Vec<usize>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| Want::Readable.of(*fd)).collect();
    poll(&mut polled, deadline, Ends::BySignal)?;
    Ok((0..polled.len()).filter(|at| polled[*at].any() == Some(true)).collect())
}

/// Waits until one of `fds` is ready, and returns for each whether it is. None is once the deadline has passed.
pub fn any(fds: &[(BorrowedFd, Want)], deadline: Deadline) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|(fd, want)| want.of(*fd)).collect();
    poll(&mut polled, deadline, Ends::ByTime)?;
    Ok(polled.iter().map(|fd| fd.any() == Some(true)).collect())
}

/// Like [`any`], but a caught signal also ends the wait; then none is.
pub fn any_or_signal(fds: &[(BorrowedFd, Want)], deadline: Deadline) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|(fd, want)| want.of(*fd)).collect();
    match poll(&mut polled, deadline, Ends::BySignal)? {
        Wake::Signal => Ok(vec![false; fds.len()]),
        _ => Ok(polled.iter().map(|fd| fd.any() == Some(true)).collect()),
    }
}

/// Returns whether `fd` is ready now.
pub fn has(fd: BorrowedFd, want: Want) -> Result<bool> {
    Ok(poll(&mut [want.of(fd)], Deadline::Now, Ends::ByTime)? != Wake::Late)
}

/// Waits until `fd` has room, or no reader is left. `None`: a caught signal came.
///
/// # Errors
/// `EAGAIN`: the deadline has passed.
pub fn room(fd: BorrowedFd, deadline: Deadline) -> Result<Option<()>> {
    match poll(&mut [Want::Writable.of(fd)], deadline, Ends::BySignal)? {
        Wake::Ready(_) => Ok(Some(())),
        Wake::Signal => Ok(None),
        Wake::Late => Err(Errno::EAGAIN),
    }
}

/// Turns `EAGAIN` of calls that never wait, such as mmap(2), into `ENOMEM`: here `EAGAIN` would read as a timeout.
pub(super) fn without_waiting<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|errno| if errno == Errno::EAGAIN { Errno::ENOMEM } else { errno })
}

/// Calls `act`, which blocks without a timeout, until it returns. `None`: a caught signal came first.
///
/// From the deadline on a timer fires repeatedly: a single alarm could fire just before the call blocks, and leave it
/// blocked forever. The last attempt starts after the deadline, so that a process stopped past the deadline still gets
/// what arrived before it. With [`Deadline::Now`] `act` itself must not block.
///
/// # Errors
/// `EAGAIN`: the deadline has passed. Otherwise those of `act`.
pub fn interruptible<T>(deadline: Deadline, mut act: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    let _timer = Timer::until(deadline)?;
    let mut is_last = false;
    loop {
        if interrupt::any() {
            return Ok(None);
        }
        match act() {
            // A call that does not block has not given its answer yet, so it is repeated.
            Err(Errno::EINTR) if deadline == Deadline::Now || interrupt::any() => {}
            Err(Errno::EINTR) if is_last => return Err(Errno::EAGAIN),
            Err(Errno::EINTR) => is_last = deadline.is_over(),
            answer => return answer.map(Some),
        }
    }
}
