//! RLIMIT_FSIZE, ulimit -f: a file that would grow beyond it is EFBIG to ipcbox, which reports it.
//!
//! By default SIGXFSZ kills a process before it can report anything, with a message or a record in its hands.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::Result;

use super::signal::{Disposition, Signal, set_disposition};

/// Whether SIGXFSZ is ignored although ipcbox was not started so.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Has EFBIG returned instead of SIGXFSZ sent.
pub fn report() -> Result<()> {
    if set_disposition(Signal::XFSZ, Disposition::Ignore)? == Disposition::Default {
        IS_OURS.store(true, Ordering::SeqCst);
    }
    Ok(())
}

/// In a process that is about to run CMD: SIGXFSZ does what it did when ipcbox was started.
pub(super) fn hand_on() -> Result<()> {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        set_disposition(Signal::XFSZ, Disposition::Default)?;
    }
    Ok(())
}
