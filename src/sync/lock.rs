//! A lock, exclusive or shared, first come, first served.
//!
//! Semaphore 0 is the turnstile through which everybody goes who has to wait, 1 counts the readers, 2 the writer, 3 is the
//! mark. Who waits holds the turnstile shut behind it, so that a writer is not starved by readers that keep coming.

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Layout, Purpose, holding, is_not};
use crate::args::creating::Creating;
use crate::sys::sysv::sem::{Op, Set};
use crate::sys::wait::Patience;
use crate::target::Target;

const TURNSTILE: u16 = 0;
/// Index of the count of readers.
pub const READERS: u16 = 1;
/// Index of the writer.
pub const WRITER: u16 = 2;

pub(super) const LAYOUT: Layout = Layout {
    least: 4,
    most: 4,
    mark: 3,
    value: 0x494c,
    name: "a lock",
    may_be: |len| Ok(len == 4),
};

pub(super) fn purpose(values: &[u16]) -> Option<Purpose> {
    LAYOUT.is_in(values).then(|| Purpose::Lock {
        readers: values[READERS as usize],
        exclusive: values[WRITER as usize] != 0,
    })
}

/// A lock.
#[derive(Debug, Clone, Copy)]
pub struct Lock {
    /// The set.
    pub set: Set,
}

impl Lock {
    /// The one behind `target`, made where it is missing.
    ///
    /// # Errors
    /// What is there is no lock.
    pub fn find_or_make(target: &Target, creating: Creating) -> Result<Self> {
        let (set, values, _) =
            LAYOUT.find_or_make(target, LAYOUT.least, LAYOUT.least, creating, &[])?;
        if purpose(&values).is_none() {
            bail!(is_not(target, &values, "a lock"));
        }
        Ok(Self { set })
    }

    /// Takes it for this process. A process that gives up in the middle has to end: what it holds of the queue goes
    /// back with it.
    ///
    /// # Errors
    /// `EAGAIN`: not in time. `EIDRM`, `EINVAL`: the set was removed.
    pub fn take(self, shared: bool, patience: Patience) -> Result<(), Errno> {
        holding::take(self.set, patience, |patience| self.attempt(shared, patience))
    }

    fn attempt(self, shared: bool, patience: Patience) -> Result<(), Errno> {
        let enter = if shared {
            vec![Op::new(WRITER, 0), Op::new(READERS, 1).undo()]
        } else {
            vec![Op::new(WRITER, 0), Op::new(READERS, 0), Op::new(WRITER, 1).undo()]
        };
        let mut at_once = vec![Op::new(TURNSTILE, 0)];
        at_once.extend(&enter);
        match self.set.operate(&at_once, Patience::Never) {
            Err(Errno::EAGAIN) if patience != Patience::Never => {}
            outcome => return outcome,
        }
        let queue = [Op::new(TURNSTILE, 0), Op::new(TURNSTILE, 1).undo()];
        self.set.operate(&queue, patience)?;
        let mut leave_queue = enter;
        leave_queue.push(Op::new(TURNSTILE, -1).undo());
        self.set.operate(&leave_queue, patience)
    }

    /// Gives back what this process took.
    ///
    /// # Errors
    /// `EIDRM`, `EINVAL`: the set was removed.
    pub fn release(self, shared: bool) -> Result<(), Errno> {
        let held = if shared { READERS } else { WRITER };
        self.set.operate(&[Op::new(held, -1).undo()], Patience::Never)
    }
}
