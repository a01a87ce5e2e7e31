//! `sem hold`: slots or a lock for as long as a process runs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, Result};
use clap::Args;
use nix::errno::Errno;

use super::semaphore::file::{Asked, mode};
use super::semaphore::{not_taken, slots};
use super::{context, system_v};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::numbers::{count, pid};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::fileset::{self, Kept, SlotFile};
use crate::objects::process::unopened;
use crate::output::in_use::Wanted;
use crate::semset::lock::RwLock;
use crate::semset::waited;
use crate::semset::{self, Purpose, holding};
use crate::supervise::command::not_forked;
use crate::sys::child::Unstarted;
use crate::sys::deadline::Deadline;
use crate::sys::holder::{OF_FILE, name, start};
use crate::sys::process;
use crate::sys::sysv::sem::Set;
use crate::target::Target;

/// Takes a slot or lock, starts a small process that holds it, prints the pid of this holder and returns. The holder
/// releases everything when PID exits, when the holder gets SIGTERM, or when --release is used. In a script, use $$ as
/// PID: it is the pid of the script, even in a subshell.
#[derive(Args)]
pub struct Hold {
    /// Slots or lock
    #[arg(value_name = "TARGET", value_parser = Target::or_file())]
    target: Target,
    /// Process for which the slot or lock is held
    #[arg(value_name = "PID", value_parser = pid, allow_negative_numbers = true)]
    pid: i32,
    /// Create N slots if needed; fail if the number differs
    #[arg(long, value_name = "N", value_parser = count)]
    slots: Option<u16>,
    /// Take a lock instead of a slot
    #[arg(long, conflicts_with = "slots")]
    lock: bool,
    /// Take a shared lock instead of an exclusive one
    #[arg(short, long, requires = "lock")]
    shared: bool,
    /// Take K slots at once (default: 1)
    #[arg(long, value_name = "K", value_parser = count, conflicts_with = "lock")]
    take: Option<u16>,
    /// Release the slots or the lock held for PID
    #[arg(long, conflicts_with_all = ["slots", "lock", "take"])]
    release: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
}

struct Holding {
    set: Set,
    wanted: Wanted,
    take: Box<dyn Fn(Deadline) -> nix::Result<()>>,
}

impl Verb for Hold {
    const NAME: &'static str = "hold";
    const SUMMARY: &'static str = "Hold a slot or a lock until process PID exits";
    const EXAMPLES: &'static str = "
# Allow only one instance of a script at a time
holder=$(ipcbox sem hold nightly $$ --slots 1 \\
  -n -E 0) || exit
[ \"$holder\" ] || exit 0
# Hold a lock for part of a script
ipcbox sem hold notes $$ --lock -q
echo one >>notes
echo two >>notes
ipcbox sem hold notes $$ --release
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but its purpose or number of slots differs")];

    fn run(self) -> Result<Exit> {
        if self.release {
            context("release", &self.target, self.release())?;
        } else {
            context("hold", &self.target, self.hold())?;
        }
        Ok(Exit::Done)
    }
}

impl Hold {
    fn hold(&self) -> Result<()> {
        if let Some(path) = self.target.file() {
            return self.hold_in_file(path);
        }
        let timeout = &self.timeout;
        self.timeout.quiet.can_answer()?;
        let process = self.open()?;
        let held = self.find().map_err(|error| self.not_of_kind(error))?;
        let notice = waited::notice(&self.target, held.set, held.wanted, timeout);
        let why = |unstarted| match unstarted {
            Unstarted::Run(Errno::EAGAIN) => waited::missed(held.set, held.wanted, timeout).into(),
            Unstarted::Run(errno) => not_taken(errno.into(), held.set, self.units()),
            Unstarted::Fork(Errno::ESRCH) => self.unopened(Errno::ESRCH).into(),
            Unstarted::Fork(errno) => not_started(errno).into(),
        };
        let take = || holding::take(held.set, timeout.deadline(), || (), &held.take);
        let begun = notice.of_child(timeout.deadline());
        let holder = start(process.as_fd(), &name(held.set.id()), None, take, begun).map_err(why)?;
        self.timeout.quiet.answer(holder.pid.to_string().as_bytes())?;
        holder.release().map_err(why).context("the holder was killed")
    }

    fn hold_in_file(&self, path: &Path) -> Result<()> {
        let timeout = &self.timeout;
        self.timeout.quiet.can_answer()?;
        let shared = self.shared;
        let wanted = if self.lock { Wanted::Lock { shared } } else { Wanted::Slots(self.units()) };
        let asked = Asked { target: &self.target, path, wanted, slots: self.slots, creating: self.creating };
        let process = self.open()?;
        loop {
            let file = Arc::new(asked.open().map_err(|error| self.not_of_kind(error))?);
            let why = |unstarted| match unstarted {
                Unstarted::Run(Errno::EAGAIN) => fileset::missed(&file, wanted, timeout),
                Unstarted::Run(errno) => fileset::unlocked(&*file, errno),
                Unstarted::Fork(Errno::ESRCH) => self.unopened(Errno::ESRCH),
                Unstarted::Fork(errno) => not_started(errno),
            };
            let take = || file.take_for_holder(&file.take(wanted, timeout.deadline())?, mode(wanted));
            let begun = fileset::notice(&self.target, &file, wanted, timeout).of_child(timeout.deadline());
            let holder = start(process.as_fd(), OF_FILE, Some(file.as_fd()), take, begun).map_err(why)?;
            // Otherwise this holder exits, and the next one takes from the new file.
            if file.again()?.is_some() {
                self.timeout.quiet.answer(holder.pid.to_string().as_bytes())?;
                return holder.release().map_err(why).context("the holder was killed");
            }
        }
    }

    fn release(&self) -> Result<()> {
        self.open()?;
        if let Some(path) = self.target.file() {
            let file = SlotFile::look(path)?;
            return Ok(file.release(self.pid).map_err(|errno| self.unreleased(errno))?);
        }
        system_v(&self.target)?;
        let set = semset::find(&self.target)?;
        // Fails if the id does not exist.
        set.values()?;
        Ok(holding::release(set, self.pid).map_err(|errno| self.unreleased(errno))?)
    }

    fn unreleased(&self, errno: Errno) -> Cause {
        match errno {
            Errno::ESRCH => Cause::from_errno(errno, format!("nothing is held for process {}", self.pid)),
            Errno::EBUSY => Cause::from_errno(errno, "the holder was killed, but has not exited yet"),
            Errno::EPERM if process::is_signal_forbidden() => Cause::forbidden("pidfd_send_signal"),
            errno => Cause::plain(errno),
        }
    }

    fn open(&self) -> Result<OwnedFd, Cause> {
        process::open(self.pid).map_err(|errno| self.unopened(errno))
    }

    fn unopened(&self, errno: Errno) -> Cause {
        match errno {
            // The message names the target only.
            Errno::ESRCH => Cause::from_errno(errno, format!("no process {}", self.pid)),
            errno => unopened(self.pid, errno),
        }
    }

    /// Hints at the same call for what the target is, if that is the other of slots and a lock.
    fn not_of_kind(&self, error: Error) -> Error {
        let is_lock = || match self.target.file() {
            Some(path) => Some(SlotFile::look(path).ok()?.kept == Kept::Lock),
            None => match Purpose::of(&semset::find(&self.target).ok()?.values().ok()?.1)? {
                Purpose::Barrier { .. } => None,
                purpose => Some(matches!(purpose, Purpose::Lock { .. })),
            },
        };
        let option = match (Exit::of(&error), is_lock()) {
            (Exit::Exists, Some(true)) if !self.lock => " --lock",
            (Exit::Exists, Some(false)) if self.lock => "",
            _ => return error,
        };
        let hint = format!("ipcbox sem hold {} {}{option}", self.target.quoted(), self.pid);
        error.downcast::<Cause>().map_or_else(|error| error, |cause| cause.hint(hint).into())
    }

    fn units(&self) -> u16 {
        self.take.unwrap_or(1)
    }

    fn find(&self) -> Result<Holding> {
        if self.lock {
            system_v(&self.target)?;
            let lock = RwLock::open_or_create(&self.target, self.creating)?;
            let (set, shared) = (lock.set, self.shared);
            let take = Box::new(move |deadline| lock.take(shared, deadline).map(drop));
            return Ok(Holding { set, wanted: Wanted::Lock { shared }, take });
        }
        let units = self.units();
        let slots = slots(&self.target, self.slots, units, self.creating)?;
        if let Some(wanted) = self.slots {
            slots.expect(&self.target, wanted)?;
        }
        let set = slots.set;
        let take = Box::new(move |deadline| slots.take(units, deadline).map(drop));
        Ok(Holding { set, wanted: Wanted::Slots(units), take })
    }
}

fn not_started(errno: Errno) -> Cause {
    match errno {
        Errno::ECHILD => Cause::from_errno(errno, "the holder was killed"),
        errno => not_forked(errno, "the holder process could not be started"),
    }
}
