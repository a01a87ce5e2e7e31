//! Queues of both families, as the verbs use them.

pub mod call_protocol;
pub mod format;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, sysctl, ulimit};
use crate::output;
use crate::output::notice::{Due, Notice};
use crate::sys::deadline::Deadline;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::{self, Access};
use crate::sys::sysv::{if_removed, msg};
use crate::sys::{fds, transfer};
use crate::target::{Form, Target};
use crate::text::counted;

/// Reads standard input, which does not count towards `timeout`.
pub fn read_input(timeout: &mut Timeout, block: &mut [u8]) -> Result<usize> {
    timeout.uncounted(|| transfer::read_some(fds::stdin(), block)).context("cannot read standard input")
}

pub enum Queue {
    SystemV {
        queue: msg::Queue,
        /// The most bytes of a message, `kernel.msgmax`.
        most: usize,
        /// A length that is known to fit into the empty queue.
        fits: usize,
    },
    Posix {
        queue: mq::Queue,
        most: usize,
    },
}

impl Queue {
    /// Opens the queue behind `target`, with no more permission than `access`. With `creating` it creates a missing
    /// queue, and checks who owns an existing one.
    pub fn open(target: &Target, access: Access, deadline: Deadline, creating: Option<Creating>) -> Result<Self> {
        if *target.form() == Form::Posix {
            let name = target.typed();
            let open = || mq::Queue::open(name, access, deadline);
            let queue = match creating {
                None => open()?,
                Some(creating) => {
                    let find = || {
                        let queue = open()?;
                        let owner = queue.owned()?.uid;
                        Ok((queue, [owner]))
                    };
                    let create = || Ok(mq::Queue::create(name, access, deadline, creating.bits(), None)?);
                    creating.open_or_create(find, Ok, create)?
                }
            };
            let most = usize::try_from(queue.limits()?.0.size).unwrap_or(usize::MAX);
            return Ok(Self::Posix { queue, most });
        }
        let queue = match (creating, target.key()?) {
            (Some(creating), Some(key)) => {
                let create = || {
                    output::remember(target);
                    Ok(msg::Queue::create(key, creating.bits())?)
                };
                creating.open_or_create(|| owned(target), |(queue, _)| Ok(queue), create)?
            }
            _ => find(target)?,
        };
        Ok(Self::SystemV { queue, most: msg::limits()?.message, fits: 0 })
    }

    /// The most bytes of a message.
    pub const fn most(&self) -> usize {
        match self {
            Self::SystemV { most, .. } | Self::Posix { most, .. } => *most,
        }
    }

    /// Whether it has priorities instead of types.
    pub const fn is_posix(&self) -> bool {
        matches!(self, Self::Posix { .. })
    }

    /// Sends a message. Returns `None` if a caught signal came first.
    ///
    /// # Errors
    /// `EAGAIN`: the queue was full until the deadline. `EMSGSIZE`: the message is [too long](Self::too_long) for it.
    pub fn send(&mut self, message: &Message, deadline: Deadline) -> nix::Result<Option<()>> {
        match self {
            Self::SystemV { queue, fits, .. } => {
                let length = message.data().len();
                if length > *fits {
                    // The kernel would wait forever for room for a message that is larger than the queue.
                    let sent = queue.send(message, Deadline::Now);
                    if sent != Err(Errno::EAGAIN) {
                        *fits = length;
                        return sent;
                    }
                    *fits = room(*queue);
                    if length > *fits {
                        return Err(Errno::EMSGSIZE);
                    }
                }
                queue.send(message, deadline)
            }
            Self::Posix { queue, .. } => {
                let priority = u32::try_from(message.number()).map_err(|_| Errno::EINVAL)?;
                queue.send(message.data(), priority, deadline)
            }
        }
    }

    /// Takes a message. Returns `None` if a caught signal came first.
    pub fn receive(&mut self, message: &mut Message, which: Which, deadline: Deadline) -> nix::Result<Option<()>> {
        match self {
            Self::Posix { queue, most } => queue.receive(message, *most, deadline),
            Self::SystemV { queue, most, .. } => loop {
                match queue.receive(message, *most, which, deadline) {
                    // The message was sent before msgmax was lowered.
                    Err(Errno::E2BIG) => *most = most.saturating_mul(2).max(1024),
                    taken => return taken,
                }
            },
        }
    }

    /// The failure to send a message of `length` bytes, which is larger than a limit.
    pub fn too_long(&self, target: &Target, length: u64) -> Cause {
        let (limit, errno, hint) = match self {
            Self::SystemV { queue, most, .. } if length <= *most as u64 => (
                format!("the queue's limit of {}", room(*queue)),
                Errno::EMSGSIZE,
                format!("ipcbox msgq set {} --max-bytes {length}", target.quoted()),
            ),
            Self::SystemV { most, .. } => {
                (format!("kernel.msgmax, which is {most}"), Errno::EINVAL, sysctl("kernel.msgmax", length))
            }
            Self::Posix { most, .. } => (
                format!("the queue's limit of {most}"),
                Errno::EMSGSIZE,
                format!("create a queue with --message-size {length}"),
            ),
        };
        Cause::from_errno(errno, format!("{length} bytes exceed {limit}")).hint(hint)
    }
}

/// The notice of a wait for room in a full queue.
pub fn full(target: &Target, timeout: &Timeout) -> Notice {
    let queue = target.clone();
    Notice::new(target, timeout, move |due| match due {
        Due::AtOnce => None,
        Due::Later => {
            let content = content(&queue)?;
            Some(format!(
                "the queue is full ({content}); receive messages at the same time: ipcbox msgq recv {}",
                queue.quoted()
            ))
        }
    })
}

/// The failure to send to a full queue, with what is in it.
pub fn still_full(target: &Target, timeout: &Timeout) -> Cause {
    let full = match timeout.after() {
        after if after.is_empty() => "the queue is full".to_owned(),
        after => format!("still full{after}"),
    };
    let content = if timeout.is_silent() { None } else { content(target) };
    timeout.expired(content.map_or_else(|| full.clone(), |content| format!("{full}: {content}")))
}

/// How much is in a queue, and its limit: "16384 of 16384 bytes, 2 messages".
fn content(target: &Target) -> Option<String> {
    if *target.form() == Form::Posix {
        let (limits, messages) = mq::look(target.typed()).ok()?.limits().ok()?;
        return Some(format!("{messages} of {} messages", limits.messages));
    }
    let stat = find(target).ok()?.stat().ok()?;
    let messages = counted(usize::try_from(stat.messages).unwrap_or(usize::MAX), "message");
    Some(format!("{} of {} bytes, {messages}", stat.bytes, stat.max_bytes))
}

/// How many bytes fit into the empty queue; no limit if the caller may not read it.
fn room(queue: msg::Queue) -> usize {
    let most = queue.stat().map_or(u64::MAX, |stat| stat.max_bytes);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Returns the queue behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn find(target: &Target) -> Result<msg::Queue> {
    target.locate("queue", msg::Queue::find, msg::Queue::from_id)
}

/// Returns the queue behind a System V target, its state and its owners.
///
/// # Errors
/// `ENOENT`, `EIDRM`: there is none.
pub fn owned(target: &Target) -> Result<((msg::Queue, msg::Stat), [u32; 2])> {
    let queue = find(target)?;
    let stat = queue.stat().map_err(if_removed)?;
    Ok(((queue, stat), stat.perm.owners()))
}

/// Parses the type to receive.
pub fn kind(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("expected a type from 0 to {}, or -N for any type up to N", i64::MAX))
}

/// The usual RLIMIT_MSGQUEUE, in bytes.
const USUAL_MEMORY: u64 = 819_200;

/// The failure `EMFILE` of a POSIX queue while descriptors are left: the user's queues would exceed `RLIMIT_MSGQUEUE`.
pub fn no_memory() -> Cause {
    let limit = mq::memory_limit();
    let limit = limit.map_or_else(String::new, |bytes| format!(", which is {bytes} bytes"));
    Cause::from_errno(Errno::EMFILE, format!("the user's POSIX queues would exceed RLIMIT_MSGQUEUE{limit}"))
        .hint(ulimit('q', 1, USUAL_MEMORY))
}

/// Refuses an option that POSIX queues do not have.
pub fn only_system_v(target: &Target, asked: bool, why: &str) -> Result<()> {
    if asked && *target.form() == Form::Posix {
        bail!(crate::target::not_posix(target, why));
    }
    Ok(())
}

/// Refuses an option that System V queues do not have.
pub fn only_posix(target: &Target, asked: bool, why: &str, hint: &str) -> Result<()> {
    if asked && *target.form() != Form::Posix {
        bail!(Cause::new(Exit::Usage, why).hint(hint));
    }
    Ok(())
}
