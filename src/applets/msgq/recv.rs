//! `msgq recv`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::queue::format::{Format, Shape};
use super::queue::{Queue, kind, only_posix, only_system_v};
use super::{CREATES, context, creatable};
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

/// Takes one message and prints it with a newline, unless an option selects another format. Use --count, --drain,
/// --follow or --until to take more than one message. A POSIX queue returns the message with the highest priority
/// first.
///
/// --timeout limits the whole call or, with --follow, the time between two messages. On SIGINT, SIGTERM or SIGHUP, msgq
/// recv prints the messages it has taken and exits. On SIGKILL or a second signal, unprinted messages can be lost.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Recv {
    /// Queue to receive from
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Take only messages of TYPE (System V; default: any)
    ///
    /// TYPE 0 means any type. A negative TYPE such as -5 means any type up to 5, the lowest type first.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<i64>,
    /// Take messages of any type except TYPE (System V)
    #[arg(long, value_name = "TYPE", value_parser = except, conflicts_with = "kind")]
    except: Option<i64>,
    /// Stop after N messages (default: 1)
    #[arg(short, long, value_name = "N", value_parser = many)]
    count: Option<u64>,
    /// Take messages until the queue is empty
    #[arg(long, conflicts_with_all = ["count", "follow", "timeout", "nonblock"])]
    drain: bool,
    /// Take messages until interrupted
    #[arg(long, conflicts_with = "count")]
    follow: bool,
    /// Stop after a message that is equal to TEXT
    ///
    /// The comparison ignores a newline, a NUL or both at the end of the message.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    until: Option<OsString>,
    /// Do not print a newline after each message
    #[arg(long, group = "shape")]
    raw: bool,
    /// Print a NUL, not a newline, after each message
    #[arg(short = '0', long, group = "shape")]
    null: bool,
    /// Print each message as a line of JSON
    #[arg(short = 'J', long, group = "shape")]
    json: bool,
    /// Print each message as a line, up to its first NUL
    #[arg(long, group = "shape")]
    text: bool,
    /// Print each message in format F (%t %p %l %d %n)
    ///
    /// F can contain %t (type), %p (priority), %l (length), %d (data), %n (newline) and %% (percent sign).
    #[arg(long, value_name = "F", value_parser = Format::parse, group = "shape", allow_hyphen_values = true)]
    format: Option<Format>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    timeout: Timeout,
}

fn except(text: &str) -> Result<i64, String> {
    let kind = text.parse().ok().filter(|kind| *kind > 0);
    kind.ok_or_else(|| format!("expected a type from 1 to {}", i64::MAX))
}

impl Verb for Recv {
    const NAME: &'static str = "recv";
    const SUMMARY: &'static str = "Receive messages";
    const EXAMPLES: &'static str = "
# Print the next message; wait for it at most ten seconds
ipcbox msgq send jobs --create 'first job' second
ipcbox msgq recv jobs -w 10s
# Print all remaining messages
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
        // A message that was taken must be written before one of these ends the call.
        interrupt::catch_once(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let mut message = Message::new(0);
        let mut notice = Notice::verbose(&timeout, || format!("a message in {}", self.target));
        let mut batch = Batch::default();
        let mut taken = 0;
        while most.is_none_or(|most| taken < most) {
            // The call never waits with a message that is taken and not written.
            let deadline = if batch.is_empty() { timeout.deadline() } else { Deadline::Now };
            match notice.during(deadline, |deadline| queue.receive(&mut message, which, deadline)) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(Errno::EAGAIN) if !batch.is_empty() => {
                    batch.write()?;
                    continue;
                }
                Err(Errno::EAGAIN) if self.drain => break,
                Err(Errno::EAGAIN) => bail!(self.late(&timeout, taken, most)),
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
            if self.until.as_ref().is_some_and(|text: &OsString| shape.is(message.data(), text.as_bytes())) {
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
        only_system_v(&self.target, self.by_type(), "a POSIX queue has no types; the highest priority comes first")?;
        let asks = |priority| self.format.as_ref().is_some_and(|format| format.asks_for(priority));
        only_system_v(&self.target, asks(false), "a POSIX queue has no types; %p is the priority")?;
        only_posix(&self.target, asks(true), "a System V queue has no priorities", "use %t, the type of the message")?;
        Queue::open(&self.target, Access::Read, timeout.deadline(), self.making.wanted())
            .map_err(|error| creatable(error, CREATES))
    }

    fn late(&self, timeout: &Timeout, taken: u64, most: Option<u64>) -> Cause {
        let after = timeout.after();
        let what = match (taken, most) {
            (1.., Some(most)) => format!("{taken} of {most} messages received"),
            _ if !after.is_empty() => "no message received".into(),
            _ if self.by_type() => "the queue has no message of this type".into(),
            _ => "the queue is empty".into(),
        };
        timeout.expired(what + &after)
    }

    const fn by_type(&self) -> bool {
        self.kind.is_some() || self.except.is_some()
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

/// Messages that were taken and are not written yet. The first is written alone, then up to twice as many as the last
/// time: if nothing can be written, only one message is lost.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lengths: Vec<usize>,
    written: usize,
}

impl Batch {
    /// The most messages, and about the most bytes, of one write.
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

    /// Writes the messages. What cannot be written is lost: its place in the queue is gone, and the queue may be full.
    fn write(&mut self) -> Result<()> {
        if let Err(errno) = fds::write_all(fds::stdout(), &self.text) {
            let lost = match &self.lengths[..] {
                [length] => {
                    let length = counted(*length, "byte");
                    format!("1 message of {length} was received, but is lost")
                }
                lengths => {
                    let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
                    format!("{} messages of {} bytes were received, but are lost", lengths.len(), lengths.join(", "))
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
