//! RLIMIT_FSIZE (ulimit -f): writing beyond it fails with EFBIG, which ipcbox reports.
//!
//! By default SIGXFSZ kills the process first, and the message or record it has in hand is lost.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::Result;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::signal::{Disposition, Signal, set_disposition};

/// Whether ipcbox itself set SIGXFSZ to be ignored.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Ignores SIGXFSZ, so that such a write fails with EFBIG.
pub fn report() -> Result<()> {
    if set_disposition(Signal::XFSZ, Disposition::Ignore)? == Disposition::Default {
        IS_OURS.store(true, Ordering::SeqCst);
    }
    Ok(())
}

/// Returns the limit in bytes. `None`: there is none.
pub fn limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

/// Restores the inherited disposition of SIGXFSZ in a process that is about to run CMD.
pub(super) fn hand_on() -> Result<()> {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        set_disposition(Signal::XFSZ, Disposition::Default)?;
    }
    Ok(())
}
