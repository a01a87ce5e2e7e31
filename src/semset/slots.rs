//! Slots: N numbered places, each taken by one process until it exits.
//!
//! Semaphore 0 is the number of free slots, 1 is the capacity, 2 is the mark. From 3 on there is one for each slot
//! number, which is 0 while that is free. Free and held slots add up to the capacity at every instant.

use std::fmt::{self, Display, Formatter};

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, find, holding, is_not, is_uninitialised};
use crate::args::creating::Creating;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set, limits};
use crate::target::Target;

const FREE: u16 = 0;
const CAPACITY: u16 = 1;
const FIRST: u16 = 3;
/// A set has room for this number of slots, or for twice its first capacity, as far as SEMMSL and SEMMNS allow.
const ROOM: u16 = 256;

pub(super) const LAYOUT: Layout = Layout {
    least: FIRST as usize + 1,
    most: usize::MAX,
    mark: 2,
    value: 0x4953,
    name: "slots",
    may_be: |len| Ok(len >= usize::from(FIRST) + room()?.min(ROOM.into())),
};

/// Returns the most slots that a set has room for: at most an eighth of all semaphores.
fn room() -> Result<usize, Errno> {
    let limits = limits()?;
    Ok(limits.per_set.min(limits.in_all / 8).saturating_sub(FIRST.into()))
}

/// A number of slots in words: `1 slot`, `4 slots`.
pub struct Many<N>(pub N);

impl<N: Display + PartialEq + From<u8>> Display for Many<N> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let slots = if self.0 == 1.into() { "slot" } else { "slots" };
        write!(f, "{} {slots}", self.0)
    }
}

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    LAYOUT.is_in(values).then(|| Purpose::Slots { capacity: values[CAPACITY as usize], free: values[FREE as usize] })
}

/// Returns the slot numbers, from 1, that are in use or free, each with the index of its semaphore.
pub fn numbers(values: &[u16], in_use: bool) -> impl Iterator<Item = (u16, u16)> {
    let numbers = (1..).zip(FIRST..).zip(&values[FIRST as usize..]);
    numbers.filter_map(move |(place, value)| ((*value != 0) == in_use).then_some(place))
}

/// Takes all slots of a set, which must be `capacity`.
pub(super) fn seize(set: Set, capacity: u16) -> Result<(), Errno> {
    let all = [Op::new(FREE, -capacity.cast_signed()).undo(), Op::new(FREE, 0)];
    set.operate(&all, Deadline::Now)
}

/// A set of slots.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// The set.
    pub set: Set,
    /// The number of slots when it was last read.
    pub capacity: u16,
    room: usize,
}

impl Slots {
    /// Opens the slots behind `target`.
    ///
    /// # Errors
    /// `ENOENT`: it is missing or not initialised yet. The object is not slots.
    pub fn find(target: &Target) -> Result<Self> {
        let set = find(target)?;
        let (stat, values) = set.values()?;
        if target.key()?.is_some() && is_uninitialised(&stat, &values) && (LAYOUT.may_be)(values.len())? {
            bail!(Errno::ENOENT);
        }
        Self::of(target, set, &values)
    }

    /// Opens the slots behind `target`, or creates `capacity` of them if missing. An existing number may differ.
    ///
    /// # Errors
    /// The object is not slots, or there is no room for `capacity`.
    pub fn open_or_create(target: &Target, capacity: u16, creating: Creating) -> Result<Self> {
        let numbers = usize::from(capacity.max(ROOM / 2)) * 2;
        let len = usize::from(FIRST) + numbers.min(room()?).max(capacity.into());
        let initial = [(FREE, capacity.cast_signed()), (CAPACITY, capacity.cast_signed())];
        let least = usize::from(FIRST + capacity);
        let (set, values) = LAYOUT.open_or_create(target, len, least, creating, &initial)?;
        Self::of(target, set, &values)
    }

    fn of(target: &Target, set: Set, values: &[u16]) -> Result<Self> {
        let Some(Purpose::Slots { capacity, .. }) = purpose(values) else {
            bail!(is_not(target, values, "slots"));
        };
        Ok(Self { set, capacity, room: values.len() - usize::from(FIRST) })
    }

    /// Checks that the capacity is `wanted`.
    ///
    /// # Errors
    /// Status 4, with both numbers.
    pub fn expect(&self, target: &Target, wanted: u16) -> Result<(), Cause> {
        if self.capacity == wanted {
            return Ok(());
        }
        Err(Cause::new(Exit::Exists, format!("{target} has {}, not {wanted}", Many(self.capacity))))
    }

    /// Checks that there is room for `wanted`.
    ///
    /// # Errors
    /// Status 1, with the room there is.
    pub fn expect_room(&self, wanted: u16) -> Result<(), Cause> {
        if usize::from(wanted) <= self.room {
            return Ok(());
        }
        let words = format!("the set has room for at most {}, not {wanted}", Many(self.room));
        Err(Cause::new(Exit::Failed, words).hint("use another name"))
    }

    /// Changes the capacity to `wanted`. It rises at once, and falls as slots come free. Slots removed before a timeout
    /// stay removed. If several callers resize at the same time, the last capacity is that of one of them.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `EIDRM`, `EINVAL`: the set was removed.
    pub fn resize(&mut self, wanted: u16, deadline: Deadline) -> Result<(), Errno> {
        while self.capacity != wanted {
            let now = self.capacity.cast_signed();
            let is_still = [Op::new(CAPACITY, -now).nowait(), Op::new(CAPACITY, 0).nowait()];
            let wanted = wanted.cast_signed();
            // Both arrays compare and exchange the capacity; the second waits for a free slot.
            let resized = if wanted > now {
                let grow = [Op::new(CAPACITY, wanted), Op::new(FREE, wanted - now)];
                self.set.operate(&[is_still, grow].concat(), Deadline::Forever)
            } else {
                let [lower, zero] = is_still;
                let shrink = [Op::new(FREE, -1), lower, zero, Op::new(CAPACITY, now - 1)];
                holding::take(self.set, deadline, || (), |deadline| self.set.operate(&shrink, deadline))
            };
            match resized {
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
            let before = std::mem::replace(&mut self.capacity, self.set.value(CAPACITY)?);
            if self.capacity == before && deadline.is_over() {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(())
    }

    /// Takes `count` slots for this process, and returns their numbers, the lowest free ones.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `EDOM`: there are fewer slots. `EIDRM`, `EINVAL`: the set was removed. `EOVERFLOW`: there
    /// are fewer numbers than slots, because another program changed the values.
    pub fn take(&self, count: u16, deadline: Deadline) -> Result<Vec<u16>, Errno> {
        let units = count.cast_signed();
        // A resize below `units` wakes this waiter, because the comparison then fails.
        let enough = [Op::new(CAPACITY, -units).nowait(), Op::new(CAPACITY, units)];
        let array = [&enough[..], &[Op::new(FREE, -units).undo()]].concat();
        loop {
            match self.set.operate(&array, deadline) {
                Err(Errno::EAGAIN) if self.set.value(CAPACITY)? < count => return Err(Errno::EDOM),
                // There were fewer slots for a moment.
                Err(Errno::EAGAIN) if !deadline.is_over() => {}
                outcome => break outcome?,
            }
        }
        // Each holder of a number has a slot, so the lowest free number is always one of the first `capacity`. If
        // another process takes it first, all numbers are read again.
        let count = usize::from(count);
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let (_, values) = self.set.values()?;
            let mut free = numbers(&values, false).peekable();
            free.peek().ok_or(Errno::EOVERFLOW)?;
            for (number, index) in free.take(count - taken.len()) {
                let claim = [Op::new(index, 0).nowait(), Op::new(index, 1).undo().nowait()];
                match self.set.operate(&claim, Deadline::Forever) {
                    Ok(()) => taken.insert(taken.partition_point(|it| *it < number), number),
                    Err(Errno::EAGAIN) => break,
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(taken)
    }
}
