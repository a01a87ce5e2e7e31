//! POSIX message queues: mq_overview(7).
//!
//! A descriptor of one is a file descriptor. It blocks, and a time limit is a timer on the monotonic clock: the limit
//! of mq_timedreceive(3) is on the clock that can be set.
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

/// What a queue is opened for; it wants that permission and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To receive, or to look.
    Read,
    /// To send.
    Write,
}

/// The limits of one queue, fixed when it is made: `struct mq_attr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages that fit, 1 or more.
    pub messages: u64,
    /// Bytes of one message at most, 1 or more.
    pub size: u64,
}

/// What the kernel keeps of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its limits.
    pub limits: Limits,
    /// Number of messages in it.
    pub messages: u64,
    /// Bytes of data in it, where the kernel tells: it does so by a descriptor for receiving.
    pub bytes: Option<u64>,
    /// Whose it is.
    pub file: super::File,
}

/// A queue that is open.
#[derive(Debug)]
pub struct Queue(OwnedFd);

impl Queue {
    /// Opens the one called `name`, which begins with a slash, for sending or for receiving alone.
    ///
    /// # Errors
    /// `ENOENT`: there is none. `EACCES`: no permission.
    pub fn open(name: &OsStr, access: Access, deadline: Deadline) -> Result<Self> {
        let name = c_name(name)?;
        // SAFETY: a terminated string; without O_CREAT there are no more arguments.
        Self::result(unsafe { libc::mq_open(name.as_ptr(), flags(access, deadline)) })
    }

    /// A new one with exactly these permission bits, whatever the umask is, and these limits or the kernel's defaults.
    ///
    /// # Errors
    /// `EEXIST`: the name is taken. `EINVAL`: limits of 0 or above msg_max and msgsize_max. `EMFILE`: RLIMIT_MSGQUEUE or the
    /// limit of descriptors. `ENOSPC`: queues_max.
    pub fn create(name: &OsStr, access: Access, deadline: Deadline, mode: u32, limits: Option<Limits>) -> Result<Self> {
        let name = c_name(name)?;
        let flags = flags(access, deadline) | libc::O_CREAT | libc::O_EXCL;
        let attributes = limits.map(raw_limits).transpose()?;
        let attributes = attributes.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let before = umask(Mode::empty());
        // SAFETY: a terminated string, a mode and attributes or none, as O_CREAT wants them.
        let opened = Self::result(unsafe { libc::mq_open(name.as_ptr(), flags, mode, attributes) });
        umask(before);
        opened
    }

    fn result(fd: c_int) -> Result<Self> {
        let fd = Errno::result(fd)?;
        // SAFETY: the kernel just gave us this descriptor, and nothing else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a message, waiting at most until `deadline` where the queue is full. `None`: a caught signal has come
    /// before.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `EMSGSIZE`: more data than the queue takes. `EINVAL`: a priority above [`MAX_PRIORITY`].
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

    /// Takes the first message of the highest priority, waiting at most until `deadline`; it replaces what `message`
    /// was. `None`: a caught signal has come before. `most` is what the queue takes in one message.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn receive(&self, message: &mut Message, most: usize, deadline: Deadline) -> Result<Option<()>> {
        let fd = self.0.as_raw_fd();
        let at = message.space(most)[HEAD..].as_mut_ptr().cast();
        let mut priority: c_uint = 0;
        let end = end(deadline);
        let received = in_time(interruptible(deadline, || {
            let (priority, end) = (&raw mut priority, pointer(end.as_ref()));
            // SAFETY: `most` bytes have room there through the call, and so have the priority and the time.
            Errno::result(unsafe { libc::mq_timedreceive(fd, at, most, priority, end) })
        }))?;
        Ok(received.map(|length| message.has_numbered(length.cast_unsigned(), priority.into())))
    }

    /// Its limits and how many messages are in it, mq_getattr(3), which wants no permission.
    pub fn limits(&self) -> Result<(Limits, u64)> {
        // SAFETY: a C structure of integers, for which all zeros is a value.
        let mut raw: libc::mq_attr = unsafe { zeroed() };
        // SAFETY: the structure lives through the call, which writes it.
        Errno::result(unsafe { libc::mq_getattr(self.0.as_raw_fd(), &raw mut raw) })?;
        let count = |n: c_long| u64::try_from(n).unwrap_or(0);
        let limits = Limits { messages: count(raw.mq_maxmsg), size: count(raw.mq_msgsize) };
        Ok((limits, count(raw.mq_curmsgs)))
    }

    /// Whose it is.
    pub fn owned(&self) -> Result<super::File> {
        Ok(fstat(&self.0)?.into())
    }

    /// All that the kernel keeps of it.
    pub fn stat(&self) -> Result<Stat> {
        let (limits, messages) = self.limits()?;
        Ok(Stat { limits, messages, bytes: self.bytes(), file: self.owned()? })
    }

    /// The bytes in it, from what the descriptor reads as: `QSIZE:129 NOTIFY:…`.
    fn bytes(&self) -> Option<u64> {
        let mut text = String::new();
        File::from(self.0.try_clone().ok()?).read_to_string(&mut text).ok()?;
        let digits = text.strip_prefix("QSIZE:")?.split_ascii_whitespace().next()?;
        digits.parse().ok()
    }

    /// Changes owner, group or permission bits.
    ///
    /// # Errors
    /// `EPERM`: the caller is not the owner, or not privileged.
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

/// The end of a wait: a time that is over for none, and no time otherwise, since a timer ends the wait.
fn end(deadline: Deadline) -> Option<libc::timespec> {
    (deadline == Deadline::Now).then_some(libc::timespec { tv_sec: 0, tv_nsec: 0 })
}

fn pointer(end: Option<&libc::timespec>) -> *const libc::timespec {
    end.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// `EAGAIN` is the word for a wait that is over.
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
    // SAFETY: a C structure of integers, for which all zeros is a value.
    let mut raw: libc::mq_attr = unsafe { zeroed() };
    raw.mq_maxmsg = count(limits.messages)?;
    raw.mq_msgsize = count(limits.size)?;
    Ok(raw)
}

/// Opens a queue for looking at it: for receiving, or for sending where only that is permitted.
pub fn look(name: &OsStr) -> Result<Queue> {
    match Queue::open(name, Access::Read, Deadline::Now) {
        Err(Errno::EACCES) => Queue::open(name, Access::Write, Deadline::Now),
        opened => opened,
    }
}

/// Removes the name, mq_unlink(3); who has it open keeps it.
pub fn unlink(name: &OsStr) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: a terminated string.
    Errno::result(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

/// What a blocked thread waits for, where that is a message of the queue with this file or room for one: told by what
/// its descriptor leads to.
pub fn waits(blocked: &Blocked, queue: &super::File) -> Option<Waits> {
    let waits = match blocked.call {
        libc::SYS_mq_timedsend => Waits::ToSend,
        libc::SYS_mq_timedreceive => Waits::ToReceive(Which::Type(0)),
        _ => return None,
    };
    let file = stat(&*format!("/proc/{}/fd/{}", blocked.pid, blocked.args[0] as c_int)).ok()?;
    ((file.st_ino, file.st_dev) == (queue.inode, queue.device)).then_some(waits)
}

/// The names of all that this IPC namespace has, each with its slash, sorted. `None`: they cannot be told, since nobody
/// has mounted the queues' file system, and the caller may not.
///
/// # Errors
/// Those of mounting and reading it, such as `EMFILE`.
pub fn names() -> Result<Option<Vec<OsString>>> {
    // A mount of our own shows our namespace; another's may show another.
    match mount().and_then(|fd| names_in(fd, ".")) {
        Ok(names) => Ok(Some(names)),
        Err(_) if is_mounted() => names_in(AT_FDCWD, DIR).map(Some),
        // No privilege, a filter of system calls, Linux before 5.2, or one without POSIX queues.
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::ENODEV) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Where the queues' file system is mounted, if it is.
const DIR: &str = "/dev/mqueue";

fn is_mounted() -> bool {
    statfs(DIR).is_ok_and(|file_system| file_system.filesystem_type() == MQUEUE_MAGIC)
}

/// The queues' file system of this IPC namespace, mounted nowhere (Linux 5.2, CAP_SYS_ADMIN).
fn mount() -> Result<OwnedFd> {
    let own = |fd: c_long| {
        let fd = Errno::result(fd)? as c_int;
        // SAFETY: the kernel just gave us this descriptor, and nothing else knows it.
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
/// What statfs(2) calls the queues' file system.
const MQUEUE_MAGIC: FsType = FsType(0x1980_0202);

/// A number of `/proc/sys/fs/mqueue`, such as `msg_max`.
pub fn setting(name: &str) -> Option<u64> {
    process::setting(&format!("fs/mqueue/{name}"))
}

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The bytes that a user's queues may have in all, RLIMIT_MSGQUEUE; `None` is no limit.
pub fn memory_limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MSGQUEUE).ok()?;
    (soft != libc::RLIM_INFINITY).then_some(soft)
}
