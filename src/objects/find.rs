//! The objects that a user named.

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{KINDS, Object, Posix, system_v};
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::sysv::{Key, Kind, kinds_of, msg, sem, shm};
use crate::target::{Form, Target};

/// The objects of these kinds that `target` names: an id, a key and a name can be those of one of each kind.
///
/// # Errors
/// `ENOENT`: there is none.
pub fn named(target: &Target, kinds: &[Kind]) -> Result<Vec<Object>> {
    let key = target.key()?;
    let look = |kind: &Kind| match (target.form(), key) {
        (Form::Posix, _) => Posix::look(*kind, target.typed()).map(Object::from),
        (Form::Id(id), _) => by_id(*kind, *id),
        (_, Some(key)) => by_key(*kind, key),
        _ => Err(Errno::EINVAL),
    };
    if *target.form() == Form::Private {
        bail!(Cause::new(Exit::Usage, "a private object is found by its id"));
    }
    let wanted = KINDS.iter().filter(|kind| kinds.contains(kind));
    let (mut found, mut failed) = (Vec::new(), None);
    for kind in wanted {
        match look(kind) {
            Ok(object) => found.push(object),
            // There is none of this kind.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM) => {}
            Err(errno) => failed = failed.or(Some(errno)),
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

/// The System V object of a kind that has this id.
///
/// # Errors
/// `EINVAL`: there is none.
pub fn by_id(kind: Kind, id: i32) -> nix::Result<Object> {
    match kind {
        Kind::Msg => msg::Queue::from_id(id).stat().map(Object::Queue),
        Kind::Sem => sem::Set::from_id(id).stat().map(Object::Set),
        Kind::Shm => shm::Segment::from_id(id).measured().map(Object::Segment),
    }
    .and_then(|object| match object.id() {
        Some(found) if found == id => Ok(object),
        _ => Err(Errno::EINVAL),
    })
}

/// The System V object of a kind that is behind this key.
///
/// # Errors
/// `ENOENT`: there is none.
pub fn by_key(kind: Kind, key: Key) -> nix::Result<Object> {
    by_id(kind, id_of(kind, key)?)
}

/// The id of the System V object of a kind that is behind this key.
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

/// Every object of these kinds, in the order of listing.
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
    let words = "cannot list POSIX queues: their file system is not mounted, and mounting it needs privilege";
    output::report(&Cause::new(Exit::Failed, words).hint("mount -t mqueue none /dev/mqueue").into());
}

/// Removes an object.
///
/// # Errors
/// `EPERM`, `EACCES`: it is somebody else's. `EINVAL`, `EIDRM`, `ENOENT`: it is gone.
pub fn remove(object: &Object) -> nix::Result<()> {
    use crate::sys::posix::{mq, sem as psem, shm as pshm};
    match object {
        Object::Queue(stat) => msg::Queue::from_id(stat.id).remove(),
        Object::Set(stat) => sem::Set::from_id(stat.id).remove(),
        Object::Segment(stat) => shm::Segment::from_id(stat.id).remove(),
        Object::Posix(posix) => match posix.kind {
            Kind::Msg => mq::unlink(&posix.name),
            Kind::Sem => psem::unlink(&posix.name),
            Kind::Shm => pshm::remove(&posix.name),
        },
    }
}

/// The object as it is now, where it is still the same one.
///
/// # Errors
/// `EINVAL`, `EIDRM`, `ENOENT`: it is gone. `ESTALE`: another one has taken its place, or it was changed.
pub fn again(object: &Object) -> nix::Result<Object> {
    let now = match object {
        Object::Posix(posix) => Posix::look(posix.kind, &posix.name).map(Object::from)?,
        Object::Segment(stat) => shm::Segment::from_id(stat.id).stat().map(Object::Segment)?,
        _ => by_id(object.kind(), object.id().unwrap_or_default())?,
    };
    if now.is_same(object) { Ok(now) } else { Err(Errno::ESTALE) }
}
