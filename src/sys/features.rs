//! Features of the kernel, each probed by the system call that needs it.
//!
//! A version number would not answer the question, because a kernel can be built without a feature, and a seccomp
//! filter can forbid it. No probe leaves anything behind when this process exits.
//!
//! `MSG_STAT_ANY` and the like have no probe: without an object, a kernel that lacks them fails in the same way.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{getpid, linkat};

use super::child::{Group, Standard, Start, Unstarted, begin, reap, reports};
use super::message::Message;
use super::posix::mq;
use super::posix::shm::Object;
use super::process::{self, wait_status};
use super::signal::{self, Disposition, Set, Signal};
use super::sysv::msg::Queue;
use super::{holder, memfd, namespace};

/// A feature and its probe, which fails with the errno of the system call.
pub type Probe = (&'static str, fn() -> Result<()>);

/// The features as in KERNELS of ipcbox(1). The last probe moves this process into other namespaces.
pub const PROBES: &[Probe] = &[
    ("MSG_COPY", copying),
    ("pidfd_send_signal", || signal::send(process::pidfd(getpid().as_raw())?.as_fd(), None)),
    ("fsopen", mq::can_mount),
    ("pidfd_open", || process::pidfd(getpid().as_raw()).map(drop)),
    ("pidfd_getfd", copy_of_descriptor),
    ("setns", || namespace::enter(getpid().as_raw())),
    ("close_range", holder::can_close_range),
    ("birth times", || Object::unnamed()?.birth().map(drop).ok_or(Errno::ENOSYS)),
    ("name_to_handle_at", || Object::unnamed()?.generation().map(drop).ok_or(Errno::ENOSYS)),
    ("MFD_NOEXEC_SEAL", memfd::can_forbid_execution),
    ("inode numbers", || process::inode(process::pidfd(getpid().as_raw())?)?.map(drop).ok_or(Errno::ENOSYS)),
    ("linkat", link_of_descriptor),
    ("PIDFD_INFO_EXIT", status_of_reaped),
    ("unshare", namespace::isolate),
];

/// Copies from a queue that does not exist: the kernel checks the flag first.
fn copying() -> Result<()> {
    match Queue::from_id(i32::MAX).copy(&mut Message::new(0), 0, 0) {
        Err(Errno::EINVAL) => Ok(()),
        answer => answer,
    }
}

fn copy_of_descriptor() -> Result<()> {
    let own = getpid().as_raw();
    process::descriptor(own, process::pidfd(own)?.as_raw_fd()).map(drop)
}

/// Links a file over `/`. The kernel looks up the descriptor first.
fn link_of_descriptor() -> Result<()> {
    match linkat(Object::unnamed()?, "", AT_FDCWD, "/", AtFlags::AT_EMPTY_PATH) {
        Err(Errno::EEXIST) => Ok(()),
        // Without the privilege, a kernel before 6.10 does not find the empty path.
        Err(Errno::ENOENT) => Err(Errno::EPERM),
        answer => answer,
    }
}

/// Asks for the exit status of a child that has been reaped.
fn status_of_reaped() -> Result<()> {
    // A child would be reaped at once if SIGCHLD were still ignored.
    signal::set_disposition(Signal::CHLD, Disposition::Default)?;
    let (_reports, reporter) = reports()?;
    let mask = signal::block(Set::ALL)?;
    let started = begin(&Start { mask, ..Start::default() }, Group::Same, Standard::default(), (&reporter, 0), || {
        Unstarted::Run(Errno::ECANCELED)
    });
    signal::set_mask(mask)?;
    let child = started?;
    let process = process::pidfd(child);
    reap(child)?;
    wait_status::of_reaped(process?.as_fd()).map(drop)
}

/// Returns the release of the kernel, uname(2).
pub fn release() -> Result<String> {
    Ok(nix::sys::utsname::uname()?.release().to_string_lossy().into_owned())
}

/// Returns a field of `/proc/self/status`, such as `CapEff` or `Seccomp`.
pub fn status(field: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = |line: &str| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned());
    status.lines().find_map(value)
}

/// Returns which processes Yama lets the caller inspect, `kernel.yama.ptrace_scope`. `None`: there is no restriction.
pub fn ptrace_scope() -> Option<u64> {
    process::setting("kernel/yama/ptrace_scope")
}
