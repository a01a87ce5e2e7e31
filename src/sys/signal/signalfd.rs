//! Signals that are read instead of acted on, signalfd(2).

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::read;

use super::{Set, Signal};

/// A received signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The signal.
    pub signal: Signal,
    /// Its origin, `si_code`.
    pub code: i32,
    /// The sender; 0 for the kernel or a sender in another pid namespace.
    pub pid: i32,
    /// The sender's user.
    pub uid: u32,
    /// The value sent with it, valid if [`has_value`](Self::has_value).
    pub value: i32,
}

/// A signalfd.
#[derive(Debug)]
pub struct Arrivals(OwnedFd);

impl Arrivals {
    /// Opens a signalfd for `set`, whose signals must be blocked.
    pub fn open(set: Set) -> Result<Self> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set lives through the call, and its size is passed with it.
        let fd = Errno::result(unsafe {
            libc::syscall(libc::SYS_signalfd4, -1, &raw const set.0, size_of::<u64>(), flags)
        })?;
        // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as c_int) }))
    }

    /// Returns up to `most` signals that have come, without waiting.
    pub fn take(&self, most: usize) -> Result<Vec<Arrival>> {
        const ONE: usize = size_of::<libc::signalfd_siginfo>();
        let mut bytes = vec![0; most.clamp(1, 64) * ONE];
        let read = match read(&self.0, &mut bytes) {
            Err(Errno::EAGAIN) => 0,
            read => read?,
        };
        let one = |bytes: &[u8; ONE]| {
            // SAFETY: the kernel wrote a complete structure of plain integers there, and the copy is aligned for it.
            let info: libc::signalfd_siginfo = unsafe { std::mem::transmute_copy(bytes) };
            Arrival {
                signal: Signal(info.ssi_signo as u8),
                code: info.ssi_code,
                pid: info.ssi_pid.cast_signed(),
                uid: info.ssi_uid,
                value: info.ssi_int,
            }
        };
        Ok(bytes[..read].as_chunks::<ONE>().0.iter().map(one).collect())
    }
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The values of [`Arrival::code`] that every signal can have, with their names.
pub const CODES: [(i32, &str); 8] = [
    (libc::SI_USER, "user"),
    (libc::SI_KERNEL, "kernel"),
    (libc::SI_QUEUE, "queue"),
    (libc::SI_TIMER, "timer"),
    (libc::SI_MESGQ, "mesgq"),
    (libc::SI_ASYNCIO, "asyncio"),
    (libc::SI_SIGIO, "sigio"),
    (libc::SI_TKILL, "tkill"),
];

impl Arrival {
    /// Returns whether the kernel sent it, for example a terminal driver.
    pub const fn is_kernels(&self) -> bool {
        self.code == libc::SI_KERNEL
    }

    /// Returns whether a timer of this process sent it.
    pub const fn is_timers(&self) -> bool {
        self.code == libc::SI_TIMER
    }

    /// Returns whether a process sent it.
    pub const fn is_sent(&self) -> bool {
        self.code <= 0
    }

    /// Returns whether it carries a value.
    pub const fn has_value(&self) -> bool {
        matches!(self.code, libc::SI_QUEUE | libc::SI_TIMER | libc::SI_MESGQ)
    }
}
