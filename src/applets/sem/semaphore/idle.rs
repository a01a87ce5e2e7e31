//! Removal of slots and locks that no process uses, and `sem rm --unused`.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::applets::sem::context;
use crate::args::creating::Creating;
use crate::args::duration;
use crate::exit::{Exit, each};
use crate::fileset::SlotFile;
use crate::objects::remove::{Removing, confirm, refused};
use crate::objects::users::{count, file_holders, holders, list, set_waiters};
use crate::objects::{Object, State};
use crate::output;
use crate::semset::{self, Purpose, holding};
use crate::sys::process;
use crate::sys::sysv::sem::{self, Set};
use crate::target::remembered::Remembered;
use crate::target::{Form, Target};
use crate::text::counted;

#[derive(Args)]
pub struct Idle {
    /// Remove only slots and locks that no process uses
    #[arg(long, conflicts_with = "force")]
    unused: bool,
    /// Remove only objects unused for DURATION or longer
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "unused")]
    older_than: Option<Duration>,
    /// Do not ask for confirmation
    #[arg(long, requires = "unused")]
    yes: bool,
}

enum Idleness {
    Unused(Purpose),
    Kept(String),
    Other(String),
}

impl Idle {
    pub const fn is_wanted(&self) -> bool {
        self.unused
    }

    pub fn remove(&self, removing: &Removing) -> Result<Exit> {
        if removing.is_empty() { self.all() } else { removing.each(|it| self.one(it), context) }
    }

    fn one(&self, target: &Target) -> Result<()> {
        if *target.form() == Form::Posix {
            keep(target, "the kernel does not record which processes use a POSIX semaphore");
            return Ok(());
        }
        if let Some(path) = target.file() {
            let why = match self.older_than {
                Some(_) => Some("the kernel does not record when slots in a file were last used".into()),
                None => remove_idle_file(path)?,
            };
            if let Some(why) = why {
                keep(target, &why);
            }
            return Ok(());
        }
        let set = semset::find(target)?;
        match self.judge(set)? {
            Idleness::Unused(purpose) => remove_idle(set, Some(purpose)),
            Idleness::Kept(why) | Idleness::Other(why) => {
                keep(target, &why);
                Ok(())
            }
        }
    }

    fn all(&self) -> Result<Exit> {
        let why = "cannot list semaphore sets";
        let user = geteuid().as_raw();
        let remembered = Remembered::default();
        let mut unused = Vec::new();
        for stat in sem::all().context(why)? {
            let stat = stat.context(why)?;
            if stat.perm.uid != user {
                continue;
            }
            let set = Set::from_id(stat.id);
            let object = Object::from(State::Set(stat));
            let named = object.known_name(&remembered).map(|name| name.display().to_string());
            let named = named.unwrap_or_else(|| format!("{} (key 0x{:08x})", stat.id, stat.perm.key));
            match self.judge(set) {
                Ok(Idleness::Unused(purpose)) => unused.push((set, purpose, named, object.titled(&remembered))),
                Ok(Idleness::Kept(why)) => keep(&named, &why),
                Ok(Idleness::Other(_)) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot remove {named}")),
            }
        }
        if !self.yes && !unused.is_empty() {
            let titles: Vec<String> = unused.iter().map(|(.., title)| title.clone()).collect();
            confirm(&titles, "list the semaphores: ipcbox sem stat")?;
        }
        each(unused, |(set, purpose, named, _)| match remove_idle(set, Some(purpose)) {
            Err(error) if !is_gone(&error) => Err(error).with_context(|| format!("cannot remove {named}")),
            _ => Ok(()),
        })
    }

    fn judge(&self, set: Set) -> Result<Idleness> {
        let (stat, values) = match set.values() {
            Err(Errno::EACCES) => {
                return Ok(Idleness::Kept("no permission to read the semaphore".into()));
            }
            values => values?,
        };
        let purpose = match Purpose::of(&values) {
            Some(purpose @ (Purpose::Slots { .. } | Purpose::Lock { .. })) => purpose,
            Some(other) => return Ok(Idleness::Other(format!("it {}", other.state()))),
            None => {
                return Ok(Idleness::Other(
                    "the kernel does not record which processes use a plain set of semaphores".into(),
                ));
            }
        };
        if let Some(words) = in_use(set, &values)? {
            return Ok(Idleness::Kept(words));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let age = Duration::from_secs(now.saturating_sub(stat.op_time.max(0).unsigned_abs()));
        if self.older_than.is_some_and(|least| age < least) {
            return Ok(Idleness::Kept(format!("last used {} ago", duration::show(age))));
        }
        Ok(Idleness::Unused(purpose))
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Errno::EINVAL | Errno::EIDRM))
}

fn keep(what: impl Display, why: &str) {
    output::warn(format!("kept {what}: {why}"));
}

/// Returns the holders of a set, or its waiters, in words.
pub fn in_use(set: Set, values: &[u16]) -> Result<Option<String>, Errno> {
    let mut held = holders(set, values)?;
    if !held.is_empty() {
        // A holder whose process has exited counts as free.
        holding::kill_stale(set);
        held = holders(set, &set.values()?.1)?;
    }
    if let Some(users) = list(&held) {
        return Ok(Some(format!("held by {users}")));
    }
    if !semset::is_awaited(values) && count(set, values.len())? == 0 {
        return Ok(None);
    }
    let waiters = set_waiters(set, values, &process::blocked().unwrap_or_default())?;
    Ok(list(&waiters).map(|users| format!("waited on by {users}")))
}

/// Removes a file that no process uses, or returns which processes use it. Everything in it is taken first.
pub fn remove_idle_file(path: &Path) -> Result<Option<String>> {
    let any = Creating { mode: None, foreign: Some(true), exclusive: false };
    if SlotFile::remove_empty(path, false)? {
        return Ok(None);
    }
    let file = SlotFile::open(path, None, any)?;
    file.kill_stale();
    match file.remove(false) {
        Err(Errno::EAGAIN) => {
            let held = list(&file_holders(&file));
            let waits = file.waiters().filter(|count| *count > 0);
            let waits = || waits.map(|count| format!("waited on by {}", counted(count as usize, "process")));
            let held = held.map(|users| format!("held by {users}")).or_else(waits);
            Ok(Some(held.unwrap_or_else(|| "just taken by another process".into())))
        }
        removed => Ok(removed.map(|()| None)?),
    }
}

/// Removes a set that no process holds. Slots and a lock are taken completely first. Otherwise a caller could take one
/// at this moment, and hold it beside the holders of a set that is created again.
pub fn remove_idle(set: Set, purpose: Option<Purpose>) -> Result<()> {
    match purpose.map_or(Ok(()), |purpose| semset::seize(set, purpose)) {
        Err(Errno::EAGAIN) => {
            bail!(refused("another process has just taken the slot or lock"))
        }
        // Its owner may remove it without permission to change it.
        Ok(()) | Err(Errno::EACCES) => Ok(set.remove()?),
        Err(errno) => Err(errno.into()),
    }
}
