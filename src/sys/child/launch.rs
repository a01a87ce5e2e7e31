//! Children of a server, which does not wait until they execute their programs: it learns only of those that fail.
//!
//! A child that fails sends its errno through a socket that all of them share, with the files that it had from the
//! server, which keeps no copy of them. Then it exits with status 126.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, close};

use super::{Group, Standard, Start, Unstarted, fork, prepare, reap, with_signals_blocked};
use crate::sys::exec::Ready;
use crate::sys::fds;
use crate::sys::socket::pass;

/// The socket of the children that fail.
#[derive(Debug)]
pub struct Failures {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// A child that has failed.
#[derive(Debug)]
pub struct Failure {
    /// Its number.
    pub number: u32,
    /// Why it failed.
    pub why: Unstarted,
    /// Its files; some are missing if no descriptor was left for them.
    pub files: Vec<OwnedFd>,
}

/// A child to start. It gets the inherited signal mask and dispositions.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Its number. Its own pid may be another one than the server sees.
    pub number: u32,
    /// Its program.
    pub program: &'a Ready<'a>,
    /// Its standard descriptors.
    pub standard: Standard<'a>,
    /// Its process group.
    pub group: Group,
    /// The files that come back if it fails.
    pub files: &'a [OwnedFd],
    /// Whether to wait until the program is executed, or the failure has come.
    pub is_awaited: bool,
}

impl Launch<'_> {
    /// Starts the child, and returns its pid.
    ///
    /// # Errors
    /// No process could be created.
    pub fn start(&self, failures: &Failures) -> Result<i32> {
        let link = self.is_awaited.then(|| pair(SockType::Stream)).transpose()?;
        let child = self.begin(failures, || Ok(()))?;
        link.map_or(Ok(()), |link| self.finish(link))?;
        Ok(child)
    }

    /// Like [`start`](Self::start), but the child executes its program only after `is_ready`, called once the child
    /// exists, has returned true, and never if the server is killed before.
    ///
    /// # Errors
    /// `ECANCELED`: `is_ready` returned false, and the child has been reaped.
    pub fn start_when(&self, failures: &Failures, is_ready: impl FnOnce() -> bool) -> Result<i32> {
        let (ours, theirs) = pair(SockType::Stream)?;
        let child = self.begin(failures, || {
            // Only the server holds it from here on, so that EOF comes if it is killed.
            close(ours.as_raw_fd())?;
            if fds::read(&theirs, &mut [0])? == 0 { Err(Errno::ECANCELED) } else { Ok(()) }
        })?;
        let released = if is_ready() { pass::send(&ours, &[0], &[]) } else { Err(Errno::ECANCELED) };
        if let Err(errno) = released {
            drop(ours);
            let _ = reap(child);
            return Err(errno);
        }
        self.finish((ours, theirs))?;
        Ok(child)
    }

    /// Waits until the program is executed or the child has exited: both close its end.
    fn finish(&self, (ours, theirs): (OwnedFd, OwnedFd)) -> Result<()> {
        drop(theirs);
        if !self.is_awaited {
            return Ok(());
        }
        match fds::read(&ours, &mut [0]) {
            // It has exited before it read the release.
            Ok(_) | Err(Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn begin(&self, failures: &Failures, wait: impl FnOnce() -> Result<()>) -> Result<i32> {
        with_signals_blocked(|mask| {
            let how = Start { mask, ..Start::default() };
            fork(|| {
                let why = match prepare(&how, self.group, self.standard, Pid::from_raw(0)).and_then(|()| wait()) {
                    Ok(()) => Unstarted::Run(self.program.execute()),
                    Err(Errno::ECANCELED) => return 126,
                    Err(errno) => Unstarted::Fork(errno),
                };
                let files: Vec<BorrowedFd> = self.files.iter().map(AsFd::as_fd).collect();
                let report = u64::from(self.number) << 32 | u64::from(why.code().cast_unsigned());
                // The kernel may have no room for more files in flight. Or the server is gone.
                let sent = pass::send(&failures.theirs, &report.to_ne_bytes(), &files);
                if sent.is_err() && !files.is_empty() {
                    let _ = pass::send(&failures.theirs, &report.to_ne_bytes(), &[]);
                }
                126
            })
        })
    }
}

fn pair(kind: SockType) -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
}

impl Failures {
    /// Creates the socket.
    pub fn new() -> Result<Self> {
        let (ours, theirs) = pair(SockType::SeqPacket)?;
        Ok(Self { ours, theirs })
    }

    /// Returns the next failure, without waiting. That of a child that has been reaped has come.
    pub fn next(&self) -> Result<Option<Failure>> {
        let mut report = [0; 8];
        let mut message = match pass::message(self.ours.as_fd(), &mut report) {
            Err(Errno::EAGAIN) => return Ok(None),
            message => message?,
        };
        let report = u64::from_ne_bytes(report);
        let files = std::mem::take(&mut message.files.0);
        let why = Unstarted::from_code((report as u32).cast_signed());
        Ok(Some(Failure { number: (report >> 32) as u32, why, files }))
    }
}
