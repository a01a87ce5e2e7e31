//! `--lock SEM`: a lock of `sem lock` around an access.

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::is_posix;
use super::object::segment;
use crate::args::creating::Creating;
use crate::args::waiting::Waiting;
use crate::exit::{Cause, Exit};
use crate::sync::journal::{Journal, Object};
use crate::sync::lock::Lock;
use crate::sys::memory::Memory;
use crate::target::{Form, Target, not_posix, not_private};

/// The lock to hold.
#[derive(Args)]
pub struct Locking {
    /// Do it under this lock of sem lock, made if it is missing
    #[arg(long, value_name = "SEM")]
    lock: Option<Target>,
    #[command(flatten)]
    waiting: Waiting,
}

/// A lock that is held.
pub struct Held {
    lock: Lock,
    shared: bool,
}

impl Locking {
    /// Whether there is to be one.
    pub const fn is_wanted(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes it for `object`, where one was named.
    pub fn take(&self, object: &Target, shared: bool, creating: Creating) -> Result<Option<Held>> {
        let Some(target) = &self.lock else {
            return Ok(None);
        };
        // The lock is made where it is missing: not for what cannot be.
        if *object.form() == Form::Private {
            return Err(not_private("segment").into());
        }
        let deadline = self.waiting.start();
        let take = || {
            if is_posix(target) {
                let why = "a POSIX semaphore is no lock: what a killed process holds would be lost";
                return Err(not_posix(target, why).into());
            }
            let lock = Lock::find_or_make(target, creating)?;
            lock.take(shared, deadline.patience).map_err(|errno| match errno {
                Errno::EAGAIN => deadline.missed("it was not unlocked"),
                errno => Cause::plain(errno),
            })?;
            Ok(Held { lock, shared })
        };
        let taken = take().map_err(|error: anyhow::Error| match error.downcast_ref() {
            Some(errno @ (Errno::EINVAL | Errno::ENOENT | Errno::EIDRM)) => {
                Cause::told(*errno, "no such semaphore set").exit(Exit::Missing).into()
            }
            _ => error,
        });
        taken.map(Some).with_context(|| format!("cannot lock {target}"))
    }
}

impl Held {
    /// The journal of what `target` stands for, which is open, under this lock.
    pub fn journal(&self, target: &Target, memory: &Memory) -> Result<Journal> {
        let object = match memory {
            Memory::Object(object) => {
                let stat = object.stat()?;
                let identity = [2, stat.device, stat.inode];
                Object { identity, uid: stat.uid, gid: stat.gid, mode: stat.mode }
            }
            Memory::Segment(_) => {
                let stat = segment(target)?.stat()?;
                let identity = [1, 0, i64::from(stat.id).cast_unsigned()];
                Object { identity, uid: stat.perm.uid, gid: stat.perm.gid, mode: stat.perm.mode }
            }
        };
        Ok(Journal::new(self.lock, object))
    }

    /// Gives it back before the process ends.
    pub fn release(self) -> Result<()> {
        match self.lock.release(self.shared) {
            // Whoever removed it has taken it from everybody.
            Ok(()) | Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
