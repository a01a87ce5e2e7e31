//! A barrier: N callers meet and leave together, round after round.
//!
//! Semaphore 0 remembers the parties, 1 is the mark. Each round has two of the rest: one that is 1 while this is the
//! round that gathers, and one that counts its free places, which are for all callers but the last. A caller takes a
//! place and sleeps until its round gathers no more. The last one finds no place, and its array makes the next round
//! the one that gathers: in that instant the kernel lets all sleepers go. Places are taken with undo, so a caller that
//! dies is not counted.
//!
//! A caller that was stopped when its round was completed keeps its place there, and finds the answer there later. That
//! round is not used again until it leaves; the others go on with the remaining ones.

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

/// How long the last caller waits for one round to become clean, if none is, before it looks at the others.
const SLICE: Duration = Duration::from_millis(10);

pub(super) const LAYOUT: Layout =
    Layout { least: LEN, most: LEN, mark: MARK, value: 0x4232, name: "a barrier", may_be: |len| Ok(len == LEN) };

/// The layout with a door, which a stopped caller kept occupied.
pub(super) const OLD: Layout =
    Layout { least: 7, most: 7, mark: 6, value: 0x4942, name: LAYOUT.name, may_be: |_| Ok(false) };
const OLD_DOOR: usize = 1;

/// Index of the value that is 1 while the round gathers.
const fn gathers(round: u16) -> u16 {
    2 + 2 * round
}

/// Index of the count of the round's free places.
const fn places(round: u16) -> u16 {
    3 + 2 * round
}

/// The round that gathers.
fn gathering(values: &[u16]) -> Option<u16> {
    (0..ROUNDS).find(|round| values[gathers(*round) as usize] == 1)
}

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    let parties = *values.first()?;
    let free = if LAYOUT.is_in(values) {
        gathering(values).map_or(parties, |round| values[places(round) as usize] + 1)
    } else if OLD.is_in(values) {
        values[OLD_DOOR]
    } else {
        return None;
    };
    Some(Purpose::Barrier { parties, arrived: parties.saturating_sub(free) })
}

/// Whether callers have come to a round and not left it, asleep or stopped.
pub(super) fn is_awaited(values: &[u16]) -> bool {
    let parties = values[PARTIES as usize];
    LAYOUT.is_in(values) && (0..ROUNDS).any(|round| values[places(round) as usize] + 1 < parties)
}

/// A barrier.
#[derive(Debug)]
pub struct Barrier {
    set: Set,
    /// How many callers a round has besides the last one.
    others: i16,
    /// Its values when it was last looked at.
    values: Vec<u16>,
}

impl Barrier {
    /// The one behind `target`, created for `parties` callers if it is missing.
    ///
    /// # Errors
    /// What exists is no barrier, or one for another number, or one of an older layout.
    pub fn open_or_create(target: &Target, parties: u16, creating: Creating) -> Result<Self> {
        let others = parties.saturating_sub(1).cast_signed();
        let mut initial = vec![(PARTIES, parties.cast_signed()), (gathers(0), 1)];
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
    /// `EAGAIN`: not in time, and the others do not count this process. `EIDRM`, `EINVAL`: the set was removed. `EPROTO`: no
    /// round gathers, since another program changed the values.
    pub fn meet(&mut self, deadline: Deadline) -> Result<(), Errno> {
        loop {
            let round = gathering(&self.values).ok_or(Errno::EPROTO)?;
            if self.arrive(round)? {
                return self.leave(round, deadline);
            }
            if self.complete(round, deadline)? {
                return Ok(());
            }
            (_, self.values) = self.set.values()?;
        }
    }

    /// Takes a place, if one is left.
    fn arrive(&self, round: u16) -> Result<bool, Errno> {
        let [down, up] = still(round);
        self.set.try_operate(&[down, up, Op::new(places(round), -1).undo()], Deadline::Now)
    }

    /// Ends the round as its last caller, and has another one gather that nobody is left in from the time before.
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
        array.push(Op::new(gathers(next), 1));
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

    /// Waits for the last caller and gives the place back.
    fn leave(&self, round: u16, deadline: Deadline) -> Result<(), Errno> {
        let back = Op::new(places(round), 1).undo();
        let leave = [Op::new(gathers(round), 0), back];
        if self.set.try_operate(&leave, deadline)? {
            return Ok(());
        }
        let [down, up] = still(round);
        if self.set.try_operate(&[down, up, back], Deadline::Now)? {
            return Err(Errno::EAGAIN);
        }
        // The round was completed with this process, at the last instant.
        self.set.operate(&leave, Deadline::Now)
    }
}

/// Checks that the round gathers.
const fn still(round: u16) -> [Op; 2] {
    [Op::new(gathers(round), -1), Op::new(gathers(round), 1)]
}
