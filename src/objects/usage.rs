//! Proof that an object is in use, or that every process that used it has exited.

use std::collections::HashSet;

use super::users::{self, How, User};
use super::{Object, State};
use crate::semset::Purpose;
use crate::semset::journal::Journal;
use crate::sys::holders::Index;
use crate::sys::posix::shm as posix;
use crate::sys::process::{self, Blocked, Sight, procfs, shares_ipc};
use crate::sys::sysv::sem::Set;
use crate::sys::sysv::{Key, Kind, shm};

/// A snapshot of the processes that may use objects.
#[derive(Debug, Default)]
pub struct Evidence {
    uses: Index,
    blocked: Vec<Blocked>,
    sight: Sight,
    /// The keys of journals, left by killed writers of existing objects.
    journals: HashSet<Key>,
    /// Boot time, in seconds since 1970.
    boot: i64,
}

/// Whether an object is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// By these processes.
    By(Vec<User>),
    /// By none that could be inspected, but not every process could.
    Unknown,
    /// By no process.
    Free,
}

impl Evidence {
    /// Inspects every process for its use of these objects.
    pub fn gather(objects: &[Object]) -> Self {
        let boot = procfs::boot_time().unwrap_or(0);
        let looked = (users::index(objects), process::blocked_and_unseen());
        let (Ok(mut uses), Ok((mut blocked, unseen))) = looked else {
            return Self { boot, ..Self::default() };
        };
        uses.unseen.extend(unseen);
        blocked.retain(|blocked| shares_ipc(blocked.pid));
        let keyed = |object: &Object| object.perm().is_some_and(|perm| perm.key != 0);
        let has_segments = objects.iter().any(|it| matches!(it.state, State::Segment(_)) && keyed(it));
        let journals = if has_segments { journals() } else { HashSet::new() };
        Self { uses, blocked, sight: process::sight(), journals, boot }
    }

    /// Whether an object is in use: attached, open, held or waited on.
    pub fn of(&self, object: &Object) -> Use {
        let users = self.users(object);
        if !users.is_empty() {
            return Use::By(users);
        }
        let is_proved = match &object.state {
            State::Segment(_) => true,
            State::Set(stat) => Set::from_id(stat.id).values().is_ok(),
            _ => self.sight == Sight::All && self.is_all_seen(object),
        };
        if is_proved { Use::Free } else { Use::Unknown }
    }

    /// Whether no process is seen to use an object, but this proves nothing: no process is visible, or not all of those
    /// that its mode lets use it besides its owner.
    pub fn is_in_doubt(&self, object: &Object) -> bool {
        let is_shared = object.owned().is_none_or(|(_, _, mode)| mode & 0o077 != 0);
        self.of(object) == Use::Unknown
            && (self.sight == Sight::None || is_shared && (self.sight == Sight::Own || !self.is_all_seen(object)))
    }

    /// Returns the processes that are seen to use an object.
    pub fn users(&self, object: &Object) -> Vec<User> {
        let mut found = match &object.state {
            State::Set(stat) => return self.on_set(Set::from_id(stat.id)),
            _ => users::queue_waiters(object, &self.blocked),
        };
        // A waiter also has the queue open.
        let waits: Vec<_> = found.iter().filter_map(User::pid).collect();
        let mappers = users::mappers(object, &self.uses).into_iter();
        found.extend(mappers.filter(|user| user.pid().is_none_or(|pid| !waits.contains(&pid))));
        if matches!(&object.state, State::Segment(stat) if self.journals.contains(&stat.perm.key)) {
            found.push(User::unknown(1_u32, How::Completes));
        }
        found
    }

    fn on_set(&self, set: Set) -> Vec<User> {
        let values = set.values().map(|(_, values)| values).unwrap_or_default();
        let mut found = users::holders(set, &values).unwrap_or_default();
        if let Some(purpose) = Purpose::of(&values) {
            // Parties of a barrier, and units that another program took.
            let named: u32 = found.iter().map(|user| user.count().unwrap_or(1)).sum();
            let others = u32::from(purpose.held()).saturating_sub(named);
            let how = How::Holds { slot: None, purpose: purpose.name() };
            found.extend((others > 0).then(|| User::unknown(others, how)));
        }
        found.extend(users::set_waiters(set, &values, &self.blocked).unwrap_or_default());
        found
    }

    /// Whether every process that may use the object was inspected, except pid 1, which only root may inspect.
    fn is_all_seen(&self, object: &Object) -> bool {
        let Some((uid, _, mode)) = object.owned() else { return false };
        let may = |pid: &i32| {
            if *pid == 1 {
                return false;
            }
            let user = procfs::status(*pid).map_or(0, |status| status.uid);
            user == 0 || user == uid || mode & 0o077 != 0 || object.is_of(user)
        };
        !self.uses.unseen.iter().any(may)
    }

    /// Whether every process that used the object has exited: proved, refuted, or `None` if unknown.
    ///
    /// Proved for a segment that is not attached and is no journal, if its creator and last user have exited, and for
    /// an empty queue without waiters, if its last sender and receiver have. Refuted for sets, queues with messages and
    /// POSIX objects, which are meant to outlive processes.
    pub fn is_orphaned(&self, object: &Object) -> Option<bool> {
        let last = object.last_time();
        // Pid 0 is a process of another pid namespace.
        let gone = |pid: i32| (pid != 0).then(|| self.is_gone(pid, last));
        // `never`: no process has done it yet.
        let over = |pid: i32, never: bool| if never && pid == 0 { Some(true) } else { gone(pid) };
        let needed = match &object.state {
            State::Segment(stat) => {
                let unattached = stat.attach_time == 0 && stat.detach_time == 0;
                let is_left = stat.attached == 0 && !self.journals.contains(&stat.perm.key);
                vec![Some(is_left), gone(stat.creator_pid), over(stat.last_pid, unattached)]
            }
            State::Queue(stat) => {
                let is_empty = stat.messages == 0;
                let was_used = stat.send_time != 0 || stat.receive_time != 0;
                let is_free = match self.of(object) {
                    Use::Free => Some(true),
                    Use::By(_) => Some(false),
                    Use::Unknown => None,
                };
                let sender = over(stat.last_send_pid, stat.send_time == 0);
                let receiver = over(stat.last_receive_pid, stat.receive_time == 0);
                vec![Some(is_empty && was_used), sender, receiver, is_free]
            }
            _ => vec![Some(false)],
        };
        if needed.contains(&Some(false)) {
            Some(false)
        } else {
            needed.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
        }
    }

    /// Returns why it can be unknown which processes use an object, as text for the user.
    pub const fn blind_spot(&self) -> &'static str {
        match self.sight {
            Sight::None => "/proc does not show the processes of this PID namespace",
            Sight::Own => "/proc hides the processes of other users",
            Sight::Inside => "processes outside this PID namespace are not visible",
            Sight::All => "some processes cannot be inspected",
        }
    }

    /// Whether the process that had this pid at `last` has exited: the pid is free, or its process started later.
    fn is_gone(&self, pid: i32, last: i64) -> bool {
        /// `last`, the boot time and the start are each cut to whole seconds.
        const UNSURE: i64 = 2;
        if !process::exists(pid) {
            return true;
        }
        let Ok(stat) = procfs::stat(pid) else { return false };
        let ended = stat.is_zombie() && procfs::threads(pid).is_ok_and(|threads| threads.len() < 2);
        let began = self.boot + i64::try_from(stat.start / procfs::ticks()).unwrap_or(0);
        ended || self.boot > 0 && began > last + UNSURE
    }
}

/// Returns the pids that the kernel keeps for an object: creator of a segment, last sender and receiver of a queue,
/// last process to operate on each semaphore.
pub fn remembered(object: &Object) -> HashSet<i32> {
    let mut pids: HashSet<i32> = match &object.state {
        State::Segment(stat) => [stat.creator_pid].into(),
        State::Queue(stat) => [stat.last_send_pid, stat.last_receive_pid].into(),
        State::Set(stat) => {
            let set = Set::from_id(stat.id);
            (0..).take(stat.len).map_while(|index| set.last_pid(index).ok()).collect()
        }
        _ => HashSet::new(),
    };
    pids.remove(&0);
    pids
}

/// Returns the purpose of a set that serves as slots, a lock or a barrier.
pub fn purpose(object: &Object) -> Option<Purpose> {
    let State::Set(stat) = &object.state else { return None };
    let (_, values) = Set::from_id(stat.id).values().ok()?;
    Purpose::of(&values)
}

fn journals() -> HashSet<Key> {
    let names = posix::names().unwrap_or_default();
    let files = names.iter().filter_map(|name| Some((&posix::look(name).ok()?).into()));
    let segments = shm::all().into_iter().flatten().flatten().map(|stat| (&stat).into());
    segments.chain(files).flat_map(|object| Journal::new(object).keys()).collect()
}

/// Returns the kinds selected by options; all if none is.
pub fn chosen(msg: bool, shm: bool, sem: bool) -> Vec<Kind> {
    let asked = [(msg, Kind::Msg), (shm, Kind::Shm), (sem, Kind::Sem)];
    let any = msg || shm || sem;
    asked.into_iter().filter_map(|(asked, kind)| (asked || !any).then_some(kind)).collect()
}
