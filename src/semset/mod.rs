//! Floor 5: what a semaphore set can be besides semaphores: slots, a lock, a barrier.
//!
//! Each is a layout of one set and a few arrays of operations, every one of which the kernel does whole or not at all.
//! Whatever belongs to a process is done with `SEM_UNDO`, so that SIGKILL at any instant gives it back. A mark,
//! a value that nothing else writes, says which of the three a set is.
//!
//! A set is born in one array that only finds zeros and leaves it complete: of any number of first
//! callers one succeeds, and there is no instant at which a crash leaves it half-made.

pub mod barrier;
pub mod holding;
pub mod journal;
pub mod lock;
pub mod slots;
pub mod waited;

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::args::creating::Creating;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set, Stat};
use crate::sys::sysv::{Key, if_removed};
use crate::target::{Form, Target};

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Numbered slots, `sem run`.
    Slots {
        /// How many there are.
        capacity: u16,
        /// How many can be taken now.
        free: u16,
    },
    /// A lock, `sem lock`.
    Lock {
        /// How many hold it shared.
        readers: u16,
        /// Whether one holds it exclusively.
        exclusive: bool,
    },
    /// A barrier, `sem barrier`.
    Barrier {
        /// How many parties it is for.
        parties: u16,
        /// How many have come and wait.
        arrived: u16,
    },
}

/// The semaphores by whose last process a holder is known: of those that share a lock the last one.
fn held_places(values: &[u16]) -> Vec<u16> {
    match Purpose::of(values) {
        Some(Purpose::Slots { .. }) => slots::numbers(values, true).map(|(_, index)| index).collect(),
        Some(Purpose::Lock { exclusive: true, .. }) => vec![lock::WRITER],
        Some(Purpose::Lock { readers: 1.., .. }) => vec![lock::READERS],
        _ => Vec::new(),
    }
}

/// Takes all of slots or a lock at once, before they are removed: no other process can take anything of them any more.
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
    /// Tells by the values of a set what it is for; `None` is a plain set.
    pub fn of(values: &[u16]) -> Option<Self> {
        slots::purpose(values).or_else(|| lock::purpose(values)).or_else(|| barrier::purpose(values))
    }

    /// The kind in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slots { .. } => "slots",
            Self::Lock { .. } => "lock",
            Self::Barrier { .. } => "barrier",
        }
    }

    /// How many can have it at once: the slots, one for a lock, the parties of a barrier.
    pub const fn capacity(self) -> u16 {
        match self {
            Self::Slots { capacity, .. } => capacity,
            Self::Lock { .. } => 1,
            Self::Barrier { parties, .. } => parties,
        }
    }

    /// How many have it now.
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

    /// How many more could have it now.
    pub const fn free(self) -> u16 {
        match self {
            Self::Slots { free, .. } => free,
            Self::Lock { .. } => (self.held() == 0) as u16,
            Self::Barrier { parties, arrived } => parties.saturating_sub(arrived),
        }
    }
}

/// As in "build is 4 slots, not a lock".
impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Slots { capacity, .. } => slots::Many(*capacity).fmt(f),
            Self::Lock { .. } => f.write_str("a lock"),
            Self::Barrier { parties, .. } => write!(f, "a barrier for {parties}"),
        }
    }
}

/// A layout of a set.
struct Layout {
    /// How many semaphores it has at least.
    least: usize,
    /// How many it has at most.
    most: usize,
    /// The index of its mark.
    mark: u16,
    /// The value of its mark.
    value: i16,
    /// Its name, as in "build is 4 slots, not a lock".
    name: &'static str,
    /// Whether one may be made with so many semaphores.
    may_be: fn(usize) -> Result<bool, Errno>,
}

impl Layout {
    const fn is_in(&self, values: &[u16]) -> bool {
        self.least <= values.len()
            && values.len() <= self.most
            && values[self.mark as usize].cast_signed() == self.value
    }

    /// Adds the mark and the first `values` to a set of zeros; does nothing to any other one.
    fn initialise(&self, set: Set, values: &[(u16, i16)]) -> Result<(), Errno> {
        let places = || std::iter::once(self.mark).chain(values.iter().map(|(index, _)| *index));
        let zeros = places().map(|index| Op::new(index, 0).nowait());
        let marked = (self.mark, self.value);
        let adds = values.iter().chain([&marked]).map(|(index, value)| Op::new(*index, *value));
        let array: Vec<Op> = zeros.chain(adds).collect();
        match set.operate(&array, Deadline::Forever) {
            // Somebody else was first, or it is something else; the caller looks.
            Err(Errno::EAGAIN | Errno::EFBIG) => Ok(()),
            other => other,
        }
    }

    /// The set behind `target` and its values. A missing one is created with `len` semaphores and initialised with
    /// `values`; so is one that was created but not initialised, if it has at least `least` semaphores.
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
            // As semget made it, by a caller that was killed or is about to go on.
            let is_complete = !is_uninitialised(stat, &now) || now.len() < least || !(self.may_be)(now.len())?;
            if is_complete { Ok((set, now)) } else { Ok(initialise(set).map_err(if_removed)?) }
        };
        open_or_create(target, len, creating, accept, initialise)
    }

    /// Whether a set that may not be read is one, without changing it.
    fn is_behind(&self, set: Set) -> bool {
        let is_mark = [Op::new(self.mark, -self.value), Op::new(self.mark, 0)];
        let probe = [&is_mark[..], &[Op::new(self.mark, self.value)]].concat();
        set.operate(&probe, Deadline::Now).is_ok()
    }
}

/// Whether nobody has ever operated on a set.
fn is_uninitialised(stat: &Stat, values: &[u16]) -> bool {
    stat.op_time == 0 && values.iter().all(|value| *value == 0)
}

/// What a set that may not be read was made for, if the box made it for something.
pub fn unread_purpose(set: Set) -> Option<&'static str> {
    let layouts = [&slots::LAYOUT, &lock::LAYOUT, &barrier::LAYOUT, &lock::OLD, &barrier::OLD];
    layouts.into_iter().find(|layout| layout.is_behind(set)).map(|layout| layout.name)
}

/// Whether a lock or a barrier with these values has waiters, those included that are stopped and therefore not asleep.
pub fn is_awaited(values: &[u16]) -> bool {
    lock::is_awaited(values) || barrier::is_awaited(values)
}

/// What a process waits for that does `ops` on a set with these values: the operations, but in words for a lock, where
/// they are many.
pub fn awaited(values: &[u16], ops: &[Op]) -> String {
    match Purpose::of(values) {
        Some(Purpose::Lock { .. }) => lock::awaited(ops).into(),
        _ => ops.iter().map(Op::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// What a set with these values is, and that it is not `wanted`: "build is 4 slots, not a lock".
pub fn is_not(target: &Target, values: &[u16], wanted: &str) -> Cause {
    let olds = [&lock::OLD, &barrier::OLD];
    if olds.into_iter().any(|old| old.is_in(values) && old.name == wanted) {
        let words = format!("{target} is {wanted} made by an older ipcbox");
        return Cause::new(Exit::Exists, words).hint(format!("when it is idle, remove it: ipcbox sem rm {target}"));
    }
    let it_is = match Purpose::of(values) {
        Some(purpose) => purpose.to_string(),
        None if values.len() == 1 => "a plain semaphore".into(),
        None => format!("a plain set of {} semaphores", values.len()),
    };
    Cause::new(Exit::Exists, format!("{target} is {it_is}, not {wanted}"))
}

/// The set behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn find(target: &Target) -> Result<Set> {
    target.locate("set", Set::find, Set::from_id)
}

/// The set behind a System V target: `accept` gets one that exists with its values, `initialise` a new one of `len`
/// zeros. If `initialise` may not alter it (`EACCES`) or needs more than SEMOPM operations (`E2BIG`), the new set is
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
            // An id is only that of one that exists.
            find(target)?.stat()?;
            bail!(Errno::EEXIST);
        };
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

/// A new set of `len` zeros; a `key` of 0 gives one without a key.
///
/// # Errors
/// Those of semget(2), the limits of `/proc/sys/kernel/sem` named.
pub fn create(key: Key, len: usize, creating: Creating) -> Result<Set> {
    match Set::create(key, len, creating.bits()) {
        Err(errno @ (Errno::ENOSPC | Errno::EINVAL)) => Err(no_room(errno, len)),
        created => Ok(created?),
    }
}

/// Which limit of `/proc/sys/kernel/sem` is in the way of a new set.
fn no_room(errno: Errno, len: usize) -> anyhow::Error {
    let Ok(limits) = crate::sys::sysv::sem::limits() else {
        return errno.into();
    };
    let (words, place) = if errno == Errno::EINVAL {
        let per_set = limits.per_set;
        (format!("a set of {len} is more than the {per_set} semaphores it may have"), "first (SEMMSL)")
    } else if limits.sets_used >= limits.sets {
        (format!("no room for one more than {} sets", limits.sets_used), "fourth (SEMMNI)")
    } else {
        let used = limits.used;
        (format!("no room for {len} more than {used} semaphores"), "second (SEMMNS)")
    };
    Cause::from_errno(errno, words)
        .hint(format!("the {place} number of /proc/sys/kernel/sem is the limit; ipcs -s shows what is there"))
        .into()
}
