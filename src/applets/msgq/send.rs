//! `msgq send`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::queue::call_protocol;
use super::queue::{self, Queue, only_posix, only_system_v};
use super::{context, explain};
use crate::applets::Verb;
use crate::args::creating::Making;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, bare};
use crate::output::notice::Notice;
use crate::sys::input::{Input, Record};
use crate::sys::message::Message;
use crate::sys::posix::mq::{Access, MAX_PRIORITY};
use crate::target::Target;

/// Each MESSAGE is one message; without any, all of standard input is one, or with --lines each of its lines, with
/// --null each record that ends in NUL. Empty messages are messages.
///
/// send waits while the queue is full. --timeout limits that wait, not the time spent reading standard input. A queue
/// is bounded: what is sent before anything receives must fit into it (System V: --max-bytes, default kernel.msgmnb). A
/// message longer than the queue takes is refused; what was sent before it stays sent. Sending needs permission to
/// write alone.
#[derive(Args)]
pub struct Send {
    /// The queue
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The messages; after -- one may begin with -
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,
    /// System V: the type, 1 if left out
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// POSIX: the priority, 0 if left out; the highest is received first
    #[arg(long, value_name = "P", value_parser = priority)]
    priority: Option<u32>,
    /// Each line of standard input is a message, without its newline
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,
    /// Each record of standard input that ends in NUL is a message
    #[arg(short = '0', long, conflicts_with = "messages")]
    null: bool,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    timeout: Timeout,
}

fn kind(text: &str) -> Result<i64, String> {
    let kind = text.parse().ok().filter(|kind| (1..call_protocol::KIND).contains(kind));
    kind.ok_or_else(|| format!("a type is 1 to {}; from there on they are for calls", call_protocol::KIND - 1))
}

fn priority(text: &str) -> Result<u32, String> {
    let priority = text.parse().ok().filter(|priority| *priority <= MAX_PRIORITY);
    priority.ok_or_else(|| format!("a priority is 0 to {MAX_PRIORITY}"))
}

impl Verb for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Send messages";
    const EXAMPLES: &'static str = "
# Two messages
ipcbox msgq send jobs --create 'first job' second
# A message for each line
seq 3 | ipcbox msgq send jobs --lines
";
    const WRITES: bool = false;

    fn run(self) -> Result<Exit> {
        let mut sender = context("send to", &self.target, self.open(self.timeout))?;
        context("send to", &self.target, self.send(&mut sender))?;
        Ok(Exit::Done)
    }
}

impl Send {
    fn open(&self, timeout: Timeout) -> Result<Sender> {
        let why = "a POSIX queue has priorities, no types";
        only_system_v(&self.target, self.kind.is_some(), why)?;
        let why = "a System V queue has types, no priorities";
        only_posix(&self.target, self.priority.is_some(), why, "--type says which")?;
        let queue =
            Queue::open(&self.target, Access::Write, timeout.deadline(), self.making.wanted()).map_err(missing)?;
        let number = self.kind.unwrap_or(i64::from(!queue.is_posix()));
        let number = self.priority.map_or(number, i64::from);
        let notice = queue::full(&self.target, &timeout);
        Ok(Sender { queue, message: Message::new(number), timeout, notice, sent: 0 })
    }

    fn send(&self, sender: &mut Sender) -> Result<()> {
        if !self.messages.is_empty() {
            for message in &self.messages {
                sender.send(message.as_bytes()).map_err(|error| self.told(sender, error, "message"))?;
            }
            return Ok(());
        }
        let most = sender.queue.most();
        let (mut input, what) = match (self.lines, self.null) {
            (true, _) => (Input::records(b'\n', most), "line"),
            (_, true) => (Input::records(0, most), "record"),
            _ => (Input::whole(most), ""),
        };
        while let Some(record) = input.next(|block| queue::read_input(&mut sender.timeout, block))? {
            let sent = match record {
                Record::Whole(bytes) => sender.send(bytes),
                Record::TooLong(length) => Err(sender.queue.too_long(length).into()),
            };
            sent.map_err(|error| self.told(sender, error, what))?;
        }
        Ok(())
    }

    /// A failure with the record's number where there can be several, and with what was sent before it.
    fn told(&self, sender: &Sender, error: Error, what: &str) -> Error {
        let error = match bare(&error) {
            Some(errno) => explain(&self.target, errno).into(),
            None => error,
        };
        let cause = match error.downcast::<Cause>() {
            Ok(cause) => cause,
            Err(error) => return error,
        };
        let cause = match sender.sent {
            0 => cause,
            1 => cause.note("1 message was sent before"),
            sent => cause.note(&format!("{sent} messages were sent before")),
        };
        if what.is_empty() || (self.messages.len() == 1 && sender.sent == 0) {
            return cause.into();
        }
        Error::from(cause).context(format!("{what} {}", sender.sent + 1))
    }
}

/// A missing queue can be made here.
fn missing(error: Error) -> Error {
    match error.downcast_ref() {
        Some(Errno::ENOENT) => {
            Cause::from_errno(Errno::ENOENT, "no such message queue").hint("--create makes it").into()
        }
        _ => error,
    }
}

struct Sender {
    queue: Queue,
    message: Message,
    timeout: Timeout,
    notice: Notice,
    sent: u64,
}

impl Sender {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.queue.most() {
            bail!(self.queue.too_long(bytes.len() as u64));
        }
        if self.queue.is_posix() && call_protocol::is_reserved(self.message.number(), bytes) {
            let words = "with this priority it would be taken for a call";
            bail!(Cause::new(Exit::Failed, words).hint("any lower --priority is a plain message"));
        }
        self.message.fill(bytes);
        let (queue, message) = (&mut self.queue, &self.message);
        match self.notice.during(self.timeout.deadline(), |deadline| queue.send(message, deadline)) {
            Err(Errno::EAGAIN) => bail!(self.timeout.missed("the queue had no room for it")),
            Err(Errno::EMSGSIZE) => bail!(self.queue.too_long(bytes.len() as u64)),
            sent => sent?,
        };
        self.sent += 1;
        Ok(())
    }
}
