//! `sem`: slots, locks, barriers and plain semaphores.
//!
//! `run` and `lock` take with `SEM_UNDO` and then execute CMD in the same process, so that the kernel releases
//! everything however CMD exits.

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
use crate::exit::{Cause, Exit, bare, is_late};
use crate::objects::errors::{self, cannot_at};
use crate::output;
use crate::semset::{self, Purpose};
use crate::sys::sysv::Kind;
use crate::sys::sysv::sem::{Limits, Set, limits};
use crate::target::{Form, Target};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "sem",
    summary: "Job slots, locks and barriers that survive `kill -9`",
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

fn context<T>(what: &str, target: &Target, outcome: Result<T>) -> Result<T> {
    let outcome = outcome.map_err(|error| match semset::hint_at_file(target).filter(|_| !is_late(&error)) {
        Some(hint) => match bare(&error) {
            Some(errno) => explain(target, errno).hint(hint).into(),
            None => error.downcast::<Cause>().map_or_else(|error| error, |cause| cause.hint(hint).into()),
        },
        None => error,
    });
    cannot_at(what, target, Kind::Sem, outcome, |errno| explain(target, errno))
}

fn explain(target: &Target, errno: Errno) -> Cause {
    if *target.form() == Form::File {
        return semaphore::file::explain(errno);
    }
    let cause = |words: &str| Cause::from_errno(errno, words);
    let is_posix = *target.form() == Form::Posix;
    match errno {
        Errno::EINVAL | Errno::EISDIR | Errno::ELOOP | Errno::ENXIO if is_posix => {
            cause("the file is not a POSIX semaphore").exit(Exit::Missing)
        }
        Errno::ERANGE => cause("the value would be outside the range from 0 to 32767"),
        Errno::EOVERFLOW if is_posix => cause("the value would be outside the range from 0 to 2147483647"),
        Errno::EOVERFLOW => cause("the count of free slots is too high: another program changed the semaphore"),
        Errno::EPROTO => cause("the barrier is inconsistent: another program changed the semaphore"),
        Errno::EFBIG if !is_posix => beyond(target),
        Errno::E2BIG => {
            let ops = limits().map_or(500, |limits| limits.ops);
            let cause = cause(&format!("one call can perform at most {ops} operations"));
            match limits() {
                Ok(limits) => cause.hint(semset::sysctl(&Limits { ops: ops.saturating_mul(2), ..limits })),
                Err(_) => cause,
            }
        }
        errno => errors::explain(target, Kind::Sem, errno),
    }
}

fn beyond(target: &Target) -> Cause {
    let len = semset::find(target).and_then(|set| Ok(set.stat()?.len));
    let words = match len {
        Ok(1) => "the set has one semaphore, number 0".to_owned(),
        Ok(len) => format!("the set has {len} semaphores, numbered 0 to {}", len - 1),
        Err(_) => "the set has no semaphore with this number".to_owned(),
    };
    Cause::from_errno(Errno::EFBIG, words).exit(Exit::Usage)
}

/// Refuses to change a set that holds slots, a lock or a barrier.
fn plain(target: &Target, set: Set) -> Result<()> {
    let (it_is, instead) = match set.values() {
        Ok((_, values)) => match Purpose::of(&values) {
            Some(purpose) => (purpose.state(), Some(semset::instead(purpose, &target.quoted()))),
            None => return Ok(()),
        },
        Err(Errno::EACCES) => match semset::unread_purpose(set) {
            Some(name) => (format!("is {name}"), None),
            None => return Ok(()),
        },
        Err(errno) => return Err(errno.into()),
    };
    let cause = Cause::new(Exit::Exists, format!("{target} {it_is}, not a plain semaphore"));
    Err(match instead {
        Some(instead) => cause.hint(instead),
        None => cause,
    }
    .into())
}

/// Refuses a POSIX semaphore if the verb needs `SEM_UNDO`.
fn system_v(target: &Target) -> Result<()> {
    if *target.form() != Form::Posix {
        return Ok(());
    }
    let why = "a POSIX semaphore has no undo: a killed process would not release it";
    Err(crate::target::not_posix(target, why).into())
}

/// Returns the hint for a set whose creator may have been killed before it set the values.
fn if_abandoned(target: &Target) -> String {
    format!("set the first value: ipcbox sem set {} VALUE", target.quoted())
}

/// Reports a set whose creator was killed before it set the values.
fn report_uninitialised(target: &Target) {
    let cause = Cause::new(Exit::Failed, format!("{target} was never initialised"));
    output::report(&cause.hint(if_abandoned(target)).into());
}
