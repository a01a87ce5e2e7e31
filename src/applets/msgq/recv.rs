//! `msgq recv`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::queue::format::{Format, Shape};
use super::queue::{Queue, kind, only_posix, only_system_v};
use crate::applets::Verb;
use crate::args::creating::Making;
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::Access;
use crate::sys::signal::Signal;
use crate::sys::{fds, interrupt};
use crate::target::Target;
use crate::text::counted;

/// Takes one message and prints it, or so many as --count, --drain, --follow or --until says. Each is ended by a
/// newline unless another shape is asked for.
///
/// TYPE 0 is any message, N the first of type N, -N the first of the lowest type up to N. POSIX queues give the highest
/// priority first. --timeout bounds the whole call; with --follow it bounds the silence between two messages.
///
/// Messages that are there at once are written together, 4 KiB or 64 at most. What was taken is written before SIGINT,
/// SIGTERM or SIGHUP ends the call. A second one ends it at once, as SIGKILL does: what was taken and is not yet
/// written is lost then. Receiving needs permission to read alone.
///
/// In a format %t is the type, %p the priority, %l the length, %d the data, %n a newline, %% a percent sign. The keys
/// of JSON are type (of a POSIX queue priority), length and data; data that are no UTF-8 are data_base64 instead.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Recv {
    /// The queue
    #[arg(value_name = "TARGET")]
    target: Target,
    /// System V: 0 any, N that type, -N the lowest up to N
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// System V: any but this type
    #[arg(long, value_name = "TYPE", value_parser = except, conflicts_with = "kind")]
    except: Option<i64>,
    /// So many messages
    #[arg(short, long, value_name = "COUNT", value_parser = many)]
    count: Option<u64>,
    /// All that there are, until the queue is empty
    #[arg(long, conflicts_with_all = ["count", "follow", "timeout", "nonblock"])]
    drain: bool,
    /// Without end
    #[arg(long, conflicts_with = "count")]
    follow: bool,
    /// Stop after a message that says TEXT; a newline or a NUL at its end does not count
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    until: Option<OsString>,
    /// Nothing after each message
    #[arg(long, group = "shape")]
    raw: bool,
    /// A NUL after each message
    #[arg(short = '0', long, group = "shape")]
    null: bool,
    /// A line of JSON for each message
    #[arg(short = 'J', long, group = "shape")]
    json: bool,
    /// Each message up to its first NUL, and a newline
    #[arg(long, group = "shape")]
    text: bool,
    /// Each message so: %t %p %l %d %n
    #[arg(long, value_name = "F", value_parser = Format::parse, group = "shape", allow_hyphen_values = true)]
    format: Option<Format>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    timeout: Timeout,
}

fn except(text: &str) -> Result<i64, String> {
    let kind = text.parse().ok().filter(|kind| *kind > 0);
    kind.ok_or_else(|| format!("a type is 1 to {}", i64::MAX))
}

impl Verb for Recv {
    const NAME: &'static str = "recv";
    const SUMMARY: &'static str = "Receive messages";
    const EXAMPLES: &'static str = "
# The next message, waiting for it for ten seconds at most
ipcbox msgq send jobs --create 'first job' second
ipcbox msgq recv jobs -w 10s
# All that are left
ipcbox msgq recv jobs --drain
";

    fn run(self) -> Result<Exit> {
        context("receive from", &self.target, self.receive())?;
        Ok(Exit::Done)
    }
}

impl Recv {
    fn receive(&self) -> Result<()> {
        let mut timeout = self.timeout;
        if self.drain {
            timeout = timeout.never();
        }
        output::require()?;
        let mut queue = self.open(timeout)?;
        let shape = self.shape();
        let which = self.except.map_or(Which::Type(self.kind.unwrap_or(0)), Which::Except);
        let most = if self.drain || self.follow { None } else { self.most() };
        // From the moment one is taken these wait until it is written.
        interrupt::catch_once(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let mut message = Message::new(0);
        let mut notice = Notice::verbose(&timeout, || format!("a message in {}", self.target));
        let mut batch = Batch::default();
        let mut taken = 0;
        while most.is_none_or(|most| taken < most) {
            // What is there at once is written together; it is never waited for with something unwritten.
            let deadline = if batch.is_empty() { timeout.deadline() } else { Deadline::Now };
            match notice.during(deadline, |deadline| queue.receive(&mut message, which, deadline)) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(Errno::EAGAIN) if !batch.is_empty() => {
                    batch.write()?;
                    continue;
                }
                Err(Errno::EAGAIN) if self.drain => break,
                Err(Errno::EAGAIN) => bail!(late(&timeout, taken, most)),
                Err(errno) => {
                    batch.write()?;
                    bail!(errno);
                }
            }
            taken += 1;
            batch.add(&shape, &message, queue.is_posix());
            if batch.is_full() {
                batch.write()?;
            }
            if self.until.as_ref().is_some_and(|text: &OsString| shape.says(message.data(), text.as_bytes())) {
                break;
            }
            if self.follow {
                timeout = timeout.again();
            }
        }
        batch.write()?;
        Ok(interrupt::end()?)
    }

    fn open(&self, timeout: Timeout) -> Result<Queue> {
        let by_type = self.kind.is_some() || self.except.is_some();
        only_system_v(&self.target, by_type, "a POSIX queue has no types: the highest priority comes first")?;
        let asks = |priority| self.format.as_ref().is_some_and(|format| format.asks_for(priority));
        only_system_v(&self.target, asks(false), "a POSIX queue has no types; %p is the priority")?;
        only_posix(&self.target, asks(true), "a System V queue has no priorities", "%t is the type")?;
        Queue::open(&self.target, Access::Read, timeout.deadline(), self.making.wanted())
    }

    const fn most(&self) -> Option<u64> {
        match (self.count, &self.until) {
            (None, None) => Some(1),
            (count, _) => count,
        }
    }

    fn shape(&self) -> Shape {
        match (&self.format, self.raw, self.null, self.json, self.text) {
            (Some(format), ..) => Shape::Format(format.clone()),
            (_, true, ..) => Shape::Ended(b""),
            (_, _, true, ..) => Shape::Ended(b"\0"),
            (_, _, _, true, _) => Shape::Json,
            (_, _, _, _, true) => Shape::Text,
            _ => Shape::Ended(b"\n"),
        }
    }
}

fn late(timeout: &Timeout, taken: u64, most: Option<u64>) -> Cause {
    match (taken, most) {
        (1.., Some(most)) => timeout.missed(&format!("{taken} of {most} messages came")),
        _ => timeout.missed("no message came"),
    }
}

/// Messages that were taken and are still to be written. The first is written alone, and then up to twice as many as
/// the last time: where nothing can be written no more than one is lost for it.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lengths: Vec<usize>,
    written: usize,
}

impl Batch {
    /// How many are written together at most, and about how many bytes.
    const MOST: (usize, usize) = (64, 4096);

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    fn is_full(&self) -> bool {
        let (count, bytes) = Self::MOST;
        self.lengths.len() >= (2 * self.written).clamp(1, count) || self.text.len() >= bytes
    }

    fn add(&mut self, shape: &Shape, message: &Message, is_posix: bool) {
        shape.write(message, is_posix, &mut self.text);
        self.lengths.push(message.data().len());
    }

    /// Writes them. What cannot be written is lost: it can be put back neither at its place nor for sure.
    fn write(&mut self) -> Result<()> {
        if let Err(errno) = fds::write_all(fds::stdout(), &self.text) {
            let lost = match &self.lengths[..] {
                [length] => {
                    let length = counted(*length, "byte");
                    format!("the message that was taken, of {length}, is lost")
                }
                lengths => {
                    let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
                    format!("the {} messages that were taken, of {} bytes, are lost", lengths.len(), lengths.join(", "))
                }
            };
            let cause = Cause::plain(errno).exit(Exit::Failed).note(&lost);
            return Err(Error::from(cause).context("cannot write to standard output"));
        }
        self.written = self.lengths.len().max(self.written);
        self.text.clear();
        self.lengths.clear();
        Ok(())
    }
}
