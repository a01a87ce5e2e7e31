//! POSIX message queues, mq_overview(7).
//!
//! A queue descriptor is a file descriptor, and it blocks. Deadlines use a timer on the monotonic clock, because the
//! timeout of mq_timedreceive(3) is on a clock that can be set.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString, c_int, c_long, c_uint};
use std::fs::File;
use std::io::Read;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fchmod, fstat, stat, umask};
use nix::sys::statfs::{FsType, statfs};
use nix::unistd::{Gid, Uid, fchown};

use super::names_in;
use crate::sys::deadline::Deadline;
use crate::sys::message::{HEAD, Message, Waits, Which};
use crate::sys::process::{self, Blocked};
use crate::sys::sysv::Change;
use crate::sys::wait::interruptible;

/// The highest priority, `MQ_PRIO_MAX` - 1.
pub const MAX_PRIORITY: u32 = 32767;

/// The purpose of opening a queue. Only the permission for it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Receiving or inspecting.
    Read,
    /// Sending.
    Write,
}

/// The limits of a queue, fixed when it is created: `struct mq_attr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of messages, at least 1.
    pub messages: u64,
    /// The maximum size of a message in bytes, at least 1.
    pub size: u64,
}

/// The state of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its limits.
    pub limits: Limits,
    /// Number of messages in it.
    pub messages: u64,
    /// Bytes of data in it, if the descriptor is for receiving.
    pub bytes: Option<u64>,
    /// Its owner, mode and times.
    pub file: super::File,
}

/// An open queue.
#[derive(Debug)]
pub struct Queue(OwnedFd);

impl Queue {
    /// Opens the queue `name`, which starts with a slash, either for sending or for receiving.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission.
    pub fn open(name: &OsStr, access: Access, deadline: Deadline) -> Result<Self> {
        let name = c_name(name)?;
        // SAFETY: a terminated string; without O_CREAT there are no further arguments.
        Self::result(unsafe { libc::mq_open(name.as_ptr(), flags(access, deadline)) })
    }

    /// Creates a queue with exactly these permission bits, whatever the umask. `limits` default to the kernel's.
    ///
    /// # Errors
    /// `EEXIST`: the name is taken. `EINVAL`: limits of 0, or above msg_max or msgsize_max. `EMFILE`: RLIMIT_MSGQUEUE
    /// or the descriptor limit is reached. `ENOSPC`: queues_max is reached.
    pub fn create(name: &OsStr, access: Access, deadline: Deadline, mode: u32, limits: Option<Limits>) -> Result<Self> {
        let name = c_name(name)?;
        let flags = flags(access, deadline) | libc::O_CREAT | libc::O_EXCL;
        let attributes = limits.map(raw_limits).transpose()?;
        let attributes = attributes.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let before = umask(Mode::empty());
        // SAFETY: a terminated string, a mode, and attributes or null, as O_CREAT requires.
        let opened = Self::result(unsafe { libc::mq_open(name.as_ptr(), flags, mode, attributes) });
        umask(before);
        opened
    }

    fn result(fd: c_int) -> Result<Self> {
        let fd = Errno::result(fd)?;
        // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a message, waiting until `deadline` while the queue is full. `None`: a caught signal came first.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed. `EMSGSIZE`: the message exceeds the queue's limit. `EINVAL`: the priority is
    /// above [`MAX_PRIORITY`].
    pub fn send(&self, data: &[u8], priority: u32, deadline: Deadline) -> Result<Option<()>> {
        let fd = self.0.as_raw_fd();
        let end = end(deadline);
        in_time(interruptible(deadline, || {
            let (data, length) = (data.as_ptr().cast(), data.len());
            // SAFETY: the data and the time live through the call, which only reads them.
            let sent = unsafe { libc::mq_timedsend(fd, data, length, priority as c_uint, pointer(end.as_ref())) };
            Errno::result(sent).map(drop)
        }))
    }

    /// Takes the oldest message of the highest priority into `message`, waiting until `deadline`. `None`: a caught
    /// signal came first. `most` is the queue's limit for a message.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed.
    pub fn receive(&self, message: &mut Message, most: usize, deadline: Deadline) -> Result<Option<()>> {
        let fd = self.0.as_raw_fd();
        let at = message.space(most)[HEAD..].as_mut_ptr().cast();
        let mut priority: c_uint = 0;
        let end = end(deadline);
        let received = in_time(interruptible(deadline, || {
            let (priority, end) = (&raw mut priority, pointer(end.as_ref()));
            // SAFETY: `most` bytes, the priority and the time live through the call.
            Errno::result(unsafe { libc::mq_timedreceive(fd, at, most, priority, end) })
        }))?;
        Ok(received.map(|length| message.has_numbered(length.cast_unsigned(), priority.into())))
    }

    /// Returns its limits and the number of messages in it, mq_getattr(3). Needs no permission.
    pub fn limits(&self) -> Result<(Limits, u64)> {
        // SAFETY: a C structure of integers, for which all zeros is a valid value.
        let mut raw: libc::mq_attr = unsafe { zeroed() };
        // SAFETY: the structure lives through the call, which writes it.
        Errno::result(unsafe { libc::mq_getattr(self.0.as_raw_fd(), &raw mut raw) })?;
        let count = |n: c_long| u64::try_from(n).unwrap_or(0);
        let limits = Limits { messages: count(raw.mq_maxmsg), size: count(raw.mq_msgsize) };
        Ok((limits, count(raw.mq_curmsgs)))
    }

    /// Returns its owner, mode and times.
    pub fn owned(&self) -> Result<super::File> {
        Ok(fstat(&self.0)?.into())
    }

    /// Returns its complete state.
    pub fn stat(&self) -> Result<Stat> {
        let (limits, messages) = self.limits()?;
        Ok(Stat { limits, messages, bytes: self.bytes(), file: self.owned()? })
    }

    /// Reads the number of bytes in it from the text that the descriptor returns: `QSIZE:129 NOTIFY:…`.
    fn bytes(&self) -> Option<u64> {
        let mut text = String::new();
        File::from(self.0.try_clone().ok()?).read_to_string(&mut text).ok()?;
        let digits = text.strip_prefix("QSIZE:")?.split_ascii_whitespace().next()?;
        digits.parse().ok()
    }

    /// Changes owner, group or permission bits.
    ///
    /// # Errors
    /// `EPERM`: the caller is neither the owner nor privileged.
    pub fn change(&self, change: Change) -> Result<()> {
        if change.uid.is_some() || change.gid.is_some() {
            fchown(&self.0, change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw))?;
        }
        if let Some(mode) = change.mode {
            fchmod(&self.0, Mode::from_bits_truncate(mode))?;
        }
        Ok(())
    }
}

/// Returns a time in the past for no wait. Any other wait has no time limit here, because the timer ends it.
fn end(deadline: Deadline) -> Option<libc::timespec> {
    (deadline == Deadline::Now).then_some(libc::timespec { tv_sec: 0, tv_nsec: 0 })
}

fn pointer(end: Option<&libc::timespec>) -> *const libc::timespec {
    end.map_or(std::ptr::null(), std::ptr::from_ref)
}

fn in_time<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|errno| if errno == Errno::ETIMEDOUT { Errno::EAGAIN } else { errno })
}

fn flags(access: Access, deadline: Deadline) -> c_int {
    let direction = match access {
        Access::Read => libc::O_RDONLY,
        Access::Write => libc::O_WRONLY,
    };
    let nonblock = if deadline == Deadline::Now { libc::O_NONBLOCK } else { 0 };
    direction | nonblock | libc::O_CLOEXEC
}

fn raw_limits(limits: Limits) -> Result<libc::mq_attr> {
    let count = |n: u64| c_long::try_from(n).map_err(|_| Errno::EINVAL);
    // SAFETY: a C structure of integers, for which all zeros is a valid value.
    let mut raw: libc::mq_attr = unsafe { zeroed() };
    raw.mq_maxmsg = count(limits.messages)?;
    raw.mq_msgsize = count(limits.size)?;
    Ok(raw)
}

/// Opens a queue to inspect it: for receiving, or for sending if only that is permitted.
pub fn look(name: &OsStr) -> Result<Queue> {
    match Queue::open(name, Access::Read, Deadline::Now) {
        Err(Errno::EACCES) => Queue::open(name, Access::Write, Deadline::Now),
        opened => opened,
    }
}

/// Removes the name, mq_unlink(3). Processes that have the queue open keep it.
pub fn unlink(name: &OsStr) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: a terminated string.
    Errno::result(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

/// Returns what a blocked thread waits for, if its descriptor is that of this queue.
pub fn waits(blocked: &Blocked, queue: &super::File) -> Option<Waits> {
    let waits = match blocked.call {
        libc::SYS_mq_timedsend => Waits::ToSend,
        libc::SYS_mq_timedreceive => Waits::ToReceive(Which::Type(0)),
        _ => return None,
    };
    let file = stat(&*format!("/proc/{}/fd/{}", blocked.pid, blocked.args[0] as c_int)).ok()?;
    ((file.st_ino, file.st_dev) == (queue.inode, queue.device)).then_some(waits)
}

/// Returns the names of all queues of this IPC namespace, each with its slash, sorted. `None`: their file system is not
/// mounted, and the caller may not mount it.
pub fn names() -> Result<Option<Vec<OsString>>> {
    // Our own mount shows our namespace. An existing mount may show another one.
    match mount().and_then(|fd| names_in(fd, ".")) {
        Ok(names) => Ok(Some(names)),
        Err(_) if is_mounted() => names_in(AT_FDCWD, DIR).map(Some),
        // No privilege, a seccomp filter, Linux before 5.2, or a kernel without POSIX queues.
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::ENODEV) => Ok(None),
        Err(errno) => Err(errno),
    }
}

const DIR: &str = "/dev/mqueue";

/// Returns whether the queues' file system is mounted on `/dev/mqueue`.
pub fn is_mounted() -> bool {
    statfs(DIR).is_ok_and(|file_system| file_system.filesystem_type() == MQUEUE_MAGIC)
}

/// Checks that the caller can mount the queues' file system.
pub fn can_mount() -> Result<()> {
    mount().map(drop)
}

/// Mounts the queues' file system of this IPC namespace without a mount point (Linux 5.2, CAP_SYS_ADMIN).
fn mount() -> Result<OwnedFd> {
    let own = |fd: c_long| {
        let fd = Errno::result(fd)? as c_int;
        // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
        Ok::<_, Errno>(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // SAFETY: a terminated string and a flag.
    let context = own(unsafe { libc::syscall(libc::SYS_fsopen, c"mqueue".as_ptr(), CLOEXEC) })?;
    let fd = context.as_raw_fd();
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes neither a key nor a value.
    Errno::result(unsafe { libc::syscall(libc::SYS_fsconfig, fd, CMD_CREATE, none, none, 0) })?;
    // SAFETY: plain integers.
    own(unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOEXEC, 0) })
}

/// `FSOPEN_CLOEXEC` and `FSMOUNT_CLOEXEC`.
const CLOEXEC: c_uint = 1;
/// `FSCONFIG_CMD_CREATE`.
const CMD_CREATE: c_uint = 6;
const MQUEUE_MAGIC: FsType = FsType(0x1980_0202);

/// Reads a number from `/proc/sys/fs/mqueue`, for example `msg_max`.
pub fn setting(name: &str) -> Option<u64> {
    process::setting(&format!("fs/mqueue/{name}"))
}

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// Returns the maximum number of bytes in a user's queues, RLIMIT_MSGQUEUE. `None`: no limit.
pub fn memory_limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MSGQUEUE).ok()?;
    (soft != libc::RLIM_INFINITY).then_some(soft)
}
