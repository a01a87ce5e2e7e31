//! `msgq serve`.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::queue::call_protocol::{self, Request};
use super::queue::{Queue, kind, only_system_v};
use crate::applets::{Runs, Verb};
use crate::args::creating::Making;
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::supervise::pool::{Ended, Next, Pool, Serving, Taken};
use crate::sys::deadline::Deadline;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::Access;
use crate::sys::process;
use crate::sys::reply_pipe::{self, Address};
use crate::target::Target;

/// Runs CMD for each message, with the data on its standard input. IPCBOX_TYPE (of a POSIX queue IPCBOX_PRIORITY) and
/// IPCBOX_LENGTH are in its environment, and {} as an argument by itself is the data; data with a NUL cannot be, and
/// that CMD is not started.
///
/// What CMD prints for a message that was called (msgq call) is the reply, and its status is the caller's. For one
/// that was sent it is printed here, each job's whole and after its end where several run at once. A reply, and the
/// output of several at once, ends when CMD exits: what its background processes print later is dropped.
///
/// A message is run at most once: what a server had taken when it was killed is gone. Where there is no process or
/// descriptor for a CMD, its message waits until one that runs has ended; where none runs it is told to be lost, and
/// the server ends. So it does, with status 126, where CMD cannot be executed.
///
/// SIGTERM takes no more, lets what runs come to its end and then ends with status 0; SIGINT and SIGHUP do the same and
/// then end the server. A second one goes on to the commands and ends the server at once.
///
/// --report writes a JSON object a line for each message that was taken, when its CMD has ended: record argv pid status
/// signal wall_s user_s system_s max_rss_bytes. FILE can be /dev/fd/N, or a FIFO, whose reader is waited for before
/// anything is taken. A symbolic link is refused. Where the report cannot be written the server takes no more and
/// fails.
///
/// With --count and --drain the status is 1 if a job failed. What callers that have gone left is not counted. With
/// --timeout the server ends, as not in time, when no message has come and no job has run for so long. A call has a
/// type of its own, from 2^62 on: a server with --type gets none unless that is 0, or reaches that far (-N). Callers
/// must be of the same user, and be found in /proc: what one of another pid namespace asks is dropped, as if it had
/// gone. Whoever may send to the queue can forge a call, whose reply then goes into a pipe that it names, where a
/// process of the server's user has both ends of it open: he is trusted with that.
#[derive(Args)]
pub struct Serve {
    /// The queue
    #[arg(value_name = "TARGET")]
    target: Target,
    /// System V: 0 any, N that type, -N the lowest up to N
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// So many messages
    #[arg(short, long, value_name = "COUNT", value_parser = many)]
    count: Option<u64>,
    /// All that there are, until the queue is empty and no job runs
    #[arg(long, conflicts_with_all = ["count", "timeout", "nonblock"])]
    drain: bool,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Serve {
    const NAME: &'static str = "serve";
    const SUMMARY: &'static str = "Run CMD for each message, and answer calls";
    const EXAMPLES: &'static str = "
# Four workers empty the queue; {} is the message
seq 8 | ipcbox msgq send jobs --lines --create
ipcbox msgq serve jobs --drain -j 4 -- echo job {}
";
    const RUNS: Runs = Runs::Each;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "with --count or --drain, a CMD failed; any other failure")];

    fn run(mut self) -> Result<Exit> {
        let why = "a POSIX queue has no types: the highest priority comes first";
        context("serve", &self.target, only_system_v(&self.target, self.kind.is_some(), why))?;
        let mut pool = self.serving.pool(b"")?;
        context("serve", &self.target, self.serve(&mut pool))?;
        pool.end(self.count.is_some() || self.drain)
    }
}

/// The commands that run, each with the pipe of its caller if there is one.
type Jobs = Pool<OwnedFd>;

impl Serve {
    fn serve(&self, jobs: &mut Jobs) -> Result<()> {
        let mut queue = Queue::open(&self.target, Access::Read, Deadline::Forever, self.making.wanted())?;
        let which = Which::Type(self.kind.unwrap_or(0));
        let mut message = Message::new(0);
        let mut notice = Notice::verbose(&self.timeout, || format!("a message in {}", self.target));
        let mut left = self.count;
        let mut silence = if self.drain { self.timeout.never() } else { self.timeout.again() };
        let mut end = None;
        loop {
            // It is silent when none runs, and what runs may send more.
            if !jobs.is_idle() {
                silence = silence.again();
            }
            match jobs.next(end.is_none() && left != Some(0))? {
                Next::Over => return end.unwrap_or(Ok(())),
                Next::Ended(ended) => {
                    silence = silence.again();
                    answer(jobs, ended)?;
                    continue;
                }
                Next::Room => {}
            }
            let deadline = if jobs.is_idle() { silence.deadline() } else { Deadline::Forever };
            match notice.during(deadline, |deadline| queue.receive(&mut message, which, deadline)) {
                Ok(Some(())) => match take(jobs, &message, queue.is_posix()) {
                    Ok(true) => {
                        left = left.map(|left| left - 1);
                        silence = silence.again();
                    }
                    Ok(false) => {}
                    Err(error) => end = Some(Err(error)),
                },
                // A job has ended, or a signal says to stop.
                Ok(None) => {}
                Err(Errno::EAGAIN) if self.drain => end = Some(Ok(())),
                Err(Errno::EAGAIN) => end = Some(Err(silence.missed("no message came").into())),
                Err(errno) => end = Some(Err(errno.into())),
            }
        }
    }
}

/// Starts the job for a message; `false` if its caller has gone.
fn take(jobs: &mut Jobs, message: &Message, is_posix: bool) -> Result<bool> {
    let (number, data) = (message.number(), message.data());
    let (number, data, caller) = match call_protocol::read(number, is_posix, data) {
        Request::Plain => (number, data, None),
        Request::Call(address, payload) => match accept(jobs, address)? {
            Some(caller) => (i64::from(!is_posix), payload, Some(caller)),
            None => return Ok(false),
        },
    };
    let name = if is_posix { "IPCBOX_PRIORITY" } else { "IPCBOX_TYPE" };
    jobs.start(Taken {
        record: data.to_vec(),
        added: vec![(name, number.to_string()), ("IPCBOX_LENGTH", data.len().to_string())],
        reply_to: caller,
    });
    Ok(true)
}

/// Tells a caller that its request is being worked on. `None`: it has gone, or may not be reached, which is told.
fn accept(jobs: &mut Jobs, address: Address) -> Result<Option<OwnedFd>> {
    let why = loop {
        match reply_pipe::open_for(address) {
            Ok(caller) => {
                let told = reply_pipe::put(&caller, &[call_protocol::ACCEPTED]);
                return Ok(told.is_ok().then_some(caller));
            }
            // As for a command: what runs gives its own back.
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => match jobs.reclaim()? {
                Some(ended) => ended.into_iter().try_for_each(|ended| answer(jobs, ended))?,
                None => bail!(Cause::plain(errno).note("a call was taken and is lost")),
            },
            Err(errno @ (Errno::EACCES | Errno::EPERM)) => {
                break format!("it belongs to another user or pid namespace ({errno:?})");
            }
            Err(_) if process::has_procfs() => return Ok(None),
            Err(_) => break "/proc is not mounted".into(),
        }
    };
    output::warn(format!("cannot answer process {}: {why}", address.pid));
    Ok(None)
}
/// Sends a caller what the job printed, and its status. A caller that has gone is no failure.
fn answer(jobs: &mut Jobs, ended: Ended<OwnedFd>) -> Result<()> {
    let Some(caller) = ended.reply_to else { return Ok(()) };
    let metadata = ended.printed.as_ref().map(File::metadata).transpose();
    let length = metadata.context("cannot look at a reply")?.map_or(0, |metadata| metadata.len());
    // A pipe that holds a byte at most has room for this.
    let put = reply_pipe::put(&caller, &call_protocol::head(ended.status, length));
    let (Ok(_), Some(reply)) = (put, ended.printed) else { return Ok(()) };
    if let Err(errno) = jobs.deliver(&reply, &caller) {
        output::warn(format!("cannot deliver a reply: {}", Cause::plain(errno)));
    }
    Ok(())
}
