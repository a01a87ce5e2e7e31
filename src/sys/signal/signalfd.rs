//! Signals that are read instead of acted on, signalfd(2).

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::read;

use super::{Set, Signal};

/// One signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Which.
    pub signal: Signal,
    /// Where it is from, `si_code`.
    pub code: i32,
    /// Its sender; 0 for the kernel, and for a sender of another pid namespace.
    pub pid: i32,
    /// The sender's user.
    pub uid: u32,
    /// The value that was sent along; not meant where the code says otherwise.
    pub value: i32,
}

/// Signals that are read instead of acted on.
#[derive(Debug)]
pub struct Arrivals(OwnedFd);

impl Arrivals {
    /// Those of `set`, signalfd(2), which have to be blocked.
    pub fn open(set: Set) -> Result<Self> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set lives through the call, and its size is passed with it.
        let fd = Errno::result(unsafe {
            libc::syscall(libc::SYS_signalfd4, -1, &raw const set.0, size_of::<u64>(), flags)
        })?;
        // SAFETY: the kernel just gave us this descriptor, and nothing else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as c_int) }))
    }

    /// Those that have come, at most `most` of them: none where none has.
    pub fn take(&self, most: usize) -> Result<Vec<Arrival>> {
        const ONE: usize = size_of::<libc::signalfd_siginfo>();
        let mut bytes = vec![0; most.clamp(1, 64) * ONE];
        let read = match read(&self.0, &mut bytes) {
            Err(Errno::EAGAIN) => 0,
            read => read?,
        };
        let one = |bytes: &[u8; ONE]| {
            // SAFETY: the kernel wrote a whole structure there, which is plain integers; none is aligned to more than
            // the copy.
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

/// The codes of [`Arrival::code`] that do not come from a signal's own meaning, with their names.
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
    /// Whether the kernel itself sent it, as a terminal's driver does.
    pub const fn is_kernels(&self) -> bool {
        self.code == libc::SI_KERNEL
    }

    /// Whether a timer of the process's own sent it.
    pub const fn is_timers(&self) -> bool {
        self.code == libc::SI_TIMER
    }

    /// Whether a process sent it.
    pub const fn is_sent(&self) -> bool {
        self.code <= 0
    }

    /// Whether a value came along.
    pub const fn has_value(&self) -> bool {
        matches!(self.code, libc::SI_QUEUE | libc::SI_TIMER | libc::SI_MESGQ)
    }
}
