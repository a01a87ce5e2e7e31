//! System V message queues: msgget(2), msgop(2), msgctl(2).
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_void};

use nix::Result;
use nix::errno::Errno;
use nix::libc;

use super::{ById, Change, Key, Kind, Listing, Perm, Table, Words};
use crate::sys::deadline::Deadline;
use crate::sys::interrupt::retry;
use crate::sys::message::{Message, Waits, Which};
use crate::sys::process::{Blocked, shares_ipc};
use crate::sys::wait::interruptible;

/// Copies a message by its index, Linux 3.8. Missing in the libc crate.
const MSG_COPY: c_int = 0o40000;

/// The state of a queue: `struct msqid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The id.
    pub id: c_int,
    /// Key, owner, permission bits.
    pub perm: Perm,
    /// Number of messages in it.
    pub messages: u64,
    /// Bytes of data in it.
    pub bytes: u64,
    /// The maximum number of bytes, and also of messages.
    pub max_bytes: u64,
    /// The last process to send; 0 for none, or one in another pid namespace.
    pub last_send_pid: i32,
    /// The last process to receive, likewise.
    pub last_receive_pid: i32,
    /// Last msgsnd(2), seconds since 1970; 0 is never.
    pub send_time: i64,
    /// Last msgrcv(2), likewise.
    pub receive_time: i64,
    /// Creation or last change, likewise.
    pub change_time: i64,
}

/// The limits of `/proc/sys/kernel/msg*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// msgmax: the maximum size of a message in bytes.
    pub message: usize,
    /// msgmnb: the initial `max_bytes` of a new queue.
    pub bytes: u64,
    /// msgmni: the maximum number of queues.
    pub queues: u64,
}

/// Returns the limits, `IPC_INFO`.
pub fn limits() -> Result<Limits> {
    let (info, _) = info(libc::IPC_INFO)?;
    let count = |n: c_int| u64::try_from(n).unwrap_or(0);
    Ok(Limits { message: count(info.msgmax) as usize, bytes: count(info.msgmnb), queues: count(info.msgmni) })
}

fn info(command: c_int) -> Result<(libc::msginfo, c_int)> {
    // SAFETY: IPC_INFO and MSG_INFO write one msginfo.
    unsafe { super::info::<Msg, _>(command) }
}

/// Returns the number of queues, of messages in them, and of their bytes, `MSG_INFO`.
pub fn used() -> Result<(u64, u64, u64)> {
    let (info, _) = info(libc::MSG_INFO)?;
    let count = |n: c_int| u64::try_from(n).unwrap_or(0);
    Ok((count(info.msgpool), count(info.msgmap), count(info.msgtql)))
}

/// Lists all queues of the IPC namespace.
pub fn all() -> Result<Listing<Stat>> {
    super::all::<Msg>()
}

/// The table of message queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msg;

impl Table for Msg {
    const KIND: Kind = Kind::Msg;
    const STAT_ANY: c_int = 13;
    type Raw = libc::msqid_ds;
    type Stat = Stat;

    fn get(key: Key) -> c_int {
        // SAFETY: plain integers.
        unsafe { libc::msgget(key, 0) }
    }

    unsafe fn control(id: c_int, command: c_int, data: *mut c_void) -> c_int {
        // SAFETY: guaranteed by the caller.
        unsafe { libc::msgctl(id, command, data.cast()) }
    }

    fn highest() -> Result<c_int> {
        info(libc::MSG_INFO).map(|(_, highest)| highest)
    }

    fn stat(id: c_int, raw: &libc::msqid_ds) -> Stat {
        Stat {
            id,
            perm: raw.msg_perm.into(),
            messages: raw.msg_qnum,
            bytes: raw.__msg_cbytes,
            max_bytes: raw.msg_qbytes,
            last_send_pid: raw.msg_lspid,
            last_receive_pid: raw.msg_lrpid,
            send_time: raw.msg_stime,
            receive_time: raw.msg_rtime,
            change_time: raw.msg_ctime,
        }
    }

    /// key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime
    fn line(words: &mut Words) -> Option<Stat> {
        let (key, id, mode) = (words.number()?, words.number()?, words.octal()?);
        Some(Stat {
            id,
            bytes: words.number()?,
            messages: words.number()?,
            max_bytes: 0,
            last_send_pid: words.number()?,
            last_receive_pid: words.number()?,
            perm: words.perm(key, mode)?,
            send_time: words.number()?,
            receive_time: words.number()?,
            change_time: words.number()?,
        })
    }

    /// The file lacks `max_bytes`.
    fn complete(stat: Stat) -> Option<Stat> {
        let found = super::at_its_index::<Self>(stat.id)?;
        Some(Stat { max_bytes: found.msg_qbytes, ..stat })
    }
}

/// A queue.
pub type Queue = ById<Msg>;

impl Queue {
    /// Creates a queue. With the key [`libc::IPC_PRIVATE`] it has no key.
    ///
    /// # Errors
    /// `EEXIST`: the key is taken. `ENOSPC`: msgmni is reached.
    pub fn create(key: Key, mode: u32) -> Result<Self> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
        // SAFETY: plain integers.
        Errno::result(unsafe { libc::msgget(key, flags) }).map(Self::from_id)
    }

    /// Sends a message, waiting until `deadline` while the queue is full. `None`: a caught signal came first.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed. `EINVAL`: a type below 1, a message above msgmax, or no such queue. `EIDRM`:
    /// the queue was removed during the wait. `EACCES`: no permission to write.
    pub fn send(self, message: &Message, deadline: Deadline) -> Result<Option<()>> {
        let flags = nowait(deadline);
        let (at, length) = (message.whole().as_ptr().cast(), message.data().len());
        interruptible(deadline, || {
            // SAFETY: the type and `length` bytes of data live through the call, which only reads them.
            Errno::result(unsafe { libc::msgsnd(self.id, at, length, flags) }).map(drop)
        })
    }

    /// Takes a message of up to `most` bytes, waiting until `deadline`. `None`: a caught signal came first.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline has passed. `E2BIG`: the message is longer and stays in the queue. `EINVAL`: no such
    /// queue. `EIDRM`: the queue was removed during the wait. `EACCES`: no permission to read.
    pub fn receive(self, message: &mut Message, most: usize, which: Which, deadline: Deadline) -> Result<Option<()>> {
        let flags = nowait(deadline);
        let (kind, flags) = match which {
            Which::Type(kind) => (kind, flags),
            Which::Except(kind) => (kind, flags | libc::MSG_EXCEPT),
        };
        match interruptible(deadline, || self.read(message, most, kind, flags)) {
            Err(Errno::ENOMSG) => Err(Errno::EAGAIN),
            taken => taken,
        }
    }

    /// Copies the message at this index, starting with 0, and leaves it in the queue (`MSG_COPY`).
    ///
    /// # Errors
    /// `ENOMSG`: there are fewer messages. `ENOSYS`: the kernel was built without CONFIG_CHECKPOINT_RESTORE. `E2BIG`:
    /// the message is longer than `most`. `EACCES`: no permission to read.
    pub fn copy(self, message: &mut Message, most: usize, index: i64) -> Result<()> {
        retry(|| self.read(message, most, index, MSG_COPY | libc::IPC_NOWAIT))
    }

    fn read(self, message: &mut Message, most: usize, kind: i64, flags: c_int) -> Result<()> {
        let at = message.space(most).as_mut_ptr().cast();
        // SAFETY: there is room for the type and `most` bytes through the call.
        let read = unsafe { libc::msgrcv(self.id, at, most, kind as c_long, flags) };
        message.has(Errno::result(read)?.cast_unsigned());
        Ok(())
    }

    /// Changes owner, group, permission bits or `max_bytes`, `IPC_SET`.
    ///
    /// # Errors
    /// `EPERM`: neither the owner nor the creator nor privileged, or without CAP_SYS_RESOURCE to exceed msgmnb.
    pub fn change(self, change: Change, max_bytes: Option<u64>) -> Result<()> {
        self.set(|raw| {
            change.apply(&mut raw.msg_perm);
            raw.msg_qbytes = max_bytes.unwrap_or(raw.msg_qbytes);
        })
    }
}

fn nowait(deadline: Deadline) -> c_int {
    if deadline == Deadline::Now { libc::IPC_NOWAIT } else { 0 }
}

/// Returns what a blocked thread waits for, if it waits on the queue `id`.
pub fn waits(blocked: &Blocked, id: c_int) -> Option<Waits> {
    // Like the kernel, take an int from the lower half of the register.
    if blocked.args[0] as c_int != id {
        return None;
    }
    match blocked.call {
        libc::SYS_msgsnd | libc::SYS_msgrcv if !shares_ipc(blocked.pid) => None,
        libc::SYS_msgsnd => Some(Waits::ToSend),
        libc::SYS_msgrcv => {
            let (kind, flags) = (blocked.args[3].cast_signed(), blocked.args[4] as c_int);
            let is_except = flags & libc::MSG_EXCEPT != 0;
            Some(Waits::ToReceive(if is_except { Which::Except(kind) } else { Which::Type(kind) }))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "../../../tests/units/sys/sysv/msg.rs"]
mod tests;
