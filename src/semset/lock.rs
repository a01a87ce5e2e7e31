//! A lock, exclusive or shared, first come, first served.
//!
//! A caller that waits sleeps in the one array that takes the lock, so the kernel's queue of sleepers is the only
//! queue. A waiter that is stopped or killed is no longer in it and blocks no other caller. Semaphore 1 counts the
//! sharers, 2 is the exclusive holder, 3 is the mark.
//!
//! The rest are gates, which keep a sharer from passing an exclusive waiter that came before it. A gate is `FREE` until
//! an exclusive waiter registers there. It is then `OPEN` minus the number of sharers that held the lock at that
//! moment, each of which raises it by one at its end. A sharer that comes later waits until the gate is `OPEN` again.
//! Only holders keep a gate shut, so a lock that is free has no shut gate, whoever is stopped where. The end of the
//! waiter frees its gate, since an undo value of `FREE` is clamped to the maximum. The last gate is common to all
//! registered waiters beyond `GATES`.
//!
//! A gate also stays shut while its waiter is stopped by SIGSTOP, of which the kernel gives no event. The next sharer
//! that comes finds nobody asleep behind a shut gate ([`Set::zero_waiters`]) and opens it; if nobody comes, the last
//! holder's end does.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, is_not};
use crate::args::creating::Creating;
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set, Stops};
use crate::target::Target;

/// Index of the number of the gate that was given to a waiter last.
const LAST: u16 = 0;
/// Index of the count of sharers.
pub const READERS: u16 = 1;
/// Index of the exclusive holder.
pub const WRITER: u16 = 2;
const MARK: u16 = 3;
const FIRST: u16 = 4;
/// How many gates belong to one waiter each.
const GATES: u16 = 31;
const COMMON: u16 = FIRST + GATES;
/// Index of the same count as [`READERS`], for waiters that compare it: the kernel remembers the last process that
/// operated on a semaphore, and that of [`READERS`] shall be a holder.
const COPY: u16 = COMMON + 1;
const LEN: usize = COPY as usize + 1;

/// The value of a gate without a waiter, the highest one.
const FREE: u16 = 32767;
/// The value of a gate that lets sharers pass its waiter, and the highest number of sharers.
const OPEN: u16 = 16383;

/// Takes the lock exclusively, now or asleep.
const ENTER_ALONE: [Op; 3] = [Op::new(READERS, 0), Op::new(WRITER, 0), Op::new(WRITER, 1).undo()];

/// How often, and after how long, a sharer looks again at a shut gate behind which nobody sleeps.
const PAUSES: u8 = 2;
const PAUSE: Duration = Duration::from_millis(1);

pub(super) const LAYOUT: Layout =
    Layout { least: LEN, most: LEN, mark: MARK, value: 0x4c32, name: "a lock", may_be: |len| Ok(len == LEN) };

/// The layout with a turnstile, which a stopped waiter kept shut. It counts holders as this one does.
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

/// What a process waits for that does `ops` on a lock.
pub(super) fn awaited(ops: &[Op]) -> &'static str {
    if ops.contains(&ENTER_ALONE[2]) { "exclusive lock" } else { "shared lock" }
}

/// Takes a lock of either layout exclusively if it is free, before it is removed.
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
pub struct Lock {
    /// The set.
    pub set: Set,
    /// Its values when it was last looked at.
    values: Vec<u16>,
}

/// A lock that this process has taken.
#[derive(Debug)]
pub struct Held {
    lock: Lock,
    shared: bool,
}

impl Lock {
    /// The one behind `target`, created if it is missing.
    ///
    /// # Errors
    /// What exists is no lock, or one of an older layout.
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
    /// `EAGAIN`: not in time. `ERANGE`: it has as many sharers as it can count. `EIDRM`, `EINVAL`: the set was removed.
    pub fn take(&self, shared: bool, deadline: Deadline) -> Result<Held, Errno> {
        let mut lock = self.clone();
        if shared {
            lock.take_shared(deadline)?;
        } else {
            lock.take_alone(deadline)?;
        }
        Ok(Held { lock, shared })
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
                // The undo value of a gate cannot hold a sharer's part too: this process shares the lock, and waits for
                // itself.
                Err(Errno::ERANGE) => return self.set.operate(&ENTER_ALONE, deadline),
                gate => gate?,
            };
            let outcome = stops.operate(self.set, &ENTER_ALONE, deadline);
            match self.leave(gate) {
                // Whoever removed it has taken it from everyone.
                Ok(()) | Err(Errno::EINVAL | Errno::EIDRM) => {}
                Err(errno) => return Err(errno),
            }
            if outcome != Err(Errno::EINTR) {
                return outcome;
            }
            // Its place in the queue is lost anyway.
            stops.stop()?;
        }
    }

    /// Takes a gate, which is shut for sharers that come from now on until those that hold the lock now have gone.
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

    /// Frees the gate, and so lets in the sharers that waited behind it.
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

    /// Sharers register nothing: one that is stopped while it waits holds nothing at all.
    fn take_shared(&mut self, deadline: Deadline) -> Result<(), Errno> {
        loop {
            self.settle(deadline)?;
            match self.set.operate_once(&self.enter_shared(), deadline) {
                // Its place in the queue is lost; other waiters may be before it now.
                Err(Errno::EINTR) => self.look()?,
                outcome => return outcome,
            }
        }
    }

    /// Brings the gates into line with who is asleep: opens them behind a stopped waiter, and shuts them for a waiter
    /// that lost its protection. At rest, and while the lock is free, there is nothing to do.
    fn settle(&mut self, deadline: Deadline) -> Result<(), Errno> {
        let (mut pauses, mut is_unprotected) = (0, false);
        while self.value(READERS) > 0 {
            let shut: Vec<u16> = gates().filter(|gate| self.value(*gate) < OPEN).collect();
            let is_asleep = self.set.zero_waiters(READERS)? > 0;
            match (is_asleep, shut.is_empty()) {
                (true, false) | (false, true) => return Ok(()),
                // A waiter registers before it sleeps, so its gate shows at the second look.
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

    /// Shuts the gates of waiters, or the common one if there are none, until the present sharers have gone.
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

    /// Whether a sharer that comes now has to see the gate open. The common gate is freed by the end of any waiter, and
    /// counts only while it is shut.
    fn is_watched(&self, gate: u16) -> bool {
        self.value(gate) < if gate == COMMON { OPEN } else { OPEN + 1 }
    }

    /// Takes it shared as soon as no gate that is watched now is shut. Whatever the gates come to mean, each rises by
    /// one at this sharer's end.
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

impl Held {
    /// Releases it in a process that lives on.
    ///
    /// # Errors
    /// `EIDRM`, `EINVAL`: the set was removed.
    pub fn release(self) -> Result<(), Errno> {
        let Self { mut lock, shared } = self;
        if !shared {
            return lock.set.operate(&[Op::new(WRITER, -1).undo()], Deadline::Now);
        }
        // As they were when this sharer entered, which is how they mostly are.
        for gate in FIRST..COMMON {
            lock.values[gate as usize] -= u16::from(!lock.is_watched(gate));
        }
        loop {
            let mut array = [READERS, COPY].map(|count| Op::new(count, -1).undo()).to_vec();
            for gate in gates() {
                if lock.value(gate) == FREE {
                    // It cannot rise, but the undo value has to go.
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

/// Compares a semaphore with `now`, and gives it the value `then`.
fn exchange(index: u16, now: u16, then: u16) -> impl Iterator<Item = Op> {
    let [down, up] = [-now.cast_signed(), then.cast_signed()].map(|by| add(index, by));
    down.into_iter().chain([Op::new(index, 0)]).chain(up)
}

/// Adds `by`, for which 0 is no operation: it would wait for 0.
fn add(index: u16, by: i16) -> Option<Op> {
    (by != 0).then(|| Op::new(index, by))
}

/// Gives a gate the value `then`, and [`FREE`] at the end of this process, whatever it has become.
fn shield(gate: u16, now: u16, then: u16) -> impl Iterator<Item = Op> {
    let free = FREE.cast_signed();
    let preset = [Op::new(gate, free), Op::new(gate, -free).undo()];
    exchange(gate, now, 0).chain(preset).chain(add(gate, then.cast_signed()))
}

/// Takes that back.
fn unshield(gate: u16, now: u16) -> impl Iterator<Item = Op> {
    exchange(gate, now, 0).chain([Op::new(gate, FREE.cast_signed()).undo()])
}
