//! A queue of either family, as the verbs use it.

pub mod call_protocol;
pub mod format;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::{Due, Notice};
use crate::sys::deadline::Deadline;
use crate::sys::message::{Message, Which};
use crate::sys::posix::mq::{self, Access};
use crate::sys::sysv::{if_removed, msg};
use crate::sys::{fds, transfer};
use crate::target::{Form, Target};
use crate::text::counted;

/// Reads standard input; the time that takes does not count for `timeout`.
pub fn read_input(timeout: &mut Timeout, block: &mut [u8]) -> Result<usize> {
    timeout.uncounted(|| transfer::read_some(fds::stdin(), block)).context("cannot read standard input")
}

/// A queue that messages are sent to, or received from.
pub enum Queue {
    /// System V.
    SystemV {
        /// The queue.
        queue: msg::Queue,
        /// The most bytes of one message, msgmax.
        most: usize,
        /// A message of so many bytes fits into the queue when it is empty.
        fits: usize,
    },
    /// POSIX.
    Posix {
        /// The queue.
        queue: mq::Queue,
        /// The most bytes of one message, fixed when it was made.
        most: usize,
    },
}

impl Queue {
    /// The queue behind `target`, made where it is missing and `creating` says so. It asks for no more permission than
    /// `access`; who may have made it is looked at only where it could have been made here.
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
                let create = || Ok(msg::Queue::create(key, creating.bits())?);
                creating.open_or_create(|| owned(target), |(queue, _)| Ok(queue), create)?
            }
            _ => find(target)?,
        };
        Ok(Self::SystemV { queue, most: msg::limits()?.message, fits: 0 })
    }

    /// The most bytes that one message can have.
    pub const fn most(&self) -> usize {
        match self {
            Self::SystemV { most, .. } | Self::Posix { most, .. } => *most,
        }
    }

    /// Whether it has priorities, and no types.
    pub const fn is_posix(&self) -> bool {
        matches!(self, Self::Posix { .. })
    }

    /// Sends a message. `None`: a caught signal has come before.
    ///
    /// # Errors
    /// `EAGAIN`: there was no room in time. `EMSGSIZE`: there never is, which is [too long](Self::too_long).
    pub fn send(&mut self, message: &Message, deadline: Deadline) -> nix::Result<Option<()>> {
        match self {
            Self::SystemV { queue, fits, .. } => {
                let length = message.data().len();
                if length > *fits {
                    // Tried without waiting: what does not fit at all would be waited for without end.
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

    /// Takes a message. `None`: a caught signal has come before.
    pub fn receive(&mut self, message: &mut Message, which: Which, deadline: Deadline) -> nix::Result<Option<()>> {
        match self {
            Self::Posix { queue, most } => queue.receive(message, *most, deadline),
            Self::SystemV { queue, most, .. } => loop {
                match queue.receive(message, *most, which, deadline) {
                    // It was sent before msgmax was lowered.
                    Err(Errno::E2BIG) => *most = most.saturating_mul(2).max(1024),
                    taken => return taken,
                }
            },
        }
    }

    /// Why a message of so many bytes cannot be sent.
    pub fn too_long(&self, length: u64) -> Cause {
        let (setting, errno) = match self {
            Self::SystemV { queue, most, .. } if length <= *most as u64 => {
                let words = format!("{length} bytes never fit: the queue's limit is {}", room(*queue));
                return Cause::from_errno(Errno::EMSGSIZE, words).hint("msgq set --max-bytes raises it");
            }
            Self::SystemV { .. } => ("kernel.msgmax", Errno::EINVAL),
            Self::Posix { .. } => ("the queue's message size", Errno::EMSGSIZE),
        };
        let words = format!("{length} bytes are too long: {setting} is {}", self.most());
        Cause::from_errno(errno, words).hint(match self {
            Self::SystemV { .. } => "/proc/sys/kernel/msgmax is the limit",
            Self::Posix { .. } => "msgq create --message-size makes a queue that takes more",
        })
    }
}

/// The message about a wait for room in a full queue.
pub fn full(target: &Target, timeout: &Timeout) -> Notice {
    let queue = target.clone();
    Notice::new(target, timeout, move |due| match due {
        Due::AtOnce => None,
        Due::Later => fullness(&queue),
    })
}

fn fullness(target: &Target) -> Option<String> {
    let (is, raise) = if *target.form() == Form::Posix {
        let (limits, messages) = mq::look(target.typed()).ok()?.limits().ok()?;
        (format!("{messages} of {} messages", limits.messages), "create it with a larger --max-messages".to_owned())
    } else {
        let stat = find(target).ok()?.stat().ok()?;
        let messages = counted(usize::try_from(stat.messages).unwrap_or(usize::MAX), "message");
        let is = format!("{} of {} bytes, {messages}", stat.bytes, stat.max_bytes);
        (is, format!("raise the limit (msgq set {target} --max-bytes; default: kernel.msgmnb)"))
    };
    Some(format!("the queue is full ({is}): run msgq serve or recv at the same time, or {raise}"))
}

/// How many bytes fit into an empty queue. Where it may not be looked at it has to be waited for.
fn room(queue: msg::Queue) -> usize {
    let most = queue.stat().map_or(u64::MAX, |stat| stat.max_bytes);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// The queue behind a System V target.
///
/// # Errors
/// Those of [`Target::locate`].
pub fn find(target: &Target) -> Result<msg::Queue> {
    target.locate("queue", msg::Queue::find, msg::Queue::from_id)
}

/// The queue behind a System V target as it is now, and its owners.
///
/// # Errors
/// `ENOENT`, `EIDRM`: there is none.
pub fn owned(target: &Target) -> Result<((msg::Queue, msg::Stat), [u32; 2])> {
    let queue = find(target)?;
    let stat = queue.stat().map_err(if_removed)?;
    Ok(((queue, stat), stat.perm.owners()))
}

/// Reads which types are to be received.
pub fn kind(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("expected 0 (any), N (that type) or -N (the lowest up to N, at most {})", i64::MAX))
}

/// What `EMFILE` means for a POSIX queue where it is not about descriptors: more memory than RLIMIT_MSGQUEUE lets the
/// user's queues have.
pub fn no_memory() -> Cause {
    let limit = mq::memory_limit();
    let limit = limit.map_or_else(String::new, |bytes| format!(", RLIMIT_MSGQUEUE is {bytes} bytes"));
    Cause::from_errno(Errno::EMFILE, format!("the user's queues would need too much memory{limit}"))
        .hint("ulimit -q is the limit; smaller --max-messages and --message-size need less")
}

/// Refuses what POSIX queues do not have.
pub fn only_system_v(target: &Target, asked: bool, why: &str) -> Result<()> {
    if asked && *target.form() == Form::Posix {
        bail!(crate::target::not_posix(target, why));
    }
    Ok(())
}

/// Refuses what System V queues do not have.
pub fn only_posix(target: &Target, asked: bool, why: &str, hint: &str) -> Result<()> {
    if asked && *target.form() != Form::Posix {
        bail!(Cause::new(Exit::Usage, why).hint(hint));
    }
    Ok(())
}
