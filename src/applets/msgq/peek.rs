//! `msgq peek`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::queue::find;
use super::queue::format::Shape;
use crate::applets::Verb;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::message::Message;
use crate::sys::sysv::msg;
use crate::target::{Form, Target};

/// Prints a message as recv does, with the same keys in JSON, and leaves it in the queue: by its place, from 0 on,
/// whatever the types are. Others may take it meanwhile; with --all each is looked at by its place when its turn comes.
///
/// The kernel can do this for System V queues alone, and only where it was built with CONFIG_CHECKPOINT_RESTORE, as
/// those of the distributions are.
#[derive(Args)]
pub struct Peek {
    /// The queue
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The message in this place, 0 if left out
    #[arg(long, value_name = "N", value_parser = place, default_value_t = 0)]
    index: i64,
    /// All messages, in their order
    #[arg(long, conflicts_with = "index")]
    all: bool,
    /// A line of JSON for each message
    #[arg(short = 'J', long)]
    json: bool,
}

fn place(text: &str) -> Result<i64, String> {
    let place = text.parse().ok().filter(|place| *place >= 0);
    place.ok_or_else(|| "expected a place from 0 on".into())
}

impl Verb for Peek {
    const NAME: &'static str = "peek";
    const SUMMARY: &'static str = "Look at messages without taking them";
    const EXAMPLES: &'static str = "
# What would be received next
ipcbox msgq send jobs --create 'first job' second
ipcbox msgq peek jobs
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Missing, "no such queue, or no such message")];

    fn run(self) -> Result<Exit> {
        context("peek into", &self.target, self.peek())?;
        Ok(Exit::Done)
    }
}

impl Peek {
    fn peek(&self) -> Result<()> {
        if *self.target.form() == Form::Posix {
            let words = "the kernel has no way to look at a POSIX queue's messages";
            bail!(Cause::new(Exit::Usage, words).hint("msgq stat tells how many there are"));
        }
        let queue = find(&self.target)?;
        let shape = if self.json { Shape::Json } else { Shape::Ended(b"\n") };
        let most = msg::limits()?.message;
        let (mut message, mut out) = (Message::new(0), Vec::new());
        let mut index = self.index;
        loop {
            match queue.copy(&mut message, most, index) {
                // It was sent before msgmax was lowered, and the kernel copies none that is longer, whatever the buffer
                // is.
                Err(Errno::E2BIG) => bail!(
                    Cause::from_errno(
                        Errno::E2BIG,
                        format!("it is longer than kernel.msgmax, {most}, and cannot be copied")
                    )
                    .hint("msgq recv takes it; /proc/sys/kernel/msgmax is the limit")
                ),
                Err(Errno::ENOMSG) if self.all => return Ok(()),
                Err(Errno::ENOMSG) => bail!(none(queue, index)),
                Err(Errno::ENOSYS) => bail!(
                    Cause::from_errno(Errno::ENOSYS, "this kernel cannot copy a message")
                        .hint("it wants Linux 3.8 built with CONFIG_CHECKPOINT_RESTORE")
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
        Ok(0) => "it is empty".into(),
        Ok(1) => format!("there is no message {index}, only 0"),
        Ok(count) => format!("there is no message {index}, only 0 to {}", count - 1),
        Err(_) => format!("there is no message {index}"),
    };
    Cause::from_errno(Errno::ENOMSG, words).exit(Exit::Missing)
}
