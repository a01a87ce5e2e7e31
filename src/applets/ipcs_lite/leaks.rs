//! `--leaks`: what a command leaves behind.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::unistd::{geteuid, getpgrp};

use super::{Ipcs, NAME};
use crate::args::command::{Command, not_forked};
use crate::exit::{Cause, Exit};
use crate::inventory::columns::{self, Record};
use crate::inventory::evidence::{Evidence, Use, remembered};
use crate::inventory::{Object, Place, find};
use crate::output;
use crate::sys::child::{self, Change, Start, changed};
use crate::sys::namespace;
use crate::sys::process::{self, told};
use crate::sys::signals::{self, Arrivals, Disposition, Set, Signal, block, set_disposition};
use crate::sys::sysv::Kind;
use crate::sys::terminal;
use crate::sys::wait::{Patience, ready};

/// How often the processes below CMD are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// After so long an object of nobody's that is known is looked at once more.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Runs CMD, and tells what is there that was not there before.
pub fn run(ipcs: &Ipcs, words: Vec<OsString>) -> Result<Exit> {
    let command = Command::find(words)?;
    if ipcs.isolate {
        let why = "cannot make an IPC namespace";
        namespace::isolate().map_err(Cause::plain).context(why)?;
    }
    let before: HashSet<Place> = mine(ipcs)?.iter().map(Object::place).collect();
    let mut minder = Minder::start(&command)?;
    let status = minder.mind()?;
    let mut found = mine(ipcs)?;
    found.retain(|object| !before.contains(&object.place()));
    let verdicts = Verdicts { ipcs, minder: &minder, evidence: Evidence::gather(&found) };
    let told = verdicts.of(found)?;
    let objects: Vec<Object> = told.iter().map(|(object, _)| object.clone()).collect();
    let names = columns::names(&objects);
    let records: Vec<Record> = told
        .iter()
        .map(|(object, verdict)| Record { object, names: &names, verdict: Some(verdict) })
        .collect();
    output::show(&columns::columns(), &records, &ipcs.showing, false)?;
    let leaked = told.iter().any(|(_, verdict)| !["held", "foreign"].contains(verdict));
    Ok(match status {
        0 if leaked => Exit::Failed,
        status => Exit::Command(status),
    })
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
    ipcs.filters.apply(found)
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
            own || remembered(object).iter().any(|pid| self.minder.seen.contains(pid))
        };
        if !found.iter().all(is_proved) {
            ready(&[], Patience::within(Some(SECOND_LOOK))).map_err(Cause::plain)?;
        }
        let stays = |object: &Object| {
            is_proved(object)
                || !matches!(find::again(object), Err(Errno::EINVAL | Errno::ENOENT | Errno::EIDRM))
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
                    Err(_) => "leaked",
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
        let lives = |pid: &i32| process::exists(*pid) && !self.minder.seen.contains(pid);
        remembered(object).iter().any(lives)
    }
}

/// The box beside CMD.
struct Minder {
    cmd: i32,
    arrivals: Arrivals,
    terminal: Option<OwnedFd>,
    /// The processes that were seen below the box.
    seen: HashSet<i32>,
    /// Children from before CMD.
    before: Vec<i32>,
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
        let own = getpgrp().as_raw();
        let terminal = terminal::controlling();
        let terminal = terminal.filter(|tty| terminal::foreground(tty) == Some(own));
        let how = Start {
            mask,
            dispositions: if changed { &given } else { &[] },
            parent_death: None,
            terminal: terminal.as_ref().map(AsFd::as_fd),
        };
        let started = child::start(&how, || command.execute(&[]));
        let started = started.map_err(|errno| not_forked(errno, "no process could be started"))?;
        let cmd = started.map_err(|errno| command.unrunnable(errno))?;
        let seen = HashSet::from([cmd]);
        Ok(Self { cmd, arrivals, terminal, seen, before })
    }

    /// Forwards what comes, and looks who is below, until CMD has ended; gives its status.
    fn mind(&mut self) -> Result<u8> {
        loop {
            self.look(own_pid());
            ready(&[self.arrivals.as_fd()], Patience::within(Some(LOOK))).map_err(Cause::plain)?;
            for arrival in self.arrivals.take(64).map_err(Cause::plain)? {
                if [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&arrival.signal)
                {
                    let _ = signals::kill(-self.cmd, arrival.signal);
                }
            }
            while let Ok(Some((pid, change))) = changed() {
                match change {
                    Change::Ended(ended) if pid == self.cmd => {
                        self.look(own_pid());
                        self.give_terminal(getpgrp().as_raw());
                        return Ok(ended.status());
                    }
                    Change::Ended(_) if !self.before.contains(&pid) => {
                        self.seen.insert(pid);
                    }
                    Change::Stopped(signal) if pid == self.cmd && self.terminal.is_some() => {
                        self.give_terminal(getpgrp().as_raw());
                        signals::stop(signal).map_err(Cause::plain)?;
                        self.give_terminal(self.cmd);
                        let _ = signals::kill(-self.cmd, Signal::CONT);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Remembers all that are below a process.
    fn look(&mut self, pid: i32) {
        for child in told::children(pid).unwrap_or_default() {
            if !self.before.contains(&child) {
                self.seen.insert(child);
                self.look(child);
            }
        }
    }

    fn give_terminal(&self, group: i32) {
        if let Some(terminal) = &self.terminal {
            let _ = terminal::give(terminal, group);
        }
    }
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}
