//! `msgq send`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::queue::call_protocol;
use super::queue::{self, Queue, only_posix, only_system_v};
use super::{CREATES, context, creatable, explain};
use crate::applets::Verb;
use crate::args::creating::Making;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, at_record, bare};
use crate::output::notice::Notice;
use crate::sys::input::{Input, Record};
use crate::sys::message::Message;
use crate::sys::posix::mq::{Access, MAX_PRIORITY};
use crate::target::Target;

/// Sends each MESSAGE as a separate message. Without MESSAGE, sends all of standard input, including its final newline,
/// as one message. --lines sends each line as a message, without its newline.
///
/// msgq send waits while the queue is full. --timeout limits the wait for space in the queue, not the time spent
/// reading standard input. If a message is too large for the queue, msgq send sends the messages before it, then fails.
#[derive(Args)]
pub struct Send {
    /// Queue to send to
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Messages to send; after '--', they may begin with '-'
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,
    /// Set the type of the messages (System V; default: 1)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// Set the priority to P (POSIX; default: 0)
    ///
    /// P is at most 32767. The message with the highest priority is received first.
    #[arg(long, value_name = "P", value_parser = priority)]
    priority: Option<u32>,
    /// Send each line as a message, without its newline
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,
    /// Send each NUL-terminated record, without its NUL
    #[arg(short = '0', long, conflicts_with = "messages")]
    null: bool,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    timeout: Timeout,
}

fn kind(text: &str) -> Result<i64, String> {
    let kind = text.parse().ok().filter(|kind| (1..call_protocol::KIND).contains(kind));
    kind.ok_or_else(|| format!("expected a type from 1 to {}", call_protocol::KIND - 1))
}

fn priority(text: &str) -> Result<u32, String> {
    let priority = text.parse().ok().filter(|priority| *priority <= MAX_PRIORITY);
    priority.ok_or_else(|| format!("expected a priority from 0 to {MAX_PRIORITY}"))
}

impl Verb for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Send messages";
    const EXAMPLES: &'static str = "
# Send two messages
ipcbox msgq send jobs --create 'first job' second
# Send each line as a message
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
        let why = "a POSIX queue has priorities instead of types";
        only_system_v(&self.target, self.kind.is_some(), why)?;
        let why = "a System V queue has types instead of priorities";
        only_posix(&self.target, self.priority.is_some(), why, "use --type")?;
        let queue = Queue::open(&self.target, Access::Write, timeout.deadline(), self.making.wanted())
            .map_err(|error| creatable(error, CREATES))?;
        let number = self.kind.unwrap_or(i64::from(!queue.is_posix()));
        let number = self.priority.map_or(number, i64::from);
        let notice = queue::full(&self.target, &timeout);
        Ok(Sender { target: self.target.clone(), queue, message: Message::new(number), timeout, notice, sent: 0 })
    }

    fn send(&self, sender: &mut Sender) -> Result<()> {
        if !self.messages.is_empty() {
            for message in &self.messages {
                sender.send(message.as_bytes()).map_err(|error| self.failed(sender, error, "message"))?;
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
                Record::TooLong(length) => Err(sender.queue.too_long(&self.target, length).into()),
            };
            sent.map_err(|error| self.failed(sender, error, what))?;
        }
        Ok(())
    }

    /// Adds the number of the record, if there can be several, and how many were sent before it.
    fn failed(&self, sender: &Sender, error: Error, what: &str) -> Error {
        let error = match bare(&error) {
            Some(errno) => explain(&self.target, errno).into(),
            None => error,
        };
        let is_only = self.messages.len() == 1 && sender.sent == 0;
        at_record(error, if is_only { "" } else { what }, sender.sent)
    }
}

struct Sender {
    target: Target,
    queue: Queue,
    message: Message,
    timeout: Timeout,
    notice: Notice,
    sent: u64,
}

impl Sender {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.queue.most() {
            bail!(self.queue.too_long(&self.target, bytes.len() as u64));
        }
        if self.queue.is_posix() && call_protocol::is_reserved(self.message.number(), bytes) {
            let words = "a server would treat a message with this priority as a call";
            bail!(Cause::new(Exit::Failed, words).hint("use a lower --priority"));
        }
        self.message.fill(bytes);
        let (queue, message) = (&mut self.queue, &self.message);
        match self.notice.during(self.timeout.deadline(), |deadline| queue.send(message, deadline)) {
            Err(Errno::EAGAIN) => bail!(queue::still_full(&self.target, &self.timeout)),
            Err(Errno::EMSGSIZE) => bail!(self.queue.too_long(&self.target, bytes.len() as u64)),
            sent => sent?,
        };
        self.sent += 1;
        Ok(())
    }
}
