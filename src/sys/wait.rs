//! The ways to wait until a deadline: for descriptors, by the one ppoll(2) of ipcbox, and in a call that has no time
//! limit of its own ([`interruptible`]).

use std::os::fd::BorrowedFd;

use nix::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::deadline::Deadline;
use super::interrupt::{self, Timer, retry};

/// What is awaited of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Something to read, or EOF.
    Readable,
    /// Room to write, or that no reader is left.
    Writable,
    /// That no process has the other end open any more.
    PeerClosed,
}

impl Want {
    /// An entry for [`poll`].
    pub(super) fn of(self, fd: BorrowedFd) -> PollFd {
        let flags = match self {
            Self::Readable => PollFlags::POLLIN,
            Self::Writable => PollFlags::POLLOUT,
            Self::PeerClosed => PollFlags::empty(),
        };
        PollFd::new(fd, flags)
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor in this place of the list has what is wanted of it. Of several the first counts.
    Ready(usize),
    /// A caught signal has come; [`interrupt::take`] returns which.
    Signal,
    /// The time is over.
    Late,
}

/// Who ends a wait besides what is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Time alone.
    ByTime,
    /// A [caught](interrupt::catch) signal too.
    BySignal,
}

/// Waits until one of `polled` has something, ppoll(2). One that came just before the call is not missed: its handler
/// makes the timer tick.
pub(super) fn poll(polled: &mut [PollFd], deadline: Deadline, ends: Ends) -> Result<Wake> {
    retry(|| {
        if ends == Ends::BySignal && interrupt::any() {
            return Ok(Wake::Signal);
        }
        ppoll(polled, deadline.left().map(TimeSpec::from), None)?;
        Ok(polled.iter().position(|fd| fd.any() == Some(true)).map_or(Wake::Late, Wake::Ready))
    })
}

/// Waits until one of `fds` can be read or is at its end: its place in the list, or `None` when the time is over. Of
/// several the first counts.
pub fn ready(fds: &[BorrowedFd], deadline: Deadline) -> Result<Option<usize>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| Want::Readable.of(*fd)).collect();
    let wake = poll(&mut polled, deadline, Ends::ByTime)?;
    Ok(if let Wake::Ready(place) = wake { Some(place) } else { None })
}

/// The same, which a caught signal ends, too.
pub fn ready_or_signal(fds: &[BorrowedFd], deadline: Deadline) -> Result<Wake> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| Want::Readable.of(*fd)).collect();
    poll(&mut polled, deadline, Ends::BySignal)
}

/// Waits until one of `fds` has what is wanted of it: for each whether it has; none when the time is over.
pub fn any(fds: &[(BorrowedFd, Want)], deadline: Deadline) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|(fd, want)| want.of(*fd)).collect();
    poll(&mut polled, deadline, Ends::ByTime)?;
    Ok(polled.iter().map(|fd| fd.any() == Some(true)).collect())
}

/// Whether `fd` has what is wanted of it now.
pub fn has(fd: BorrowedFd, want: Want) -> Result<bool> {
    Ok(poll(&mut [want.of(fd)], Deadline::Now, Ends::ByTime)? != Wake::Late)
}

/// Waits until `fd` takes more, or no reader is left. `None`: a caught signal has come.
///
/// # Errors
/// `EAGAIN`: the time is over.
pub fn room(fd: BorrowedFd, deadline: Deadline) -> Result<Option<()>> {
    match poll(&mut [Want::Writable.of(fd)], deadline, Ends::BySignal)? {
        Wake::Ready(_) => Ok(Some(())),
        Wake::Signal => Ok(None),
        Wake::Late => Err(Errno::EAGAIN),
    }
}

/// `ENOMEM` for the `EAGAIN` by which a call that waits for nothing reports that the kernel has no room, as of mmap(2): here that
/// means a timeout.
pub(super) fn without_waiting<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|errno| if errno == Errno::EAGAIN { Errno::ENOMEM } else { errno })
}

/// Calls `act`, which blocks in a system call that has no time limit, until it is done. `None`: a caught signal has
/// come, and it is not done.
///
/// The limit is a timer that goes off again and again from then on: a single alarm could come just before the call
/// blocks, and leave it blocked forever. What is done at that instant is done. The last try begins when the time is
/// over, so that a process stopped past the deadline still gets what came before it. With [`Deadline::Now`] `act` has
/// to ask for no waiting itself.
///
/// # Errors
/// `EAGAIN`: the time is over. Else those of `act`.
pub fn interruptible<T>(deadline: Deadline, mut act: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    let _timer = Timer::until(deadline)?;
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
