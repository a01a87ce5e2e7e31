//! Waiting for several readers of a FIFO.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, bail};

use crate::applets::fifo::still;
use crate::applets::fifo::stream::backoff::Backoff;
use crate::args::timeout::Timeout;
use crate::objects::users::at_fifo;
use crate::output::notice::Notice;
use crate::sys::fifo::Seen;
use crate::sys::inotify::Watch;
use crate::sys::wait;

/// Waits until `wanted` processes have the FIFO open for reading. With its write end `fd` open, none blocks in open(2).
pub fn wait_for(fd: &OwnedFd, seen: &Seen, wanted: usize, timeout: &Timeout, mut notice: Notice) -> Result<()> {
    // inotify needs permission to read the FIFO. Without it, /proc is searched at intervals only.
    let opens = Watch::opens(fd).ok();
    let watched: Vec<_> = opens.iter().map(AsFd::as_fd).collect();
    let mut pause = Backoff::FIRST;
    loop {
        let reading = at_fifo(seen).0.iter().filter(|user| user.reads()).count();
        if reading >= wanted {
            return Ok(());
        }
        if timeout.deadline().is_over() {
            bail!(still(&format!("only {reading} of {wanted} readers have the FIFO open"), timeout));
        }
        notice.begin(timeout.deadline());
        if wait::ready(&watched, pause.within(timeout.deadline()))?.is_some() {
            opens.iter().try_for_each(|watch| watch.clear().map(drop))?;
            pause = Backoff::FIRST;
        } else {
            pause = pause.longer();
        }
    }
}
