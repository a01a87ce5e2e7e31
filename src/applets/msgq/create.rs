//! `msgq create`.

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::queue::{find, only_posix, only_system_v, owned};
use super::{context, limit};
use crate::applets::Verb;
use crate::args::creating::{Creating, differs};
use crate::args::numbers::many;
use crate::args::size;
use crate::args::timeout::Quiet;
use crate::exit::{Cause, Exit, sysctl};
use crate::objects::errors::unchanged;
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::posix::mq::{self, Access, Limits};
use crate::sys::sysv::{Change, if_removed, msg};
use crate::target::{Form, Target};
use crate::text::counted;

/// Prints the id of a System V queue, or the name of a POSIX queue. An existing queue is accepted if it has the
/// requested limits and mode; otherwise the status is 4 and nothing changes.
///
/// --max-bytes limits a System V queue; --max-messages and --message-size limit a POSIX queue. As soon as a POSIX queue
/// is created, its full size counts against ulimit -q.
#[derive(Args)]
pub struct Create {
    /// Queue to create, or 'private' for a queue without a key
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Limit the data in the queue to SIZE (System V)
    ///
    /// The default is kernel.msgmnb, usually 16384 bytes. A larger SIZE needs CAP_SYS_RESOURCE.
    #[arg(long, value_name = "SIZE", value_parser = room)]
    max_bytes: Option<u64>,
    /// Limit the queue to N messages (POSIX; default: 10)
    #[arg(long, value_name = "N", value_parser = many)]
    max_messages: Option<u64>,
    /// Limit each message to SIZE (POSIX; default: 8192)
    #[arg(long, value_name = "SIZE", value_parser = room)]
    message_size: Option<u64>,
    /// Fail with status 4 if the queue exists
    #[arg(short = 'x', long)]
    exclusive: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    quiet: Quiet,
}

/// Parses a size of at least 1 byte.
pub fn room(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    if bytes == 0 { Err("expected a size of at least 1 byte".into()) } else { Ok(bytes) }
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Create a queue";
    const EXAMPLES: &'static str = "
# Create a queue that the group may use
ipcbox msgq create jobs --mode 660
";

    fn run(mut self) -> Result<Exit> {
        self.creating.exclusive = self.exclusive;
        self.quiet.can_answer()?;
        let created = if *self.target.form() == Form::Posix { self.posix() } else { self.system_v() };
        let name = context("create", &self.target, created)?;
        // Also that of an object which another program created.
        output::remember(&self.target);
        self.quiet.answer(name.as_bytes())?;
        Ok(Exit::Done)
    }
}

impl Create {
    fn system_v(&self) -> Result<String> {
        let asked = self.max_messages.is_some() || self.message_size.is_some();
        let why = "a System V queue is limited by --max-bytes";
        only_posix(&self.target, asked, why, "use --max-bytes")?;
        let bits = self.creating.bits();
        let bits = if self.max_bytes.is_some() { begun(bits) } else { bits };
        let create = || {
            let key = match self.target.form() {
                Form::Private => 0,
                Form::Id(_) => {
                    // The kernel chooses ids: one that is free cannot be created.
                    find(&self.target)?.stat()?;
                    bail!(Errno::EEXIST);
                }
                _ => {
                    output::remember(&self.target);
                    self.target.key()?.unwrap_or_default()
                }
            };
            let queue = msg::Queue::create(key, bits)?;
            let completed = if self.max_bytes.is_some() { self.complete(queue) } else { Ok(()) };
            completed.map(|()| queue).map_err(|error| {
                // It must not stay without its limit.
                let _ = queue.remove();
                error.downcast().map_or_else(|error| error, |errno| if_removed(errno).into())
            })
        };
        let queue = match self.target.form() {
            Form::Private => create(),
            _ => self.creating.open_or_create(|| owned(&self.target), |found| self.accept(found), create),
        };
        Ok(queue?.id().to_string())
    }

    fn accept(&self, (queue, stat): (msg::Queue, msg::Stat)) -> Result<msg::Queue> {
        let mode = self.creating.bits();
        let is_unused = stat.send_time == 0 && stat.receive_time == 0;
        let is_begun = is_unused && stat.perm.mode != mode && stat.perm.mode == begun(mode);
        // Its creator was killed before it set the limit, or is about to set it.
        if !(is_begun && self.max_bytes.is_some() && self.complete(queue).is_ok()) {
            limited("byte", "", self.max_bytes, stat.max_bytes)?;
            self.creating.expect_mode(if is_begun { mode } else { stat.perm.mode })?;
        }
        Ok(queue)
    }

    /// Sets the limit and the permission bits of a new queue.
    fn complete(&self, queue: msg::Queue) -> Result<()> {
        let mode = Change { mode: Some(self.creating.bits()), ..Change::default() };
        change(queue, mode, self.max_bytes)
    }

    fn posix(&self) -> Result<String> {
        only_system_v(
            &self.target,
            self.max_bytes.is_some(),
            "a POSIX queue is limited by --max-messages and --message-size",
        )?;
        let name = self.target.typed();
        let limits = (self.max_messages.is_some() || self.message_size.is_some()).then(|| Limits {
            messages: self.max_messages.unwrap_or_else(|| limit("msg_default", 10)),
            size: self.message_size.unwrap_or_else(|| limit("msgsize_default", 8192)),
        });
        let find = || {
            let stat = mq::look(name)?.stat()?;
            Ok((stat, [stat.file.uid]))
        };
        let accept = |stat: mq::Stat| {
            limited("message", "", self.max_messages, stat.limits.messages)?;
            limited("byte", " in a message", self.message_size, stat.limits.size)?;
            self.creating.expect_mode(stat.file.mode)
        };
        let create = || match mq::Queue::create(name, Access::Write, Deadline::Now, self.creating.bits(), limits) {
            Err(Errno::EINVAL) if limits.is_some() => bail!(too_large(limits)),
            created => Ok(created.map(drop)?),
        };
        self.creating.open_or_create(find, accept, create)?;
        Ok(self.target.to_string())
    }
}

/// Returns the mode of a queue before the second call that sets its limit. The meaningless execute bits mark it.
const fn begun(mode: u32) -> u32 {
    mode | 0o111
}

fn limited(what: &str, of: &str, asked: Option<u64>, is: u64) -> Result<(), Cause> {
    match asked {
        Some(asked) if asked != is => {
            let is = counted(usize::try_from(is).unwrap_or(usize::MAX), what);
            Err(differs(format!("a limit of {is}{of}"), asked))
        }
        _ => Ok(()),
    }
}

fn too_large(limits: Option<Limits>) -> Cause {
    let asked = limits.unwrap_or(Limits { messages: 0, size: 0 });
    let (messages, size) = (limit("msg_max", 10), limit("msgsize_max", 8192));
    let exceeds = |what: String, name: &str, limit: u64| {
        Cause::from_errno(Errno::EINVAL, format!("{what} exceed fs.mqueue.{name}, which is {limit}"))
    };
    // The most that the kernel allows, HARD_MSGMAX and HARD_MSGSIZEMAX.
    let raised = |name: &str, option: &str, asked: u64, most: u64| {
        if asked > most { format!("use {option} {most}") } else { sysctl(&format!("fs.mqueue.{name}"), asked) }
    };
    if asked.messages > messages {
        exceeds(format!("{} messages", asked.messages), "msg_max", messages).hint(raised(
            "msg_max",
            "--max-messages",
            asked.messages,
            65536,
        ))
    } else {
        exceeds(format!("messages of {} bytes", asked.size), "msgsize_max", size).hint(raised(
            "msgsize_max",
            "--message-size",
            asked.size,
            16 << 20,
        ))
    }
}

/// Changes a System V queue. `EPERM` has two meanings, which the message distinguishes: it belongs to another user, or
/// the limit exceeds `kernel.msgmnb`.
pub fn change(queue: msg::Queue, wanted: Change, max_bytes: Option<u64>) -> Result<()> {
    let changed = queue.change(wanted, max_bytes);
    if changed != Err(Errno::EPERM) {
        return changed.map_err(|errno| unchanged(errno, queue.stat().is_ok()));
    }
    let (most, stat) = (msg::limits()?.bytes, queue.stat()?);
    // Every IPC_SET sets the limit too, so EPERM can be about a limit that was not changed.
    let bytes = max_bytes.unwrap_or(stat.max_bytes);
    let user = geteuid();
    if bytes <= most || !(user.is_root() || stat.perm.owners().contains(&user.as_raw())) {
        bail!(Errno::EPERM);
    }
    let words = format!("{bytes} bytes exceed kernel.msgmnb, which is {most}");
    bail!(Cause::from_errno(Errno::EPERM, words).hint(sysctl("kernel.msgmnb", bytes)))
}
