//! What commands work on, and how they are started.
//!
//! The server waits until its first command is executed: if none can be, only one record is taken. From then on it
//! does not wait. What a command was started for that could not be executed comes back when its process has exited.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;

use super::{Ended, Job, Pool};
use crate::exit::Exit;
use crate::output;
use crate::supervise::command::NotStarted;
use crate::supervise::pool::sessions::Sessions;
use crate::supervise::report::CommandRecord;
use crate::sys::child::{self, Failure, Failures, Group, Launch, Standard};
use crate::sys::collect::Collected;
use crate::sys::socket::datagram::Sender;
use crate::sys::socket::pass;
use crate::text::counted;

/// The receiver of a command's output, or of its exit status.
#[derive(Debug)]
pub struct Receiver {
    /// A pipe or a socket to it.
    pub to: OwnedFd,
    /// Where to send to, if the socket is not connected to it.
    pub sender: Option<Sender>,
    /// A byte for it as soon as the process of the command exists. The command is not executed if the receiver has gone.
    pub greeting: Option<u8>,
}

/// What a command works on.
pub enum Task {
    /// A record: its standard input, and each argument `{}`.
    Record(Vec<u8>),
    /// Files in place of its standard ones.
    Files {
        /// Standard input, output and error. If there is only the first one, it is standard output too.
        files: Vec<OwnedFd>,
        /// Replaces each argument `{}`.
        payload: Option<Vec<u8>>,
    },
}

impl Task {
    fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Record(record) => Some(record),
            Self::Files { payload, .. } => payload.as_deref(),
        }
    }

    /// Returns the files, and leaves none.
    fn take_files(&mut self) -> Vec<OwnedFd> {
        match self {
            Self::Record(_) => Vec::new(),
            Self::Files { files, .. } => std::mem::take(files),
        }
    }

    /// Gives it these files again.
    fn put_files(&mut self, back: Vec<OwnedFd>) {
        if let Self::Files { files, .. } = self {
            *files = back;
        }
    }
}

/// A record or a connection, and how its command is started.
pub struct Taken {
    /// What the command works on.
    pub task: Task,
    /// Variables added to the environment.
    pub added: Vec<(&'static str, String)>,
    /// The receiver of the output of a record, or of the status; `None` is standard output.
    pub reply_to: Option<Receiver>,
}

/// A record, with its number once it has one.
pub(super) struct Waiting {
    number: Option<u64>,
    pub taken: Taken,
}

/// The commands that are not started yet, and those that may fail to.
pub(super) struct Starts {
    pub waiting: VecDeque<Waiting>,
    /// No process or descriptor is left for the first of these before a command exits.
    pub is_short: bool,
    /// Whether CMD has been executed once.
    is_proven: bool,
    /// How many children it has tried to start, which is the number of the last one.
    launches: u32,
    failures: Failures,
    /// Failures of children that have not been reaped.
    unreaped: Vec<Failure>,
}

impl Starts {
    pub fn new() -> Result<Self> {
        let failures = Failures::new().context("cannot create a socket for the failures of CMD")?;
        let (waiting, unreaped) = (VecDeque::new(), Vec::new());
        Ok(Self { waiting, is_short: false, is_proven: false, launches: 0, failures, unreaped })
    }
}

impl Pool {
    /// Starts the command of a record, taken after [`Next::Room`](super::Next::Room); later if no process or descriptor
    /// is left.
    pub fn start(&mut self, taken: Taken) {
        self.starts.waiting.push_back(Waiting { number: None, taken });
        self.start_waiting();
    }

    /// Returns the place and the receiver of each command that waits to be started, if it is greeted.
    pub fn waiting(&self) -> impl Iterator<Item = (usize, &Receiver)> {
        let receivers = self.starts.waiting.iter().map(|waiting| waiting.taken.reply_to.as_ref());
        receivers.enumerate().filter_map(|(at, receiver)| Some((at, receiver.filter(|it| it.greeting.is_some())?)))
    }

    /// Forgets the command at a place of those that [wait](Self::waiting).
    pub fn withdraw(&mut self, at: usize) {
        self.starts.waiting.remove(at);
        // It has released descriptors.
        self.starts.is_short = false;
    }

    /// Starts what waits, as far as that is possible now.
    pub(super) fn start_waiting(&mut self) {
        while !self.starts.is_short
            && let Some(waiting) = self.starts.waiting.pop_front()
        {
            self.start_one(waiting);
        }
    }

    fn start_one(&mut self, mut from: Waiting) {
        let started = Instant::now();
        self.starts.launches = self.starts.launches.wrapping_add(1);
        let launch = self.starts.launches;
        let (pid, mut collected) = match self.try_start(&mut from.taken) {
            Ok(started) => started,
            Err(why) => {
                // A child that was not needed any more may have failed too.
                let discarded = self.failure_of(launch);
                self.fail(discarded.map(drop));
                return self.put_back(from, why);
            }
        };
        let begun = collected.as_mut().map_or(Ok(()), Collected::begin);
        let record = CommandRecord { pid: Some(pid), ..self.record_of(&mut from) };
        let files = from.taken.task.take_files().len();
        let plan = self.sessions.as_ref().and_then(Sessions::plan);
        self.running.push(Job { pid, launch, from, files, collected, record, started, plan, is_late: false });
        self.fail(begun.context("cannot collect the output of a command"));
        if !self.starts.is_proven {
            let proven = self.prove(pid, launch);
            self.fail(proven);
        }
    }

    /// Takes the first command back if it could not be executed.
    fn prove(&mut self, pid: i32, launch: u32) -> Result<()> {
        let Some(failure) = self.failure_of(launch)? else {
            self.starts.is_proven = true;
            return Ok(());
        };
        child::reap(pid)?;
        if let Some(job) = self.running.pop() {
            self.take_back(job, failure);
        }
        Ok(())
    }

    /// Returns the report of a command that is started, or cannot be.
    fn record_of(&mut self, from: &mut Waiting) -> CommandRecord {
        let number = *from.number.get_or_insert_with(|| {
            self.count += 1;
            self.count
        });
        CommandRecord { number, argv: self.reported(from.taken.task.payload()), ..CommandRecord::default() }
    }

    fn try_start(&self, taken: &mut Taken) -> Result<(i32, Option<Collected>), NotStarted> {
        let record = match &taken.task {
            Task::Record(record) => record,
            Task::Files { files, .. } => {
                let [input, output, error] = [0, 1, 2].map(|at| files.get(at).map(AsFd::as_fd));
                let standard = Standard { input, output: output.or(input), error };
                return Ok((self.launch(&taken.task, &taken.added, taken.reply_to.as_mut(), standard)?, None));
            }
        };
        let is_collected = taken.reply_to.is_some() || self.most > 1;
        let pipe = is_collected.then(Collected::new).transpose();
        let pipe = pipe.context("cannot collect the output");
        let pipe = pipe.with_context(|| format!("cannot run {}", self.command));
        let (collected, to) = pipe.map_err(NotStarted::Want)?.unzip();
        let input = self.command.input(record)?;
        let standard = Standard { input: Some(input.as_fd()), output: to.as_ref().map(AsFd::as_fd), error: None };
        Ok((self.launch(&taken.task, &taken.added, taken.reply_to.as_mut(), standard)?, collected))
    }

    fn launch(
        &self,
        task: &Task,
        added: &[(&'static str, String)],
        receiver: Option<&mut Receiver>,
        standard: Standard,
    ) -> Result<i32, NotStarted> {
        let words = self.command.filled(task.payload())?;
        let not_started = |errno: Errno| self.command.not_started(task.payload(), errno.into());
        let program = self.command.ready(&words, added).map_err(not_started)?;
        let group = if self.sessions.is_some() { Group::Session } else { Group::Same };
        let files = if let Task::Files { files, .. } = task { &files[..] } else { &[] };
        let number = self.starts.launches;
        let launch = Launch { number, program: &program, standard, group, files, is_awaited: !self.starts.is_proven };
        let Some((receiver, greeting)) = receiver.and_then(|it| it.greeting.map(|greeting| (it, greeting))) else {
            return launch.start(&self.starts.failures).map_err(not_started);
        };
        let started = launch.start_when(&self.starts.failures, || {
            // It is sent once.
            receiver.greeting = None;
            pass::send(&receiver.to, &[greeting], &[]).is_ok()
        });
        started.map_err(|errno| if errno == Errno::ECANCELED { NotStarted::Gone } else { not_started(errno) })
    }

    /// Returns the failure of a child that has exited to execute the command.
    pub(super) fn failure_of(&mut self, launch: u32) -> Result<Option<Failure>> {
        while let Some(failure) = self.starts.failures.next()? {
            self.starts.unreaped.push(failure);
        }
        let at = self.starts.unreaped.iter().position(|failure| failure.number == launch);
        Ok(at.map(|at| self.starts.unreaped.swap_remove(at)))
    }

    /// Takes back what a command was started for that could not be executed.
    pub(super) fn take_back(&mut self, job: Job, failure: Failure) {
        let Job { mut from, files, .. } = job;
        let why = self.command.not_started(from.taken.task.payload(), failure.why);
        match why {
            // Without its files, it cannot be started again.
            NotStarted::Want(error) if failure.files.len() < files => self.lose(from, Some(Exit::Failed), error),
            why => {
                from.taken.task.put_files(failure.files);
                self.put_back(from, why);
            }
        }
    }

    /// Keeps a record for later, or reports that its command cannot run.
    fn put_back(&mut self, from: Waiting, why: NotStarted) {
        match why {
            NotStarted::Gone => self.ended.push_back(Ended { reply_to: None, status: 0, printed: None }),
            NotStarted::Want(error) if self.leftovers.is_empty() && !self.has_children() => {
                self.lose(from, Some(Exit::Failed), error);
            }
            NotStarted::Want(_) => {
                // These release descriptors at once, a command when it exits.
                self.starts.is_short = self.leftovers.is_empty();
                self.leftovers.clear();
                let earlier = |other: &&Waiting| other.number.is_some() && other.number < from.number;
                let at = self.starts.waiting.iter().take_while(earlier).count();
                self.starts.waiting.insert(at, from);
            }
            NotStarted::Command(error) => self.lose(from, Some(Exit::NotExecutable), error),
            NotStarted::Record(error) => self.lose(from, None, error),
        }
    }

    /// Reports that a command cannot run. With a status, the server takes no more records, and exits with it in the end.
    fn lose(&mut self, mut from: Waiting, unable: Option<Exit>, error: Error) {
        let error = match (unable, &from.taken.task) {
            (None, _) => error,
            (Some(_), Task::Record(record)) => {
                error.context(format!("a record of {} was received, but is lost", counted(record.len(), "byte")))
            }
            (Some(_), Task::Files { .. }) => error.context("a client was accepted, but is lost"),
        };
        output::report(&error);
        self.unable = unable.or(self.unable);
        self.failed = true;
        let status = Exit::NotExecutable.code();
        let record = self.record_of(&mut from);
        self.unreported.push_back(CommandRecord { unrun: Some(status), ..record });
        self.ended.push_back(Ended { reply_to: from.taken.reply_to, status, printed: None });
    }
}
