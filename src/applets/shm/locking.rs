//! `--lock SEM`: a lock of `sem lock` around an access.

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::is_posix;
use super::object::open;
use crate::args::creating::Creating;
use crate::args::waiting::Waiting;
use crate::exit::{Cause, Exit};
use crate::sync;
use crate::sync::lock::Lock;
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

    /// Takes it for `object`, where one was named, which is there or `creates` says that it is made.
    pub fn take(
        &self,
        object: &Target,
        shared: bool,
        creating: Creating,
        creates: bool,
    ) -> Result<Option<Held>> {
        let Some(target) = &self.lock else {
            return Ok(None);
        };
        // The lock is made where it is missing: not for what cannot be.
        if *object.form() == Form::Private {
            return Err(not_private("segment").into());
        }
        if !creates && !is_posix(target) && is_missing(target) {
            open(object, false)?;
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

fn is_missing(lock: &Target) -> bool {
    sync::find(lock).is_err_and(|error| error.downcast_ref() == Some(&Errno::ENOENT))
}

impl Held {
    /// Gives it back before the process ends.
    pub fn release(self) -> Result<()> {
        match self.lock.release(self.shared) {
            // Whoever removed it has taken it from everybody.
            Ok(()) | Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
