//! `--lock SEM`: a lock of `sem lock` during an access.

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use crate::applets::shm::is_posix;
use crate::applets::shm::object::{is_missing, owned};
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::objects::errors::{cannot_at, explain};
use crate::output::in_use::Wanted;
use crate::semset;
use crate::semset::lock::{self, RwLock};
use crate::semset::waited;
use crate::sys::sysv::Kind;
use crate::target::{Form, Target, not_posix, not_private};

/// The option `--lock`.
#[derive(Args)]
pub struct Locking {
    /// Hold the lock SEM during the access (see sem lock)
    ///
    /// The lock is created if it does not exist.
    #[arg(long, value_name = "SEM")]
    lock: Option<Target>,
    #[command(flatten)]
    timeout: Timeout,
}

pub struct ObjectGuard(lock::LockGuard);

impl Locking {
    pub const fn is_wanted(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes the lock, if one was requested, for an `object` that exists or that the caller `creates`.
    pub fn take(
        &self,
        object: &Target,
        shared: bool,
        creating: Creating,
        creates: bool,
    ) -> Result<Option<ObjectGuard>> {
        let Some(target) = &self.lock else {
            return Ok(None);
        };
        // No lock is created for an object that cannot be used.
        if *object.form() == Form::Private {
            return Err(not_private("segment").into());
        }
        if !is_posix(target) && is_missing_lock(target) {
            match owned(object, !shared) {
                Err(error) if creates && is_missing(&error, object) => {}
                found if creates => creating.trust(found?.1)?,
                found => drop(found?),
            }
        }
        let timeout = &self.timeout;
        let take = || {
            if is_posix(target) {
                let why = "a POSIX semaphore cannot be a lock: the kernel does not release it when a holder is killed";
                return Err(not_posix(target, why).into());
            }
            let lock = RwLock::open_or_create(target, creating)?;
            let take = |deadline| lock.take(shared, deadline);
            let held = waited::take(target, lock.set, Wanted::Lock { shared }, timeout, take)?;
            Ok(ObjectGuard(held))
        };
        let taken = cannot_at("lock", target, Kind::Sem, take(), |errno| explain(target, Kind::Sem, errno));
        taken.map(Some)
    }
}

fn is_missing_lock(lock: &Target) -> bool {
    semset::find(lock).is_err_and(|error| error.downcast_ref() == Some(&Errno::ENOENT))
}

impl ObjectGuard {
    pub fn release(self) -> Result<()> {
        match self.0.release() {
            // Another process has removed the lock.
            Ok(()) | Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
