//! Who has what is waited for, in the words of a waiting message.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use anyhow::Result;
use nix::errno::Errno;

use super::{Purpose, held_places, holding};
use crate::args::timeout::Timeout;
use crate::output::notice::{Due, Notice};
use crate::sys::deadline::Deadline;
use crate::sys::holder::seen::among;
use crate::sys::process::procfs;
use crate::sys::sysv::sem::Set;
use crate::target::Target;

/// How many holders are named.
const NAMED: usize = 8;

/// Takes something of `set`, `units` slots or a lock, by `attempt`, and reports who has it if that lasts.
///
/// # Errors
/// Those of `attempt`; `EAGAIN` means that `what` did not happen in time.
pub fn take<T>(
    target: &Target,
    set: Set,
    units: u16,
    timeout: &Timeout,
    what: &str,
    attempt: impl Fn(Deadline) -> Result<T, Errno>,
) -> Result<T> {
    let deadline = timeout.deadline();
    let mut notice = notice(target, set, units, timeout);
    let begun = &mut notice;
    let taken = holding::take(
        set,
        deadline,
        move || if deadline == Deadline::Now { None } else { begun.begin(deadline) },
        attempt,
    );
    taken.map_err(|errno| match errno {
        Errno::EAGAIN => notice.missed(what, timeout).into(),
        errno => errno.into(),
    })
}

/// The message about a wait for a lock, or for `units` slots.
pub fn notice(target: &Target, set: Set, units: u16, timeout: &Timeout) -> Notice {
    Notice::new(target, timeout, move |due| {
        let (_, values) = set.values().ok()?;
        let purpose = Purpose::of(&values)?;
        match due {
            Due::AtOnce => ancestor(set, &values, purpose, units),
            Due::Later => held(set, &values),
        }
    })
}

/// The processes that have slots, or the lock, each with how many it has, as far as the kernel tells: of those that share a lock
/// the last one.
fn holders(set: Set, values: &[u16]) -> impl Iterator<Item = i32> {
    // 0 is a process of another pid namespace.
    held_places(values).into_iter().filter_map(move |index| set.last_pid(index).ok()).filter(|pid| *pid > 0)
}

fn held(set: Set, values: &[u16]) -> Option<String> {
    let mut counts = BTreeMap::new();
    for pid in holders(set, values) {
        *counts.entry(pid).or_insert(0) += 1;
    }
    let named = counts.keys().take(NAMED).map(|pid| named(*pid)).collect::<Vec<_>>().join(", ");
    let more = counts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("held by {named}{more}"))
}

/// A process and the name of its program: `812 (cc)`.
fn named(pid: i32) -> String {
    procfs::stat(pid).map_or_else(|_| pid.to_string(), |stat| format!("{pid} ({})", stat.name))
}

/// That ancestors of this process have so much that `units` never come free while they wait for it.
fn ancestor(set: Set, values: &[u16], purpose: Purpose, units: u16) -> Option<String> {
    // What is free, or can come free.
    let mut enough = match purpose {
        Purpose::Slots { free, .. } => free,
        _ => 0,
    };
    let ancestors: LazyCell<Vec<i32>> = LazyCell::new(procfs::ancestors);
    let mut found = None;
    let mut holders = holders(set, values);
    while enough < units {
        let Some(pid) = holders.next() else { return found };
        match relation(pid, set, &ancestors) {
            Some(relation) => found = Some(format!("held by {}{relation}", named(pid))),
            None => enough += 1,
        }
    }
    None
}

/// What a holder is to this process, if it is an ancestor of it or serves one.
fn relation(pid: i32, set: Set, ancestors: &LazyCell<Vec<i32>>) -> Option<String> {
    if pid == std::process::id().cast_signed() {
        return Some(", an ancestor call that became this process".into());
    }
    if ancestors.contains(&pid) {
        return Some(", an ancestor of this process".into());
    }
    let holder = among(vec![pid], set.id()).pop()?;
    let served = ancestors.iter().find(|ancestor| holder.serves(**ancestor))?;
    Some(format!(" for {}, an ancestor of this process", named(*served)))
}
