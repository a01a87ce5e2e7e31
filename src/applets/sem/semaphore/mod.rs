//! What the verbs share: the semaphore that is meant, the slots behind a target, and waits that took too long.

pub mod idle;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::{plain, system_v};
use crate::args::creating::Creating;
use crate::args::numbers::index;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::semset;
use crate::semset::slots::{Many, Slots};
use crate::sys::deadline::Deadline;
use crate::sys::mapping::on_bus_error;
use crate::sys::posix::sem::Semaphore;
use crate::sys::sysv::sem::Op;
use crate::target::{Form, Target, not_posix};

/// Which semaphore of a set is meant.
#[derive(Args)]
pub struct One {
    /// The semaphore
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// The semaphore with this number in its set
    #[arg(short, long, value_name = "N", value_parser = index, default_value_t = 0)]
    pub index: u16,
}

impl One {
    /// Whether it is a POSIX semaphore.
    ///
    /// # Errors
    /// It is asked for what only a System V set has.
    pub fn posix(&self, only_system_v: bool) -> Result<bool> {
        let is_posix = *self.target.form() == Form::Posix;
        if is_posix && (only_system_v || self.index != 0) {
            let why = if self.index != 0 {
                "a POSIX semaphore is alone"
            } else {
                "a POSIX semaphore goes up and down by one"
            };
            bail!(not_posix(&self.target, why));
        }
        Ok(is_posix)
    }

    /// Opens a POSIX semaphore. That its file is made shorter meanwhile ends the process with a message.
    pub fn open(&self, what: &str) -> Result<Semaphore> {
        let semaphore = Semaphore::open(self.target.typed())?;
        let why = "its file was made too short for a semaphore (SIGBUS)";
        let warning = output::warning(format!("cannot {what} {}: {why}", self.target));
        on_bus_error(warning, Exit::Missing.code())?;
        Ok(semaphore)
    }

    pub fn operate(&self, delta: i16, deadline: Deadline) -> Result<()> {
        let set = semset::find(&self.target)?;
        plain(&self.target, set)?;
        Ok(set.operate(&[Op::new(self.index, delta)], deadline)?)
    }
}

/// Why a caller has no slots in time.
pub const NO_SLOT: &str = "no slot came free";

/// Why a caller has no slots.
pub fn not_taken(error: Error, count: u16) -> Error {
    if error.downcast_ref() == Some(&Errno::EDOM) {
        let words = format!("there are fewer than {count} slots, so that {count} never come free");
        return Cause::new(Exit::Failed, words).into();
    }
    error
}

/// What a caller that waits for a lock is told.
pub const LOCKED: &str = "it was not unlocked";

/// `EAGAIN` as what it means: not in time.
pub fn missed(errno: Errno, timeout: &Timeout, what: &str) -> Error {
    match errno {
        Errno::EAGAIN => timeout.missed(what).into(),
        errno => errno.into(),
    }
}

/// The slots behind `target`, made where `capacity` says how many.
pub fn slots(target: &Target, capacity: Option<u16>, take: u16, creating: Creating) -> Result<Slots> {
    system_v(target)?;
    let Some(capacity) = capacity else {
        return Slots::find(target).map_err(|error| match error.downcast_ref() {
            Some(errno @ Errno::ENOENT) => {
                Cause::from_errno(*errno, "no such semaphore set").hint("--slots N makes it with N slots").into()
            }
            _ => error,
        });
    };
    if take > capacity {
        bail!(Cause::new(Exit::Usage, format!("{take} at once never come free of {}", Many(capacity))));
    }
    Slots::open_or_create(target, capacity, creating)
}
