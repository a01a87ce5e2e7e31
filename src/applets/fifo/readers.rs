//! Waiting until so many processes read a FIFO.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::people;
use crate::args::waiting::Deadline;
use crate::sys::fifo::Seen;
use crate::sys::wait::{self, Patience};
use crate::sys::watch::Opens;

/// The first and the longest time between two looks through `/proc`.
const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

/// Waits until `wanted` processes have the FIFO open for reading. Its write end `fd` is open: so nobody is still blocked in
/// open(2) for reading.
pub fn wait_for(fd: &OwnedFd, seen: &Seen, wanted: usize, deadline: &Deadline) -> Result<()> {
    // Without the permission to read the FIFO there are only the looks.
    let opens = Opens::of(fd).ok();
    let watched: Vec<_> = opens.iter().map(AsFd::as_fd).collect();
    let mut pause = FIRST;
    loop {
        let people = people::at(seen).seen;
        let reading = people.iter().filter(|person| person.reads).count();
        if reading >= wanted {
            return Ok(());
        }
        if deadline.patience.is_over() {
            bail!(deadline.missed(&format!("only {reading} of {wanted} readers came")));
        }
        let until = Instant::now() + deadline.patience.left().unwrap_or(pause).min(pause);
        if wait::ready(&watched, Patience::Until(until))?.is_some() {
            opens.iter().try_for_each(Opens::clear)?;
            pause = FIRST;
        } else {
            pause = LONGEST.min(pause * 2);
        }
    }
}
