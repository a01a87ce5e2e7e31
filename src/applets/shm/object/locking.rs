//! `--lock SEM`: a lock of `sem lock` around an access.

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use crate::applets::shm::is_posix;
use crate::applets::shm::object::{is_missing, owned};
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::objects::errors::{cannot, explain};
use crate::semset;
use crate::semset::lock::{self, Lock};
use crate::semset::waited::{self, Wanted};
use crate::sys::sysv::Kind;
use crate::target::{Form, Target, not_posix, not_private};

/// The lock to hold.
#[derive(Args)]
pub struct Locking {
    /// Do it under this lock of sem lock, made if it is missing
    #[arg(long, value_name = "SEM")]
    lock: Option<Target>,
    #[command(flatten)]
    timeout: Timeout,
}

/// A lock that is held.
pub struct Held(lock::Held);

impl Locking {
    /// Whether there is to be one.
    pub const fn is_wanted(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes it for `object`, where one was named, which is there or `creates` says that it is made.
    pub fn take(&self, object: &Target, shared: bool, creating: Creating, creates: bool) -> Result<Option<Held>> {
        let Some(target) = &self.lock else {
            return Ok(None);
        };
        // The lock is made where it is missing: not for what cannot be.
        if *object.form() == Form::Private {
            return Err(not_private("segment").into());
        }
        if !is_posix(target) && is_to_be_made(target) {
            match owned(object, !shared) {
                Err(error) if creates && is_missing(&error, object) => {}
                found if creates => creating.trust(found?.1)?,
                found => drop(found?),
            }
        }
        let timeout = &self.timeout;
        let take = || {
            if is_posix(target) {
                let why = "a POSIX semaphore is no lock: what a killed process holds would be lost";
                return Err(not_posix(target, why).into());
            }
            let lock = Lock::open_or_create(target, creating)?;
            let take = |deadline| lock.take(shared, deadline);
            let held = waited::take(target, lock.set, Wanted::Lock { shared }, timeout, take)?;
            Ok(Held(held))
        };
        let taken = cannot("lock", target, take(), |errno| explain(target, Kind::Sem, errno));
        taken.map(Some)
    }
}

fn is_to_be_made(lock: &Target) -> bool {
    semset::find(lock).is_err_and(|error| error.downcast_ref() == Some(&Errno::ENOENT))
}

impl Held {
    /// Gives it back before the process ends.
    pub fn release(self) -> Result<()> {
        match self.0.release() {
            // Whoever removed it has taken it from everybody.
            Ok(()) | Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
