//! The processes that hold, wait for, map or have open an object.

use std::io::Result as IoResult;
use std::net::SocketAddr;
use std::path::Path;

use super::{FileState, Object, State};
use crate::fileset::{Held, Kept, SlotFile, Waiter, waiters_among};
use crate::semset::{Purpose, awaited, lock, slots};
use crate::sys::blocked_open;
use crate::sys::fifo::Seen;
use crate::sys::holder::seen::title;
use crate::sys::holders::{self, Holder, Index, Open, Place};
use crate::sys::message::{Waits, Which};
use crate::sys::posix::mq;
use crate::sys::process::{self, Blocked};
use crate::sys::record_lock::Mode;
use crate::sys::socket::diag::{self, Diag};
use crate::sys::socket::{SocketFile, Type};
use crate::sys::sysv::msg;
use crate::sys::sysv::sem::Set;
use crate::text::{counted, visible};

/// The purpose of a lock that a process shares.
const SHARED: &str = "shared lock";

/// A process that uses an object, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The process.
    pub who: Who,
    /// Its command line.
    pub command: Option<String>,
    /// How it uses the object.
    pub how: How,
}

/// A known process, or a number of unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A process id.
    Process(i32),
    /// A number of processes that the kernel only counts.
    Unknown(u32),
}

/// How a process uses an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Holds a slot, a lock or part of a barrier.
    Holds {
        /// The number of the slot.
        slot: Option<u16>,
        /// The purpose of the set.
        purpose: &'static str,
    },
    /// Is blocked in semop(2).
    Operates {
        /// The operations, if its memory may be read.
        operations: Option<String>,
        /// It was stopped during the wait, and waits again when it is continued.
        stopped: bool,
    },
    /// Waits to send to a queue or to receive from it.
    Waits(Waits),
    /// Maps the object or has it open.
    Maps {
        /// Number of mappings.
        mappings: usize,
        /// Open descriptors.
        open: Vec<Open>,
    },
    /// Is blocked in opening a FIFO.
    Opens {
        /// For reading.
        reads: bool,
        /// For writing.
        writes: bool,
    },
    /// The segment is the journal of a killed writer, which completes another object.
    Completes,
}

impl User {
    /// A process; pid 0 is a process of another PID namespace.
    pub(super) fn process(pid: i32, how: How) -> Self {
        let who = if pid == 0 { Who::Unknown(1) } else { Who::Process(pid) };
        Self { who, command: process::command(pid), how }
    }

    /// `count` unknown processes.
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

    /// The number of processes, if the kernel only counts them.
    pub const fn count(&self) -> Option<u32> {
        match self.who {
            Who::Process(_) => None,
            Who::Unknown(count) => Some(count),
        }
    }

    /// Its open descriptors.
    pub fn open(&self) -> &[Open] {
        if let How::Maps { open, .. } = &self.how { open } else { &[] }
    }

    /// Whether it shares a lock.
    pub fn is_sharer(&self) -> bool {
        matches!(self.how, How::Holds { purpose: SHARED, .. })
    }

    /// Whether it has a FIFO open for reading, or is opening it.
    pub fn reads(&self) -> bool {
        matches!(self.how, How::Opens { reads: true, .. }) || self.open().iter().any(|open| open.reads)
    }

    /// Whether it has a FIFO open for writing, or is opening it.
    pub fn writes(&self) -> bool {
        matches!(self.how, How::Opens { writes: true, .. }) || self.open().iter().any(|open| open.writes)
    }

    /// Describes how it uses an object.
    pub fn how(&self, object: &Object) -> String {
        match (&self.how, self.count()) {
            (How::Holds { slot: Some(slot), .. }, None) => format!("holds slot {slot}"),
            (How::Holds { purpose, .. }, None) => format!("holds the {purpose}"),
            (How::Holds { purpose, .. }, Some(count)) => {
                let unknown_holders = counted(count as usize, "unknown holder");
                format!("{unknown_holders} of the {purpose}")
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
            (How::Completes, _) => "unfinished write by a killed process".into(),
        }
    }

    /// Like `how`, with the process: `4711 (make all): maps`.
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

/// For messages: `4711 (make all)`, or the number of unknown processes.
impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match (self.who, &self.command) {
            (Who::Process(pid), Some(command)) => write!(f, "{pid} ({})", visible(command, &[])),
            (Who::Process(pid), None) => write!(f, "{pid}"),
            (Who::Unknown(count), _) => write!(f, "{count} unknown"),
        }
    }
}

/// Lists processes for a message; `None` if there are none.
pub fn list(users: &[User]) -> Option<String> {
    let users: Vec<String> = users.iter().map(User::to_string).collect();
    (!users.is_empty()).then(|| users.join(", "))
}

/// Lists the processes for a cell of a table, each once and by the name of its program: `812 make, 830 cc and 3 more`.
pub fn brief(users: &[User]) -> String {
    const NAMED: usize = 8;
    let mut pids: Vec<i32> = Vec::new();
    for pid in users.iter().filter_map(User::pid) {
        if !pids.contains(&pid) {
            pids.push(pid);
        }
    }
    let name = |pid: &i32| title(*pid).map_or_else(|_| pid.to_string(), |title| format!("{pid} {title}"));
    let unknown: u32 = users.iter().filter_map(User::count).sum();
    let mut words: Vec<String> = pids.iter().take(NAMED).map(name).collect();
    words.extend((unknown > 0).then(|| format!("{unknown} unknown")));
    let more = pids.len().saturating_sub(NAMED);
    words.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Returns the holders of slots or a lock: the last process to operate on each semaphore, so one of several readers.
pub fn holders(set: Set, values: &[u16]) -> nix::Result<Vec<User>> {
    let Some(purpose) = Purpose::of(values) else { return Ok(Vec::new()) };
    let holds = |slot| How::Holds { slot, purpose: purpose.name() };
    match purpose {
        Purpose::Slots { .. } => slots::numbers(values, true)
            .map(|(number, index)| Ok(User::process(set.last_pid(index)?, holds(Some(number)))))
            .collect(),
        Purpose::Lock { exclusive: true, .. } => Ok(vec![User::process(set.last_pid(lock::WRITER)?, holds(None))]),
        Purpose::Lock { readers: readers @ 1.., .. } => {
            // The last operation can have been a release by a process that has exited since.
            let last = set.last_pid(lock::READERS)?;
            let seen = process::open(last).is_ok().then(|| User::process(last, holds(None)));
            let others = readers - u16::from(seen.is_some());
            let others = (others > 0).then(|| User::unknown(others, holds(None)));
            Ok(seen.into_iter().chain(others).collect())
        }
        Purpose::Lock { .. } | Purpose::Barrier { .. } => Ok(Vec::new()),
    }
}

/// Returns the waiters for slots or a lock in a file, and a number of those that may not be inspected.
pub fn file_waiters(state: &FileState, blocked: &[Blocked]) -> Vec<User> {
    let waiters = waiters_among(blocked, (state.file.device, state.file.inode), state.kept);
    let seen = waiters.iter().filter(|waiter| waiter.is_queued).count();
    let how = |operations, stopped| How::Operates { operations, stopped };
    let user = |waiter: &Waiter| User::process(waiter.pid, how(Some(waiter.what.to_owned()), waiter.stopped));
    let mut users: Vec<User> = waiters.iter().map(user).collect();
    let unseen = (state.waiters.unwrap_or(0) as usize).saturating_sub(seen);
    users.extend((unseen > 0).then(|| User::unknown(unseen, how(None, false))));
    users
}

/// Returns the holders of slots or a lock in a file.
pub fn file_holders(file: &SlotFile) -> Vec<User> {
    let user = |held: &Held| match file.kept {
        Kept::Slots(_) => {
            User::process(held.pid.unwrap_or(0), How::Holds { slot: Some(held.number), purpose: "slots" })
        }
        Kept::Lock if held.mode == Mode::Shared => {
            User::process(held.pid.unwrap_or(0), How::Holds { slot: None, purpose: SHARED })
        }
        Kept::Lock => User::process(held.pid.unwrap_or(0), How::Holds { slot: None, purpose: "lock" }),
    };
    file.holders().unwrap_or_default().iter().map(user).collect()
}

/// Counts the waiters on the first `len` semaphores of a set.
pub fn count(set: Set, len: usize) -> nix::Result<u32> {
    (0..)
        .take(len)
        .try_fold(0, |sum, index| Ok(sum + u32::from(set.waiters(index)?) + u32::from(set.zero_waiters(index)?)))
}

/// Counts the processes that were stopped while they waited on a set; the kernel no longer counts them.
pub fn stopped(set: Set, blocked: &[Blocked]) -> u32 {
    let waits = |it: &&Blocked| it.is_stopped() && it.sem_ops(set.id()).is_some();
    u32::try_from(blocked.iter().filter(waits).count()).unwrap_or(u32::MAX)
}

/// Returns the waiters on a set with these values and their operations, even stopped. Uninspectable ones are counted.
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

/// Returns the processes that wait to send to a queue or to receive from it.
pub fn queue_waiters(queue: &Object, blocked: &[Blocked]) -> Vec<User> {
    let waits = |thread: &Blocked| match &queue.state {
        State::Queue(stat) => msg::waits(thread, stat.id),
        State::PosixQueue(Ok(stat)) => mq::waits(thread, &stat.file),
        _ => None,
    };
    let waiter = |thread: &Blocked| Some(User::process(thread.pid, How::Waits(waits(thread)?)));
    blocked.iter().filter_map(waiter).collect()
}

/// Finds the processes that map or have open any of these objects, or map any segment.
///
/// # Errors
/// `/proc` cannot be read.
pub fn index(objects: &[Object]) -> IoResult<Index> {
    holders::index(&objects.iter().filter_map(Object::file).collect::<Vec<_>>())
}

/// Returns the processes that map an object or have it open, and counts the mappings of a segment by unknown ones.
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
        // A process of another IPC namespace can map it, too.
        let unseen = stat.attached.saturating_sub(seen as u64);
        found.extend((unseen > 0).then(|| User::unknown(unseen, How::Maps { mappings: 0, open: Vec::new() })));
    }
    found
}

/// Returns the other processes that have a FIFO open or are opening it, and how many could not be inspected.
pub fn at_fifo(fifo: &Seen) -> (Vec<User>, usize) {
    let holders = holders::of((fifo.device, fifo.inode)).unwrap_or_default();
    let opening = blocked_open::of(fifo.device, fifo.inode).into_iter();
    let opening = opening.map(|it| User::process(it.pid, How::Opens { reads: it.reads, writes: it.writes }));
    let this = std::process::id().cast_signed();
    let users = holders.seen.into_iter().map(User::from).chain(opening);
    (users.filter(|user| user.pid() != Some(this)).collect(), holders.unseen)
}

/// Returns the processes that have the socket at a path open, as far as they can be inspected.
pub fn at_socket(path: &Path) -> Vec<User> {
    of_socket(SocketFile::open(path).and_then(|file| diag::bound_to(&file)).ok().flatten())
}

/// Returns the processes that have the socket with an abstract name open, likewise.
pub fn at_name(name: &[u8]) -> Vec<User> {
    of_socket(diag::bound_to_name(name).ok().flatten())
}

/// Returns the processes that have the TCP socket open that listens at an address, likewise.
pub fn at_port(at: SocketAddr) -> Vec<User> {
    let find = |diag: Diag| diag.listener(at)?.map(|socket| diag.place(socket)).transpose();
    of_socket(Diag::open(Type::Stream).and_then(find).ok().flatten())
}

fn of_socket(socket: Option<Place>) -> Vec<User> {
    let holders = socket.and_then(|socket| holders::of(socket).ok());
    holders.into_iter().flat_map(|holders| holders.seen).map(User::from).collect()
}
