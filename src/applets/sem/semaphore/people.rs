//! Who has a set, and who waits on it.

use nix::errno::Errno;

use crate::semset::{Purpose, awaited, lock, slots};
use crate::sys::process::{self, Blocked};
use crate::sys::sysv::sem::Set;
use crate::text::visible;

/// One who has something of a set, or waits for it.
pub struct Person {
    /// Waits for it, rather than has it.
    pub waits: bool,
    /// Was stopped in its wait, and takes part again when it is continued.
    pub stopped: bool,
    /// The number of the slot.
    pub slot: Option<u16>,
    /// The process, where the kernel tells; else how many there are.
    pub who: Result<i32, u32>,
    /// The command line.
    pub command: Option<String>,
    /// The operations that are waited for.
    pub operations: Option<String>,
}

impl Person {
    fn holder(slot: Option<u16>, pid: i32) -> Self {
        Self {
            waits: false,
            stopped: false,
            slot,
            who: if pid == 0 { Err(1) } else { Ok(pid) },
            command: process::command(pid),
            operations: None,
        }
    }

    /// So many of whom nothing is known.
    pub const fn unknown(waits: bool, count: u32) -> Self {
        Self { waits, stopped: false, slot: None, who: Err(count), command: None, operations: None }
    }
}

/// As in a message: `4711 (make all)`, or how many there are.
impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match (&self.who, &self.command) {
            (Ok(pid), Some(command)) => write!(f, "{pid} ({})", visible(command, &[])),
            (Ok(pid), None) => write!(f, "{pid}"),
            (Err(count), _) => write!(f, "{count} unknown"),
        }
    }
}

/// Who has a slot or the lock: the last process that operated on its semaphore. Of those who share a lock the kernel
/// tells the last one only.
pub fn holders(set: Set, values: &[u16]) -> Result<Vec<Person>, Errno> {
    match Purpose::of(values) {
        Some(Purpose::Slots { .. }) => slots::numbers(values, true)
            .map(|(number, index)| Ok(Person::holder(Some(number), set.last_pid(index)?)))
            .collect(),
        Some(Purpose::Lock { exclusive: true, .. }) => Ok(vec![Person::holder(None, set.last_pid(lock::WRITER)?)]),
        Some(Purpose::Lock { readers: readers @ 1.., .. }) => {
            // It may have been the last to leave; then it is no longer there.
            let last = set.last_pid(lock::READERS)?;
            let seen = process::open(last).is_ok().then(|| Person::holder(None, last));
            let others = u32::from(readers) - u32::from(seen.is_some());
            let others = (others > 0).then(|| Person::unknown(false, others));
            Ok(seen.into_iter().chain(others).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// How many wait on the first `len` semaphores of a set.
pub fn count(set: Set, len: usize) -> Result<u32, Errno> {
    (0..)
        .take(len)
        .try_fold(0, |sum, index| Ok(sum + u32::from(set.waiters(index)?) + u32::from(set.zero_waiters(index)?)))
}

/// How many of these were stopped while they waited on a set: the kernel counts them no more.
pub fn stopped(set: Set, blocked: &[Blocked]) -> u32 {
    let waits = |it: &&Blocked| it.is_stopped() && it.sem_ops(set.id()).is_some();
    u32::try_from(blocked.iter().filter(waits).count()).unwrap_or(u32::MAX)
}

/// Who waits on a set with these values, and for which operations; of those that may not be looked at how many there are. A
/// process that was stopped in its wait is one of them, though the kernel does not count it.
pub fn waiters(set: Set, values: &[u16]) -> Result<Vec<Person>, Errno> {
    let all = count(set, values.len())?;
    let person = |blocked: Blocked| {
        let operations = blocked.sem_ops(set.id())?.ok().map(|ops| awaited(values, &ops));
        Some(Person {
            waits: true,
            stopped: blocked.is_stopped(),
            slot: None,
            who: Ok(blocked.pid),
            command: process::command(blocked.pid),
            operations,
        })
    };
    let mut people: Vec<Person> = process::blocked().unwrap_or_default().into_iter().filter_map(person).collect();
    let asleep = people.iter().filter(|person| !person.stopped).count();
    let seen = u32::try_from(asleep).unwrap_or(u32::MAX);
    let unseen = all.saturating_sub(seen);
    if unseen > 0 {
        people.push(Person::unknown(true, unseen));
    }
    Ok(people)
}
