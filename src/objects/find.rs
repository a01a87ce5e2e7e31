//! Lookup, listing and removal of objects.

use std::ffi::OsString;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{KINDS, Object, State, system_v};
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::posix::{mq, sem as psem, shm as pshm};
use crate::sys::sysv::{Key, Kind, kinds_of, msg, sem, shm};
use crate::target::{Form, Target, not_private};

/// Returns the objects of these kinds that `target` names: one of each kind can have the same id, key or name.
///
/// # Errors
/// `ENOENT`: there is none.
pub fn named(target: &Target, kinds: &[Kind]) -> Result<Vec<Object>> {
    let (mut found, mut failed) = (Vec::new(), None);
    for kind in KINDS.into_iter().filter(|kind| kinds.contains(kind)) {
        match one(target, kind) {
            Ok(object) => found.push(object),
            Err(error) => match error.downcast_ref() {
                Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM) => {}
                Some(errno) => failed = failed.or(Some(*errno)),
                None => return Err(error),
            },
        }
    }
    if let (true, Some(errno)) = (found.is_empty(), failed) {
        bail!(Cause::plain(errno));
    }
    if found.is_empty() {
        let what = if let [kind] = kinds { kind.name() } else { "object" };
        let words = match target.form() {
            Form::Id(id) => match kinds_of(*id).first() {
                Some(other) if !kinds.contains(other) => {
                    format!("no such {what}; {target} is the id of a {}", other.name())
                }
                _ => format!("no such {what}"),
            },
            _ => format!("no such {what}"),
        };
        bail!(Cause::from_errno(Errno::ENOENT, words));
    }
    Ok(found)
}

/// Returns the object of this kind that `target` names.
///
/// # Errors
/// A bare errno: `ENOENT` or `EINVAL` if there is none.
pub fn one(target: &Target, kind: Kind) -> Result<Object> {
    if let (Some(path), Kind::Sem) = (target.file(), kind) {
        return Object::slot_file(path);
    }
    let found = match (target.form(), target.key()?) {
        (Form::Posix, _) => Object::posix(kind, target.typed().to_owned()),
        (Form::Id(id), _) => by_id(kind, *id),
        (_, Some(key)) => id_of(kind, key).and_then(|id| by_id(kind, id)),
        _ => bail!(not_private("object")),
    };
    Ok(Object { name: target.name().map(OsString::from), ..found? })
}

/// Returns the owner of an object, if it can be found.
pub fn owner(target: &Target, kind: Kind) -> Option<u32> {
    one(target, kind).ok()?.owned().map(|(uid, _, _)| uid)
}

/// Returns the System V object of this kind and id.
///
/// # Errors
/// `EINVAL`: there is none.
pub fn by_id(kind: Kind, id: i32) -> nix::Result<Object> {
    match kind {
        Kind::Msg => msg::Queue::from_id(id).stat().map(State::Queue),
        Kind::Sem => sem::Set::from_id(id).stat().map(State::Set),
        Kind::Shm => shm::Segment::from_id(id).measured().map(State::Segment),
    }
    .map(Object::from)
    .and_then(|object| if object.id() == Some(id) { Ok(object) } else { Err(Errno::EINVAL) })
}

/// Returns the id of the System V object of this kind and key.
///
/// # Errors
/// `ENOENT`: there is none.
pub fn id_of(kind: Kind, key: Key) -> nix::Result<i32> {
    match kind {
        Kind::Msg => msg::Queue::find(key).map(msg::Queue::id),
        Kind::Sem => sem::Set::find(key).map(sem::Set::id),
        Kind::Shm => shm::Segment::find(key).map(shm::Segment::id),
    }
}

/// Returns every object of these kinds in listing order, and whether the list is complete.
///
/// # Errors
/// As for [`system_v`].
pub fn all(kinds: &[Kind], posix: bool) -> Result<(Vec<Object>, bool)> {
    let mut found = Vec::new();
    let mut complete = true;
    for kind in KINDS.iter().filter(|kind| kinds.contains(kind)) {
        found.extend(system_v(*kind)?);
    }
    for kind in KINDS.iter().filter(|kind| posix && kinds.contains(kind)) {
        let listed = super::posix(*kind)?;
        complete &= listed.is_some();
        found.extend(listed.unwrap_or_default());
    }
    Ok((found, complete))
}

/// Reports that the POSIX queues cannot be listed.
pub fn report_no_queues() {
    let words = "cannot list POSIX queues: mqueue is not mounted, and mounting it requires privilege";
    let mount = "mount -t mqueue none /dev/mqueue";
    let hint = if geteuid().is_root() { mount.into() } else { format!("sudo {mount}") };
    output::report(&Cause::new(Exit::Failed, words).hint(hint).into());
}

/// Removes an object.
///
/// # Errors
/// `EPERM`, `EACCES`: it belongs to another user. `EINVAL`, `EIDRM`, `ENOENT`: it no longer exists.
pub fn remove(object: &Object) -> nix::Result<()> {
    let name = object.name.as_deref().unwrap_or_default();
    match &object.state {
        State::Queue(stat) => msg::Queue::from_id(stat.id).remove(),
        State::Set(stat) => sem::Set::from_id(stat.id).remove(),
        State::Segment(stat) => shm::Segment::from_id(stat.id).remove(),
        State::PosixQueue(_) => mq::unlink(name),
        State::PosixSemaphore(..) => psem::unlink(name),
        // They are not listed, so no filter selects them.
        State::SlotFile(_) => Err(Errno::EOPNOTSUPP),
        State::Memory(_) => pshm::remove(name),
    }
}

/// Reads the object again, if it is still the same one.
///
/// # Errors
/// `EINVAL`, `EIDRM`, `ENOENT`: it no longer exists. `ESTALE`: it was replaced or changed.
pub fn again(object: &Object) -> nix::Result<Object> {
    let now = match (&object.state, object.id()) {
        (State::Segment(stat), _) => State::Segment(shm::Segment::from_id(stat.id).stat()?).into(),
        (_, Some(id)) => by_id(object.kind(), id)?,
        _ => Object::posix(object.kind(), object.name.clone().unwrap_or_default())?,
    };
    if now.is_same(object) { Ok(now) } else { Err(Errno::ESTALE) }
}
