//! `--leaks`: the objects that a command leaves behind.

mod watch;
mod witness;

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use self::witness::Witness;

use super::Ipcs;
use super::list::sort;
use crate::exit::{Cause, Exit};
use crate::objects::columns::{self, Record};
use crate::objects::usage::{Evidence, Use, purpose};
use crate::objects::{Object, find};
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::end_as;
use crate::sys::deadline::Deadline;
use crate::sys::namespace;
use crate::sys::process::wait_status::Ended;
use crate::sys::wait::ready;
use crate::target::remembered::Remembered;
use crate::text::counted;

/// An object without a known user that vanishes within this time after CMD belonged to another process.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Runs CMD, and reports the objects that did not exist before.
pub fn run(ipcs: &Ipcs, words: Vec<OsString>) -> Result<Exit> {
    let command = Command::find(words)?;
    if let Some(target) = ipcs.targets.first() {
        bail!(Cause::new(Exit::Usage, format!("--leaks takes no TARGET, but {target} was given")));
    }
    // An unknown column is reported before CMD runs.
    output::show(&columns::pick(columns::OBJECT), &[], &ipcs.showing, false)?;
    ipcs.sort.iter().try_for_each(|name| output::column(&columns::pick(columns::OBJECT), name).map(drop))?;
    if ipcs.isolate {
        namespace::isolate().map_err(Cause::plain).context("cannot create an IPC namespace")?;
    }
    // A kind that cannot be listed is reported before CMD runs.
    find::all(&ipcs.kinds(), true)?;
    let (witness, ended) = watch::watch(ipcs, &command)?;
    // A failure after CMD must not replace its status.
    let leaked = report(ipcs, &witness).unwrap_or_else(|error| {
        output::report(&error);
        true
    });
    match ended? {
        Ended::Exited(0) if leaked => Ok(Exit::Failed),
        ended => end_as(ended),
    }
}

/// Reports the new objects, and returns whether one leaked.
fn report(ipcs: &Ipcs, witness: &Witness) -> Result<bool> {
    let mut found = mine(ipcs)?;
    found.retain(|object| !witness.was_there(object));
    let verdicts = Verdicts { ipcs, witness, evidence: Evidence::gather(&found) };
    let judged = verdicts.of(found)?;
    let objects: Vec<Object> = judged.iter().map(|(object, _)| object.clone()).collect();
    let names = columns::names(&objects);
    let record = |(object, verdict)| Record { verdict: Some(verdict), ..Record::of(object, &names) };
    let records: Vec<Record> = judged.iter().map(|(object, verdict)| record((object, *verdict))).collect();
    output::show(&columns::pick(columns::OBJECT), &records, &ipcs.showing, false)?;
    let unproven = judged.iter().filter(|(_, verdict)| *verdict == "unproven").count();
    if unproven > 0 {
        let words =
            format!("kept {}, because CMD was not seen creating or using them", counted(unproven, "unproven object"));
        let hint = "add --isolate to run CMD in an IPC namespace of its own";
        output::report(&Cause::new(Exit::Failed, words).hint(hint).into());
    }
    Ok(judged.iter().any(|(_, verdict)| !["held", "foreign", "idle"].contains(verdict)))
}

/// Returns the caller's objects of the requested kinds; with `--isolate` all objects of the namespace.
fn mine(ipcs: &Ipcs) -> Result<Vec<Object>> {
    let (mut found, complete) = find::all(&ipcs.kinds(), true)?;
    if !complete {
        find::report_no_queues();
    }
    let uid = geteuid().as_raw();
    found.retain(|object| ipcs.isolate && object.is_of_namespace() || object.is_of(uid));
    let mut found = ipcs.filters.apply(found)?;
    if let Some(column) = &ipcs.sort {
        sort(&mut found, column)?;
    }
    Ok(found)
}

struct Verdicts<'a> {
    ipcs: &'a Ipcs,
    witness: &'a Witness,
    evidence: Evidence,
}

impl Verdicts<'_> {
    fn of(&self, found: Vec<Object>) -> Result<Vec<(Object, &'static str)>> {
        let is_proved = |object: &Object| self.ipcs.isolate && object.is_of_namespace() || self.witness.proves(object);
        if !found.iter().all(is_proved) {
            ready(&[], Deadline::after(SECOND_LOOK)).map_err(Cause::plain)?;
        }
        let stays = |object: &Object| {
            is_proved(object)
                || !matches!(find::again(object), Err(Errno::EINVAL | Errno::ENOENT | Errno::EIDRM | Errno::ESTALE))
        };
        let verdict = |object: Object| {
            let verdict = if matches!(self.evidence.of(&object), Use::By(_)) {
                "held"
            } else if !self.ipcs.isolate && self.witness.is_foreign(&object) {
                "foreign"
            } else if purpose(&object).is_some() {
                "idle"
            } else if !self.ipcs.clean {
                "leaked"
            } else if is_proved(&object) {
                match find::remove(&object) {
                    Ok(()) | Err(Errno::EINVAL | Errno::EIDRM | Errno::ENOENT) => "removed",
                    Err(errno) => {
                        let object = object.titled(&Remembered::default());
                        output::warn(format!("cannot remove {object}: {}", Cause::plain(errno)));
                        "leaked"
                    }
                }
            } else {
                "unproven"
            };
            (object, verdict)
        };
        Ok(found.into_iter().filter(stays).map(verdict).collect())
    }
}
