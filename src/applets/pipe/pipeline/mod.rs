//! The commands of one call: starting and supervising them, and the exit status computed from theirs.

pub mod board;
pub mod capacity;
pub mod cmdline;
pub mod fanout;
mod operators;
pub mod progress;
pub mod report;
pub mod screen;
pub mod stage;
pub mod target;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::errno::Errno;

use crate::applets::pipe::pipeline::stage::{End, Readers, Stage, Verdict, judge};
use crate::exit::{Cause, Exit, doubled};
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

/// A second signal within this time is the same request: timeout(1) signals its child and then the group.
const SAME: Duration = Duration::from_millis(100);

/// What ipcbox does beside supervising its stages, which decides what a signal does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing: it outlives the stages and reports.
    Minds,
    /// Passes on their output. Once all stages have exited, signals act on ipcbox.
    Collects,
    /// Passes them their input. A fatal signal stops that, then ipcbox; a second one stops ipcbox at once.
    Feeds,
}

/// How failures of stages count, and what signals do.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub verb: &'static str,
    /// Whether a stage killed by SIGPIPE has failed.
    pub strict: bool,
    pub fail_fast: bool,
    pub readers: Readers,
    pub work: Work,
}

pub struct Crew {
    /// The commands started so far.
    pub stages: Vec<Stage>,
    policy: Policy,
    supervisor: Supervisor,
    reports: Option<(Reports, Reporter)>,
    /// How often SIGCONT has arrived.
    pub resumes: u32,
    late: bool,
    /// The time limit expired after the last stage had exited.
    over: bool,
    /// ipcbox is terminating the stages.
    ending: bool,
    /// The signal that ipcbox will die by, and when it arrived.
    asked: Option<(Signal, Instant)>,
}

impl Crew {
    /// Returns a crew without commands. From now on signals are read, and the time limit runs.
    pub fn new(policy: Policy, limit: &Limit) -> Result<Self> {
        let grouping = if policy.work == Work::Feeds { Grouping::Reader } else { Grouping::Shared };
        let mut supervisor = Supervisor::new(grouping, limit).map_err(unmade)?;
        // systemd starts services with SIGPIPE ignored, with which every stage before head(1) would fail.
        supervisor.mask = supervisor.mask & !Set::from_iter([Signal::PIPE]);
        if signal::is_ignored(Signal::PIPE)? {
            supervisor.given.push((Signal::PIPE, Disposition::Default));
        }
        let reports = Some(reports().map_err(unmade)?);
        let (stages, asked) = (Vec::new(), None);
        let (resumes, late, over, ending) = (0, false, false, false);
        Ok(Self { stages, policy, supervisor, reports, resumes, late, over, ending, asked })
    }

    /// Starts all commands that `start` [adds](Self::add), and waits until each has passed exec.
    ///
    /// # Errors
    /// A command could not be executed; the others have been terminated.
    pub fn launch<T>(&mut self, start: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let started = start(self);
        let reports = self.reports.take().map(|(reports, _)| reports);
        let reports = reports.map(|reports| reports.gather(|fd| self.wait_for(fd))).transpose();
        let launched = started.and_then(|started| {
            let last = reports?.unwrap_or_default().into_iter().max_by_key(|(number, _)| *number);
            let stage = last.and_then(|(number, why)| Some((self.stages.get(usize::try_from(number).ok()?)?, why)));
            // On failure `started` is dropped before the stages are waited for: it holds the pipes they read.
            stage.map_or(Ok(started), |(stage, why)| Err(stage.command().unstarted(why)))
        });
        if launched.is_err() {
            self.end();
            self.mind()?;
        }
        launched
    }

    /// Waits for the reports of the stages. A stage that reads the terminal may stop others before their exec.
    fn wait_for(&mut self, report: BorrowedFd) -> Result<()> {
        while self.supervisor.has_terminal() {
            if self.turn(&[(report, Want::Readable)], Deadline::Forever)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Starts a command with these standard descriptors.
    pub fn add(&mut self, command: Command, standard: Standard) -> Result<()> {
        let number = u32::try_from(self.stages.len()).unwrap_or(u32::MAX);
        let Some((_, reporter)) = &self.reports else { return Err(Errno::EINVAL.into()) };
        let pid = self.supervisor.begin(&command, standard, (reporter, number))?;
        self.stages.push(Stage::new(command, pid));
        Ok(())
    }

    /// Starts to terminate all stages that still run.
    pub fn end(&mut self) {
        if !self.ending {
            self.ending = true;
            self.supervisor.end_now();
        }
    }

    /// Waits until all stages have exited.
    pub fn mind(&mut self) -> Result<()> {
        while self.runs() {
            self.turn(&[], Deadline::Forever)?;
        }
        Ok(())
    }

    pub fn runs(&self) -> bool {
        self.supervisor.runs()
    }

    /// Waits for one event and handles it. Returns which of `also` are ready, if it was that, or `until` has passed.
    pub fn turn(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Option<Vec<bool>>> {
        let event = self.next(also, until)?;
        self.handle(event)
    }

    pub fn next(&mut self, also: &[(BorrowedFd, Want)], until: Deadline) -> Result<Event> {
        self.supervisor.next(also, until)
    }

    /// Handles an event. If it is about the caller's descriptors, returns which of them are ready.
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
        self.resumes += u32::from(signal == Signal::CONT);
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

    /// Notes a signal that would kill ipcbox.
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
            // A stage with an exit status may have exited by itself, and be the first failure.
            let answers = || self.late || self.has_failed();
            let by_ipcbox = self.ending && (matches!(ended, Ended::Killed(_)) || answers());
            if let Some(stage) = self.stages.iter_mut().find(|stage| stage.pid == pid) {
                stage.finish(ended, usage, by_ipcbox);
            }
        }
        if self.policy.fail_fast && self.has_failed() {
            self.end();
        }
        Ok(())
    }

    /// Handles all pending events without waiting.
    pub fn catch_up(&mut self) -> Result<()> {
        while self.turn(&[], Deadline::Now)?.is_none() {}
        Ok(())
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        let ends: Vec<Option<&End>> = self.stages.iter().map(|stage| stage.end.as_ref()).collect();
        let readers = if self.policy.strict { Readers::None } else { self.policy.readers };
        (0..ends.len()).map(|which| judge(&ends, which, readers)).collect()
    }

    fn has_failed(&self) -> bool {
        self.verdicts().contains(&Verdict::Failed)
    }

    /// Returns the last stage that failed, and how it exited.
    fn failure(&self) -> Option<(&Stage, Ended)> {
        let verdicts = self.verdicts();
        let last = verdicts.iter().rposition(|verdict| *verdict == Verdict::Failed)?;
        let stage = &self.stages[last];
        stage.end.as_ref().map(|end| (stage, end.ended))
    }

    /// Whether ipcbox is terminating the stages, or stops by a signal.
    pub const fn is_ending(&self) -> bool {
        self.ending || self.asked.is_some()
    }

    /// Whether all stages have exited and the time limit has expired.
    pub fn is_over(&self) -> bool {
        !self.runs() && (self.late || self.over)
    }

    /// Notes that some output could not be passed on in time.
    pub const fn miss(&mut self) {
        self.late = true;
    }

    /// Whether the time limit expired before all was done.
    pub const fn is_late(&self) -> bool {
        self.late
    }

    pub const fn limit(&self) -> &Limit {
        &self.supervisor.limit
    }

    /// Writes output of the stages or a report, handling events. Once no stage runs, signals act on ipcbox.
    ///
    /// # Errors
    /// An event could not be handled. The inner errors are those of writing; `EAGAIN`: the time limit has expired.
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
            // A pipe that is ready for writing takes this much without blocking.
            match to.write(&bytes[..bytes.len().min(pipe::ATOMIC)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Ok(Err(errno)),
            }
        }
        Ok(Ok(()))
    }

    /// Returns the exit status of the call, or dies by a signal.
    ///
    /// # Errors
    /// The time limit expired; `more` is added to the message. A stage with a shell operator as an argument failed.
    pub fn finish(&self, more: Option<&str>) -> Result<Exit> {
        if !self.late {
            if let Some((signal, _)) = self.asked {
                return end_as(Ended::Killed(signal));
            }
            return match self.failure() {
                // Only a child killed by SIGINT stops the loop of a shell.
                Some((_, ended @ Ended::Killed(Signal::INT))) => end_as(ended),
                Some((stage, ended)) => match operators::explain(self.policy.verb, &self.stages, stage, ended) {
                    Some(cause) => Err(cause.into()),
                    None => Ok(Exit::Command(ended.status())),
                },
                None => Ok(Exit::Done),
            };
        }
        let by_ipcbox = |stage: &&Stage| stage.end.as_ref().is_some_and(|end| end.by_ipcbox);
        let late: Vec<&Stage> = self.stages.iter().filter(by_ipcbox).collect();
        let names: Vec<String> = late.iter().map(ToString::to_string).collect();
        let ends = late.iter().filter_map(|stage| stage.end.as_ref()).map(|end| end.ended);
        let cause = match &names[..] {
            [] => self.limit().missed("some output could not be written"),
            names => self.limit().timed_out(&names.join(", "), ends),
        };
        Err(more.into_iter().fold(cause, Cause::note).into())
    }
}

/// Returns the failure to create a pipe or another descriptor.
pub fn unmade(errno: Errno) -> Error {
    let cause = match errno {
        Errno::ENFILE => Cause::from_errno(errno, "too many open files, or this user's pipes use too many pages").hint(
            match pipe::limits().user_pages_hard {
                // 0 is no limit.
                None | Some(0) => doubled("fs.file-max"),
                Some(_) => doubled("fs.pipe-user-pages-hard"),
            },
        ),
        errno => Cause::plain(errno),
    };
    Error::from(cause).context("cannot create a pipe")
}
