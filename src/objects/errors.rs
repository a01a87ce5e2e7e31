//! Failures that all kinds of objects share.

use std::fmt::Display;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use super::Object;
use super::find::{one, owner};
use crate::args::creating::user;
use crate::exit::{Cause, Exit, bare};
use crate::sys::sysv::{Change, Kind, kinds_of};
use crate::target::remembered::{Remembered, recorded};
use crate::target::{Form, Target};

/// Adds "cannot WHAT OBJECT" to a failure; `explain` turns a bare errno into words.
pub fn cannot<T>(
    what: &str,
    object: impl Display,
    outcome: Result<T>,
    explain: impl FnOnce(Errno) -> Cause,
) -> Result<T> {
    explained(outcome, explain).with_context(|| format!("cannot {what} {object}"))
}

/// Like [`cannot`], for a TARGET. If the failure is that the object exists, its other names follow in parentheses.
pub fn cannot_at<T>(
    what: &str,
    target: &Target,
    kind: Kind,
    outcome: Result<T>,
    explain: impl FnOnce(Errno) -> Cause,
) -> Result<T> {
    explained(outcome, explain).map_err(|error| {
        let others = if Exit::of(&error) == Exit::Exists { other_names(target, kind) } else { Vec::new() };
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        error.context(format!("cannot {what} {target}{others}"))
    })
}

fn explained<T>(outcome: Result<T>, explain: impl FnOnce(Errno) -> Cause) -> Result<T> {
    outcome.map_err(|error| match bare(&error) {
        Some(errno) => explain(errno).into(),
        None => error,
    })
}

/// Returns the remembered names of the System V object behind a target, except the one that was typed.
fn other_names(target: &Target, kind: Kind) -> Vec<String> {
    let object = one(target, kind).ok();
    let Some(perm) = object.as_ref().and_then(Object::perm) else { return Vec::new() };
    let typed = recorded(target).map(|(_, name)| name);
    let names = Remembered::default().names(perm.key, perm.owners()).into_iter();
    names.filter(|name| Some(name) != typed.as_ref()).map(|name| name.display().to_string()).collect()
}

/// Whether a failure to remove `target` means that it does not exist.
pub fn is_gone(error: &Error, target: &Target) -> bool {
    match error.downcast_ref() {
        Some(Errno::ENOENT | Errno::EIDRM) => true,
        Some(Errno::EINVAL) => match target.form() {
            Form::Id(id) => kinds_of(*id).is_empty(),
            form => *form != Form::Posix,
        },
        _ => false,
    }
}

/// Explains an errno from an operation on an object of this kind.
pub fn explain(target: &Target, kind: Kind, errno: Errno) -> Cause {
    let is_posix = *target.form() == Form::Posix;
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT => match kind {
            Kind::Sem if is_posix => cause("no such semaphore"),
            Kind::Shm if is_posix => cause("no such object"),
            _ => cause(&format!("no such {}", kind.name())),
        },
        Errno::EINVAL if !is_posix => missing(target, kind),
        Errno::EIDRM => cause("removed by another process")
            .hint("set RemoveIPC=no in /etc/systemd/logind.conf if objects disappear at logout"),
        Errno::EACCES => unshared(target, kind),
        Errno::EPERM => denied(errno, owner(target, kind)),
        Errno::EEXIST => cause("already exists"),
        Errno::ENOSPC => cause("no space left in /dev/shm"),
        errno => Cause::plain(errno),
    }
}

/// Explains `EACCES` or `EPERM`, and names the owner if it is known.
pub fn denied(errno: Errno, owner: Option<u32>) -> Cause {
    match (errno, owner) {
        (Errno::EACCES, Some(uid)) if uid == nix::unistd::geteuid().as_raw() => {
            Cause::from_errno(errno, "permission denied by the mode, although you own the object")
        }
        (Errno::EACCES, Some(uid)) => Cause::from_errno(errno, format!("permission denied; owned by {}", user(uid))),
        // The owner is not the reason.
        (_, Some(uid)) if [0, uid].contains(&nix::unistd::geteuid().as_raw()) => Cause::plain(errno)
            .hint("show what the kernel allows this user: grep -E 'CapEff|Seccomp' /proc/self/status"),
        (_, Some(uid)) => Cause::from_errno(errno, format!("owned by {}", user(uid))),
        (_, None) => Cause::plain(errno),
    }
}

/// Explains `EACCES`. The hint is for the owner, who can change the mode, except of a POSIX semaphore.
fn unshared(target: &Target, kind: Kind) -> Cause {
    let owner = owner(target, kind);
    let cause = denied(Errno::EACCES, owner);
    let is_fixed = kind == Kind::Sem && *target.form() == Form::Posix;
    match owner {
        Some(uid) if uid != nix::unistd::geteuid().as_raw() && !is_fixed => {
            let applet = if kind == Kind::Msg { "msgq" } else { kind.word() };
            let set = format!("ipcbox {applet} set {} --mode 666", target.quoted());
            cause.hint(format!("run as {}: {set}", user(uid)))
        }
        _ => cause,
    }
}

/// Returns the failure to change attributes. `EINVAL` then means that the user namespace lacks the user or group, even
/// if it is the present owner.
pub fn unchanged(errno: Errno, is_there: bool) -> Error {
    match errno {
        Errno::EINVAL if is_there => {
            Cause::from_errno(errno, "the user or group has no mapping in this user namespace").into()
        }
        errno => errno.into(),
    }
}

/// Returns the failure to change attributes of a file of `owner`, who may change everything except the owner.
pub fn ungiven(errno: Errno, change: Change, owner: Option<u32>) -> Error {
    let user = nix::unistd::geteuid();
    match errno {
        Errno::EPERM if change.uid.is_some() && !user.is_root() && owner == Some(user.as_raw()) => {
            Cause::from_errno(errno, "only a privileged user can change the owner").into()
        }
        errno => errno.into(),
    }
}

/// Explains `EINVAL` of a System V object: the id does not exist, is another kind's, or was removed.
fn missing(target: &Target, kind: Kind) -> Cause {
    let cause = |words: String| Cause::from_errno(Errno::EINVAL, words).exit(Exit::Missing);
    let Form::Id(id) = target.form() else { return cause("removed by another process".into()) };
    if let Some(other) = kinds_of(*id).iter().find(|other| **other != kind) {
        return cause(format!("{target} is the id of a {}", other.name()));
    }
    let hint = format!("use a name instead of an id: ci-{target}");
    cause(format!("no such {}", kind.name())).hint(hint)
}
