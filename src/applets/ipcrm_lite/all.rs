//! The objects that `-a` and the filters select, and those they keep.

use anyhow::{Result, bail};

use super::Remove;
use super::remove::{Chosen, ChosenBy, may_remove};
use crate::exit::{Cause, Exit};
use crate::objects::usage::purpose;
use crate::objects::{KINDS, Object, find};
use crate::output;
use crate::semset::Purpose;
use crate::sys::sysv::Kind;
use crate::target::remembered::Remembered;
use crate::text::{counted, quote};

/// The value of `-a`.
pub(super) enum All {
    SystemV(Vec<Kind>),
    /// `pshm`, `pmsg` and `psem` of util-linux 2.41.
    Posix(Kind),
}

impl All {
    pub(super) fn parse(word: &str) -> Result<Self> {
        if word == ANY {
            return Ok(Self::SystemV(KINDS.to_vec()));
        }
        let posix = word.strip_prefix('p');
        let kind = KINDS.into_iter().find(|kind| kind.word() == posix.unwrap_or(word));
        match (kind, posix) {
            (Some(kind), Some(_)) => Ok(Self::Posix(kind)),
            (Some(kind), None) => Ok(Self::SystemV(vec![kind])),
            (None, _) => {
                bail!(
                    Cause::new(Exit::Usage, format!("unknown argument: {word}"))
                        .hint("choose from shm,msg,sem,pshm,pmsg,psem")
                )
            }
        }
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::SystemV(kinds) => kinds.clone(),
            Self::Posix(kind) => vec![*kind],
        }
    }
}

/// The value of `-a` without a word.
pub(super) const ANY: &str = "";

impl Remove {
    /// Returns the objects that the filters select. Reports what is kept for another reason than that it is in use.
    pub(super) fn filtered(&self, all: Option<&All>) -> Result<Vec<Chosen>> {
        let named = &self.victims.kinds;
        let mut kinds = all.map_or(KINDS.to_vec(), All::kinds);
        kinds.retain(|kind| named.is_empty() || named.contains(kind));
        let is_posix = matches!(all, Some(All::Posix(_)));
        let (mut found, complete) = find::all(&kinds, self.posix || is_posix)?;
        if !complete {
            find::report_no_queues();
        }
        found.retain(|object| !is_posix || object.is_posix());
        let (found, unproved) = self.filters.sift(found)?;
        unproved.as_deref().map(report_kept);
        let (ours, found): (Vec<Object>, Vec<Object>) = found.into_iter().partition(|it| purpose(it).is_some());
        if !ours.is_empty() {
            // Without --yes, the caller may still refuse.
            let removes = !self.dry_run && (self.yes || found.is_empty());
            let kept = format!("{} {} alone", if removes { "left" } else { "would leave" }, by_purpose(&ours));
            let cause = Cause::new(Exit::Failed, kept);
            output::report(&match rm_line(&ours) {
                Some(line) => cause.hint(line).into(),
                None => cause.into(),
            });
        }
        // With --owner, each object that the caller may not remove is reported by itself.
        let (found, others): (Vec<Object>, Vec<Object>) =
            found.into_iter().partition(|object| self.filters.owner.is_some() || may_remove(object));
        if !others.is_empty() {
            report_kept(&format!("{} that belong to other users", counted(others.len(), "object")));
        }
        Ok(found.into_iter().map(|object| Chosen { object, by: ChosenBy::Filter }).collect())
    }
}

/// Returns the line that removes the slots and locks, or else the barriers, which `--unused` keeps, if the caller may.
fn rm_line(sets: &[Object]) -> Option<String> {
    let is_barrier = |set: &&Object| matches!(purpose(set), Some(Purpose::Barrier { .. }));
    let (barriers, others): (Vec<&Object>, Vec<&Object>) =
        sets.iter().filter(|set| may_remove(set)).partition(is_barrier);
    let (verb, sets) = if others.is_empty() { ("sem rm", barriers) } else { ("sem rm --unused", others) };
    let names = Remembered::default();
    let word = |set: &Object| match (&set.names(&names)[..], set.id()) {
        ([name], _) => quote(&name.to_string_lossy()),
        (_, id) => id.unwrap_or_default().to_string(),
    };
    match sets.len() {
        0 => None,
        MANY.. if verb.ends_with("--unused") => Some(format!("ipcbox {verb} --yes")),
        _ => Some(format!("ipcbox {verb} {}", sets.into_iter().map(word).collect::<Vec<_>>().join(" "))),
    }
}

/// From this many slots and locks on, the hint is to remove every unused one.
const MANY: usize = 9;

/// Counts semaphore sets by purpose: `2 sets of slots, 1 lock and 1 barrier`.
fn by_purpose(sets: &[Object]) -> String {
    let purposes: Vec<&str> = sets.iter().filter_map(purpose).map(Purpose::name).collect();
    let part = |(name, what, of): (&str, &str, &str)| {
        let count = purposes.iter().filter(|purpose| **purpose == name).count();
        (count > 0).then(|| counted(count, what) + of)
    };
    let parts = [("slots", "set", " of slots"), ("lock", "lock", ""), ("barrier", "barrier", "")].into_iter();
    match parts.filter_map(part).collect::<Vec<_>>().as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        one => one.concat(),
    }
}

/// Reports objects that are not removed.
pub(super) fn report_kept(words: &str) {
    output::warn(format!("kept {words}"));
}
