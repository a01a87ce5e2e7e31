//! Commands that stand in one line, the time they may take, and what their ends mean together.

pub mod capacity;
pub mod cmdline;
pub mod fanout;
pub mod progress;
pub mod report;
pub mod stage;
pub mod target;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::errno::Errno;

use crate::applets::pipe::pipeline::stage::{End, Readers, Stage, Verdict, judge};
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::{Event, Grouping, Supervisor, end_as};
use crate::sys::child::{Reporter, Reports, Standard, reports};
use crate::sys::deadline::Deadline;
use crate::sys::fds::Outlet;
use crate::sys::pipe;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Arrival, Disposition, Set, Signal};
use crate::sys::wait::Want;

/// What comes so soon after the first of these is the same wish: timeout(1) sends one to its child and to the group.
const SAME: Duration = Duration::from_millis(100);

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
pub struct Policy {
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
    policy: Policy,
    supervisor: Supervisor,
    reports: Option<(Reports, Reporter)>,
    late: bool,
    /// The time was over when none ran any more.
    over: bool,
    /// ipcbox is ending them.
    ending: bool,
    /// The signal by which ipcbox is to exit, and when it came.
    asked: Option<(Signal, Instant)>,
}

impl Crew {
    /// No command yet. From now on signals are read, and the time runs.
    pub fn new(policy: Policy, limit: &Limit) -> Result<Self> {
        let grouping = if policy.work == Work::Feeds { Grouping::Reader } else { Grouping::Shared };
        let mut supervisor = Supervisor::new(grouping, limit).map_err(unmade)?;
        // systemd ignores SIGPIPE by default, which would make every stage before head(1) fail.
        supervisor.mask = supervisor.mask & !Set::from_iter([Signal::PIPE]);
        if signal::is_ignored(Signal::PIPE)? {
            supervisor.given.push((Signal::PIPE, Disposition::Default));
        }
        let reports = Some(reports().map_err(unmade)?);
        let (stages, asked) = (Vec::new(), None);
        Ok(Self { stages, policy, supervisor, reports, late: false, over: false, ending: false, asked })
    }

    /// Starts all that `start` [adds](Self::add), and sees that they have become their commands.
    ///
    /// # Errors
    /// One could not; those that had begun have been ended.
    pub fn launch<T>(&mut self, start: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let started = start(self);
        let reports = self.reports.take().map(|(reports, _)| reports);
        let reports = reports.map(|reports| reports.gather(|fd| self.wait_for(fd))).transpose();
        let launched = started.and_then(|started| {
            let last = reports?.unwrap_or_default().into_iter().max_by_key(|(number, _)| *number);
            let stage = last.and_then(|(number, why)| Some((self.stages.get(usize::try_from(number).ok()?)?, why)));
            // What feeds them goes first where one failed.
            stage.map_or(Ok(started), |(stage, why)| Err(stage.command().unstarted(why)))
        });
        if launched.is_err() {
            self.end();
            self.mind()?;
        }
        launched
    }

    /// Waits for what stages report. One that asks for the terminal stops those too that have not become their commands.
    fn wait_for(&mut self, report: BorrowedFd) -> Result<()> {
        while self.supervisor.has_terminal() {
            if self.turn(&[(report, Want::Readable)], Deadline::Forever)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Starts one with these descriptors.
    pub fn add(&mut self, command: Command, standard: Standard) -> Result<()> {
        let number = u32::try_from(self.stages.len()).unwrap_or(u32::MAX);
        let Some((_, reporter)) = &self.reports else { return Err(Errno::EINVAL.into()) };
        let pid = self.supervisor.begin(&command, standard, (reporter, number))?;
        self.stages.push(Stage::new(command, pid));
        Ok(())
    }

    /// Begins to end all that still run.
    pub fn end(&mut self) {
        if !self.ending {
            self.ending = true;
            self.supervisor.end_now();
        }
    }

    /// Waits until all have ended.
    pub fn mind(&mut self) -> Result<()> {
        while self.runs() {
            self.turn(&[], Deadline::Forever)?;
        }
        Ok(())
    }

    /// Whether one has not ended.
    pub fn runs(&self) -> bool {
        self.supervisor.runs()
    }

    /// Waits for one event and handles it. What came of `also` is returned if it was about that, or if the time until `until` is over.
    pub fn turn(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Option<Vec<bool>>> {
        let event = self.next(also, until)?;
        self.handle(event)
    }

    /// Waits for one event, as [`Supervisor::next`] does.
    pub fn next(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Event> {
        self.supervisor.next(also, until)
    }

    /// Handles an event, unless it is about other descriptors than its own.
    pub fn handle(&mut self, event: Event) -> Result<Option<Vec<bool>>> {
        match event {
            Event::Ready(came) => return Ok(Some(came)),
            Event::Signal(arrival) => self.hear(&arrival)?,
            Event::Child => self.reap()?,
            Event::Due if self.runs() => {
                if !self.ending {
                    (self.late, self.ending) = (true, true);
                }
                self.supervisor.escalate();
            }
            Event::Due => {
                self.supervisor.step();
                self.over = true;
            }
        }
        Ok(None)
    }

    fn hear(&mut self, arrival: &Arrival) -> Result<()> {
        let signal = arrival.signal;
        let work = self.policy.work;
        if work != Work::Minds && !self.runs() {
            return Ok(signal::act(signal)?);
        }
        self.supervisor.hear(arrival)?;
        if work == Work::Feeds && signal.is_termination() {
            self.ask(signal)?;
        }
        Ok(())
    }

    /// A signal came that would end ipcbox.
    fn ask(&mut self, signal: Signal) -> Result<()> {
        match self.asked {
            _ if signal::is_ignored(signal)? => {}
            None => self.asked = Some((signal, Instant::now())),
            Some((_, first)) if first.elapsed() < SAME => {}
            Some(_) => signal::act(signal)?,
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        while let Some((pid, ended, usage)) = self.supervisor.reap(None)? {
            // One that has a status of its own may have ended by itself, and be the cause.
            let answers = || self.late || self.has_failed();
            let by_box = self.ending && (matches!(ended, Ended::Killed(_)) || answers());
            if let Some(stage) = self.stages.iter_mut().find(|stage| stage.pid == pid) {
                stage.finish(ended, usage, by_box);
            }
        }
        if self.policy.fail_fast && self.has_failed() {
            self.end();
        }
        Ok(())
    }

    /// Handles what has happened, without waiting.
    pub fn catch_up(&mut self) -> Result<()> {
        while self.turn(&[], Deadline::Now)?.is_none() {}
        Ok(())
    }

    /// What each end means.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let ends: Vec<Option<&End>> = self.stages.iter().map(|stage| stage.end.as_ref()).collect();
        let readers = if self.policy.strict { Readers::Nobody } else { self.policy.readers };
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
        !self.runs() && (self.late || self.over)
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
        &self.supervisor.limit
    }

    /// Writes to what the box passes their output on to, or reports them to. Signals are heard meanwhile; once no command runs, they
    /// act on the box itself.
    ///
    /// # Errors
    /// Those of hearing. The inner ones are those of writing; `EAGAIN`: the time is over.
    pub fn write(&mut self, to: &Outlet, mut bytes: &[u8]) -> Result<nix::Result<()>> {
        if !self.runs() {
            self.policy.work = Work::Collects;
        }
        while !bytes.is_empty() {
            let until = if self.is_over() { Deadline::Now } else { Deadline::Forever };
            match self.turn(&[(to.as_fd(), Want::Writable)], until)?.as_deref() {
                Some([true]) => {}
                Some(_) if self.is_over() => return Ok(Err(Errno::EAGAIN)),
                _ => continue,
            }
            // So much can be written without waiting where there is room at all.
            match to.write(&bytes[..bytes.len().min(pipe::ATOMIC)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::EAGAIN | Errno::EINTR) => {}
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
            return match asked.or_else(|| self.failure()) {
                // A shell's loop ends by ^C only where that has ended what it waits for.
                Some(ended) if asked.is_some() || ended == Ended::Killed(Signal::INT) => end_as(ended),
                Some(ended) => Ok(Exit::Command(ended.status())),
                None => Ok(Exit::Done),
            };
        }
        let by_box = |stage: &&Stage| stage.end.as_ref().is_some_and(|end| end.by_box);
        let late: Vec<&Stage> = self.stages.iter().filter(by_box).collect();
        let names: Vec<String> = late.iter().map(ToString::to_string).collect();
        let what = if names.is_empty() { "the pipeline".into() } else { names.join(", ") };
        let ends = late.iter().filter_map(|stage| stage.end.as_ref()).map(|end| end.ended);
        let cause = self.limit().timed_out(&what, ends);
        Err(more.into_iter().fold(cause, Cause::note).into())
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
