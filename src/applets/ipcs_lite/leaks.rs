//! `--leaks`: what a command leaves behind.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, geteuid};

use super::list::sort;
use super::{Ipcs, NAME};
use crate::args::command::Command;
use crate::exit::{Cause, Exit, lines};
use crate::inventory::columns::{self, Record};
use crate::inventory::evidence::{Evidence, Use, remembered};
use crate::inventory::{Object, Place, find};
use crate::output;
use crate::sys::child::{self, Change, changed};
use crate::sys::job::Job;
use crate::sys::namespace;
use crate::sys::process::{self, told};
use crate::sys::signals::{
    Arrival, Arrivals, Disposition, Set, Signal, block, set_disposition, set_mask,
};
use crate::sys::sysv::Kind;
use crate::sys::wait::{Patience, ready};

/// How often the processes below CMD are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// After so long an object of nobody's that is known is looked at once more.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Runs CMD, and tells what is there that was not there before.
pub fn run(ipcs: &Ipcs, words: Vec<OsString>) -> Result<Exit> {
    let command = Command::find(words)?;
    if let Some(target) = ipcs.targets.first() {
        bail!(Cause::new(Exit::Usage, format!("--leaks takes no TARGET, such as {target}")));
    }
    // A column that does not exist is told before CMD runs.
    output::show(&columns::columns(), &[], &ipcs.showing, false)?;
    ipcs.sort.iter().try_for_each(|name| output::column(&columns::columns(), name).map(drop))?;
    if ipcs.isolate {
        let why = "cannot make an IPC namespace";
        namespace::isolate().map_err(Cause::plain).context(why)?;
    }
    let before: HashSet<Place> = mine(ipcs)?.iter().map(Object::place).collect();
    let mut minder = Minder::start(&command)?;
    let status = minder.mind();
    if status.is_err() {
        minder.end();
    }
    // CMD has run, and its status is not lost for what fails now.
    let leaked = report(ipcs, &minder, &before).unwrap_or_else(|error| {
        output::tell(&lines(NAME, &error));
        true
    });
    Ok(match status? {
        0 if leaked => Exit::Failed,
        status => Exit::Command(status),
    })
}

/// Tells what is there that was not there before; whether some of it has leaked.
fn report(ipcs: &Ipcs, minder: &Minder, before: &HashSet<Place>) -> Result<bool> {
    let mut found = mine(ipcs)?;
    found.retain(|object| !before.contains(&object.place()));
    let verdicts = Verdicts { ipcs, minder, evidence: Evidence::gather(&found) };
    let told = verdicts.of(found)?;
    let objects: Vec<Object> = told.iter().map(|(object, _)| object.clone()).collect();
    let names = columns::names(&objects);
    let records: Vec<Record> = told
        .iter()
        .map(|(object, verdict)| Record { object, names: &names, verdict: Some(verdict) })
        .collect();
    output::show(&columns::columns(), &records, &ipcs.showing, false)?;
    Ok(told.iter().any(|(_, verdict)| !["held", "foreign"].contains(verdict)))
}

/// The caller's objects of the kinds that are asked for; in a namespace of CMD's own all that are there.
fn mine(ipcs: &Ipcs) -> Result<Vec<Object>> {
    let (mut found, complete) = find::all(&ipcs.kinds(), true)?;
    if !complete {
        output::tell(&format!("{}: {}\n", NAME, find::NO_QUEUES));
    }
    let uid = geteuid().as_raw();
    let is_common = |object: &Object| object.as_posix().is_some_and(|p| p.kind != Kind::Msg);
    found.retain(|object| ipcs.isolate && !is_common(object) || object.is_of(uid));
    let mut found = ipcs.filters.apply(found)?;
    if let Some(column) = &ipcs.sort {
        sort(&mut found, column)?;
    }
    Ok(found)
}

/// What is said of each object.
struct Verdicts<'a> {
    ipcs: &'a Ipcs,
    minder: &'a Minder,
    evidence: Evidence,
}

impl Verdicts<'_> {
    fn of(&self, found: Vec<Object>) -> Result<Vec<(Object, &'static str)>> {
        let is_proved = |object: &Object| {
            let own = self.ipcs.isolate && object.as_posix().is_none_or(|p| p.kind == Kind::Msg);
            own || remembered(object).into_iter().any(|made| self.minder.was_below(made))
        };
        if !found.iter().all(is_proved) {
            ready(&[], Patience::within(Some(SECOND_LOOK))).map_err(Cause::plain)?;
        }
        let stays = |object: &Object| {
            is_proved(object)
                || !matches!(
                    find::again(object),
                    Err(Errno::EINVAL | Errno::ENOENT | Errno::EIDRM | Errno::ESTALE)
                )
        };
        let verdict = |object: Object| {
            let verdict = if matches!(self.evidence.of(&object), Use::By(_)) {
                "held"
            } else if !self.ipcs.isolate && self.is_foreign(&object) {
                "foreign"
            } else if !self.ipcs.clean {
                "leaked"
            } else if is_proved(&object) {
                match find::remove(&object) {
                    Ok(()) | Err(Errno::EINVAL | Errno::EIDRM | Errno::ENOENT) => "removed",
                    Err(errno) => {
                        let error = Error::from(Cause::plain(errno));
                        let error = error.context(format!("cannot remove {object}"));
                        output::tell(&lines(NAME, &error));
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

    /// Whether a process that the object remembers lives and is not below the box.
    fn is_foreign(&self, object: &Object) -> bool {
        remembered(object).into_iter().any(|(pid, _)| self.minder.is_elsewhere(pid))
    }
}

/// The box beside CMD.
struct Minder {
    job: Job,
    arrivals: Arrivals,
    /// The mask that the box was given.
    mask: Set,
    /// The processes that were seen below the box, by number.
    seen: HashMap<i32, Seen>,
    /// Those of them that were there at the last look.
    living: HashSet<i32>,
    /// Children from before CMD.
    before: Vec<i32>,
}

/// A process that was seen below the box.
struct Seen {
    /// When it started, as `/proc` has it; 0 where it had gone before that was read.
    start: u64,
    /// The second at which it was gone for certain; later ones while it lives.
    until: i64,
}

impl Minder {
    fn start(command: &Command) -> Result<Self> {
        let plain = |errno| Error::from(Cause::plain(errno));
        let mask = block(Set::ALL).map_err(plain)?;
        let arrivals = Arrivals::open(Set::ALL).map_err(plain)?;
        // Who ignores SIGCHLD is not told of children.
        let given = set_disposition(Signal::CHLD, Disposition::Default).map_err(plain)?;
        let given = [(Signal::CHLD, given)];
        let changed = given[0].1 == Disposition::Ignore;
        child::adopt_orphans().map_err(plain)?;
        let before = told::children(own_pid()).unwrap_or_default();
        let started = Job::start(mask, if changed { &given } else { &[] }, || command.execute(&[]));
        let job = started.map_err(|why| command.unstarted(why))?;
        let (seen, living) = (HashMap::new(), HashSet::new());
        Ok(Self { job, arrivals, mask, seen, living, before })
    }

    /// Forwards what comes, and looks who is below, until CMD has ended; gives its status.
    fn mind(&mut self) -> Result<u8> {
        loop {
            self.look();
            if let Some(ended) = self.job.ended {
                self.job.take_terminal();
                // A signal acts again as it did: nothing is left to deliver it to.
                set_mask(self.mask).map_err(Cause::plain)?;
                return Ok(ended.status());
            }
            ready(&[self.arrivals.as_fd()], Patience::within(Some(LOOK))).map_err(Cause::plain)?;
            for arrival in self.arrivals.take(64).map_err(Cause::plain)? {
                self.hear(&arrival);
            }
            while let Ok(Some((pid, change))) = changed() {
                match change {
                    Change::Stopped(signal) if pid == self.job.cmd => {
                        self.job.stop(signal, Patience::Forever).map_err(Cause::plain)?;
                    }
                    Change::Stopped(_) => {}
                    Change::Ended(ended) => {
                        if pid == self.job.cmd {
                            self.job.ended = Some(ended);
                        }
                        if !self.before.contains(&pid) {
                            let unseen = || Seen { start: 0, until: 0 };
                            self.seen.entry(pid).or_insert_with(unseen).until = now();
                        }
                    }
                }
            }
        }
    }

    /// Ends a CMD that cannot be minded.
    fn end(&self) {
        self.job.to_group(Signal::KILL);
        let _ = waitpid(Pid::from_raw(self.job.cmd), None);
        self.job.take_terminal();
    }

    /// A signal came: CMD gets it, unless it is about who has the terminal.
    fn hear(&self, arrival: &Arrival) {
        let signal = arrival.signal;
        // Of a child, and what the box told its own group for the terminal's sake.
        let is_own = arrival.is_sent() && arrival.pid == own_pid();
        if is_own || signal == Signal::CHLD {
            return;
        }
        if signal == Signal::CONT {
            return self.job.go_on();
        }
        if arrival.is_kernels() && self.job.has_terminal() && self.job.yields(signal) {
            return;
        }
        self.job.to_group(signal);
        if signal.asks_to_end() {
            self.job.to_group(Signal::CONT);
        }
    }

    /// Remembers all that are below the box, and who is there no longer.
    fn look(&mut self) {
        let mut living = HashSet::new();
        self.look_below(own_pid(), &mut living);
        let now = now();
        for gone in self.living.difference(&living) {
            if let Some(seen) = self.seen.get_mut(gone) {
                seen.until = seen.until.min(now);
            }
        }
        self.living = living;
    }

    fn look_below(&mut self, pid: i32, living: &mut HashSet<i32>) {
        for child in told::children(pid).unwrap_or_default() {
            if !self.before.contains(&child) && living.insert(child) {
                let start = told::stat(child).map_or(0, |stat| stat.start);
                self.seen.insert(child, Seen { start, until: i64::MAX });
                self.look_below(child, living);
            }
        }
    }

    /// Whether it was a process from below the box that had this number then. A number can be used again.
    fn was_below(&self, (pid, then): (i32, i64)) -> bool {
        self.seen.get(&pid).is_some_and(|seen| then <= seen.until) && !self.is_elsewhere(pid)
    }

    /// Whether the process of this number lives, and is none from below the box.
    fn is_elsewhere(&self, pid: i32) -> bool {
        let is_it = |seen: &Seen| told::stat(pid).is_ok_and(|stat| stat.start == seen.start);
        process::exists(pid) && !self.seen.get(&pid).is_some_and(is_it)
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs().cast_signed())
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}
