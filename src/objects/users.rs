//! Who uses an object: who holds it, waits for it, maps it or has it open.

use std::io::Result as IoResult;

use super::{Object, State};
use crate::semset::{Purpose, awaited, lock, slots};
use crate::sys::blocked_open;
use crate::sys::fifo::Seen;
use crate::sys::holders::{self, Holder, Index, Open};
use crate::sys::message::{Waits, Which};
use crate::sys::posix::mq;
use crate::sys::process::{self, Blocked};
use crate::sys::sysv::msg;
use crate::sys::sysv::sem::Set;
use crate::text::{counted, visible};

/// A process that uses an object, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Which it is.
    pub who: Who,
    /// Its command line.
    pub command: Option<String>,
    /// What it does.
    pub how: How,
}

/// A process, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Its process id.
    Process(i32),
    /// A number of processes that the kernel counts without naming them.
    Unknown(u32),
}

/// How a process uses an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It has something of a set.
    Holds {
        /// The number of the slot.
        slot: Option<u16>,
        /// What the set is for.
        purpose: &'static str,
    },
    /// It is blocked in semop(2).
    Operates {
        /// The operations, where its memory may be read.
        operations: Option<String>,
        /// Was stopped in its wait, and takes part again when it is continued.
        stopped: bool,
    },
    /// It waits to send to a queue or to receive from it.
    Waits(Waits),
    /// It maps the object, or has it open.
    Maps {
        /// How many mappings it has.
        mappings: usize,
        /// The descriptors by which it has it open.
        open: Vec<Open>,
    },
    /// It is blocked in opening a FIFO.
    Opens {
        /// To read.
        reads: bool,
        /// To write.
        writes: bool,
    },
    /// A writer of this segment was killed; it has what completes another object.
    Completes,
}

impl User {
    /// A process; the number 0 is one of another PID namespace.
    pub(super) fn process(pid: i32, how: How) -> Self {
        let who = if pid == 0 { Who::Unknown(1) } else { Who::Process(pid) };
        Self { who, command: process::command(pid), how }
    }

    /// `count` processes of which nothing is known.
    pub fn unknown(count: impl TryInto<u32>, how: How) -> Self {
        Self { who: Who::Unknown(count.try_into().unwrap_or(u32::MAX)), command: None, how }
    }

    /// Its process id.
    pub const fn pid(&self) -> Option<i32> {
        match self.who {
            Who::Process(pid) => Some(pid),
            Who::Unknown(_) => None,
        }
    }

    /// How many there are, where the kernel only counts them.
    pub const fn count(&self) -> Option<u32> {
        match self.who {
            Who::Process(_) => None,
            Who::Unknown(count) => Some(count),
        }
    }

    /// The descriptors by which it has the object open.
    pub fn open(&self) -> &[Open] {
        if let How::Maps { open, .. } = &self.how { open } else { &[] }
    }

    /// Whether it reads from a FIFO, or will.
    pub fn reads(&self) -> bool {
        matches!(self.how, How::Opens { reads: true, .. }) || self.open().iter().any(|open| open.reads)
    }

    /// Whether it writes to a FIFO, or will.
    pub fn writes(&self) -> bool {
        matches!(self.how, How::Opens { writes: true, .. }) || self.open().iter().any(|open| open.writes)
    }

    /// What it does with an object, in words.
    pub fn how(&self, object: &Object) -> String {
        match (&self.how, self.count()) {
            (How::Holds { slot: Some(slot), .. }, None) => format!("holds slot {slot}"),
            (How::Holds { purpose, .. }, None) => format!("holds the {purpose}"),
            (How::Holds { purpose, .. }, Some(count)) => {
                format!("held {} as {purpose}", counted(count as usize, "time"))
            }
            (How::Operates { operations, .. }, None) => {
                format!("semop {}", operations.as_deref().unwrap_or_default()).trim_end().to_owned()
            }
            (How::Operates { .. }, Some(count)) => counted(count as usize, "unknown waiter"),
            (How::Waits(Waits::ToSend), _) if object.is_posix() => "mq_send".into(),
            (How::Waits(Waits::ToReceive(_)), _) if object.is_posix() => "mq_receive".into(),
            (How::Waits(Waits::ToSend), _) => "msgsnd".into(),
            (How::Waits(Waits::ToReceive(Which::Type(kind))), _) => format!("msgrcv type {kind}"),
            (How::Waits(Waits::ToReceive(Which::Except(kind))), _) => format!("msgrcv except {kind}"),
            (How::Maps { .. }, Some(count)) => counted(count as usize, "mapping") + " of unknown processes",
            (How::Maps { mappings: 0, .. }, None) => "has open".into(),
            (How::Maps { .. }, None) => "maps".into(),
            (How::Opens { .. }, _) => "opens".into(),
            (How::Completes, _) => "a killed writer's data for an object that is there".into(),
        }
    }

    /// The same with the process, as in `4711 (make all): maps`.
    pub fn uses(&self, object: &Object) -> String {
        let how = self.how(object);
        if self.pid().is_some() { format!("{self}: {how}") } else { how }
    }
}

impl From<Holder> for User {
    fn from(holder: Holder) -> Self {
        Self::process(holder.pid, How::Maps { mappings: holder.mappings, open: holder.open })
    }
}

/// As in a message: `4711 (make all)`, or how many there are.
impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match (self.who, &self.command) {
            (Who::Process(pid), Some(command)) => write!(f, "{pid} ({})", visible(command, &[])),
            (Who::Process(pid), None) => write!(f, "{pid}"),
            (Who::Unknown(count), _) => write!(f, "{count} unknown"),
        }
    }
}

/// Several, as in a message; `None` where there is none.
pub fn list(users: &[User]) -> Option<String> {
    let users: Vec<String> = users.iter().map(User::to_string).collect();
    (!users.is_empty()).then(|| users.join(", "))
}

/// Who has a slot or the lock: the last process that operated on its semaphore. Of those that share a lock the kernel knows
/// the last one only.
pub fn holders(set: Set, values: &[u16]) -> nix::Result<Vec<User>> {
    let Some(purpose) = Purpose::of(values) else { return Ok(Vec::new()) };
    let holds = |slot| How::Holds { slot, purpose: purpose.name() };
    match purpose {
        Purpose::Slots { .. } => slots::numbers(values, true)
            .map(|(number, index)| Ok(User::process(set.last_pid(index)?, holds(Some(number)))))
            .collect(),
        Purpose::Lock { exclusive: true, .. } => Ok(vec![User::process(set.last_pid(lock::WRITER)?, holds(None))]),
        Purpose::Lock { readers: readers @ 1.., .. } => {
            // It may have been the last to leave; then it is no longer there.
            let last = set.last_pid(lock::READERS)?;
            let seen = process::open(last).is_ok().then(|| User::process(last, holds(None)));
            let others = readers - u16::from(seen.is_some());
            let others = (others > 0).then(|| User::unknown(others, holds(None)));
            Ok(seen.into_iter().chain(others).collect())
        }
        Purpose::Lock { .. } | Purpose::Barrier { .. } => Ok(Vec::new()),
    }
}

/// How many wait on the first `len` semaphores of a set.
pub fn count(set: Set, len: usize) -> nix::Result<u32> {
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
pub fn set_waiters(set: Set, values: &[u16], blocked: &[Blocked]) -> nix::Result<Vec<User>> {
    let all = count(set, values.len())?;
    let mut asleep = 0;
    let operator = |thread: &Blocked| {
        let operations = thread.sem_ops(set.id())?.ok().map(|ops| awaited(values, &ops));
        let stopped = thread.is_stopped();
        asleep += u32::from(!stopped);
        Some(User::process(thread.pid, How::Operates { operations, stopped }))
    };
    let mut users: Vec<User> = blocked.iter().filter_map(operator).collect();
    let unseen = all.saturating_sub(asleep);
    if unseen > 0 {
        users.push(User::unknown(unseen, How::Operates { operations: None, stopped: false }));
    }
    Ok(users)
}

/// Who of these waits to send to a queue, or to receive from it.
pub fn queue_waiters(queue: &Object, blocked: &[Blocked]) -> Vec<User> {
    let waits = |thread: &Blocked| match &queue.state {
        State::Queue(stat) => msg::waits(thread, stat.id),
        State::PosixQueue(Ok(stat)) => mq::waits(thread, &stat.file),
        _ => None,
    };
    let waiter = |thread: &Blocked| Some(User::process(thread.pid, How::Waits(waits(thread)?)));
    blocked.iter().filter_map(waiter).collect()
}

/// Who maps what, of these objects and of all segments, and who has it open.
///
/// # Errors
/// Those of reading `/proc` itself.
pub fn index(objects: &[Object]) -> IoResult<Index> {
    holders::index(&objects.iter().filter_map(Object::file).collect::<Vec<_>>())
}

/// Who maps an object or has it open; the mappings of a segment that no process is seen to have are counted.
pub fn mappers(object: &Object, index: &Index) -> Vec<User> {
    let holders = match (&object.state, object.file()) {
        (State::Segment(stat), _) => index.segments.get(&stat.id),
        (_, Some(file)) => index.files.get(&file),
        _ => None,
    };
    let holders = holders.map(Vec::as_slice).unwrap_or_default();
    let mut found: Vec<User> = holders.iter().cloned().map(User::from).collect();
    if let State::Segment(stat) = &object.state {
        let seen: usize = holders.iter().map(|holder| holder.mappings).sum();
        // A process of another IPC namespace can have some, too.
        let unseen = stat.attached.saturating_sub(seen as u64);
        found.extend((unseen > 0).then(|| User::unknown(unseen, How::Maps { mappings: 0, open: Vec::new() })));
    }
    found
}

/// The processes at a FIFO but this one: those that have it open, and those that are still blocked in opening it. Also how
/// many could not be looked at.
pub fn at_fifo(fifo: &Seen) -> (Vec<User>, usize) {
    let holders = holders::of((fifo.device, fifo.inode)).unwrap_or_default();
    let opening = blocked_open::of(fifo.device, fifo.inode).into_iter();
    let opening = opening.map(|it| User::process(it.pid, How::Opens { reads: it.reads, writes: it.writes }));
    let this = std::process::id().cast_signed();
    let users = holders.seen.into_iter().map(User::from).chain(opening);
    (users.filter(|user| user.pid() != Some(this)).collect(), holders.unseen)
}
