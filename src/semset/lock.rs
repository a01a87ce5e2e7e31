//! A lock, exclusive or shared, first come, first served.
//!
//! A waiter sleeps in the one array that takes the lock, so the kernel's queue of sleepers is the only queue. A waiter
//! that is stopped or killed leaves it and blocks no other caller. Semaphore 1 counts the sharers, 2 is the exclusive
//! holder, 3 is the mark.
//!
//! The rest are gates, which keep a sharer from overtaking an exclusive waiter. A gate is `FREE` until an exclusive
//! waiter registers there. It is then `OPEN` minus the number of sharers that hold the lock at that moment; each of
//! them raises it by one when it releases. A later sharer waits until the gate is `OPEN` again. Only holders keep a
//! gate shut, so a free lock has no shut gate, even if a waiter is stopped. When the waiter exits, its gate becomes
//! `FREE` again, because the kernel clamps an undo value to the maximum. All waiters beyond `GATES` share the last
//! gate.
//!
//! A gate also stays shut while its waiter is stopped by SIGSTOP, for which the kernel has no event. The next sharer
//! sees that no process sleeps behind the shut gate ([`Set::zero_waiters`]) and opens it. Without such a sharer, it
//! opens when the last holder releases.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, is_not};
use crate::args::creating::Creating;
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set, Stops};
use crate::target::Target;

const LAST: u16 = 0;
/// Index of the number of sharers.
pub const READERS: u16 = 1;
/// Index of the exclusive holder.
pub const WRITER: u16 = 2;
const MARK: u16 = 3;
const FIRST: u16 = 4;
/// The number of gates for one waiter each.
const GATES: u16 = 31;
const COMMON: u16 = FIRST + GATES;
/// Index of a copy of [`READERS`], which waiters compare. The kernel keeps the last process that operated on a
/// semaphore, and that of [`READERS`] must be a holder.
const COPY: u16 = COMMON + 1;
const LEN: usize = COPY as usize + 1;

/// The value of a gate without a waiter, the highest one.
const FREE: u16 = 32767;
/// The value of a gate that lets sharers overtake its waiter, and the highest number of sharers.
const OPEN: u16 = 16383;

const ENTER_ALONE: [Op; 3] = [Op::new(READERS, 0), Op::new(WRITER, 0), Op::new(WRITER, 1).undo()];

/// How often, and after how long, a sharer looks again at a shut gate behind which no process sleeps.
const PAUSES: u8 = 2;
const PAUSE: Duration = Duration::from_millis(1);

pub(super) const LAYOUT: Layout =
    Layout { least: LEN, most: LEN, mark: MARK, value: 0x4c32, name: "a lock", may_be: |len| Ok(len == LEN) };

/// The layout of older versions, in which a stopped waiter blocked the others. It counts holders as this one does.
pub(super) const OLD: Layout =
    Layout { least: 4, most: 4, mark: MARK, value: 0x494c, name: LAYOUT.name, may_be: |_| Ok(false) };

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    (LAYOUT.is_in(values) || OLD.is_in(values))
        .then(|| Purpose::Lock { readers: values[READERS as usize], exclusive: values[WRITER as usize] != 0 })
}

/// Whether an exclusive waiter is registered at a gate, asleep or stopped.
pub(super) fn is_awaited(values: &[u16]) -> bool {
    LAYOUT.is_in(values) && gates().any(|gate| values[gate as usize] <= OPEN)
}

/// Returns what a process with these operations on a lock waits for.
pub(super) fn awaited(ops: &[Op]) -> &'static str {
    if ops.contains(&ENTER_ALONE[2]) { "exclusive lock" } else { "shared lock" }
}

/// Takes a free lock of either layout exclusively, before it is removed.
///
/// # Errors
/// `EAGAIN`: it is not free.
pub(super) fn seize(set: Set) -> Result<(), Errno> {
    set.operate(&ENTER_ALONE, Deadline::Now)
}

fn gates() -> std::ops::RangeInclusive<u16> {
    FIRST..=COMMON
}

/// A lock.
#[derive(Debug, Clone)]
pub struct RwLock {
    /// The set.
    pub set: Set,
    values: Vec<u16>,
}

/// A lock that this process has taken.
#[derive(Debug)]
pub struct LockGuard {
    lock: RwLock,
    shared: bool,
}

impl RwLock {
    /// Opens the lock behind `target`, and creates it if it is missing.
    ///
    /// # Errors
    /// The object is not a lock, or has an older layout.
    pub fn open_or_create(target: &Target, creating: Creating) -> Result<Self> {
        let initial: Vec<_> = gates().map(|gate| (gate, FREE.cast_signed())).collect();
        let (set, values) = LAYOUT.open_or_create(target, LEN, LEN, creating, &initial)?;
        if !LAYOUT.is_in(&values) {
            bail!(is_not(target, &values, "a lock"));
        }
        Ok(Self { set, values })
    }

    /// Takes it for this process.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `ERANGE`: it has the highest number of sharers. `EIDRM`, `EINVAL`: the set was removed.
    pub fn take(&self, shared: bool, deadline: Deadline) -> Result<LockGuard, Errno> {
        let mut lock = self.clone();
        if shared {
            lock.take_shared(deadline)?;
        } else {
            lock.take_alone(deadline)?;
        }
        Ok(LockGuard { lock, shared })
    }

    fn look(&mut self) -> Result<(), Errno> {
        (_, self.values) = self.set.values()?;
        Ok(())
    }

    fn value(&self, index: u16) -> u16 {
        self.values[index as usize]
    }

    fn take_alone(&mut self, deadline: Deadline) -> Result<(), Errno> {
        match self.set.operate(&ENTER_ALONE, Deadline::Now) {
            Err(Errno::EAGAIN) if deadline != Deadline::Now => {}
            outcome => return outcome,
        }
        let stops = Stops::catch()?;
        loop {
            let gate = match self.register() {
                // A gate's undo value cannot also hold a sharer's: this process shares the lock, and waits for itself.
                Err(Errno::ERANGE) => return self.set.operate(&ENTER_ALONE, deadline),
                gate => gate?,
            };
            let outcome = stops.operate(self.set, &ENTER_ALONE, deadline);
            match self.leave(gate) {
                Ok(()) | Err(Errno::EINVAL | Errno::EIDRM) => {}
                Err(errno) => return Err(errno),
            }
            if outcome != Err(Errno::EINTR) {
                return outcome;
            }
            // Its place in the queue is lost already.
            stops.stop()?;
        }
    }

    /// Takes a gate. Later sharers find it shut until the present ones have released.
    fn register(&mut self) -> Result<u16, Errno> {
        loop {
            self.look()?;
            let (last, readers) = (self.value(LAST), self.value(COPY));
            let next = (1..=GATES).map(|n| (last + n) % GATES);
            let own = next.into_iter().find(|n| self.value(FIRST + n) > OPEN);
            let gate = own.map_or(COMMON, |n| FIRST + n);
            let mut array: Vec<Op> = exchange(COPY, readers, readers).collect();
            array.extend(shield(gate, self.value(gate), OPEN.saturating_sub(readers)));
            if let Some(n) = own {
                array.extend(exchange(LAST, last, n));
                array.extend(shield(COMMON, self.value(COMMON), self.value(COMMON)));
            }
            if self.set.try_operate(&array, Deadline::Now)? {
                return Ok(gate);
            }
        }
    }

    fn leave(&mut self, gate: u16) -> Result<(), Errno> {
        loop {
            self.look()?;
            let mut array: Vec<Op> = unshield(gate, self.value(gate)).collect();
            if gate != COMMON {
                array.extend(unshield(COMMON, self.value(COMMON)));
            }
            if self.set.try_operate(&array, Deadline::Now)? {
                return Ok(());
            }
        }
    }

    /// A sharer registers nothing, so one that is stopped in its wait holds nothing.
    fn take_shared(&mut self, deadline: Deadline) -> Result<(), Errno> {
        loop {
            self.settle(deadline)?;
            match self.set.operate_once(&self.enter_shared(), deadline) {
                // Its place in the queue is lost: other waiters may come first now.
                Err(Errno::EINTR) => self.look()?,
                outcome => return outcome,
            }
        }
    }

    /// Opens gates of stopped waiters, and shuts gates of waiters that sharers could overtake. Does nothing if the lock
    /// is free or no process waits.
    fn settle(&mut self, deadline: Deadline) -> Result<(), Errno> {
        let (mut pauses, mut is_unprotected) = (0, false);
        while self.value(READERS) > 0 {
            let shut: Vec<u16> = gates().filter(|gate| self.value(*gate) < OPEN).collect();
            let is_asleep = self.set.zero_waiters(READERS)? > 0;
            match (is_asleep, shut.is_empty()) {
                (true, false) | (false, true) => return Ok(()),
                // A waiter registers before it sleeps, so the second look sees its gate.
                (true, true) if !is_unprotected => is_unprotected = true,
                (true, true) => {
                    self.shut()?;
                    is_unprotected = false;
                }
                // The waiter is about to sleep, or it is stopped.
                (false, false) if pauses < PAUSES => {
                    pauses += 1;
                    is_unprotected = false;
                    sleep(match deadline {
                        Deadline::At(_) => deadline.left().map_or(PAUSE, |left| left.min(PAUSE)),
                        Deadline::Forever | Deadline::Now => PAUSE,
                    });
                }
                (false, false) => {
                    let open = shut.iter().flat_map(|gate| exchange(*gate, self.value(*gate), OPEN));
                    if self.set.try_operate(&open.collect::<Vec<_>>(), Deadline::Now)? {
                        return Ok(());
                    }
                }
            }
            self.look()?;
        }
        Ok(())
    }

    /// Shuts the gates of waiters, or the common gate if there are none, until the present sharers have released.
    fn shut(&self) -> Result<bool, Errno> {
        let readers = self.value(COPY);
        let mut waiting: Vec<u16> = gates().filter(|gate| self.is_watched(*gate)).collect();
        if waiting.is_empty() {
            waiting.push(COMMON);
        }
        let mut array: Vec<Op> = exchange(COPY, readers, readers).collect();
        let by = OPEN.saturating_sub(readers);
        array.extend(waiting.iter().flat_map(|gate| exchange(*gate, self.value(*gate), by)));
        self.set.try_operate(&array, Deadline::Now)
    }

    /// Whether a sharer that comes now must find the gate open. The common gate is freed when any of its waiters exits,
    /// so it counts only while it is shut.
    fn is_watched(&self, gate: u16) -> bool {
        self.value(gate) < if gate == COMMON { OPEN } else { OPEN + 1 }
    }

    /// Returns the operations that take it shared once no watched gate is shut. Each gate rises by one when this sharer
    /// exits, whatever the gate is for by then.
    fn enter_shared(&self) -> Vec<Op> {
        let most = (FREE - OPEN).cast_signed();
        let mut array = vec![Op::new(WRITER, 0)];
        array.extend([READERS, COPY].map(|count| Op::new(count, 1).undo()));
        // ERANGE for one sharer more than the gates can count.
        array.extend([Op::new(READERS, most), Op::new(READERS, -most)]);
        for gate in gates() {
            array.push(Op::new(gate, -1).undo());
            if self.is_watched(gate) {
                let open = OPEN.cast_signed();
                array.extend([Op::new(gate, 1 - open), Op::new(gate, open)]);
            } else if gate == COMMON {
                array.push(Op::new(gate, 1));
            }
        }
        array
    }
}

impl LockGuard {
    /// Releases it in a process that continues.
    ///
    /// # Errors
    /// `EIDRM`, `EINVAL`: the set was removed.
    pub fn release(self) -> Result<(), Errno> {
        let Self { mut lock, shared } = self;
        if !shared {
            return lock.set.operate(&[Op::new(WRITER, -1).undo()], Deadline::Now);
        }
        // Most gates still are as they were when this sharer entered.
        for gate in FIRST..COMMON {
            lock.values[gate as usize] -= u16::from(!lock.is_watched(gate));
        }
        loop {
            let mut array = [READERS, COPY].map(|count| Op::new(count, -1).undo()).to_vec();
            for gate in gates() {
                if lock.value(gate) == FREE {
                    // It cannot rise, but the undo value must be cleared.
                    array.extend(exchange(gate, FREE, FREE - 1));
                }
                array.push(Op::new(gate, 1).undo());
            }
            match lock.set.operate(&array, Deadline::Now) {
                Err(Errno::EAGAIN | Errno::ERANGE) => lock.look()?,
                outcome => return outcome,
            }
        }
    }
}

/// Compares a semaphore with `now`, and sets it to `then`.
fn exchange(index: u16, now: u16, then: u16) -> impl Iterator<Item = Op> {
    let [down, up] = [-now.cast_signed(), then.cast_signed()].map(|by| add(index, by));
    down.into_iter().chain([Op::new(index, 0)]).chain(up)
}

/// Adds `by`. 0 is no operation, because that would wait for 0.
fn add(index: u16, by: i16) -> Option<Op> {
    (by != 0).then(|| Op::new(index, by))
}

/// Sets a gate to `then`, and to [`FREE`] when this process exits, whatever its value is by then.
fn shield(gate: u16, now: u16, then: u16) -> impl Iterator<Item = Op> {
    let free = FREE.cast_signed();
    let preset = [Op::new(gate, free), Op::new(gate, -free).undo()];
    exchange(gate, now, 0).chain(preset).chain(add(gate, then.cast_signed()))
}

fn unshield(gate: u16, now: u16) -> impl Iterator<Item = Op> {
    exchange(gate, now, 0).chain([Op::new(gate, FREE.cast_signed()).undo()])
}
