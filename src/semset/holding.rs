//! Holder processes of a set: a caller that finds everything taken kills those whose process has exited.

use nix::errno::Errno;

use super::{Purpose, held_places};
use crate::sys::deadline::Deadline;
use crate::sys::holder::seen::{Seen, among, kill};
use crate::sys::process::procfs;
use crate::sys::sysv::sem::Set;

/// Takes something from a set by `attempt`. If everything is taken, kills the holders whose process has exited and
/// tries again. Calls `wait` before the attempt that waits.
///
/// # Errors
/// Those of `attempt`; `EAGAIN` means that everything is taken.
pub fn take<T, W>(
    set: Set,
    deadline: Deadline,
    wait: impl FnOnce() -> W,
    attempt: impl Fn(Deadline) -> Result<T, Errno>,
) -> Result<T, Errno> {
    loop {
        match attempt(Deadline::Now) {
            Err(Errno::EAGAIN) if kill_stale(set) > 0 => {}
            Err(Errno::EAGAIN) => break,
            outcome => return outcome,
        }
    }
    let _waits = wait();
    // A holder may have released on its own since the first attempt.
    attempt(deadline)
}

/// Kills the holders of a set whose process has exited, and returns how many have released.
pub fn kill_stale(set: Set) -> usize {
    kill(holders(set).into_iter().filter(Seen::is_stale).collect())
}

/// Kills the holders of a set that serve the process `pid`, and waits until they have released.
///
/// # Errors
/// `ESRCH`: there is none. `EPERM`: one cannot be killed. `EBUSY`: one, being frozen, has not exited within a second.
pub fn release(set: Set, pid: i32) -> Result<(), Errno> {
    let serving: Vec<Seen> = holders(set).into_iter().filter(|holder| holder.serves(pid)).collect();
    serving.iter().try_for_each(Seen::may_be_killed)?;
    match serving.len() {
        0 => Err(Errno::ESRCH),
        count if kill(serving) < count => Err(Errno::EBUSY),
        _ => Ok(()),
    }
}

/// Removes a set, then kills its holders, which would otherwise run until their process exits. Does not wait for them.
///
/// # Errors
/// Those of semctl(2).
pub fn remove(set: Set) -> Result<(), Errno> {
    // They cannot be found any more afterwards.
    let holders = holders(set);
    set.remove()?;
    for holder in holders {
        holder.kill();
    }
    Ok(())
}

fn holders(set: Set) -> Vec<Seen> {
    let Ok((_, values)) = set.values() else { return Vec::new() };
    let pids = match Purpose::of(&values) {
        // The kernel counts sharers, but does not keep their pids.
        Some(Purpose::Lock { readers: 1.., exclusive: false }) => procfs::all().unwrap_or_default(),
        _ => held_places(&values).into_iter().filter_map(|index| set.last_pid(index).ok()).collect(),
    };
    among(pids, set.id())
}
