//! Waits for slots or a lock of a file: the message that names the holders, and the failure on timeout.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Result;
use nix::errno::Errno;

use super::{SlotFile, unlocked};
use crate::args::timeout::Timeout;
use crate::exit::Cause;
use crate::output::in_use::{Wanted, listed, locked, named, no_slot, with_command};
use crate::output::notice::{Due, Notice};
use crate::sys::deadline::Deadline;
use crate::sys::process::procfs;
use crate::sys::record_lock::Mode;
use crate::target::Target;

/// Takes `wanted` from the file behind `target`, which `open` opens. Returns the file, the numbers of the slots, and the
/// file once more, for CMD.
///
/// # Errors
/// Those of `open`. Timeout: nothing was free in time.
pub fn take(
    target: &Target,
    wanted: Wanted,
    timeout: &Timeout,
    open: impl Fn() -> Result<SlotFile>,
) -> Result<(Arc<SlotFile>, Vec<u16>, OwnedFd)> {
    let deadline = timeout.deadline();
    loop {
        let file = Arc::new(open()?);
        let mut taken = file.take_at_once(wanted);
        if taken == Err(Errno::EAGAIN) && deadline != Deadline::Now {
            let notice = notice(target, &file, wanted, timeout);
            taken = wait(&file, wanted, deadline, notice);
        }
        let numbers = match taken {
            Err(Errno::EAGAIN) => return Err(missed(&file, wanted, timeout).into()),
            Err(errno) => return Err(unlocked(&*file, errno).into()),
            Ok(numbers) => numbers,
        };
        // Otherwise the next file gets its turn, and this one is released when it is closed.
        if let Some(own) = file.again()? {
            return Ok((file, numbers, own));
        }
    }
}

fn wait(file: &SlotFile, wanted: Wanted, deadline: Deadline, mut notice: Notice) -> nix::Result<Vec<u16>> {
    let Some(mode) = file.own_wait(wanted)? else {
        return file.watch(wanted, deadline, notice.of_child(deadline));
    };
    let _begun = notice.begin(deadline);
    file.wait(mode, wanted, deadline)
}

/// Returns the message about a wait for `wanted`.
pub fn notice(target: &Target, file: &Arc<SlotFile>, wanted: Wanted, timeout: &Timeout) -> Notice {
    let file = Arc::clone(file);
    Notice::new(target, timeout, move |due| match due {
        Due::AtOnce => {
            let pid = ancestor(&file, wanted)?;
            Some(format!("held by {}, which is an ancestor of this process", named(pid)))
        }
        Due::Later => listed(&holders(&file), named).map(|holders| format!("held by {holders}")),
    })
}

/// Returns the failure to get `wanted` in time. The holders are looked up only for a message that is printed.
pub fn missed(file: &SlotFile, wanted: Wanted, timeout: &Timeout) -> Cause {
    if timeout.is_silent() {
        return timeout.expired("");
    }
    let held = file.holders().unwrap_or_default();
    let cause = timeout.expired(match wanted {
        Wanted::Slots(units) => {
            let capacity = file.kept.capacity();
            let free = capacity.saturating_sub(u16::try_from(held.len()).unwrap_or(u16::MAX));
            no_slot(capacity, free, units, listed(&holders(file), named), timeout)
        }
        Wanted::Lock { shared } => {
            let is_shared = held.iter().any(|held| held.mode == Mode::Shared);
            locked(by_command(file), shared && is_shared, timeout)
        }
    });
    // Otherwise the waiting message has named it.
    let is_unnamed = timeout.is_quiet() || timeout.deadline() == Deadline::Now;
    match is_unnamed.then(|| ancestor(file, wanted)).flatten() {
        Some(pid) => cause.note(&format!("{pid} is an ancestor of this process")),
        None => cause,
    }
}

/// The holders of a lock in words.
fn by_command(file: &SlotFile) -> Option<String> {
    listed(&holders(file), with_command)
}

/// Returns the processes that hold something, each once, as far as they are known.
fn holders(file: &SlotFile) -> Vec<i32> {
    let mut found = Vec::new();
    for pid in file.holders().unwrap_or_default().iter().filter_map(|held| held.pid) {
        if !found.contains(&pid) {
            found.push(pid);
        }
    }
    found
}

/// Returns an ancestor of this process that holds so much that `wanted` can never come free.
fn ancestor(file: &SlotFile, wanted: Wanted) -> Option<i32> {
    let held = file.holders().ok()?;
    let ancestors = procfs::ancestors();
    let own: Vec<i32> = held.iter().filter_map(|held| held.pid).filter(|pid| ancestors.contains(pid)).collect();
    let units = if let Wanted::Slots(units) = wanted { units } else { 1 };
    let can_come_free = usize::from(file.kept.capacity()).saturating_sub(own.len());
    own.last().copied().filter(|_| can_come_free < usize::from(units))
}
