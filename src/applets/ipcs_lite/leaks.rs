//! `--leaks`: what a command leaves behind.

mod watch;
mod witness;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use self::witness::Witness;

use super::Ipcs;
use super::list::sort;
use crate::exit::{Cause, Exit};
use crate::objects::columns::{self, Record};
use crate::objects::usage::{Evidence, Use, has_purpose};
use crate::objects::{Object, find};
use crate::output;
use crate::supervise::command::Command;
use crate::supervise::end_as;
use crate::sys::deadline::Deadline;
use crate::sys::namespace;
use crate::sys::process::wait_status::Ended;
use crate::sys::wait::ready;
use crate::text::{counted, quote};

/// After so long an object of nobody's that is known is looked at once more.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Runs CMD, and tells what is there that was not there before.
pub fn run(ipcs: &Ipcs, words: Vec<OsString>) -> Result<Exit> {
    let command = Command::find(words)?;
    if let Some(target) = ipcs.targets.first() {
        bail!(Cause::new(Exit::Usage, format!("--leaks takes no TARGET, such as {target}")));
    }
    // A column that does not exist is told before CMD runs.
    output::show(&columns::pick(columns::OBJECT), &[], &ipcs.showing, false)?;
    ipcs.sort.iter().try_for_each(|name| output::column(&columns::pick(columns::OBJECT), name).map(drop))?;
    if ipcs.isolate {
        namespace::isolate().map_err(Cause::plain).context("cannot make an IPC namespace")?;
    }
    // What cannot be listed is reported before CMD is started.
    find::all(&ipcs.kinds(), true)?;
    let (witness, ended) = watch::watch(ipcs, &command)?;
    // CMD has run, and its status is not lost for what fails now.
    let leaked = report(ipcs, &witness).unwrap_or_else(|error| {
        output::report(&error);
        true
    });
    match ended? {
        Ended::Exited(0) if leaked => Ok(Exit::Failed),
        ended => end_as(ended),
    }
}

/// Tells what is there that was not there before; whether some of it has leaked.
fn report(ipcs: &Ipcs, witness: &Witness) -> Result<bool> {
    let mut found = mine(ipcs)?;
    found.retain(|object| !witness.was_there(object));
    let verdicts = Verdicts { ipcs, witness, evidence: Evidence::gather(&found) };
    let told = verdicts.of(found)?;
    let objects: Vec<Object> = told.iter().map(|(object, _)| object.clone()).collect();
    let names = columns::names(&objects);
    let records: Vec<Record> =
        told.iter().map(|(object, verdict)| Record { verdict: Some(verdict), ..Record::of(object, &names) }).collect();
    output::show(&columns::pick(columns::OBJECT), &records, &ipcs.showing, false)?;
    let unproven: Vec<&Object> =
        told.iter().filter_map(|(object, verdict)| (*verdict == "unproven").then_some(object)).collect();
    if !unproven.is_empty() {
        let words = format!(
            "kept {}: no process of CMD was seen to make or use them",
            counted(unproven.len(), "unproven object")
        );
        let hint = format!("{} # or give CMD an IPC namespace of its own: --isolate", removal(&unproven));
        output::report(&Cause::new(Exit::Failed, words).hint(hint).into());
    }
    Ok(told.iter().any(|(_, verdict)| !["held", "foreign", "idle"].contains(verdict)))
}

/// The call that removes these objects.
fn removal(objects: &[&Object]) -> String {
    let has_posix = objects.iter().any(|object| object.is_posix());
    let mut call = format!("ipcbox ipcrm-lite{}", if has_posix { " --posix" } else { "" });
    // A line that can still be read.
    for object in objects.iter().take(20) {
        let kind = object.kind().word();
        let name = || quote(&object.name.as_deref().unwrap_or_default().to_string_lossy());
        let _ = write!(call, " --{kind} {}", object.id().map_or_else(name, |id| id.to_string()));
    }
    call
}

/// The caller's objects of the kinds that are asked for; in a namespace of CMD's own all that are there.
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

/// What is said of each object.
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
            } else if has_purpose(&object) {
                "idle"
            } else if !self.ipcs.clean {
                "leaked"
            } else if is_proved(&object) {
                match find::remove(&object) {
                    Ok(()) | Err(Errno::EINVAL | Errno::EIDRM | Errno::ENOENT) => "removed",
                    Err(errno) => {
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
