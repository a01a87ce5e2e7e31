//! `msgq`, both families.

mod answers;
mod callers;
mod input;
mod limits;
mod moving;
mod objects;
mod patience;
mod peers;
mod serving;
mod storms;

use crate::support::World;

/// A queue of each family in a world.
const BOTH: [&str; 2] = ["@q", "/@q"];

/// Returns `full` if `IPCBOX_FULL` is set, otherwise the smaller number of the daily run.
fn full(daily: usize, full: usize) -> usize {
    if std::env::var_os("IPCBOX_FULL").is_some_and(|value| value == "1") { full } else { daily }
}

/// Returns the number of messages in a queue.
fn messages(world: &World, target: &str) -> u64 {
    let text = world.call(&format!("msgq stat {target} --columns messages --no-header")).ok();
    text.trim().parse().unwrap()
}
