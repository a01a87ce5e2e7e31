//! Supervises CMD and samples its descendants.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::Ipcs;
use super::witness::{Witness, own_pid};
use crate::exit::Cause;
use crate::objects::{Object, find};
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::{Event, Grouping, Supervisor};
use crate::sys::child;
use crate::sys::deadline::Deadline;
use crate::sys::process::procfs;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{Set, Signal, set_mask};

/// The shortest time between two samples; the kernel has no event for new objects.
const LOOK: Duration = Duration::from_millis(5);
/// Sampling takes at most a tenth of the time.
const SHARE: u32 = 10;

/// Runs CMD, and returns what was seen and how it exited. All objects are listed after CMD has its pid and before exec.
///
/// # Errors
/// CMD could not be started. The inner errors: it could not be waited for, and was killed.
pub(super) fn watch(ipcs: &Ipcs, command: &Command) -> Result<(Witness, Result<Ended>)> {
    let mut supervisor = Supervisor::new(Grouping::Own, &Limit::default())?;
    child::adopt_orphans()?;
    let strangers = procfs::children(own_pid()).unwrap_or_default();
    let mut listed = None;
    let list = || {
        // Without the filters: an object can start to match while CMD runs.
        let (before, _) = find::all(&ipcs.kinds(), true)?;
        let before = before.iter().map(Object::identity).collect();
        let proves = ipcs.clean && !ipcs.isolate;
        anyhow::Ok(Witness::new(if proves { ipcs.kinds() } else { Vec::new() }, before, strangers.clone()))
    };
    let mut is_ready = || listed.insert(list()).is_ok();
    let started = supervisor.start(command, &[], (Set::EMPTY, &[]), Some(&mut is_ready));
    let witness = listed.transpose()?;
    let cmd = started?;
    let mut witness = witness.context("CMD started before the objects were listed")?;
    let ended = wait(&mut supervisor, &mut witness, cmd);
    if ended.is_err() {
        supervisor.send(Signal::KILL);
        let _ = child::reap(cmd);
    }
    supervisor.take_terminal();
    Ok((witness, ended))
}

/// Forwards signals and samples descendants, until CMD exits.
fn wait(supervisor: &mut Supervisor, witness: &mut Witness, cmd: i32) -> Result<Ended> {
    let looks = witness.is_wanted();
    loop {
        let mut pause = None;
        if looks {
            let began = Instant::now();
            witness.look();
            pause = Some(LOOK.max(began.elapsed() * SHARE));
        }
        match supervisor.next(&[], Deadline::within(pause))? {
            Event::Signal(arrival) => supervisor.hear(&arrival)?,
            // A child that may not be waited for is noticed before CMD exits.
            Event::Child | Event::Due | Event::Ready(_) => {
                // A process keeps its pid until it is reaped.
                let mut look = || {
                    if looks {
                        witness.look();
                    }
                };
                while let Some((pid, ended, _)) =
                    supervisor.reap(Some(&mut look)).map_err(unwaited).context("cannot wait for CMD")?
                {
                    if pid == cmd {
                        witness.look();
                        // Signals act as usual again: no process is left to forward them to.
                        set_mask(supervisor.mask)?;
                        return Ok(ended);
                    }
                }
            }
        }
    }
}

fn unwaited(errno: Errno) -> Cause {
    match errno {
        Errno::ENOSYS | Errno::EPERM => {
            Cause::from_errno(errno, "wait4 or waitid is blocked, possibly by a seccomp filter")
        }
        errno => Cause::plain(errno),
    }
}
