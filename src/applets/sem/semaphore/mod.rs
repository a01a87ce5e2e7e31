//! Code that the verbs share: the semaphore of a set, the slots behind a target, and the message of a timeout.

pub mod file;
pub mod idle;

use anyhow::{Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::{explain, plain, system_v};
use crate::args::creating::Creating;
use crate::args::numbers::index;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::semset::slots::{Many, Slots};
use crate::semset::{self, Purpose};
use crate::sys::mapping::on_bus_error;
use crate::sys::posix::sem::{self as posix, Semaphore};
use crate::sys::sysv::sem::{Op, Set};
use crate::target::{Form, Target, not_posix};

/// One semaphore of a set.
#[derive(Args)]
pub struct One {
    /// Semaphore, or set of semaphores
    #[arg(value_name = "TARGET", value_parser = Target::no_file())]
    pub target: Target,
    /// Use semaphore N of the set (default: 0)
    #[arg(short, long, value_name = "N", value_parser = index)]
    index: Option<u16>,
}

impl One {
    /// Returns the index of the semaphore in its set.
    pub fn index(&self) -> u16 {
        self.index.unwrap_or(0)
    }

    /// Whether it is a POSIX semaphore.
    ///
    /// # Errors
    /// The call asks for something that only a System V set has.
    pub fn posix(&self, only_system_v: bool) -> Result<bool> {
        let is_posix = *self.target.form() == Form::Posix;
        if is_posix && (only_system_v || self.index() != 0) {
            let why = if self.index() != 0 {
                "a POSIX semaphore is not a set"
            } else {
                "a POSIX semaphore can change only by 1"
            };
            bail!(not_posix(&self.target, why));
        }
        Ok(is_posix)
    }

    /// Opens a POSIX semaphore. If its file is truncated later, SIGBUS ends the process with a message.
    pub fn open(&self, what: &str) -> Result<Semaphore> {
        let open = Semaphore::open(self.target.typed());
        let semaphore = open.map_err(|errno| missing(errno.into(), &self.target))?;
        let why = "the semaphore file was truncated (SIGBUS)";
        let warning = output::warning(format!("cannot {what} {}: {why}", self.target));
        on_bus_error(warning, Exit::Missing.code())?;
        Ok(semaphore)
    }

    /// Adds `delta` to the semaphore of a System V set; 0 waits until the value is 0.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn operate(&self, delta: i16, timeout: &Timeout) -> Result<()> {
        let set = semset::find(&self.target).map_err(|error| missing(error, &self.target))?;
        plain(&self.target, set)?;
        let mut notice = Notice::verbose(timeout, || format!("{}: {}", self.target, self.state(delta, timeout)));
        Ok(notice.during(timeout.deadline(), |deadline| set.operate(&[Op::new(self.index(), delta)], deadline))?)
    }

    /// Returns why the value cannot change by `delta`: "the value is still 0 after 2s, but at least 1 is needed".
    pub fn state(&self, delta: i16, timeout: &Timeout) -> String {
        let (still, after) = (timeout.still(), timeout.after());
        let value = self.value().map_or_else(|| "unknown".into(), |value| value.to_string());
        match delta {
            0 => format!("the value is{still} {value}{after}, not 0"),
            delta => format!("the value is{still} {value}{after}, but at least {} is needed", delta.unsigned_abs()),
        }
    }

    fn value(&self) -> Option<u32> {
        if *self.target.form() == Form::Posix {
            return posix::look(self.target.typed()).ok().map(|stat| stat.value);
        }
        semset::find(&self.target).ok()?.value(self.index()).ok().map(u32::from)
    }
}

/// Adds the hint that creates a missing semaphore.
pub fn missing(error: Error, target: &Target) -> Error {
    match error.downcast_ref() {
        Some(Errno::ENOENT) => {
            let hint = format!("create the semaphore set first: ipcbox sem create {}", target.quoted());
            explain(target, Errno::ENOENT).hint(hint).into()
        }
        _ => error,
    }
}

/// Puts `EDOM` into words: `count` slots can never be taken.
pub fn not_taken(error: Error, set: Set, count: u16) -> Error {
    match set.values() {
        Ok((_, values)) if error.downcast_ref() == Some(&Errno::EDOM) => {
            let capacity = Purpose::of(&values).map_or(0, Purpose::capacity);
            Cause::new(Exit::Failed, too_many(count, capacity)).into()
        }
        _ => error,
    }
}

fn too_many(count: u16, capacity: u16) -> String {
    let are = if capacity == 1 { "is" } else { "are" };
    format!("--take {count} can never succeed: there {are} only {}", Many(capacity))
}

/// Turns `EAGAIN` into the failure on timeout. Its `words` are looked up only if they are printed.
pub fn expired(error: Error, timeout: &Timeout, words: impl FnOnce() -> String) -> Error {
    match error.downcast_ref() {
        Some(Errno::EAGAIN) if timeout.is_silent() => timeout.expired("").into(),
        Some(Errno::EAGAIN) => timeout.expired(words()).into(),
        _ => error,
    }
}

/// Returns the slots behind `target`; creates `capacity` of them if they are missing.
pub fn slots(target: &Target, capacity: Option<u16>, take: u16, creating: Creating) -> Result<Slots> {
    system_v(target)?;
    let Some(capacity) = capacity else {
        return Slots::find(target).map_err(|error| match error.downcast_ref() {
            Some(errno @ Errno::ENOENT) => Cause::from_errno(*errno, "no such semaphore set")
                .hint("add --slots N to create the set with N slots")
                .into(),
            _ => error,
        });
    };
    if take > capacity {
        bail!(Cause::new(Exit::Usage, too_many(take, capacity)));
    }
    Slots::open_or_create(target, capacity, creating)
}
