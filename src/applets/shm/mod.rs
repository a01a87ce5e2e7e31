//! `shm`: shared memory: bytes, atomic words to count with and wait for, and sealed memory files.
//!
//! System V segments and POSIX objects take the same verbs. Under a lock of `sem lock`, a reader sees all of a write or
//! nothing (`locking`); a change of a word is one atomic instruction (`atomic_word`).

mod add;
mod cas;
mod create;
mod get;
mod memfd;
mod object;
mod read;
mod rm;
mod set;
mod stat;
mod wait;
mod write;

use anyhow::Result;
use nix::errno::Errno;

use super::{Applet, Entry};
use crate::exit::{Cause, Exit};
use crate::objects::errors::{self, cannot_at};
use crate::sys::posix::shm as posix;
use crate::sys::sysv::Kind;
use crate::target::{Form, Target};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "shm",
    summary: "Shared memory: texts, atomic counters, events, sealed files",
    example: "ipcbox shm add jobno --create",
    verbs: &[
        Entry::of::<create::Create>(),
        Entry::of::<write::Write>(),
        Entry::of::<read::Read>(),
        Entry::of::<get::Get>(),
        Entry::of::<set::Set>(),
        Entry::of::<add::Add>(),
        Entry::of::<cas::Cas>(),
        Entry::of::<wait::Wait>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<memfd::Memfd>(),
        Entry::of::<rm::Rm>(),
    ],
};

fn context<T>(what: &str, target: &Target, outcome: Result<T>) -> Result<T> {
    cannot_at(what, target, Kind::Shm, outcome, |errno| explain(target, errno))
}

fn is_posix(target: &Target) -> bool {
    *target.form() == Form::Posix
}

fn explain(target: &Target, errno: Errno) -> Cause {
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT if is_posix(target) && posix::is_mounted() == Ok(false) => object::no_tmpfs(),
        Errno::EINVAL | Errno::EISDIR | Errno::ELOOP | Errno::ENXIO if is_posix(target) => {
            cause("not a regular file").exit(Exit::Failed)
        }
        Errno::EFAULT => cause("truncated by another process"),
        Errno::EOPNOTSUPP => cause("/proc is not mounted"),
        errno => errors::explain(target, Kind::Shm, errno),
    }
}
