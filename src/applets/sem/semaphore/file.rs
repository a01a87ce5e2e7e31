//! Slots and locks in files, for the verbs that take them.

use std::mem::forget;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::too_many;
use crate::args::creating::Creating;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, bare};
use crate::fileset::{self, Kept, MOST, SlotFile};
use crate::output::in_use::Wanted;
use crate::supervise::command::Command;
use crate::supervise::single;
use crate::sys::child::Unstarted;
use crate::sys::record_lock::Mode;
use crate::target::Target;

/// What a call wants of a file, and how the file is created.
pub struct Asked<'a> {
    pub target: &'a Target,
    pub path: &'a Path,
    pub wanted: Wanted,
    /// The number of slots in `--slots`.
    pub slots: Option<u16>,
    pub creating: Creating,
}

/// What a call has taken from a file.
pub struct FromFile {
    file: Arc<SlotFile>,
    numbers: Vec<u16>,
    own: OwnedFd,
    mode: Mode,
}

/// Returns how CMD or a holder locks its byte.
pub fn mode(wanted: Wanted) -> Mode {
    if wanted == (Wanted::Lock { shared: true }) { Mode::Shared } else { Mode::Exclusive }
}

impl Asked<'_> {
    /// Opens or creates the file, and checks that it has what is wanted.
    pub fn open(&self) -> Result<SlotFile> {
        let kept = match self.wanted {
            Wanted::Lock { .. } => Some(Kept::Lock),
            Wanted::Slots(_) => self.slots.map(of_slots).transpose()?,
        };
        if let (Wanted::Slots(units), Some(Kept::Slots(capacity))) = (self.wanted, kept)
            && units > capacity
        {
            bail!(Cause::new(Exit::Usage, too_many(units, capacity)));
        }
        let file = SlotFile::open(self.path, kept, self.creating).map_err(|error| {
            let is_missing = Exit::of(&error) == Exit::Missing && kept.is_none();
            let cause = || match bare(&error) {
                Some(errno) => explain(errno),
                None => Cause::from_errno(Errno::ENOENT, "the file is empty"),
            };
            if is_missing { cause().hint("add --slots N to create it with N slots").into() } else { error }
        })?;
        match (file.kept, self.wanted) {
            (Kept::Slots(capacity), Wanted::Slots(units)) if units > capacity => {
                bail!(Cause::new(Exit::Failed, too_many(units, capacity)))
            }
            (Kept::Slots(_), Wanted::Slots(_)) if kept.is_none() => {}
            _ => expect(self.target, file.kept, kept.unwrap_or(Kept::Slots(MOST)))?,
        }
        Ok(file)
    }

    /// Waits until it has what is wanted.
    pub fn take(&self, timeout: &Timeout) -> Result<FromFile> {
        let (file, numbers, own) = fileset::take(self.target, self.wanted, timeout, || self.open())?;
        Ok(FromFile { file, numbers, own, mode: mode(self.wanted) })
    }
}

impl FromFile {
    /// The numbers of the slots, separated by commas.
    pub fn numbers(&self) -> String {
        self.numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
    }

    /// Runs CMD and exits as it does. What was taken is released with this process and CMD.
    pub fn run(self, command: &Command, added: &[(&str, String)]) -> Result<Exit> {
        let Self { file, numbers, own, mode } = self;
        let ended = single::run(command, &|| match file.take_for_command(&own, &numbers, mode) {
            Ok(()) => command.execute(added),
            Err(errno) => Unstarted::Fork(errno),
        });
        // The process exits soon, which closes its descriptors.
        forget((file, own));
        ended
    }
}

/// Checks a number of slots.
///
/// # Errors
/// Wrong usage: a file has fewer.
pub fn of_slots(number: u16) -> Result<Kept, Cause> {
    if number > MOST {
        return Err(Cause::new(Exit::Usage, format!("a file holds at most {MOST} slots, not {number}")));
    }
    Ok(Kept::Slots(number))
}

/// Checks what a file holds.
///
/// # Errors
/// Status 4, with both.
pub fn expect(target: &Target, is: Kept, wanted: Kept) -> Result<(), Cause> {
    let quoted = target.quoted();
    let cause = |words: String| Cause::new(Exit::Exists, words);
    match (is, wanted) {
        _ if is == wanted => Ok(()),
        (Kept::Slots(_), Kept::Slots(number)) => Err(cause(format!("the file has {is}, not {number}"))
            .hint(format!("remove the file when it is not in use: ipcbox sem rm {quoted}"))),
        (Kept::Slots(_), Kept::Lock) => {
            Err(cause(format!("the file has {is}, not a lock")).hint(format!("use ipcbox sem run {quoted}")))
        }
        (Kept::Lock, _) => {
            Err(cause("the file is a lock, not slots".into()).hint(format!("use ipcbox sem lock {quoted}")))
        }
    }
}

/// Explains an errno from an operation on a file.
pub fn explain(errno: Errno) -> Cause {
    match errno {
        Errno::ENOENT => Cause::from_errno(errno, "no such file"),
        Errno::EEXIST => Cause::from_errno(errno, "already exists"),
        Errno::ENOTDIR => Cause::from_errno(errno, "a part of the path is not a directory"),
        errno => Cause::plain(errno),
    }
}
