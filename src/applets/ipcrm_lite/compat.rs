//! Removal as by util-linux's `ipcrm`, with its messages.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::remove::may_remove;
use crate::exit::{Cause, Exit, each};
use crate::objects::{Object, find};
use crate::output;
use crate::sys::sysv::{Key, Kind, is_hidden, msg, remove_all, sem, shm};

/// The value of an option.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    Id(i32),
    /// A key as typed, and its value; `None` if it is out of range.
    Key(&'a str, Option<Key>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Id,
    Key,
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Key => "key",
        }
    }
}

/// How objects are removed.
pub struct Original {
    /// Print each object first.
    pub verbose: bool,
    pub missing_ok: bool,
    /// The objects found, if nothing is removed yet.
    pub found: Option<Vec<Object>>,
    pub has_removed: bool,
}

/// Parses an id of an option or of the old form.
pub fn id(text: &str, is_old_form: bool) -> Result<Named<'_>> {
    match number(text, 10).and_then(|id| i32::try_from(id).ok()) {
        Some(id) => Ok(Named::Id(id)),
        None if is_old_form => bail!(Cause::new(Exit::Usage, format!("invalid id: {text}"))),
        None => bail!(unread(text)),
    }
}

/// Parses a key: decimal, octal after a 0, hexadecimal after 0x.
pub fn key(text: &str) -> Result<Named<'_>> {
    let Some(key) = number(text, 0) else { bail!(unread(text)) };
    if key == 0 {
        bail!(Cause::new(Exit::Usage, format!("illegal key ({text})")));
    }
    // A key has 32 bits, signed or unsigned.
    let signed = i32::try_from(key).ok();
    Ok(Named::Key(text, signed.or_else(|| u32::try_from(key).ok().map(u32::cast_signed))))
}

impl Original {
    pub fn remove(&mut self, kind: Kind, named: Named) -> Result<()> {
        let (text, key) = match named {
            Named::Id(id) => return self.remove_id(kind, id, By::Id),
            Named::Key(text, key) => (text, key),
        };
        match key.ok_or(Errno::ENOENT).and_then(|key| find::id_of(kind, key)) {
            Ok(id) => self.remove_id(kind, id, By::Key),
            Err(Errno::ENOENT | Errno::EIDRM) if self.missing_ok => Ok(()),
            Err(errno @ Errno::EACCES) => {
                bail!(Cause::new(errno.into(), format!("permission denied for key ({text})")))
            }
            Err(Errno::ENOENT | Errno::EIDRM | Errno::EINVAL) => {
                bail!(Cause::new(Exit::Missing, format!("invalid key ({text})")))
            }
            Err(errno) => Err(errno).with_context(|| format!("cannot remove key {text}")),
        }
    }

    /// `-a`: removes every object of these kinds except, as util-linux does, those that the caller may neither remove
    /// nor read. An object that another process removes first counts as removed.
    pub fn all(&mut self, kinds: &[Kind]) -> Result<Exit> {
        if let Some(found) = &mut self.found {
            let is_hidden =
                |object: &Object| object.id().is_some_and(|id| is_hidden(object.kind(), id)) && !may_remove(object);
            found.extend(find::all(kinds, false)?.0.into_iter().filter(|it| !is_hidden(it)));
            return Ok(Exit::Done);
        }
        let wanted = [Kind::Shm, Kind::Sem, Kind::Msg].into_iter();
        let wanted = wanted.filter(|kind| kinds.contains(kind));
        let removals = wanted.map(|kind| remove_all(kind).map(|all| all.map(move |one| (kind, one))));
        let removals = removals.collect::<nix::Result<Vec<_>>>()?;
        each(removals.into_iter().flatten(), |(kind, (id, removed))| {
            self.announce(kind, id)?;
            explain(removed, id, By::Id, true)
        })
    }

    fn announce(&self, kind: Kind, id: i32) -> Result<()> {
        if !self.verbose {
            return Ok(());
        }
        output::print(format!("removing {} id `{id}'\n", name(kind)).as_bytes())
    }

    fn remove_id(&mut self, kind: Kind, id: i32, by: By) -> Result<()> {
        let removed = if let Some(found) = &mut self.found {
            find::by_id(kind, id).map(|object| found.push(object))
        } else {
            self.announce(kind, id)?;
            match kind {
                Kind::Msg => msg::Queue::from_id(id).remove(),
                Kind::Sem => sem::Set::from_id(id).remove(),
                Kind::Shm => shm::Segment::from_id(id).remove(),
            }
        };
        self.has_removed |= removed.is_ok();
        explain(removed, id, by, self.missing_ok)
    }
}

fn unread(text: &str) -> Cause {
    let is_number = text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if is_number { ": Numerical result out of range" } else { "" };
    Cause::new(Exit::Usage, format!("failed to parse argument: '{text}'{why}"))
}

fn explain(removed: nix::Result<()>, id: i32, by: By, missing_ok: bool) -> Result<()> {
    let by = by.word();
    match removed {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::EIDRM) if missing_ok => Ok(()),
        Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
            bail!(Cause::new(errno.into(), format!("permission denied for {by} ({id})")))
        }
        Err(Errno::EINVAL) => bail!(Cause::new(Exit::Missing, format!("invalid {by} ({id})"))),
        Err(Errno::EIDRM) => {
            bail!(Cause::new(Exit::Missing, format!("already removed {by} ({id})")))
        }
        Err(errno) => Err(errno).with_context(|| format!("cannot remove {by} {id}")),
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sem => "semaphore",
        kind => kind.name(),
    }
}

/// Parses a whole number as strtol(3) does; for base 0, the prefix decides.
fn number(text: &str, base: u32) -> Option<i64> {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = || digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (base, digits) = match (base, hexadecimal()) {
        (0, Some(digits)) => (16, digits),
        (0, None) if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        (0, None) => (10, digits),
        (base, _) => (base, digits),
    };
    let is_number = digits.starts_with(|c: char| c.is_digit(base));
    let number = is_number.then(|| i64::from_str_radix(digits, base).ok())??;
    Some(sign * number)
}

#[cfg(test)]
#[path = "../../../tests/units/applets/ipcrm_lite/compat.rs"]
mod tests;
