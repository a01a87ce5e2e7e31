//! Proof that a descendant of CMD created or used an object.
//!
//! The kernel keeps pids with an object, but a pid can be reused within the same second, and times of objects are whole
//! seconds. So an object counts as proved only if it was missing in one listing and present in a later one, while the
//! same descendant had the pid; or if it is a segment that its creator still maps.

use std::collections::{HashMap, HashSet};

use crate::objects::usage::remembered;
use crate::objects::{Identity, Object, State, system_v};
use crate::sys::holders::maps_segment;
use crate::sys::process::{self, procfs};
use crate::sys::sysv::Kind;

/// An object, and a pid that the kernel keeps with it.
type Trace = (Identity, i32);

pub(super) struct Witness {
    /// The kinds to list; empty if nothing has to be proved.
    kinds: Vec<Kind>,
    /// The objects from before CMD.
    before: HashSet<Identity>,
    /// Children from before CMD.
    strangers: Vec<i32>,
    /// Descendants at the last sample, and their start in clock ticks.
    below: HashMap<i32, u64>,
    /// Traces at the last sample.
    traces: HashSet<Trace>,
    proved: HashSet<Trace>,
}

impl Witness {
    /// Starts with the objects and children from before CMD, which already has its pid.
    pub(super) fn new(kinds: Vec<Kind>, before: HashSet<Identity>, strangers: Vec<i32>) -> Self {
        let (traces, proved) = (HashSet::new(), HashSet::new());
        let mut witness = Self { kinds, before, strangers, below: HashMap::new(), traces, proved };
        witness.below = witness.walk();
        witness
    }

    /// Whether to sample while CMD runs.
    pub(super) fn is_wanted(&self) -> bool {
        !self.kinds.is_empty()
    }

    pub(super) fn was_there(&self, object: &Object) -> bool {
        self.before.contains(&object.identity())
    }

    /// Samples the descendants and the pids of objects.
    pub(super) fn look(&mut self) {
        let below = self.walk();
        let listed = self.kinds.iter().map(|kind| system_v(*kind)).collect::<Result<Vec<_>, _>>();
        // After a failure, the next listing is compared with the last complete one.
        let Ok(listed) = listed else { return };
        // A descendant that has the pid after the listing, with the same start, had it before, too.
        let had = |pid: i32| {
            procfs::stat(pid).is_ok_and(|stat| {
                let is_below = stat.parent == own_pid() || below.contains_key(&stat.parent);
                is_below && below.get(&pid) == Some(&stat.start)
            })
        };
        let (mut traces, mut proved) = (HashSet::new(), HashSet::new());
        for object in listed.into_iter().flatten().filter(|object| !self.was_there(object)) {
            for pid in remembered(&object) {
                let trace = (object.identity(), pid);
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

    /// Returns the descendants of ipcbox.
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

    /// Whether a descendant of CMD was seen to have created the object or used it last.
    pub(super) fn proves(&self, object: &Object) -> bool {
        let place = object.identity();
        remembered(object).into_iter().any(|pid| self.proved.contains(&(place.clone(), pid)))
    }

    /// Whether a live process that created or last used the object is no descendant of ipcbox.
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
