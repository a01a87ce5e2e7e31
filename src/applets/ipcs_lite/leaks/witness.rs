//! What proves that a process below CMD made or used an object.
//!
//! An object remembers processes by number, and a number that has become free can belong to another process within the
//! same second, which is all that the object's times are good for. So only what was watched counts: the object was not
//! there in one listing, it was in a later one, and the same process below CMD had the number all the while. A segment
//! is proved as well while the process that made it by its number maps it.

use std::collections::{HashMap, HashSet};

use crate::objects::usage::remembered;
use crate::objects::{Object, Place, State, system_v};
use crate::sys::holders::maps_segment;
use crate::sys::process::{self, procfs};
use crate::sys::sysv::Kind;

/// An object, and a process that it remembers.
type Trace = (Place, i32);

pub(super) struct Witness {
    /// The kinds that are listed; none where nothing has to be proved.
    kinds: Vec<Kind>,
    /// The objects that were there before CMD.
    before: HashSet<Place>,
    /// Children from before CMD.
    strangers: Vec<i32>,
    /// The processes below the box at the last look, and when each started, as `/proc` has it.
    below: HashMap<i32, u64>,
    /// What was there at the last look.
    traces: HashSet<Trace>,
    proved: HashSet<Trace>,
}

impl Witness {
    /// Knows of the objects that were there before CMD, which has its number already, and of the children from before
    /// it.
    pub(super) fn new(kinds: Vec<Kind>, before: HashSet<Place>, strangers: Vec<i32>) -> Self {
        let (traces, proved) = (HashSet::new(), HashSet::new());
        let mut witness = Self { kinds, before, strangers, below: HashMap::new(), traces, proved };
        witness.below = witness.walk();
        witness
    }

    /// Whether it has to look while CMD runs.
    pub(super) fn is_wanted(&self) -> bool {
        !self.kinds.is_empty()
    }

    pub(super) fn was_there(&self, object: &Object) -> bool {
        self.before.contains(&object.place())
    }

    /// Looks who is below the box, and what each object remembers of them.
    pub(super) fn look(&mut self) {
        let below = self.walk();
        let listed = self.kinds.iter().map(|kind| system_v(*kind)).collect::<Result<Vec<_>, _>>();
        // What could not be listed proves nothing; the next listing is compared with the last one.
        let Ok(listed) = listed else { return };
        // Whoever has the number now, after the listing, and is below the box had it before, too.
        let had = |pid: i32| {
            procfs::stat(pid).is_ok_and(|stat| {
                let is_below = stat.parent == own_pid() || below.contains_key(&stat.parent);
                is_below && below.get(&pid) == Some(&stat.start)
            })
        };
        let (mut traces, mut proved) = (HashSet::new(), HashSet::new());
        for object in listed.into_iter().flatten().filter(|object| !self.was_there(object)) {
            for pid in remembered(&object) {
                let trace = (object.place(), pid);
                let is_new = self.below.get(&pid) == below.get(&pid) && !self.traces.contains(&trace);
                let maps = || matches!(&object.state, State::Segment(it) if maps_segment(pid, it.id));
                let is_seen = below.contains_key(&pid) && (is_new || maps()) && had(pid);
                if is_seen || self.proved.contains(&trace) {
                    proved.insert(trace.clone());
                }
                traces.insert(trace);
            }
        }
        (self.below, self.traces, self.proved) = (below, traces, proved);
    }

    /// The processes below the box.
    fn walk(&self) -> HashMap<i32, u64> {
        let mut below = HashMap::new();
        let mut parents = vec![own_pid()];
        while let Some(parent) = parents.pop() {
            for child in procfs::children(parent).unwrap_or_default() {
                let is_known = self.strangers.contains(&child) || below.contains_key(&child);
                if let (false, Ok(stat)) = (is_known, procfs::stat(child)) {
                    below.insert(child, stat.start);
                    parents.push(child);
                }
            }
        }
        below
    }

    /// Whether it was seen that a process below CMD made the object, or used it last.
    pub(super) fn proves(&self, object: &Object) -> bool {
        let place = object.place();
        remembered(object).into_iter().any(|pid| self.proved.contains(&(place.clone(), pid)))
    }

    /// Whether a process that the object remembers lives and is no descendant of ipcbox.
    pub(super) fn is_foreign(&self, object: &Object) -> bool {
        remembered(object).into_iter().any(|pid| {
            let is_below = |start: &u64| procfs::stat(pid).is_ok_and(|stat| stat.start == *start);
            process::exists(pid) && !self.below.get(&pid).is_some_and(is_below)
        })
    }
}

pub(super) fn own_pid() -> i32 {
    std::process::id().cast_signed()
}
