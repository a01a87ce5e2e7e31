//! Commands that the box started, minds and judges: it forwards signals, keeps the terminal's rules, reaps, and ends them.

pub mod capacity;
pub mod cmdline;
pub mod fanout;
mod hear;
pub mod progress;
pub mod report;
pub mod stage;
pub mod target;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpgrp};

use crate::applets::pipe::pipeline::stage::{End, Readers, Stage, Verdict, judge};
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::supervise::escalation::{Limit, Plan};
use crate::supervise::terminal::Job;
use crate::sys::child::{self, Group, Reporter, Reports, Standard, Start, reports};
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Arrivals, Disposition, Set, Signal, block, set_disposition};
use crate::sys::wait::{Want, any, ready};
use crate::sys::{pipe, terminal};

/// What the box itself does beside minding its stages, and so what signals do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing: it outlives them and reports.
    Minds,
    /// It passes on what they print; the same, but when all have ended signals act on the box.
    Collects,
    /// It gives them what they read; besides, one that would end it ends that, and then the box, and the second one at once.
    Feeds,
}

/// How failures of stages count, and what signals do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A stage that SIGPIPE ended has failed too.
    pub strict: bool,
    /// The first failure ends the others.
    pub fail_fast: bool,
    /// Who reads what a stage writes.
    pub readers: Readers,
    /// What the box does.
    pub work: Work,
}

/// The commands of one call.
pub struct Crew {
    /// Those that were started.
    pub stages: Vec<Stage>,
    rules: Rules,
    limit: Limit,
    plan: Option<Plan>,
    late: bool,
    /// The box is ending them.
    ending: bool,
    /// The signal by which the box is to end, and when it came.
    asked: Option<(Signal, Instant)>,
    reports: Option<(Reports, Reporter)>,
    arrivals: Arrivals,
    /// The mask that the box was given.
    mask: Set,
    /// What stages get instead of the dispositions that ipcbox has.
    given: Vec<(Signal, Disposition)>,
    /// They are in the box's own group, which has the terminal.
    together: bool,
    terminal: Option<OwnedFd>,
    /// They are a group behind the box's, which shares its terminal with them; not where the box itself reads that.
    job: Option<Job>,
}

impl Crew {
    /// Nobody yet. From now on signals are read, and the time runs.
    pub fn new(rules: Rules, limit: &Limit) -> Result<Self> {
        let mask = block(Set::ALL)?;
        let arrivals = Arrivals::open(Set::ALL).map_err(unmade)?;
        // Who ignores SIGCHLD is not told of children.
        let before = set_disposition(Signal::CHLD, Disposition::Default)?;
        let mut given = Vec::new();
        if before == Disposition::Ignore {
            given.push((Signal::CHLD, before));
        }
        // systemd ignores SIGPIPE by default, which would make every stage before head(1) fail.
        if signal::is_ignored(Signal::PIPE)? {
            given.push((Signal::PIPE, Disposition::Default));
        }
        let group = getpgrp().as_raw();
        let terminal = terminal::controlling();
        let front = terminal.as_ref().and_then(terminal::foreground);
        Ok(Self {
            stages: Vec::new(),
            rules,
            limit: limit.clone(),
            plan: limit.start(),
            late: false,
            ending: false,
            asked: None,
            reports: Some(reports().map_err(unmade)?),
            arrivals,
            mask,
            given,
            together: front == Some(group),
            terminal,
            job: None,
        })
    }

    /// Starts all that `start` [adds](Self::add), and sees that they have become their commands.
    ///
    /// # Errors
    /// One could not; those that had begun have been ended.
    pub fn launch<T>(&mut self, start: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let started = start(self);
        let reports = self.reports.take().map(|(reports, _)| reports);
        let reports = reports.map(|reports| reports.gather(|fd| self.wait_for(fd))).transpose();
        let failed = match (&started, reports) {
            (_, Ok(reports)) => {
                let failed = reports.unwrap_or_default();
                failed.iter().max_by_key(|(number, _)| *number).and_then(|(number, why)| {
                    let stage = self.stages.get(usize::try_from(*number).ok()?)?;
                    Some(stage.command().unstarted(*why))
                })
            }
            (_, Err(error)) => Some(error),
        };
        match (started, failed) {
            (Ok(started), None) => Ok(started),
            (Ok(started), Some(error)) => {
                // What feeds them goes first.
                drop(started);
                self.end_all()?;
                Err(error)
            }
            (Err(error), _) => {
                self.end_all()?;
                Err(error)
            }
        }
    }

    /// Waits for what stages report. One that asks for the terminal stops those too that have not become their commands.
    fn wait_for(&mut self, report: BorrowedFd) -> Result<()> {
        while self.job.is_some() {
            match ready(&[report, self.arrivals.as_fd()], self.deadline())? {
                Some(0) => break,
                woken => self.go_on(woken.is_some())?,
            }
        }
        Ok(())
    }

    /// Starts one with these descriptors.
    pub fn add(&mut self, command: Command, standard: Standard) -> Result<()> {
        let group = match self.stages.first() {
            _ if self.together => Group::Same,
            None => Group::New,
            Some(first) => Group::Of(first.pid),
        };
        let how = Start {
            mask: self.mask & !Set::from_iter([Signal::PIPE]),
            dispositions: &self.given,
            parent_death: Some(Signal::KILL),
            terminal: None,
        };
        let number = u32::try_from(self.stages.len()).unwrap_or(u32::MAX);
        let Some((_, reporter)) = &self.reports else { return Err(Errno::EINVAL.into()) };
        let begun = child::begin(&how, group, standard, (reporter, number), || command.execute(&[]));
        let pid = begun.map_err(|errno| command.unstarted(errno.into()))?;
        if group == Group::New && self.rules.work != Work::Feeds {
            self.job = self.terminal.take().map(|terminal| Job::behind(terminal, pid));
        }
        self.stages.push(Stage::new(command, pid));
        Ok(())
    }

    /// Ends all and waits for them.
    pub fn end_all(&mut self) -> Result<()> {
        self.end();
        self.mind()
    }

    /// Begins to end all that still run.
    pub fn end(&mut self) {
        if !self.ending {
            self.ending = true;
            self.plan = Some(self.limit.end_now());
        }
    }

    /// Waits until all have ended.
    pub fn mind(&mut self) -> Result<()> {
        if self.ending {
            // What was heard before may be all that will be said of one.
            self.reap()?;
        }
        while self.runs() {
            let woken = ready(&[self.arrivals.as_fd()], self.deadline())?;
            self.go_on(woken.is_some())?;
        }
        Ok(())
    }

    /// Whether one has not ended.
    pub fn runs(&self) -> bool {
        self.stages.iter().any(Stage::runs)
    }

    /// Becomes readable when there is something to [do](Self::go_on).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.arrivals.as_fd()
    }

    /// Until when there is nothing to do otherwise.
    pub fn deadline(&self) -> Deadline {
        self.plan.as_ref().map_or(Deadline::Forever, |plan| plan.deadline)
    }

    /// Hears signals, if any `came`; takes the next step against stages that take too long.
    pub fn go_on(&mut self, came: bool) -> Result<()> {
        if came {
            loop {
                let arrivals = self.arrivals.take(64)?;
                if arrivals.is_empty() {
                    break;
                }
                arrivals.iter().try_for_each(|arrival| self.hear(arrival))?;
            }
        }
        if self.runs() && self.deadline().is_over() {
            if !self.ending {
                (self.late, self.ending) = (true, true);
            }
            match self.plan.as_mut().and_then(Plan::due) {
                None => self.plan = None,
                Some(signal) => {
                    self.send(signal);
                    // One that is stopped would not hear it.
                    if !signal.stops() && signal != Signal::CONT {
                        self.send(Signal::CONT);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a signal to all that run, and to what they have started in their group where that is not the box's.
    fn send(&self, signal: Signal) {
        let leader = self.stages.first().map(|stage| stage.pid).filter(|_| !self.together);
        let leader = leader.filter(|leader| signal::kill(-leader, signal).is_ok());
        for stage in self.stages.iter().filter(|stage| stage.runs()) {
            // One can have left the group.
            let group = getpgid(Some(Pid::from_raw(stage.pid))).map(Pid::as_raw).ok();
            if leader.is_none() || group != leader {
                let _ = signal::kill(stage.pid, signal);
            }
        }
    }

    /// Passes a signal on, so that one that is stopped hears it too.
    fn pass(&self, signal: Signal) {
        self.send(signal);
        if signal.asks_to_end() {
            self.send(Signal::CONT);
        }
    }

    /// What each end means.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let ends: Vec<Option<&End>> = self.stages.iter().map(|stage| stage.end.as_ref()).collect();
        let readers = if self.rules.strict { Readers::Nobody } else { self.rules.readers };
        (0..ends.len()).map(|which| judge(&ends, which, readers)).collect()
    }

    fn has_failed(&self) -> bool {
        self.verdicts().contains(&Verdict::Failed)
    }

    /// How the last one that failed ended.
    fn failure(&self) -> Option<Ended> {
        let verdicts = self.verdicts();
        let last = verdicts.iter().rposition(|verdict| *verdict == Verdict::Failed)?;
        self.stages[last].end.as_ref().map(|end| end.ended)
    }

    /// Whether the box is ending them, or what it does for them.
    pub const fn is_ending(&self) -> bool {
        self.ending || self.asked.is_some()
    }

    /// Whether nothing more is to be waited for: all have ended, and the time is over.
    pub fn is_over(&self) -> bool {
        !self.runs() && (self.late || self.deadline().is_over())
    }

    /// What they have left was not all taken in time.
    pub const fn miss(&mut self) {
        self.late = true;
    }

    /// Whether the time was over before all was done.
    pub const fn is_late(&self) -> bool {
        self.late
    }

    /// How long they may take.
    pub const fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Writes to what the box passes their output on to, or reports them to. Signals are heard meanwhile; once no command runs, they
    /// act on the box itself.
    ///
    /// # Errors
    /// Those of hearing. The inner ones are those of writing; `EAGAIN`: the time is over.
    pub fn write(&mut self, to: &Outlet, mut bytes: &[u8]) -> Result<nix::Result<()>> {
        if !self.runs() {
            self.rules.work = Work::Collects;
        }
        while !bytes.is_empty() {
            let deadline = if self.is_over() { Deadline::Now } else { self.deadline() };
            let came = any(&[(to.as_fd(), Want::Writable), (self.fd(), Want::Readable)], deadline)?;
            self.go_on(came[1])?;
            if !came[0] {
                if self.is_over() {
                    return Ok(Err(Errno::EAGAIN));
                }
                continue;
            }
            // So much can be written without waiting where there is room at all.
            match to.write(&bytes[..bytes.len().min(pipe::ATOMIC)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::EAGAIN) => {}
                Err(errno) => return Ok(Err(errno)),
            }
        }
        Ok(Ok(()))
    }

    /// How the whole ends.
    ///
    /// # Errors
    /// It was not in time; `more` is what is known besides.
    pub fn finish(&self, more: Option<&str>) -> Result<Exit> {
        if !self.late {
            let asked = self.asked.map(|(signal, _)| Ended::Killed(signal));
            let ended = asked.or_else(|| self.failure());
            match ended {
                // A shell's loop ends by ^C only where that has ended what it waits for.
                Some(Ended::Killed(signal)) if asked.is_some() || signal == Signal::INT => {
                    signal::die(signal)?;
                }
                _ => {}
            }
            return Ok(ended.map_or(Exit::Done, |ended| Exit::Command(ended.status())));
        }
        let by_box = |stage: &&Stage| stage.end.as_ref().is_some_and(|end| end.by_box);
        let late: Vec<String> = self.stages.iter().filter(by_box).map(ToString::to_string).collect();
        let cause = self.limit.missed("not ended");
        let cause = more.into_iter().fold(cause, Cause::note);
        let late = if late.is_empty() { "in time".into() } else { late.join(", ") };
        Err(Error::from(cause)).context(format!("cannot finish {late}"))
    }
}

/// There could be no pipe, or no other descriptor.
pub fn unmade(errno: Errno) -> Error {
    let cause = match errno {
        Errno::EMFILE => Cause::from_errno(errno, "too many files are open"),
        Errno::ENFILE => Cause::from_errno(errno, "too many files, or pages in this user's pipes")
            .hint("/proc/sys/fs/file-max and pipe-user-pages-hard are the limits"),
        errno => Cause::plain(errno),
    };
    Error::from(cause).context("cannot make pipes")
}
