//! `sem create`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::semaphore::file::{expect, of_slots};
use super::{context, if_abandoned, system_v};
use crate::applets::Verb;
use crate::args::creating::{Creating, differs};
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::fileset::{Kept, SlotFile};
use crate::output;
use crate::output::notice::Notice;
use crate::semset::lock::RwLock;
use crate::semset::slots::Slots;
use crate::semset::{self, Purpose, is_not};
use crate::sys::deadline::Deadline;
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::{self, Op, Set, Stat};
use crate::target::{Form, Target};
use crate::text::counted;

/// How long the creator of a set may take to set its values, which is its next system call.
const BIRTH: Duration = Duration::from_secs(1);

/// Prints the id of a System V set, or the name of a POSIX semaphore. If an existing object has different values, or a
/// different mode or number of semaphores or slots, nothing changes and the status is 4.
#[derive(Args)]
pub struct Create {
    /// Semaphore or set, or 'private' for a set without a key
    #[arg(value_name = "TARGET", value_parser = Target::or_file())]
    target: Target,
    /// Set the values (default: 0)
    ///
    /// Give one value for each semaphore, or one value for all.
    #[arg(long, value_name = "V,V", value_parser = value, value_delimiter = ',')]
    value: Vec<u32>,
    /// Create K semaphores (default: one for each value)
    #[arg(long, value_name = "K", value_parser = count)]
    nsems: Option<u16>,
    /// Create N slots for `sem run`
    #[arg(long, value_name = "N", value_parser = count, conflicts_with_all = ["value", "nsems"])]
    slots: Option<u16>,
    /// Create a lock for `sem lock`
    #[arg(long, conflicts_with_all = ["value", "nsems", "slots"])]
    lock: bool,
    /// Fail with status 4 if the object exists
    #[arg(short = 'x', long)]
    exclusive: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
}

/// Reads a value. The limit of System V is checked when the family is known.
fn value(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|value| *value <= posix::MAX_VALUE);
    let written = text.bytes().all(|byte| byte.is_ascii_digit());
    number
        .filter(|_| written)
        .ok_or_else(|| format!("expected a value from 0 to {} (POSIX: {})", sem::MAX_VALUE, posix::MAX_VALUE))
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Create a semaphore, a set of semaphores, or slots";
    const EXAMPLES: &'static str = "
# Create an empty store with room for ten items
ipcbox sem create store --value 0,10
# Create four slots before the first job starts
ipcbox sem create build --slots 4
";

    fn run(mut self) -> Result<Exit> {
        self.creating.exclusive = self.exclusive;
        self.timeout.quiet.can_answer()?;
        let created = match (self.target.form(), self.slots) {
            (Form::File, _) => self.file(),
            (Form::Posix, _) => self.posix(),
            (_, Some(capacity)) => self.slots(capacity),
            (_, None) if self.lock => self.lock(),
            (_, None) => self.plain(),
        };
        let name = context("create", &self.target, created)?;
        // Also that of an object which another program created.
        output::remember(&self.target);
        self.timeout.quiet.answer(name.as_bytes())?;
        Ok(Exit::Done)
    }
}

impl Create {
    fn file(&self) -> Result<OsString> {
        let kept = match self.slots {
            Some(number) => of_slots(number)?,
            None if self.lock => Kept::Lock,
            None => {
                let cause = Cause::new(Exit::Usage, "a file can hold only slots or a lock");
                bail!(cause.hint("add --slots N or --lock"))
            }
        };
        let path = self.target.typed();
        let file = SlotFile::open(Path::new(path), Some(kept), self.creating)?;
        expect(&self.target, file.kept, kept)?;
        self.creating.expect_mode(file.seen.mode)?;
        Ok(path.to_owned())
    }

    fn lock(&self) -> Result<OsString> {
        if *self.target.form() == Form::Private {
            bail!(Cause::new(Exit::Usage, "a lock needs a name or a key, so that other callers find it"));
        }
        let lock = RwLock::open_or_create(&self.target, self.creating)?;
        self.creating.expect_mode(lock.set.stat()?.perm.mode)?;
        Ok(lock.set.id().to_string().into())
    }

    fn posix(&self) -> Result<OsString> {
        if self.slots.is_some() || self.lock {
            system_v(&self.target)?;
        }
        if self.nsems.is_some_and(|len| len > 1) || self.value.len() > 1 {
            bail!(crate::target::not_posix(&self.target, "a POSIX semaphore is not a set"));
        }
        let value = self.value.first().copied().unwrap_or(0);
        let name = self.target.typed();
        let find = || {
            let (stat, file) = (posix::look(name)?, posix::file(name)?);
            Ok(((stat.value, file.mode), [file.uid]))
        };
        let accept = |(is, mode)| {
            if !self.value.is_empty() && is != value {
                bail!(differs(format!("value {is}"), value));
            }
            self.creating.expect_mode(mode)
        };
        self.creating.open_or_create(find, accept, || Ok(posix::create(name, self.creating.bits(), value)?))?;
        Ok(name.to_owned())
    }

    fn slots(&self, capacity: u16) -> Result<OsString> {
        if *self.target.form() == Form::Private {
            bail!(Cause::new(Exit::Usage, "slots need a name or a key, so that other callers can find them"));
        }
        let slots = Slots::open_or_create(&self.target, capacity, self.creating)?;
        slots.expect(&self.target, capacity).map_err(|cause| {
            let call = format!("ipcbox sem run {} --slots {capacity} --resize -- true", self.target.quoted());
            cause.hint(format!("change the number: {call}"))
        })?;
        self.creating.expect_mode(slots.set.stat()?.perm.mode)?;
        Ok(slots.set.id().to_string().into())
    }

    fn plain(&self) -> Result<OsString> {
        let values = self.values()?;
        let initialise = |set: Set| set.operate(&birth(&values), Deadline::Forever).map(|()| set);
        let set = if *self.target.form() == Form::Private {
            let set = semset::create(0, values.len(), self.creating)?;
            initialise(set).inspect_err(|_| {
                let _ = set.remove();
            })?
        } else {
            let accept = |set, stat: &Stat, is| self.compare(set, stat, is, &values).map(|()| set);
            semset::open_or_create(&self.target, values.len(), self.creating, accept, initialise)?
        };
        Ok(set.id().to_string().into())
    }

    fn values(&self) -> Result<Vec<i16>> {
        let usage = |words: String| Cause::new(Exit::Usage, words);
        let max = sem::MAX_VALUE;
        let fits = |value: &u32| {
            i16::try_from(*value)
                .map_err(|_| usage(format!("a System V semaphore has a value of at most {max}, not {value}")))
        };
        let given = self.value.iter().map(fits).collect::<Result<Vec<i16>, _>>()?;
        let len = self.nsems.map_or(given.len().max(1), usize::from);
        let values = match given[..] {
            [] => vec![0; len],
            [value] => vec![value; len],
            _ => given,
        };
        if values.len() != len {
            bail!(usage(format!("{} values given for {len} semaphores", values.len())));
        }
        let ops = birth(&values).len();
        let most = sem::limits()?.ops;
        if ops > most {
            let words = format!("{ops} semaphores need more than the {most} operations that one call can perform");
            let target = self.target.quoted();
            let create = format!("ipcbox sem create {target} --nsems {len}");
            bail!(Cause::from_errno(Errno::E2BIG, words).hint(match self.value[..] {
                [value] => format!("{create} && ipcbox sem set {target} 0..{}={value}", len - 1),
                _ => create,
            }));
        }
        Ok(values)
    }

    /// Checks an existing set, once its creator has set its values.
    fn compare(&self, set: Set, stat: &Stat, mut values: Vec<u16>, asked: &[i16]) -> Result<()> {
        if Purpose::of(&values).is_some() {
            bail!(is_not(&self.target, &values, "a plain set"));
        }
        if stat.len != asked.len() {
            let words = format!("already exists with {}, not {}", counted(stat.len, "semaphore"), asked.len());
            bail!(Cause::new(Exit::Exists, words));
        }
        self.creating.expect_mode(stat.perm.mode)?;
        let first = (0..).zip(asked).find(|(_, value)| **value > 0);
        if let Some((index, value)) = first
            && stat.op_time == 0
            && values.iter().all(|value| *value == 0)
        {
            // Its creator may be about to set the values. Taking and adding the same waits for that.
            let come = [Op::new(index, -value), Op::new(index, *value)];
            let deadline = self.timeout.deadline_or(Deadline::after(BIRTH));
            let mut notice =
                Notice::verbose(&self.timeout, || format!("{}: its creator has not set its values yet", self.target));
            match notice.during(deadline, |deadline| set.operate(&come, deadline)) {
                Err(Errno::EAGAIN) if set.stat()?.op_time == 0 => {
                    let words = "already exists, but was never initialised";
                    bail!(Cause::new(Exit::Exists, words).hint(if_abandoned(&self.target)));
                }
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => bail!(errno),
            }
            values = set.values()?.1;
        }
        let is_asked = values.iter().zip(asked).all(|(is, asked)| is.cast_signed() == *asked);
        if !self.value.is_empty() && !is_asked {
            let noun = if values.len() == 1 { "value" } else { "values" };
            bail!(differs(format!("{noun} {}", listed(&values)), listed(asked)));
        }
        Ok(())
    }
}

fn listed(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Returns the operations that set the first values. They add, so that an earlier waiter is served and an earlier post
/// counts. If all values are 0, two operations that cancel out leave sem_otime, which marks the set as initialised.
fn birth(values: &[i16]) -> Vec<Op> {
    let adds = (0..).zip(values).filter(|(_, value)| **value != 0);
    let ops: Vec<Op> = adds.map(|(index, value)| Op::new(index, *value)).collect();
    if ops.is_empty() {
        return vec![Op::new(0, 1), Op::new(0, -1)];
    }
    ops
}
