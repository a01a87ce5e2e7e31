//! Waits for slots or a lock: the message that names the holders, and the failure on timeout.
//!
//! The kernel keeps the last process that operated on each semaphore, so a holder is found without a search of `/proc`.
//! Of the processes that share a lock it knows only the last one to take or release it.

use std::cell::LazyCell;

use anyhow::Result;
use nix::errno::Errno;

use super::{Purpose, held_places, holding};
use crate::args::timeout::Timeout;
use crate::exit::Cause;
use crate::output::in_use::{Wanted, listed, locked, named, no_slot, with_command};
use crate::output::notice::{Due, Notice};
use crate::sys::deadline::Deadline;
use crate::sys::holder::seen::among;
use crate::sys::process::{self, procfs};
use crate::sys::sysv::sem::Set;
use crate::target::Target;

/// Takes `wanted` from `set` by `attempt`, and names the holders if that has to wait.
///
/// # Errors
/// Those of `attempt`; `EAGAIN` becomes [`missed`].
pub fn take<T>(
    target: &Target,
    set: Set,
    wanted: Wanted,
    timeout: &Timeout,
    attempt: impl Fn(Deadline) -> Result<T, Errno>,
) -> Result<T> {
    let deadline = timeout.deadline();
    let mut notice = notice(target, set, wanted, timeout);
    let taken = holding::take(set, deadline, || notice.begin(deadline), attempt);
    taken.map_err(|errno| match errno {
        Errno::EAGAIN => missed(set, wanted, timeout).into(),
        errno => errno.into(),
    })
}

/// Returns the message about a wait for `wanted`.
pub fn notice(target: &Target, set: Set, wanted: Wanted, timeout: &Timeout) -> Notice {
    Notice::new(target, timeout, move |due| {
        let (_, values) = set.values().ok()?;
        match due {
            Due::AtOnce => {
                let (pid, relation) = ancestor(set, &values, wanted)?;
                Some(format!("held by {}, which {relation}", named(pid)))
            }
            Due::Later => held_by(set, &values, named).map(|holders| format!("held by {holders}")),
        }
    })
}

/// Returns the failure to get `wanted` in time. The holders are looked up only for a message that is printed.
pub fn missed(set: Set, wanted: Wanted, timeout: &Timeout) -> Cause {
    if timeout.is_silent() {
        return timeout.expired("");
    }
    let values = set.values().map(|(_, values)| values).unwrap_or_default();
    let cause = timeout.expired(match wanted {
        Wanted::Slots(units) => slots_in_use(set, &values, units, timeout),
        Wanted::Lock { shared } => still_locked(set, &values, shared, timeout),
    });
    // Otherwise the waiting message has named it.
    let is_unnamed = timeout.is_quiet() || timeout.deadline() == Deadline::Now;
    match is_unnamed.then(|| ancestor(set, &values, wanted)).flatten() {
        Some((pid, relation)) => cause.note(&format!("{pid} {relation}")),
        None => cause,
    }
}

/// Why no slot could be taken.
fn slots_in_use(set: Set, values: &[u16], units: u16, timeout: &Timeout) -> String {
    match Purpose::of(values) {
        Some(Purpose::Slots { capacity, free }) => no_slot(capacity, free, units, held_by(set, values, named), timeout),
        _ => format!("no slot is free{}", timeout.after()),
    }
}

/// Why the lock could not be taken.
fn still_locked(set: Set, values: &[u16], shared: bool, timeout: &Timeout) -> String {
    let is_shared = matches!(Purpose::of(values), Some(Purpose::Lock { readers: 1.., exclusive: false }));
    locked(held_by(set, values, with_command), shared && is_shared, timeout)
}

/// The holders in words; `None` if none is known.
fn held_by(set: Set, values: &[u16], name: fn(i32) -> String) -> Option<String> {
    let pids = holders(set, values);
    let Some(Purpose::Lock { readers: readers @ 1.., exclusive: false }) = Purpose::of(values) else {
        return listed(&pids, name);
    };
    // The last one can have released and exited since.
    let last = pids.last().filter(|pid| process::open(**pid).is_ok());
    Some(match (last, readers - u16::from(last.is_some())) {
        (None, 1) => "one holder".into(),
        (None, readers) => format!("{readers} holders"),
        (Some(pid), 0) => name(*pid),
        (Some(pid), 1) => format!("{} and one other holder", name(*pid)),
        (Some(pid), others) => format!("{} and {others} other holders", name(*pid)),
    })
}

/// Returns the processes that have slots or the lock, in the order of their slots, as far as the kernel knows them.
fn holders(set: Set, values: &[u16]) -> Vec<i32> {
    let mut found = Vec::new();
    for pid in held_places(values).into_iter().filter_map(|index| set.last_pid(index).ok()) {
        // 0 is a process of another PID namespace.
        if pid > 0 && !found.contains(&pid) {
            found.push(pid);
        }
    }
    found
}

/// Returns an ancestor of this process that holds so much that `wanted` can never come free, and what it is to it.
fn ancestor(set: Set, values: &[u16], wanted: Wanted) -> Option<(i32, String)> {
    let units = if let Wanted::Slots(units) = wanted { units } else { 1 };
    // What is free, or can come free.
    let mut enough = match Purpose::of(values)? {
        Purpose::Slots { free, .. } => free,
        _ => 0,
    };
    let ancestors: LazyCell<Vec<i32>> = LazyCell::new(procfs::ancestors);
    let mut found = None;
    let mut places = held_places(values).into_iter();
    while enough < units {
        let Some(place) = places.next() else { return found };
        let Some(pid) = set.last_pid(place).ok().filter(|pid| *pid > 0) else { continue };
        match relation(pid, set, &ancestors) {
            Some(relation) => found = Some((pid, relation)),
            None => enough += 1,
        }
    }
    None
}

/// Returns what a holder is to this process, if it is an ancestor of it or serves one.
fn relation(pid: i32, set: Set, ancestors: &LazyCell<Vec<i32>>) -> Option<String> {
    if pid == std::process::id().cast_signed() {
        return Some("is this process, in an outer call of ipcbox".into());
    }
    if ancestors.contains(&pid) {
        return Some("is an ancestor of this process".into());
    }
    let holder = among(vec![pid], set.id()).pop()?;
    let served = ancestors.iter().find(|ancestor| holder.serves(**ancestor))?;
    Some(format!("is the holder process of {}, an ancestor of this process", named(*served)))
}
