//! Floor 5: slots, locks and barriers, each built on one semaphore set.
//!
//! Each is a layout of one set and a few arrays of operations, which the kernel does completely or not at all.
//! Everything that a process holds is taken with `SEM_UNDO`, so that the kernel releases it after SIGKILL at any
//! instant. A mark, a value that nothing else writes, distinguishes the three.
//!
//! A set is initialised by one array that requires zeros and leaves the set complete. Of several first callers exactly
//! one succeeds, and a crash leaves no set half initialised.

pub mod barrier;
pub mod holding;
pub mod journal;
pub mod lock;
pub mod slots;
pub mod waited;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::args::creating::Creating;
use crate::exit::{Cause, Exit, more_objects};
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::regular::begins_with;
use crate::sys::sysv::sem::{Limits, Op, Set, Stat};
use crate::sys::sysv::{Key, if_removed};
use crate::target::{Form, Target};

/// What a set is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Numbered slots, `sem run`.
    Slots {
        /// Number of slots.
        capacity: u16,
        /// Number of free slots.
        free: u16,
    },
    /// A lock, `sem lock`.
    Lock {
        /// Number of sharers.
        readers: u16,
        /// Whether a process holds it exclusively.
        exclusive: bool,
    },
    /// A barrier, `sem barrier`.
    Barrier {
        /// Number of callers that meet.
        parties: u16,
        /// Number of callers that have arrived.
        arrived: u16,
    },
}

/// Returns the semaphores whose last process is a holder. Of several sharers of a lock that is the last one.
fn held_places(values: &[u16]) -> Vec<u16> {
    match Purpose::of(values) {
        Some(Purpose::Slots { .. }) => slots::numbers(values, true).map(|(_, index)| index).collect(),
        Some(Purpose::Lock { exclusive: true, .. }) => vec![lock::WRITER],
        Some(Purpose::Lock { readers: 1.., .. }) => vec![lock::READERS],
        _ => Vec::new(),
    }
}

/// Takes all slots or the lock before the set is removed, so that no other process can take anything from it.
///
/// # Errors
/// `EAGAIN`: another process has some of it. `EACCES`: the caller may not.
pub fn seize(set: Set, purpose: Purpose) -> Result<(), Errno> {
    match purpose {
        Purpose::Slots { capacity, .. } => slots::seize(set, capacity),
        Purpose::Lock { .. } => lock::seize(set),
        Purpose::Barrier { .. } => Ok(()),
    }
}

impl Purpose {
    /// Returns the purpose encoded in the values of a set; `None` is a plain set.
    pub fn of(values: &[u16]) -> Option<Self> {
        slots::purpose(values).or_else(|| lock::purpose(values)).or_else(|| barrier::purpose(values))
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slots { .. } => "slots",
            Self::Lock { .. } => "lock",
            Self::Barrier { .. } => "barrier",
        }
    }

    /// Returns how many can hold it at once: the slots, 1 for a lock, the parties of a barrier.
    pub const fn capacity(self) -> u16 {
        match self {
            Self::Slots { capacity, .. } => capacity,
            Self::Lock { .. } => 1,
            Self::Barrier { parties, .. } => parties,
        }
    }

    /// Returns how many hold it now.
    pub const fn held(self) -> u16 {
        match self {
            Self::Slots { capacity, free } => capacity.saturating_sub(free),
            Self::Lock { readers, exclusive } => readers + exclusive as u16,
            Self::Barrier { arrived, .. } => arrived,
        }
    }

    /// Returns how much is in use, as in a table: `2/4`, or `3 shared`.
    pub fn used(self) -> String {
        match self {
            Self::Lock { readers: readers @ 1.., .. } => format!("{readers} shared"),
            _ => format!("{}/{}", self.held(), self.capacity()),
        }
    }

    /// Returns it as the predicate of its set: `has 4 slots`, `is a lock`.
    pub fn state(self) -> String {
        match self {
            Self::Slots { capacity, .. } => format!("has {}", slots::Many(capacity)),
            Self::Lock { .. } => "is a lock".into(),
            Self::Barrier { parties, .. } => format!("is a barrier for {parties}"),
        }
    }

    /// Returns how many more could hold it now.
    pub const fn free(self) -> u16 {
        match self {
            Self::Slots { free, .. } => free,
            Self::Lock { .. } => (self.held() == 0) as u16,
            Self::Barrier { parties, arrived } => parties.saturating_sub(arrived),
        }
    }
}

struct Layout {
    least: usize,
    most: usize,
    mark: u16,
    value: i16,
    name: &'static str,
    /// Whether a set with this number of semaphores can get this layout.
    may_be: fn(usize) -> Result<bool, Errno>,
}

impl Layout {
    const fn is_in(&self, values: &[u16]) -> bool {
        self.least <= values.len()
            && values.len() <= self.most
            && values[self.mark as usize].cast_signed() == self.value
    }

    /// Adds the mark and the first `values` to a set of zeros, and leaves any other set alone.
    fn initialise(&self, set: Set, values: &[(u16, i16)]) -> Result<(), Errno> {
        let places = || std::iter::once(self.mark).chain(values.iter().map(|(index, _)| *index));
        let zeros = places().map(|index| Op::new(index, 0).nowait());
        let marked = (self.mark, self.value);
        let adds = values.iter().chain([&marked]).map(|(index, value)| Op::new(*index, *value));
        let array: Vec<Op> = zeros.chain(adds).collect();
        match set.operate(&array, Deadline::Forever) {
            // Another process was first, or it is another object: the caller checks.
            Err(Errno::EAGAIN | Errno::EFBIG) => Ok(()),
            other => other,
        }
    }

    /// Returns the set behind `target` and its values. A missing one is created with `len` semaphores and gets the
    /// first `values`. An uninitialised one with at least `least` semaphores gets them too.
    fn open_or_create(
        &self,
        target: &Target,
        len: usize,
        least: usize,
        creating: Creating,
        values: &[(u16, i16)],
    ) -> Result<(Set, Vec<u16>)> {
        if matches!(target.form(), Form::Id(_)) {
            let set = find(target)?;
            return Ok((set, set.values()?.1));
        }
        let initialise = |set: Set| -> Result<_, Errno> {
            self.initialise(set, values)?;
            Ok((set, set.values()?.1))
        };
        let accept = |set, stat: &Stat, now: Vec<u16>| {
            // Its creator was killed after semget(2), or is about to continue.
            let is_complete = !is_uninitialised(stat, &now) || now.len() < least || !(self.may_be)(now.len())?;
            if is_complete { Ok((set, now)) } else { Ok(initialise(set).map_err(if_removed)?) }
        };
        open_or_create(target, len, creating, accept, initialise)
    }

    /// Whether a set without read permission has this layout. Changes nothing.
    fn is_behind(&self, set: Set) -> bool {
        let is_mark = [Op::new(self.mark, -self.value), Op::new(self.mark, 0)];
        let probe = [&is_mark[..], &[Op::new(self.mark, self.value)]].concat();
        set.operate(&probe, Deadline::Now).is_ok()
    }
}

/// Whether no process has ever operated on a set.
fn is_uninitialised(stat: &Stat, values: &[u16]) -> bool {
    stat.op_time == 0 && values.iter().all(|value| *value == 0)
}

/// Returns the purpose of a set without read permission, if it has one.
pub fn unread_purpose(set: Set) -> Option<&'static str> {
    let layouts = [&slots::LAYOUT, &lock::LAYOUT, &barrier::LAYOUT, &lock::OLD, &barrier::OLD];
    layouts.into_iter().find(|layout| layout.is_behind(set)).map(|layout| layout.name)
}

/// Whether a lock or a barrier with these values has waiters, stopped ones included.
pub fn is_awaited(values: &[u16]) -> bool {
    lock::is_awaited(values) || barrier::is_awaited(values)
}

/// Returns what a process with these operations waits for: the operations, or words for a lock, which takes many.
pub fn awaited(values: &[u16], ops: &[Op]) -> String {
    match Purpose::of(values) {
        Some(Purpose::Lock { .. }) => lock::awaited(ops).into(),
        _ => ops.iter().map(Op::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// Returns the failure that a set with these values is not `wanted`: "build has 4 slots, not a lock".
pub fn is_not(target: &Target, values: &[u16], wanted: &str) -> Cause {
    let olds = [&lock::OLD, &barrier::OLD];
    if olds.into_iter().any(|old| old.is_in(values) && old.name == wanted) {
        let words = format!("{target} is {wanted} created by an older ipcbox");
        return Cause::new(Exit::Exists, words).hint("use another name");
    }
    let it_is = match Purpose::of(values) {
        Some(purpose) => purpose.state(),
        None if values.len() == 1 => "is a plain semaphore".into(),
        None => format!("is a plain set of {} semaphores", values.len()),
    };
    let cause = Cause::new(Exit::Exists, format!("{target} {it_is}, not {wanted}"));
    let quoted = target.quoted();
    match Purpose::of(values) {
        Some(purpose) => cause.hint(instead(purpose, &quoted)),
        // It may be in use.
        None => cause.hint("use another name"),
    }
}

/// Returns the call that uses a set for its purpose.
pub fn instead(purpose: Purpose, quoted: &str) -> String {
    match purpose {
        Purpose::Slots { .. } => format!("use ipcbox sem run {quoted}"),
        Purpose::Lock { .. } => format!("use ipcbox sem lock {quoted}"),
        Purpose::Barrier { parties, .. } => format!("ipcbox sem barrier {quoted} {parties}"),
    }
}

/// Returns the hint that sets the limits of semaphores.
pub fn sysctl(limits: &Limits) -> String {
    let Limits { per_set, in_all, ops, sets, .. } = limits;
    format!("sysctl -w kernel.sem='{per_set} {in_all} {ops} {sets}'")
}

/// Returns the set behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn find(target: &Target) -> Result<Set> {
    target.locate("set", Set::find, Set::from_id)
}

/// Opens or creates the set behind a System V target. `accept` gets an existing set with its values, `initialise` a new
/// one of `len` zeros. If `initialise` fails with `EACCES` or `E2BIG` (more than SEMOPM operations), the new set is
/// removed.
///
/// # Errors
/// Those of both, and of [`create`].
pub fn open_or_create<T>(
    target: &Target,
    len: usize,
    creating: Creating,
    mut accept: impl FnMut(Set, &Stat, Vec<u16>) -> Result<T>,
    mut initialise: impl FnMut(Set) -> Result<T, Errno>,
) -> Result<T> {
    let key = target.key()?;
    let look = || {
        let set = key.map_or_else(|| find(target), |key| Ok(Set::find(key)?))?;
        let (stat, values) = set.values().map_err(if_removed)?;
        Ok(((set, stat, values), stat.perm.owners()))
    };
    let create = || {
        let Some(key) = key else {
            // An id is always that of an existing set.
            find(target)?.stat()?;
            bail!(Errno::EEXIST);
        };
        output::remember(target);
        if let Some(hint) = hint_at_file(target) {
            output::warn(format!("{target} is a name, not the file in this directory"));
            output::hint(hint);
        }
        let set = create(key, len, creating)?;
        initialise(set).map_err(|errno| {
            if matches!(errno, Errno::EACCES | Errno::E2BIG) {
                let _ = set.remove();
            }
            let was_removed = errno == Errno::EINVAL && set.stat().is_err();
            if was_removed { if_removed(errno).into() } else { errno.into() }
        })
    };
    creating.open_or_create(look, |(set, stat, values)| accept(set, &stat, values), create)
}

/// Returns the hint for a name that is also that of a file with slots or a lock in the working directory.
pub fn hint_at_file(target: &Target) -> Option<String> {
    let is_one = matches!(target.form(), Form::Name(_)) && begins_with(target.typed(), b"ipcbox ");
    is_one.then(|| format!("for the file write ./{target}"))
}

/// Creates a set of `len` zeros, without a key if `key` is 0.
///
/// # Errors
/// Those of semget(2); messages name the limits of `/proc/sys/kernel/sem`.
pub fn create(key: Key, len: usize, creating: Creating) -> Result<Set> {
    match Set::create(key, len, creating.bits()) {
        Err(errno @ (Errno::ENOSPC | Errno::EINVAL)) => Err(no_room(errno, len)),
        created => Ok(created?),
    }
}

/// Names the limit of `/proc/sys/kernel/sem` that prevents a new set.
fn no_room(errno: Errno, len: usize) -> anyhow::Error {
    let Ok(limits) = crate::sys::sysv::sem::limits() else {
        return errno.into();
    };
    let in_all = limits.in_all.max(limits.used.saturating_add(len));
    let (words, hint) = if errno == Errno::EINVAL {
        let words = format!("a set can have at most {} semaphores, not {len}", limits.per_set);
        (words, sysctl(&Limits { per_set: len, in_all, ..limits }))
    } else if limits.sets_used >= limits.sets {
        let more = more_objects(limits.sets as u64).and_then(|more| usize::try_from(more).ok());
        let more = more.map(|sets| sysctl(&Limits { in_all, sets, ..limits }));
        let words = format!("the system's limit of {} semaphore sets is reached", limits.sets);
        (words, more.unwrap_or_else(|| "list the sets of all users: ipcs -s".into()))
    } else {
        let words = format!("no room for {len} more semaphores: the system already has {}", limits.used);
        (words, sysctl(&Limits { in_all: in_all.saturating_mul(2), ..limits }))
    };
    Cause::from_errno(errno, words).hint(hint).into()
}
