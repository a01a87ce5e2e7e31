//! What a call takes, and the words about its holders: the same for semaphore sets and files.

use crate::args::timeout::Timeout;
use crate::sys::holder::seen::title;
use crate::sys::process;
use crate::text::counted;

/// How many holders a message names.
const NAMED: usize = 8;
/// How much of a command line a message shows, in characters.
const COMMAND: usize = 60;

/// What a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This number of slots.
    Slots(u16),
    /// The lock.
    Lock {
        /// Shared with others.
        shared: bool,
    },
}

/// "all 4 slots are still in use after 2s by 812 (make), 830 (cc)". `holders` names them, if any is known.
pub fn no_slot(capacity: u16, free: u16, units: u16, holders: Option<String>, timeout: &Timeout) -> String {
    let (still, after) = (timeout.still(), timeout.after());
    let by = by(holders);
    // More can have come free since.
    if units > 1 && free > 0 {
        let free = free.min(units - 1);
        let is = if free == 1 { "is" } else { "are" };
        return format!(
            "only {free} of {capacity} slots {is} free{after}, but {units} are needed; the others are in use{by}"
        );
    }
    if capacity == 1 {
        format!("the only slot is{still} in use{after}{by}")
    } else {
        format!("all {} are{still} in use{after}{by}", counted(capacity.into(), "slot"))
    }
}

/// "still locked after 2s by pid 33 (sleep 60)". `waits` is whether an exclusive waiter comes first.
pub fn locked(holders: Option<String>, waits: bool, timeout: &Timeout) -> String {
    let is = if timeout.still().is_empty() { "it is" } else { "still" };
    let queue = if waits { "; an exclusive waiter comes first" } else { "" };
    format!("{is} locked{}{}{queue}", timeout.after(), by(holders))
}

fn by(holders: Option<String>) -> String {
    holders.map_or_else(String::new, |holders| format!(" by {holders}"))
}

/// Lists processes, at most `NAMED` of them; `None` if there are none.
pub fn listed(pids: &[i32], name: fn(i32) -> String) -> Option<String> {
    let named = pids.iter().take(NAMED).map(|pid| name(*pid)).collect::<Vec<_>>().join(", ");
    let more = pids.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| named + &more)
}

/// A process and its title: `812 (cc)`.
pub fn named(pid: i32) -> String {
    title(pid).map_or_else(|_| pid.to_string(), |title| format!("{pid} ({title})"))
}

/// A process and its command line: `pid 812 (cc -c main.c)`.
pub fn with_command(pid: i32) -> String {
    let Some(command) = process::command(pid) else { return format!("pid {pid}") };
    match command.char_indices().nth(COMMAND) {
        Some((end, _)) => format!("pid {pid} ({}…)", &command[..end]),
        None => format!("pid {pid} ({command})"),
    }
}
