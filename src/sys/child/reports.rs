//! Reports of children about failures before they run what they were started for.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;

use super::reap;
use crate::sys::signal::{Signal, kill};
use crate::sys::{fds, pipe};

/// Why a child was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstarted {
    /// The process could not be created or prepared, or it was killed (`ECHILD`).
    Fork(Errno),
    /// `run` failed, in most cases in exec.
    Run(Errno),
}

impl Unstarted {
    /// Returns a number for it: an errno from `run`, or a negative errno from before it.
    pub(super) fn code(self) -> c_int {
        match self {
            Self::Fork(errno) => -(errno as c_int),
            Self::Run(errno) => errno as c_int,
        }
    }

    /// Returns the one with this number.
    pub(super) fn from_code(code: c_int) -> Self {
        if code < 0 { Self::Fork(Errno::from_raw(-code)) } else { Self::Run(Errno::from_raw(code)) }
    }
}

impl From<Errno> for Unstarted {
    fn from(errno: Errno) -> Self {
        Self::Fork(errno)
    }
}

/// The report of a child.
pub type Answer = std::result::Result<(), Unstarted>;

/// The read end of the pipe, shared by any number of children.
#[derive(Debug)]
pub struct Reports(OwnedFd);

/// The write end, in each child. It is closed by exec, and when the child is killed.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

/// Creates a pipe for reports.
pub fn reports() -> Result<(Reports, Reporter)> {
    let (reports, reporter) = pipe::for_commands()?;
    Ok((Reports(reports), Reporter(reporter)))
}

impl Reporter {
    /// Moves it to a descriptor with a number of at least `least`.
    pub fn above(self, least: i32) -> Result<Self> {
        fds::copy_above(self, least).map(Self)
    }

    /// Reports as the child with this number: 0 for success, an errno from `run`, or a negative errno from before it.
    pub fn report(&self, number: u32, answer: Answer) -> Result<()> {
        let code = answer.map_or_else(Unstarted::code, |()| 0);
        fds::write_all(self, &(u64::from(number) << 32 | u64::from(code.cast_unsigned())).to_ne_bytes())
    }
}

impl Reports {
    /// Waits for the next report. `None`: every reporter is closed.
    pub fn next(&self) -> Result<Option<(u32, Answer)>> {
        let mut report = [0; 8];
        // A report is written atomically, so it is also read whole.
        if fds::read(self, &mut report)? < report.len() {
            return Ok(None);
        }
        let report = u64::from_ne_bytes(report);
        let answer = match (report as u32).cast_signed() {
            0 => Ok(()),
            code => Err(Unstarted::from_code(code)),
        };
        Ok(Some(((report >> 32) as u32, answer)))
    }

    /// Waits until every child runs or has failed, and returns the failures. Calls `wait` before each blocking read.
    pub fn gather<E: From<Errno>>(
        self,
        mut wait: impl FnMut(BorrowedFd) -> std::result::Result<(), E>,
    ) -> std::result::Result<Vec<(u32, Unstarted)>, E> {
        let mut failed = Vec::new();
        loop {
            wait(self.as_fd())?;
            match self.next()? {
                None => return Ok(failed),
                Some((number, answer)) => failed.extend(answer.err().map(|why| (number, why))),
            }
        }
    }

    /// Waits until the only child runs, and returns its pid. A child that failed is reaped.
    pub fn of_one(self, child: i32) -> std::result::Result<i32, Unstarted> {
        let answer =
            self.next().map_err(Unstarted::Fork).and_then(|report| report.map_or(Ok(()), |(_, answer)| answer));
        if answer.is_err() {
            // The child may be running if its report cannot be read.
            let _ = kill(child, Signal::KILL);
            let _ = reap(child);
        }
        answer.map(|()| child)
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Reporter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
