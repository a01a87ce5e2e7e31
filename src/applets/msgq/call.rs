//! `msgq call`.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::queue::call_protocol;
use super::queue::{self, Queue};
use super::{context, creatable};
use crate::applets::{Runs, Verb};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::input::{Input, Record};
use crate::sys::interrupt;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::{Access, MAX_PRIORITY};
use crate::sys::reply_pipe::Mailbox;
use crate::sys::signal::{self, Signal};
use crate::sys::transfer::BUFFER;
use crate::sys::wait::{Wake, ready, ready_or_signal};
use crate::target::Target;

/// Sends MESSAGE, or standard input, to the server of the queue (msgq serve). Prints the reply and exits with the
/// status of the server's CMD. A reply can have any size.
///
/// On a timeout or a signal, msgq call withdraws the request. If CMD has started, it keeps running, but its reply is
/// lost. If no server is running, or the server dies after taking the request, msgq call waits until --timeout expires.
#[derive(Args)]
pub struct Call {
    /// Queue that the server reads
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Request to send; after '--', it may begin with '-'
    #[arg(value_name = "MESSAGE")]
    message: Option<OsString>,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Call {
    const NAME: &'static str = "call";
    const SUMMARY: &'static str = "Send a request and print the reply";
    const EXAMPLES: &'static str = "
# Start a server for one request, and send the request
ipcbox msgq create tagger
ipcbox msgq serve tagger -c 1 -- tr a-z A-Z &
ipcbox msgq call tagger 'hello' -w 10s
";
    const RUNS: Runs = Runs::ByServer;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::BeforeCommand, "no such queue, no server, or any failure before the reply"),
        (Exit::Command(0), "the exit status of CMD, which the server ran for this call"),
    ];

    fn run(self) -> Result<Exit> {
        let status = context("call", &self.target, self.call(self.timeout))?;
        Ok(Exit::Command(status))
    }
}

impl Call {
    fn call(&self, mut timeout: Timeout) -> Result<u8> {
        output::require()?;
        let mut mailbox = Mailbox::new()?;
        let address = mailbox.address();
        let mut queue = Queue::open(&self.target, Access::Write, timeout.deadline(), None)
            .map_err(|error| creatable(error, &format!("ipcbox msgq create {}", self.target.quoted())))?;
        let request = call_protocol::request(address, &self.payload(&queue, &mut timeout)?);
        let too_long = |queue: &Queue| {
            let before = call_protocol::request(address, b"").len();
            let words = format!("{before} of them are the header of a call");
            queue.too_long(&self.target, request.len() as u64).note(&words)
        };
        if request.len() > queue.most() {
            bail!(too_long(&queue));
        }
        let kind = if queue.is_posix() { MAX_PRIORITY.into() } else { call_protocol::kind(address) };
        let mut message = Message::new(kind);
        message.fill(&request);
        interrupt::catch_once(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        if !queue.is_posix() {
            interrupt::catch(&[Signal::IO])?;
            mailbox.signals(true)?;
        }
        let mut notice = queue::full(&self.target, &timeout);
        match notice.during(timeout.deadline(), |deadline| queue.send(&message, deadline)) {
            Ok(Some(())) => {}
            Ok(None) => return give_up(None),
            Err(Errno::EAGAIN) => bail!(queue::still_full(&self.target, &timeout)),
            Err(Errno::EMSGSIZE) => bail!(too_long(&queue)),
            Err(errno) => bail!(errno),
        }
        let server = || format!("{}: no server has taken the request yet", self.target);
        Notice::verbose(&timeout, server).begin(timeout.deadline());
        match begin(&mut queue, &mailbox, timeout.deadline())? {
            Arrived::Whole => mailbox.accepted(),
            // Closed first, so that a server that takes the request from now on drops it.
            Arrived::Signal => {
                drop(mailbox);
                return give_up(Some((&mut queue, kind)));
            }
            Arrived::Late => {
                drop(mailbox);
                take_back(&mut queue, kind);
                bail!(late(&timeout, "no server has taken the request"));
            }
            Arrived::End => bail!(died()),
        }
        let reply_due = || format!("{}: a server is processing the request", self.target);
        Notice::verbose(&timeout, reply_due).begin(timeout.deadline());
        reply(&mailbox, &mut timeout)
    }

    fn payload(&self, queue: &Queue, timeout: &mut Timeout) -> Result<Vec<u8>> {
        if let Some(message) = &self.message {
            return Ok(message.as_bytes().to_vec());
        }
        match Input::whole(queue.most()).next(|block| queue::read_input(timeout, block))? {
            Some(Record::Whole(bytes)) => Ok(bytes.to_vec()),
            Some(Record::TooLong(length)) => bail!(queue.too_long(&self.target, length)),
            None => Ok(Vec::new()),
        }
    }
}

/// Waits until a server has taken the request.
///
/// It waits in the queue, for a type that is never sent: so the removal of the queue ends the wait too. The signal of
/// the mailbox interrupts it.
fn begin(queue: &mut Queue, mailbox: &Mailbox, deadline: Deadline) -> Result<Arrived> {
    let mut waited = Err(Errno::EACCES);
    if !queue.is_posix() {
        let unused = Which::Type(call_protocol::UNUSED);
        loop {
            waited = queue.receive(&mut Message::new(0), unused, deadline);
            interrupt::forget(Signal::IO)?;
            let has_come = || ready(&[mailbox.as_fd()], Deadline::Now);
            if waited.is_err() || interrupt::any() || has_come()?.is_some() {
                break;
            }
        }
        mailbox.signals(false)?;
        interrupt::forget(Signal::IO)?;
    }
    // A caller that may not read the queue waits for the mailbox alone.
    let is_denied = waited == Err(Errno::EACCES);
    let arrived = arrive(mailbox, &mut [0], if is_denied { deadline } else { Deadline::Now })?;
    match (arrived, waited) {
        (Arrived::Late, Err(errno)) if !is_denied && errno != Errno::EAGAIN => bail!(errno),
        (arrived, _) => Ok(arrived),
    }
}

/// Removes the request from the queue, unless a server has taken it.
fn take_back(queue: &mut Queue, kind: i64) {
    if !queue.is_posix() {
        // The queue may be gone, or not readable: a server will drop the request.
        let _ = queue.receive(&mut Message::new(0), Which::Type(kind), Deadline::Now);
    }
}

/// Dies by the signal that was caught, after removing the request.
fn give_up(sent: Option<(&mut Queue, i64)>) -> Result<u8> {
    let signals = interrupt::take()?;
    if let Some((queue, kind)) = sent {
        take_back(queue, kind);
    }
    for signal in signals.iter() {
        signal::die(signal)?;
    }
    bail!(Errno::EINTR)
}

fn reply(mailbox: &Mailbox, timeout: &mut Timeout) -> Result<u8> {
    let mut head = [0; call_protocol::HEAD];
    expect(mailbox, &mut head, timeout, "no reply received")?;
    let (status, mut left) = call_protocol::read_head(head);
    let mut block = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER)];
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        expect(mailbox, &mut block[..length], timeout, "the reply is incomplete")?;
        timeout.uncounted(|| output::print(&block[..length]))?;
        left -= length as u64;
    }
    Ok(status)
}

fn expect(mailbox: &Mailbox, bytes: &mut [u8], timeout: &Timeout, what: &str) -> Result<()> {
    match arrive(mailbox, bytes, timeout.deadline())? {
        Arrived::Whole => Ok(()),
        Arrived::Signal => give_up(None).map(drop),
        Arrived::Late => bail!(late(timeout, what)),
        Arrived::End => bail!(died()),
    }
}

enum Arrived {
    Whole,
    Signal,
    Late,
    End,
}

fn arrive(mailbox: &Mailbox, bytes: &mut [u8], deadline: Deadline) -> Result<Arrived> {
    let mut at = 0;
    while at < bytes.len() {
        match ready_or_signal(&[mailbox.as_fd()], deadline)? {
            Wake::Signal => return Ok(Arrived::Signal),
            Wake::Late => return Ok(Arrived::Late),
            Wake::Ready(_) => match fds::read(mailbox, &mut bytes[at..])? {
                0 => return Ok(Arrived::End),
                read => at += read,
            },
        }
    }
    Ok(Arrived::Whole)
}

fn late(timeout: &Timeout, what: &str) -> Cause {
    timeout.expired(format!("{what}{}", timeout.after()))
}

fn died() -> Cause {
    Cause::new(Exit::BeforeCommand, "the server exited before it replied")
}
