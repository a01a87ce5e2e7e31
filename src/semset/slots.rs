//! Slots: N of something, each with a number, for as long as its holder lives.
//!
//! Semaphore 0 counts what is free, 1 remembers the capacity, 2 is the mark, and from 3 on each number has one, 0
//! while it is free. Free and held are the capacity together at every instant.

use std::fmt::{self, Display, Formatter};

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::waited::{Wanted, missed};
use super::{Layout, Purpose, find, holding, is_not, is_uninitialised};
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set, limits};
use crate::target::Target;

const FREE: u16 = 0;
const CAPACITY: u16 = 1;
const FIRST: u16 = 3;
/// A set has room for so many numbers, or for twice its first capacity, as far as SEMMSL and SEMMNS allow.
const ROOM: u16 = 256;

pub(super) const LAYOUT: Layout = Layout {
    least: FIRST as usize + 1,
    most: usize::MAX,
    mark: 2,
    value: 0x4953,
    name: "slots",
    may_be: |len| Ok(len >= usize::from(FIRST) + room()?.min(ROOM.into())),
};

/// How many numbers a set has room for at most: one takes no more than its share of all semaphores.
fn room() -> Result<usize, Errno> {
    let limits = limits()?;
    Ok(limits.per_set.min(limits.in_all / 8).saturating_sub(FIRST.into()))
}

/// So many slots, in words.
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

/// The numbers, from 1, of a set that is slots which are in use, or not, each with the index of its semaphore.
pub fn numbers(values: &[u16], in_use: bool) -> impl Iterator<Item = (u16, u16)> {
    let numbers = (1..).zip(FIRST..).zip(&values[FIRST as usize..]);
    numbers.filter_map(move |(place, value)| ((*value != 0) == in_use).then_some(place))
}

/// Takes all slots of a set at once; there must be `capacity`.
pub(super) fn seize(set: Set, capacity: u16) -> Result<(), Errno> {
    let all = [Op::new(FREE, -capacity.cast_signed()).undo(), Op::new(FREE, 0)];
    set.operate(&all, Deadline::Now)
}

/// A set of slots.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// The set.
    pub set: Set,
    /// How many slots it has, when it was looked at.
    pub capacity: u16,
    room: usize,
}

impl Slots {
    /// The one behind `target`, which has to be there.
    ///
    /// # Errors
    /// It is missing (`ENOENT`), as one is that has only just been made, or it is no slots.
    pub fn find(target: &Target) -> Result<Self> {
        let set = find(target)?;
        let (stat, values) = set.values()?;
        if target.key()?.is_some() && is_uninitialised(&stat, &values) && (LAYOUT.may_be)(values.len())? {
            bail!(Errno::ENOENT);
        }
        Self::of(target, set, &values)
    }

    /// The one behind `target`, created with `capacity` slots if it is missing.
    ///
    /// # Errors
    /// It is no slots, or has no room for `capacity`; with another capacity it is given all the same.
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

    /// Gives it another capacity: more at once, less by taking slots away as they come free. What was taken away
    /// before a deadline stays so. Where several resize at once, the set has one of their capacities in the end.
    pub fn resize(&mut self, wanted: u16, timeout: &Timeout) -> Result<()> {
        if usize::from(wanted) > self.room {
            let words = format!("it has room for {}, not {wanted}", Many(self.room));
            bail!(Cause::new(Exit::Failed, words).hint("remove it and make it anew with more"));
        }
        while self.capacity != wanted {
            let now = self.capacity.cast_signed();
            let is_still = [Op::new(CAPACITY, -now).nowait(), Op::new(CAPACITY, 0).nowait()];
            let wanted = wanted.cast_signed();
            // The first array compares the capacity and exchanges it; so does the second, once a slot is free.
            let resized = if wanted > now {
                let grow = [Op::new(CAPACITY, wanted), Op::new(FREE, wanted - now)];
                self.set.operate(&[is_still, grow].concat(), Deadline::Forever)
            } else {
                let [lower, zero] = is_still;
                let shrink = [Op::new(FREE, -1), lower, zero, Op::new(CAPACITY, now - 1)];
                holding::take(self.set, timeout.deadline(), || (), |deadline| self.set.operate(&shrink, deadline))
            };
            match resized {
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
            let before = std::mem::replace(&mut self.capacity, self.set.value(CAPACITY)?);
            if self.capacity == before && timeout.deadline().is_over() {
                let left = format!("it still has {}, not {wanted}", Many(before));
                bail!(missed(self.set, Wanted::Slots(1), timeout).note(&left));
            }
        }
        Ok(())
    }

    /// Takes `count` slots for this process, and gives their numbers, the lowest free ones.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `EDOM`: there are not so many slots, or no longer. `EIDRM`, `EINVAL`: the set was removed.
    /// `EOVERFLOW`: there are fewer numbers than slots, since another program changed the values.
    pub fn take(&self, count: u16, deadline: Deadline) -> Result<Vec<u16>, Errno> {
        let units = count.cast_signed();
        // Who waits for more than there are any more is woken by the resizing that made it so.
        let enough = [Op::new(CAPACITY, -units).nowait(), Op::new(CAPACITY, units)];
        let array = [&enough[..], &[Op::new(FREE, -units).undo()]].concat();
        loop {
            match self.set.operate(&array, deadline) {
                Err(Errno::EAGAIN) if self.set.value(CAPACITY)? < count => return Err(Errno::EDOM),
                // There were fewer for a moment.
                Err(Errno::EAGAIN) if !deadline.is_over() => {}
                outcome => break outcome?,
            }
        }
        // Everybody who has a number has a slot, so that at any instant the lowest number which is free is one of the
        // first `capacity`. One that has gone meanwhile was free at another instant: then all are looked at anew.
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
