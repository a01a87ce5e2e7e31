//! One CMD, for which ipcbox stays as the parent.

use std::mem::forget;

use anyhow::Result;

use super::command::Command;
use super::escalation::Limit;
use super::{Event, Grouping, Supervisor, end_as};
use crate::exit::Exit;
use crate::sys::child::Unstarted;
use crate::sys::deadline::Deadline;
use crate::sys::signal::Set;

/// Runs CMD in a process group of its own, forwards signals to it, and exits as it does. The child calls `execute`, which
/// executes CMD after preparations of its own.
///
/// # Errors
/// CMD could not be started.
pub fn run(command: &Command, execute: &dyn Fn() -> Unstarted) -> Result<Exit> {
    let mut supervisor = Supervisor::new(Grouping::Own, &Limit::default())?;
    let cmd = supervisor.start_by(command, (Set::EMPTY, &[]), None, execute)?;
    loop {
        match supervisor.next(&[], Deadline::Forever)? {
            Event::Signal(arrival) => supervisor.hear(&arrival)?,
            Event::Child | Event::Due | Event::Ready(_) => {
                while let Some((pid, ended, _)) = supervisor.reap(None)? {
                    if pid == cmd {
                        supervisor.take_terminal();
                        // The process exits soon, which closes its descriptors.
                        forget(supervisor);
                        return end_as(ended);
                    }
                }
            }
        }
    }
}
