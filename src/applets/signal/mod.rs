//! `signal`: send, wait for, translate and inspect signals without races.
//!
//! A process is opened as a pidfd as soon as its pid is read. Awaited signals are blocked before `--ready` is written.

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
    summary: "Send, wait for and translate signals; wait for any process",
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

/// The inode of a pidfd; unknown before Linux 6.9.
fn inode_cell(inode: Option<u64>) -> Cell {
    Cell::known(inode.and_then(|inode| i64::try_from(inode).ok()), Cell::from)
}
