//! `msgq`: message queues of both families, work queues, request and reply.

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

use anyhow::Result;
use nix::errno::Errno;

use super::{Applet, Entry};
use crate::exit::Cause;
use crate::objects::errors::{self, cannot};
use crate::sys::fds;
use crate::sys::sysv::{Kind, msg};
use crate::target::{Form, Target};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "msgq",
    summary: "Queues: send, receive, share out work, ask and be answered",
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

/// Adds "cannot WHAT TARGET" to a failure, and puts a bare errno into words that fit a queue.
fn context<T>(what: &str, target: &Target, outcome: Result<T>) -> Result<T> {
    cannot(what, target, outcome, |errno| explain(target, errno))
}

fn explain(target: &Target, errno: Errno) -> Cause {
    match errno {
        Errno::ENOSPC if *target.form() == Form::Posix => {
            let most = limit("queues_max", 256);
            Cause::from_errno(errno, format!("there are as many POSIX queues as may be, {most}"))
                .hint("/proc/sys/fs/mqueue/queues_max is the limit")
        }
        Errno::ENOSPC => {
            let most = msg::limits().map_or(32000, |limits| limits.queues);
            Cause::from_errno(errno, format!("there are as many message queues as may be, {most}"))
                .hint("/proc/sys/kernel/msgmni is the limit; msgq stat lists them")
        }
        Errno::EMFILE if fds::has_free_fd() => queue::no_memory(),
        Errno::ENOSYS => Cause::from_errno(errno, "this kernel has no such queues"),
        errno => errors::explain(target, Kind::Msg, errno),
    }
}

/// A limit of POSIX queues, or the kernel's default for it.
fn limit(name: &str, default: u64) -> u64 {
    crate::sys::posix::mq::setting(name).unwrap_or(default)
}
