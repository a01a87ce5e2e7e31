//! `msgq peek`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::queue::find;
use super::queue::format::Shape;
use crate::applets::Verb;
use crate::exit::{Cause, Exit, sysctl};
use crate::output;
use crate::sys::message::Message;
use crate::sys::sysv::msg;
use crate::target::{Form, Target};

/// Prints a message in the same way as msgq recv, but leaves it in the queue. Messages are numbered from 0 in the order
/// of arrival, regardless of type. If another process takes messages at the same time, --all may skip some messages.
/// POSIX queues are not supported, because the kernel cannot show their messages.
#[derive(Args)]
pub struct Peek {
    /// Queue to inspect
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Print message N (default: 0, the oldest)
    #[arg(long, value_name = "N", value_parser = index)]
    index: Option<i64>,
    /// Print all messages, oldest first
    #[arg(long, conflicts_with = "index")]
    all: bool,
    /// Print each message as a line of JSON
    #[arg(short = 'J', long)]
    json: bool,
}

fn index(text: &str) -> Result<i64, String> {
    let index = text.parse().ok().filter(|index| *index >= 0);
    index.ok_or_else(|| format!("expected a number from 0 to {}", i64::MAX))
}

impl Verb for Peek {
    const NAME: &'static str = "peek";
    const SUMMARY: &'static str = "Print messages without taking them";
    const EXAMPLES: &'static str = "
# Print the next message and leave it in the queue
ipcbox msgq send jobs --create 'first job' second
ipcbox msgq peek jobs
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Missing, "no such queue or message")];

    fn run(self) -> Result<Exit> {
        context("peek into", &self.target, self.peek())?;
        Ok(Exit::Done)
    }
}

impl Peek {
    fn peek(&self) -> Result<()> {
        if *self.target.form() == Form::Posix {
            let words = "the kernel cannot show the messages of a POSIX queue";
            bail!(
                Cause::new(Exit::Usage, words).hint(format!("count them: ipcbox msgq stat {}", self.target.quoted()))
            );
        }
        let queue = find(&self.target)?;
        let shape = if self.json { Shape::Json } else { Shape::Ended(b"\n") };
        let most = msg::limits()?.message;
        let (mut message, mut out) = (Message::new(0), Vec::new());
        let mut index = self.index.unwrap_or(0);
        loop {
            match queue.copy(&mut message, most, index) {
                // The message was sent before msgmax was lowered. The kernel copies none that is larger, whatever the
                // size of the buffer.
                Err(Errno::E2BIG) => bail!(
                    Cause::from_errno(
                        Errno::E2BIG,
                        format!("the message is larger than kernel.msgmax, which is {most}, and cannot be copied")
                    )
                    .hint(
                        queue.stat().map_or("raise kernel.msgmax".into(), |stat| sysctl("kernel.msgmax", stat.bytes))
                    )
                ),
                Err(Errno::ENOMSG) if self.all => return Ok(()),
                Err(Errno::ENOMSG) => bail!(none(queue, index)),
                Err(Errno::ENOSYS) => bail!(
                    Cause::from_errno(Errno::ENOSYS, "this kernel cannot copy a message")
                        .hint("use a kernel built with CONFIG_CHECKPOINT_RESTORE")
                ),
                Err(Errno::EPERM) => bail!(Cause::forbidden("msgrcv")),
                copied => copied?,
            }
            out.clear();
            shape.write(&message, false, &mut out);
            output::print(&out)?;
            if !self.all {
                return Ok(());
            }
            index += 1;
        }
    }
}

fn none(queue: msg::Queue, index: i64) -> Cause {
    let words = match queue.stat().map(|stat| stat.messages) {
        Ok(0) => "the queue is empty".into(),
        Ok(1) => format!("there is no message {index}, only 0"),
        Ok(count) => format!("there is no message {index}, only 0 to {}", count - 1),
        Err(_) => format!("there is no message {index}"),
    };
    Cause::from_errno(Errno::ENOMSG, words).exit(Exit::Missing)
}
