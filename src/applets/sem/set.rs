//! `sem set`: values, permission bits and owner.

use std::ops::RangeInclusive;

use anyhow::{Result, bail};
use clap::Args;

use super::{beyond, context, plain};
use crate::applets::Verb;
use crate::args::numbers::{index, indexes};
use crate::args::owner::Ownership;
use crate::exit::{Cause, Exit};
use crate::objects::errors::unchanged;
use crate::semset;
use crate::sys::sysv::Change;
use crate::sys::sysv::sem::MAX_VALUE;
use crate::target::{Form, Target, not_posix};

/// Sets values regardless of waiters and holders. For each semaphore that is set, the kernel discards the undo values
/// of all processes. To change a semaphore that is in use, use sem post and sem wait. If VALUEs are given for a whole
/// set, they are set in one step; otherwise, one by one.
#[derive(Args)]
pub struct Set {
    /// Semaphore, or set of semaphores
    #[arg(value_name = "TARGET", value_parser = Target::no_file())]
    target: Target,
    /// VALUE, INDEX=VALUE or FIRST..LAST=VALUE
    #[arg(value_name = "VALUE", value_parser = assignment, allow_negative_numbers = true)]
    values: Vec<Assignment>,
    /// Set semaphore N if VALUE has no index (default: 0)
    #[arg(short, long, value_name = "N", value_parser = index)]
    index: Option<u16>,
    #[command(flatten)]
    ownership: Ownership,
}

/// A value, and the semaphores that get it; `None` is that of `--index`.
#[derive(Debug, Clone)]
struct Assignment {
    at: Option<RangeInclusive<u16>>,
    value: u16,
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let (at, value) = match text.split_once('=') {
        Some((at, value)) => (Some(indexes(at)?), value),
        None => (None, text),
    };
    let value = index(value).ok().filter(|value| *value <= MAX_VALUE);
    let value = value.ok_or_else(|| format!("expected a value from 0 to {MAX_VALUE}"))?;
    Ok(Assignment { at, value })
}

impl Verb for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "Set the values, mode or owner of semaphores";
    const EXAMPLES: &'static str = "
# Set new values, and give the group access
ipcbox sem create store --value 5,0
ipcbox sem set store 0=7 1=2 --mode 660
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Exists, "the object exists, but is not a plain semaphore")];

    fn run(self) -> Result<Exit> {
        context("set", &self.target, self.set())?;
        Ok(Exit::Done)
    }
}

impl Set {
    fn set(&self) -> Result<()> {
        let change = self.ownership.change();
        if *self.target.form() == Form::Posix {
            let why = if change == Change::default() {
                "the kernel cannot set a POSIX semaphore"
            } else {
                "the mode and owner of a POSIX semaphore are those of its file, /dev/shm/sem.NAME"
            };
            bail!(not_posix(&self.target, why));
        }
        if self.values.is_empty() && change == Change::default() {
            bail!(Cause::new(Exit::Usage, "nothing to set").hint("ipcbox sem set --help"));
        }
        let bare = self.values.iter().filter(|word| word.at.is_none()).count();
        if bare > 1 || (self.index.is_some() && bare == 0) {
            bail!(Cause::new(Exit::Usage, "a VALUE without an index sets only one semaphore").hint(if bare > 1 {
                "write each VALUE as INDEX=VALUE"
            } else {
                "omit --index"
            }));
        }
        let set = semset::find(&self.target)?;
        if !self.values.is_empty() {
            plain(&self.target, set)?;
            self.assign(set)?;
        }
        if change != Change::default() {
            set.change(change).map_err(|errno| unchanged(errno, set.stat().is_ok()))?;
        }
        Ok(())
    }

    fn assign(&self, set: crate::sys::sysv::sem::Set) -> Result<()> {
        let mut wanted = vec![None; set.stat()?.len];
        for word in &self.values {
            let index = self.index.unwrap_or(0);
            let at = word.at.clone().unwrap_or(index..=index);
            let range = usize::from(*at.start())..=usize::from(*at.end());
            match wanted.get_mut(range) {
                Some(places) => places.fill(Some(word.value)),
                None => bail!(beyond(&self.target)),
            }
        }
        if let Some(all) = wanted.iter().copied().collect::<Option<Vec<u16>>>() {
            return Ok(set.set_values(&all)?);
        }
        for (index, value) in (0..).zip(wanted) {
            if let Some(value) = value {
                set.set_value(index, value)?;
            }
        }
        Ok(())
    }
}
