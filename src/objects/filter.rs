//! The filters that `ipcs-lite` and `ipcrm-lite` share.

use std::ffi::CString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use nix::unistd::geteuid;

use super::Object;
use super::usage::{Evidence, Use};
use crate::args::{duration, owner};
use crate::sys::glob;
use crate::target::remembered::Remembered;
use crate::target::{Form, Target};
use crate::text::counted;

/// Filters, all of which an object must match.
#[derive(Debug, Clone, Args)]
pub struct Filters {
    /// Select objects that USER owns
    #[arg(long, value_name = "USER", value_parser = user)]
    pub owner: Option<u32>,
    /// Select objects that the caller owns
    #[arg(long, conflicts_with = "owner")]
    pub mine: bool,
    /// Select objects whose name matches GLOB
    ///
    /// In GLOB, `*` matches any characters, ? matches one character, and [a-z] matches one letter from a to z. A POSIX
    /// name starts with a slash.
    #[arg(long, value_name = "GLOB", value_parser = pattern)]
    pub name: Option<CString>,
    /// Select objects not used or changed for DURATION
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older_than: Option<Duration>,
    /// Skip TARGET, even if it is also an argument
    #[arg(long, value_name = "TARGET")]
    pub keep: Vec<Target>,
    /// Select objects that no process uses now
    ///
    /// An unused object is not attached, open, held or waited on.
    #[arg(long)]
    pub unused: bool,
    /// Select objects whose processes have all exited
    ///
    /// Only unattached segments and empty queues can match; see NOTES in ipcbox-ipcs-lite(1).
    #[arg(long)]
    pub orphaned: bool,
}

fn user(text: &str) -> Result<u32, String> {
    if text.is_empty() || text.contains(':') {
        return Err("expected a user name or number, without a group".into());
    }
    Ok(owner::parse(text)?.uid)
}

fn pattern(text: &str) -> Result<CString, String> {
    if glob::is_open(text) {
        return Err("expected ']' after '['".into());
    }
    let pattern = CString::new(text).ok().filter(|pattern| !pattern.is_empty());
    pattern.ok_or_else(|| "expected a pattern, such as 'ci-*'".into())
}

impl Filters {
    /// Whether any was given.
    pub const fn any(&self) -> bool {
        self.choose() || !self.keep.is_empty()
    }

    /// Whether one of them selects objects; `--keep` alone does not.
    pub const fn choose(&self) -> bool {
        self.owner.is_some() || self.mine || self.name.is_some() || self.older_than.is_some() || self.need_proof()
    }

    /// Whether only POSIX objects can match: their names start with a slash.
    pub fn is_posix(&self) -> bool {
        self.name.as_ref().is_some_and(|pattern| pattern.as_bytes().starts_with(b"/"))
    }

    const fn need_proof(&self) -> bool {
        self.unused || self.orphaned
    }

    /// Returns the objects that match.
    ///
    /// # Errors
    /// The path of a `--keep ftok:PATH` does not exist.
    pub fn apply(&self, objects: Vec<Object>) -> Result<Vec<Object>> {
        Ok(self.sift(objects)?.0)
    }

    /// Like `apply`, and returns how many objects were left out for lack of proof, and why, as text for the user.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    pub fn sift(&self, mut objects: Vec<Object>) -> Result<(Vec<Object>, Option<String>)> {
        let kept = self.keep.iter().map(|target| {
            let key = target.key().with_context(|| format!("cannot keep {target}"));
            key.map(|key| (target, key))
        });
        let kept: Vec<_> = kept.collect::<Result<_>>()?;
        let is_kept = |object: &Object| {
            kept.iter().any(|(target, key)| match target.form() {
                Form::Id(id) => object.id() == Some(*id),
                Form::Posix => object.is_posix() && object.name.as_deref() == Some(target.typed()),
                _ => key.is_some() && object.perm().map(|perm| perm.key) == *key,
            })
        };
        let owner = if self.mine { Some(geteuid().as_raw()) } else { self.owner };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let is_old = |object: &Object| {
            let Some(age) = self.older_than else { return true };
            let last = u64::try_from(object.last_time()).unwrap_or(0);
            last > 0 && now.saturating_sub(last) >= age.as_secs().max(u64::from(age.subsec_nanos() > 0))
        };
        let names = Remembered::default();
        let is_named = |object: &Object| {
            let has = |pattern: &CString| object.names(&names).iter().any(|name| glob::matches(pattern, name));
            self.name.as_ref().is_none_or(has)
        };
        objects.retain(|object| {
            let is_owned = owner.is_none_or(|uid| object.owned().is_some_and(|(owner, _, _)| owner == uid));
            is_owned && is_old(object) && is_named(object) && !is_kept(object)
        });
        if !self.need_proof() || objects.is_empty() {
            return Ok((objects, None));
        }
        let usage = Evidence::gather(&objects);
        let mut unproved = 0;
        objects.retain(|object| {
            let use_of = self.unused.then(|| usage.of(object));
            let orphaned = if self.orphaned { usage.is_orphaned(object) } else { Some(true) };
            if orphaned == Some(false) || matches!(use_of, Some(Use::By(_))) {
                return false;
            }
            let is_proved = orphaned.is_some() && use_of != Some(Use::Unknown);
            unproved += usize::from(!is_proved);
            is_proved
        });
        Ok((objects, (unproved > 0).then(|| format!("{}: {}", counted(unproved, "object"), usage.blind_spot()))))
    }
}
