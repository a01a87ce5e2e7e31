//! A barrier: N callers meet and leave together, round after round.
//!
//! Semaphore 0 remembers the parties, 1 is the door, through which at most so many are inside, 2 and 3 count who has come in
//! rounds of either parity, 4 and 5 are the gates, of which one is open, 6 is the mark. The only lasting
//! change of a round is the flip of the gates, one array; all else is taken back if its process dies.

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, is_not};
use crate::args::creating::Creating;
use crate::exit::{Cause, Exit};
use crate::sys::sysv::sem::{Op, Set};
use crate::sys::wait::Patience;
use crate::target::Target;

const PARTIES: u16 = 0;
const DOOR: u16 = 1;
const COME: [u16; 2] = [2, 3];
const GATE: [u16; 2] = [4, 5];

pub(super) const LAYOUT: Layout = Layout {
    least: 7,
    most: 7,
    mark: 6,
    value: 0x4942,
    name: "a barrier",
    may_be: |len| Ok(len == 7),
};

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    // Who waits now has come in the round whose gate is shut.
    let open = usize::from(values.get(GATE[1] as usize) == Some(&1));
    LAYOUT.is_in(values).then(|| Purpose::Barrier {
        parties: values[PARTIES as usize],
        arrived: values[COME[1 - open] as usize],
    })
}

/// A barrier.
#[derive(Debug, Clone, Copy)]
pub struct Barrier {
    /// The set.
    pub set: Set,
    parties: i16,
}

impl Barrier {
    /// The one behind `target`, made for so many parties where it is missing.
    ///
    /// # Errors
    /// What is there is no barrier, or one for another number.
    pub fn find_or_make(target: &Target, parties: u16, creating: Creating) -> Result<Self> {
        let count = parties.cast_signed();
        let born = [(PARTIES, count), (DOOR, count), (GATE[0], 1)];
        let (set, values, _) =
            LAYOUT.find_or_make(target, LAYOUT.least, LAYOUT.least, creating, &born)?;
        match purpose(&values) {
            Some(Purpose::Barrier { parties: theirs, .. }) if theirs == parties => {
                Ok(Self { set, parties: count })
            }
            Some(it_is @ Purpose::Barrier { .. }) => {
                bail!(Cause::new(Exit::Exists, format!("{target} is {it_is}, not for {parties}")))
            }
            _ => bail!(is_not(target, &values, "a barrier")),
        }
    }

    /// Comes, waits for the others and leaves with them. A process that gives up has to end: what it holds goes back with it.
    ///
    /// # Errors
    /// `EAGAIN`: not in time, and the others do not count us. `EIDRM`, `EINVAL`: the set was removed.
    pub fn meet(self, patience: Patience) -> Result<(), Errno> {
        let set = self.set;
        set.operate(&[Op::new(DOOR, -1).undo()], patience)?;
        // Which gate is open cannot change while we are inside and have not come.
        let open = usize::from(set.value(GATE[1])? == 1);
        let [last_gate, gate] = [GATE[open], GATE[1 - open]];
        let [last_come, come] = [COME[open], COME[1 - open]];
        let is_open = |gate| [Op::new(gate, -1), Op::new(gate, 1)];
        let away = [Op::new(come, -1).undo(), Op::new(DOOR, 1).undo()];

        // The round before has left whole.
        let [down, up] = is_open(last_gate);
        set.operate(&[down, up, Op::new(last_come, 0), Op::new(come, 1).undo()], patience)?;

        let flip = [
            Op::new(come, -self.parties),
            Op::new(come, self.parties),
            Op::new(last_gate, -1),
            Op::new(gate, 1),
        ];
        match set.operate(&flip, Patience::Never) {
            // We were not the last one.
            Ok(()) | Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }

        let [down, up] = is_open(gate);
        let leave = [[down, up], away].concat();
        let outcome = set.operate(&leave, patience);
        if outcome != Err(Errno::EAGAIN) {
            return outcome;
        }
        let withdraw = [&[Op::new(gate, 0).nowait()], &away[..]].concat();
        match set.operate(&withdraw, Patience::Forever) {
            Ok(()) => Err(Errno::EAGAIN),
            // The round was completed with us, at the last instant.
            Err(Errno::EAGAIN) => set.operate(&leave, Patience::Forever),
            Err(errno) => Err(errno),
        }
    }
}
