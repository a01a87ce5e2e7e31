//! `sem`: slots, locks, barriers and plain semaphores.
//!
//! What belongs to a process is taken with `SEM_UNDO` by the process that is to have it: `run` and `lock` take and
//! then become CMD, so that the kernel gives it back however CMD ends.

mod barrier;
mod create;
mod get;
mod hold;
mod lock;
mod op;
mod post;
mod rm;
mod run;
mod semaphore;
mod set;
mod stat;
mod wait;

use anyhow::Result;
use nix::errno::Errno;

use super::{Applet, Entry};
use crate::exit::{Cause, Exit};
use crate::objects::errors::{self, cannot};
use crate::output;
use crate::semset::{self, Purpose};
use crate::sys::sysv::Kind;
use crate::sys::sysv::sem::{Set, limits};
use crate::target::{Form, Target};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "sem",
    summary: "Limit, lock and meet: semaphores that a killed process gives back",
    example: "ipcbox sem run build --slots 4 -- cc -c main.c",
    verbs: &[
        Entry::of::<run::Run>(),
        Entry::of::<lock::Lock>(),
        Entry::of::<hold::Hold>(),
        Entry::of::<barrier::Barrier>(),
        Entry::of::<create::Create>(),
        Entry::of::<wait::Wait>(),
        Entry::of::<post::Post>(),
        Entry::of::<op::Op>(),
        Entry::of::<get::Get>(),
        Entry::of::<set::Set>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<rm::Rm>(),
    ],
};

/// Adds "cannot WHAT TARGET" to a failure, and puts a bare errno into words that fit a semaphore.
fn context<T>(what: &str, target: &Target, outcome: Result<T>) -> Result<T> {
    cannot(what, target, outcome, |errno| explain(target, errno))
}

fn explain(target: &Target, errno: Errno) -> Cause {
    let cause = |words: &str| Cause::from_errno(errno, words);
    let is_posix = *target.form() == Form::Posix;
    match errno {
        Errno::EINVAL | Errno::EISDIR | Errno::ELOOP | Errno::ENXIO if is_posix => {
            cause("the file is no semaphore of the C library's").exit(Exit::Missing)
        }
        Errno::ERANGE => cause("a value would leave 0 to 32767"),
        Errno::EOVERFLOW if is_posix => cause("the value would leave 0 to 2147483647"),
        Errno::EOVERFLOW => cause("it has more slots than numbers: another program changed it"),
        Errno::EPROTO => cause("no round of the barrier is open: another program changed it"),
        Errno::EFBIG => beyond(target),
        Errno::E2BIG => {
            let ops = limits().map_or(500, |limits| limits.ops);
            cause(&format!("more than the {ops} operations that one call may do"))
                .hint("the third number of /proc/sys/kernel/sem (SEMOPM) is the limit")
        }
        errno => errors::explain(target, Kind::Sem, errno),
    }
}

fn beyond(target: &Target) -> Cause {
    let len = semset::find(target).and_then(|set| Ok(set.stat()?.len));
    let words = match len {
        Ok(1) => "the set has one semaphore, 0".to_owned(),
        Ok(len) => format!("the set has {len} semaphores, 0 to {}", len - 1),
        Err(_) => "the index is beyond the set".to_owned(),
    };
    Cause::from_errno(Errno::EFBIG, words)
}

/// Refuses what would spoil a set that the box made for slots, a lock or a barrier.
fn plain(target: &Target, set: Set) -> Result<()> {
    let (it_is, name) = match set.values() {
        Ok((_, values)) => match Purpose::of(&values) {
            Some(purpose) => (purpose.to_string(), purpose.name()),
            None => return Ok(()),
        },
        Err(Errno::EACCES) => match semset::unread_purpose(set) {
            Some(name) => (name.to_owned(), name),
            None => return Ok(()),
        },
        Err(errno) => return Err(errno.into()),
    };
    let instead = if name.ends_with("slots") {
        "sem run and sem hold take a slot, sem run --resize changes their number"
    } else if name.ends_with("lock") {
        "sem lock and sem hold --lock take it"
    } else {
        "sem barrier meets there"
    };
    Err(Cause::new(Exit::Exists, format!("{target} is {it_is}, not a plain semaphore")).hint(instead).into())
}

/// Refuses a POSIX semaphore where the verb needs what it has not.
fn system_v(target: &Target) -> Result<()> {
    if *target.form() != Form::Posix {
        return Ok(());
    }
    let why = "a POSIX semaphore has no undo: what a killed process holds would be lost";
    Err(crate::target::not_posix(target, why).into())
}

/// Reports a set whose maker was killed before it gave the values.
fn report_uninitialised(target: &Target) {
    let cause = Cause::new(Exit::Failed, format!("{target} was never initialised"));
    output::report(&cause.hint(format!("where its maker is gone, remove it: sem rm {target}")).into());
}
