//! `msgq`: System V and POSIX message queues, work queues, request and reply.

mod call;
mod create;
mod peek;
mod queue;
mod recv;
mod rm;
mod send;
mod serve;
mod set;
mod stat;

use anyhow::{Error, Result};
use nix::errno::Errno;

use super::{Applet, Entry};
use crate::exit::{Cause, bare, more_objects, sysctl};
use crate::objects::errors::{self, cannot_at};
use crate::sys::fds;
use crate::sys::sysv::{Kind, msg};
use crate::target::{Form, Target};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "msgq",
    summary: "Message queues: send, receive, work queues, request and reply",
    example: "find . -name '*.c' | ipcbox msgq send jobs --lines --create",
    verbs: &[
        Entry::of::<create::Create>(),
        Entry::of::<send::Send>(),
        Entry::of::<recv::Recv>(),
        Entry::of::<peek::Peek>(),
        Entry::of::<call::Call>(),
        Entry::of::<serve::Serve>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<set::Set>(),
        Entry::of::<rm::Rm>(),
    ],
};

fn context<T>(what: &str, target: &Target, outcome: Result<T>) -> Result<T> {
    cannot_at(what, target, Kind::Msg, outcome, |errno| explain(target, errno))
}

fn explain(target: &Target, errno: Errno) -> Cause {
    match errno {
        Errno::ENOSPC if *target.form() == Form::Posix => {
            let most = limit("queues_max", 256);
            Cause::from_errno(errno, format!("the system's limit of {most} POSIX queues is reached"))
                .hint(sysctl("fs.mqueue.queues_max", most.saturating_mul(2).max(256)))
        }
        Errno::ENOSPC => {
            let most = msg::limits().map_or(32000, |limits| limits.queues);
            let more = more_objects(most).map(|more| sysctl("kernel.msgmni", more));
            Cause::from_errno(errno, format!("the system's limit of {most} message queues is reached"))
                .hint(more.unwrap_or_else(|| "list the queues of all users: ipcs -q".into()))
        }
        Errno::EMFILE if fds::has_free_fd() => queue::no_memory(),
        Errno::ENOSYS => Cause::from_errno(errno, "this kernel does not support this type of message queue"),
        errno => errors::explain(target, Kind::Msg, errno),
    }
}

/// The hint of a verb that has `--create`.
const CREATES: &str = "add --create to create the queue";

/// Adds to `ENOENT` a hint on how to create the queue.
fn creatable(error: Error, hint: &str) -> Error {
    match bare(&error) {
        Some(Errno::ENOENT) => Cause::from_errno(Errno::ENOENT, "no such message queue").hint(hint).into(),
        _ => error,
    }
}

/// Returns a setting of `/proc/sys/fs/mqueue`, or the kernel's default for it.
fn limit(name: &str, default: u64) -> u64 {
    crate::sys::posix::mq::setting(name).unwrap_or(default)
}
