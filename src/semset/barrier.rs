//! A barrier: N callers meet and leave together, round after round.
//!
//! Semaphore 0 is the number of parties, 1 is the mark. Each round has two semaphores: the first is 1 while the round
//! is open, the second counts its free places, one for each caller but the last. A caller takes a place with undo, so
//! that a killed one does not count, and sleeps until its round is closed. The last caller finds no free place. Its
//! array closes the round and opens the next one, which wakes all sleepers in the same instant.
//!
//! A caller that is stopped when its round is closed keeps that round shut until it continues; there are 15 others.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, is_not};
use crate::args::creating::Creating;
use crate::sys::deadline::Deadline;
use crate::sys::sysv::sem::{Op, Set};
use crate::target::Target;

const PARTIES: u16 = 0;
const MARK: u16 = 1;
const ROUNDS: u16 = 16;
const LEN: usize = 2 + 2 * ROUNDS as usize;

/// How long the last caller waits for one round to be empty before it looks at the others.
const SLICE: Duration = Duration::from_millis(10);

pub(super) const LAYOUT: Layout =
    Layout { least: LEN, most: LEN, mark: MARK, value: 0x4232, name: "a barrier", may_be: |len| Ok(len == LEN) };

/// The layout of older versions, in which a stopped caller blocked the others.
pub(super) const OLD: Layout =
    Layout { least: 7, most: 7, mark: 6, value: 0x4942, name: LAYOUT.name, may_be: |_| Ok(false) };
const OLD_DOOR: usize = 1;

/// Index of the value that is 1 while the round is open.
const fn opens(round: u16) -> u16 {
    2 + 2 * round
}

/// Index of the number of free places of the round.
const fn places(round: u16) -> u16 {
    3 + 2 * round
}

fn open_round(values: &[u16]) -> Option<u16> {
    (0..ROUNDS).find(|round| values[opens(*round) as usize] == 1)
}

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    let parties = *values.first()?;
    let free = if LAYOUT.is_in(values) {
        open_round(values).map_or(parties, |round| values[places(round) as usize] + 1)
    } else if OLD.is_in(values) {
        values[OLD_DOOR]
    } else {
        return None;
    };
    Some(Purpose::Barrier { parties, arrived: parties.saturating_sub(free) })
}

/// Whether callers are in a round, asleep or stopped.
pub(super) fn is_awaited(values: &[u16]) -> bool {
    let parties = values[PARTIES as usize];
    LAYOUT.is_in(values) && (0..ROUNDS).any(|round| values[places(round) as usize] + 1 < parties)
}

/// A barrier.
#[derive(Debug)]
pub struct CyclicBarrier {
    set: Set,
    others: i16,
    values: Vec<u16>,
}

impl CyclicBarrier {
    /// Opens the barrier behind `target`, and creates it for `parties` callers if it is missing.
    ///
    /// # Errors
    /// The object is not a barrier, has another number of parties, or an older layout.
    pub fn open_or_create(target: &Target, parties: u16, creating: Creating) -> Result<Self> {
        let others = parties.saturating_sub(1).cast_signed();
        let mut initial = vec![(PARTIES, parties.cast_signed()), (opens(0), 1)];
        if others > 0 {
            initial.extend((0..ROUNDS).map(|round| (places(round), others)));
        }
        let (set, values) = LAYOUT.open_or_create(target, LEN, LEN, creating, &initial)?;
        if !LAYOUT.is_in(&values) {
            bail!(is_not(target, &values, "a barrier"));
        }
        if values[PARTIES as usize] != parties {
            bail!(is_not(target, &values, &format!("for {parties}")));
        }
        Ok(Self { set, others, values })
    }

    /// Returns how many callers wait there now; 0 if that cannot be read.
    pub fn arrived(&self) -> u16 {
        self.set.values().ok().and_then(|(_, values)| purpose(&values)).map_or(0, Purpose::held)
    }

    /// Arrives, waits for the others and leaves with them.
    ///
    /// # Errors
    /// `EAGAIN`: not in time, and this process no longer counts. `EIDRM`, `EINVAL`: the set was removed. `EPROTO`: no
    /// round is open, because another program changed the values.
    pub fn meet(&mut self, deadline: Deadline) -> Result<(), Errno> {
        loop {
            let round = open_round(&self.values).ok_or(Errno::EPROTO)?;
            if self.arrive(round)? {
                return self.leave(round, deadline);
            }
            if self.complete(round, deadline)? {
                return Ok(());
            }
            (_, self.values) = self.set.values()?;
        }
    }

    fn arrive(&self, round: u16) -> Result<bool, Errno> {
        let [down, up] = still(round);
        self.set.try_operate(&[down, up, Op::new(places(round), -1).undo()], Deadline::Now)
    }

    /// Closes the round as its last caller and opens another one in which no stopped caller is left.
    fn complete(&self, round: u16, deadline: Deadline) -> Result<bool, Errno> {
        let others = self.others;
        let clean = (1..ROUNDS)
            .map(|n| (round + n) % ROUNDS)
            .find(|next| self.values[places(*next) as usize] == others.cast_unsigned());
        let next = clean.unwrap_or((round + 1) % ROUNDS);
        let [down, _] = still(round);
        let mut array = vec![down.nowait(), Op::new(places(round), 0).nowait()];
        if others > 0 {
            array.extend([Op::new(places(next), -others), Op::new(places(next), others)]);
        }
        array.push(Op::new(opens(next), 1));
        let soon = Instant::now() + SLICE;
        let slice = match deadline {
            _ if clean.is_some() => Deadline::Now,
            Deadline::Forever => Deadline::At(soon),
            Deadline::At(end) => Deadline::At(end.min(soon)),
            Deadline::Now => Deadline::Now,
        };
        match self.set.try_operate(&array, slice)? {
            false if clean.is_none() && deadline.is_over() => Err(Errno::EAGAIN),
            done => Ok(done),
        }
    }

    fn leave(&self, round: u16, deadline: Deadline) -> Result<(), Errno> {
        let back = Op::new(places(round), 1).undo();
        let leave = [Op::new(opens(round), 0), back];
        if self.set.try_operate(&leave, deadline)? {
            return Ok(());
        }
        let [down, up] = still(round);
        if self.set.try_operate(&[down, up, back], Deadline::Now)? {
            return Err(Errno::EAGAIN);
        }
        // The round was closed with this process at the last instant.
        self.set.operate(&leave, Deadline::Now)
    }
}

/// Checks that the round is open.
const fn still(round: u16) -> [Op; 2] {
    [Op::new(opens(round), -1), Op::new(opens(round), 1)]
}
