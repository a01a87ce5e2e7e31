//! `msgq serve`.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::queue::call_protocol::{self, Request};
use super::queue::{Queue, kind, only_system_v};
use super::{CREATES, context, creatable};
use crate::applets::{Runs, Verb};
use crate::args::creating::Making;
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::supervise::pool::{Ended, Next, Pool, Receiver, Serving, Taken, Task};
use crate::sys::deadline::Deadline;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::Access;
use crate::sys::process;
use crate::sys::reply_pipe::{self, Address};
use crate::target::Target;

/// CMD gets the message on standard input and in place of an argument {}. The output of CMD is printed or, for msgq
/// call, sent as the reply; the caller then exits with CMD's status. A killed server loses the messages it has taken.
///
/// On SIGTERM, the server waits for running CMDs and exits with status 0. With --count or --drain, the status is 1 if a
/// CMD failed. With --timeout, the server exits if no message arrives and no CMD runs for DURATION.
#[derive(Args)]
pub struct Serve {
    /// Queue to serve
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Take only messages of TYPE (System V; default: any)
    ///
    /// TYPE 0 means any type. A negative TYPE such as -5 means any type up to 5, the lowest type first.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// Stop after N messages
    #[arg(short, long, value_name = "N", value_parser = many)]
    count: Option<u64>,
    /// Stop when the queue is empty and no CMD is running
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
    const SUMMARY: &'static str = "Run CMD for each message, and reply to msgq call";
    const EXAMPLES: &'static str = "
# Empty the queue with four workers; {} is the message
seq 8 | ipcbox msgq send jobs --lines --create
ipcbox msgq serve jobs --drain -j 4 -- echo job {}
";
    const RUNS: Runs = Runs::Each;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "a CMD failed (with --count or --drain), or any other failure")];

    fn run(mut self) -> Result<Exit> {
        let why = "a POSIX queue has no types; the highest priority comes first";
        context("serve", &self.target, only_system_v(&self.target, self.kind.is_some(), why))?;
        let mut pool = self.serving.pool(b"")?;
        context("serve", &self.target, self.serve(&mut pool))?;
        pool.end(self.count.is_some() || self.drain)
    }
}

impl Serve {
    fn serve(&self, jobs: &mut Pool) -> Result<()> {
        let queue = Queue::open(&self.target, Access::Read, Deadline::Forever, self.making.wanted());
        let mut queue = queue.map_err(|error| creatable(error, CREATES))?;
        let which = Which::Type(self.kind.unwrap_or(0));
        let mut message = Message::new(0);
        let mut notice = Notice::verbose(&self.timeout, || format!("a message in {}", self.target));
        let mut left = self.count;
        let mut silence = if self.drain { self.timeout.never() } else { self.timeout.again() };
        let mut end = None;
        loop {
            // The timeout counts from the exit of the last job: a job may send messages.
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
                // A job has exited, or a signal stops the server.
                Ok(None) => {}
                Err(Errno::EAGAIN) if self.drain => end = Some(Ok(())),
                Err(Errno::EAGAIN) => {
                    end = Some(Err(silence.expired(format!("no message received{}", silence.after())).into()));
                }
                Err(errno) => end = Some(Err(errno.into())),
            }
        }
    }
}

/// Starts the job for a message. Returns `false` if its caller has exited.
fn take(jobs: &mut Pool, message: &Message, is_posix: bool) -> Result<bool> {
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
        task: Task::Record(data.to_vec()),
        added: vec![(name, number.to_string()), ("IPCBOX_LENGTH", data.len().to_string())],
        reply_to: caller.map(|to| Receiver { to, sender: None, greeting: None }),
    });
    Ok(true)
}

/// Reports to a caller that its request was taken. Returns `None` if the caller has exited or cannot be reached.
fn accept(jobs: &mut Pool, address: Address) -> Result<Option<OwnedFd>> {
    let why = loop {
        match reply_pipe::open_for(address) {
            Ok(caller) => {
                let put = reply_pipe::put(&caller, &[call_protocol::ACCEPTED]);
                return Ok(put.is_ok().then_some(caller));
            }
            // A running job releases its descriptors when it exits.
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => match jobs.reclaim()? {
                Some(ended) => ended.into_iter().try_for_each(|ended| answer(jobs, ended))?,
                None => bail!(Cause::plain(errno).note("a call was received, but is lost")),
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

/// Sends a caller the status and the output of its job. A caller that has exited is no failure.
fn answer(jobs: &mut Pool, ended: Ended) -> Result<()> {
    let Some(Receiver { to: caller, .. }) = ended.reply_to else { return Ok(()) };
    let metadata = ended.printed.as_ref().map(File::metadata).transpose();
    let length = metadata.context("cannot read the size of a reply")?.map_or(0, |metadata| metadata.len());
    // At most one byte is in the pipe: this cannot block.
    let put = reply_pipe::put(&caller, &call_protocol::head(ended.status, length));
    let (Ok(_), Some(reply)) = (put, ended.printed) else { return Ok(()) };
    if let Err(errno) = jobs.deliver(&reply, &caller) {
        output::warn(format!("cannot deliver a reply: {}", Cause::plain(errno)));
    }
    Ok(())
}
