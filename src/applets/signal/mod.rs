//! `signal`: send, wait, translate and inspect signals without races.
//!
//! A process is held by a descriptor from the moment its number was read, and signals that are waited for are blocked
//! before anybody hears that they are.

mod delivery;
mod join;
mod list;
mod run;
mod send;
mod stat;
mod wait;

use super::{Applet, Entry};
use crate::output::Cell;

/// The applet.
pub const APPLET: Applet = Applet {
    name: "signal",
    summary: "Send, await and translate signals, await processes, without races",
    example: "ipcbox signal send TERM 4711 --wait 10s --then KILL",
    verbs: &[
        Entry::of::<send::Send>(),
        Entry::of::<wait::Wait>(),
        Entry::of::<run::Run>(),
        Entry::of::<join::Join>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<list::List>(),
    ],
};

/// A descriptor's inode: unknown where the kernel is older than 6.9.
fn inode_cell(inode: Option<u64>) -> Cell {
    Cell::known(inode.and_then(|inode| i64::try_from(inode).ok()), Cell::from)
}
