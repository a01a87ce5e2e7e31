//! `sem create`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::{context, system_v};
use crate::applets::Verb;
use crate::args::creating::{Creating, differs};
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::semset::slots::Slots;
use crate::semset::{self, Purpose, is_not};
use crate::sys::deadline::Deadline;
use crate::sys::posix::sem as posix;
use crate::sys::sysv::sem::{self, Op, Set, Stat};
use crate::target::{Form, Target};

/// How long the maker of a set may take to give it its values, which are its next call.
const BIRTH: Duration = Duration::from_secs(1);

/// Prints the id, or the name of a POSIX semaphore. The values are given by adding, in one step: whoever comes before
/// that waits and is then served, and nothing posted meanwhile is lost. One that exists must have the values, the
/// number of semaphores or slots, and the mode that are asked for, or the status is 4; it is left alone. One that
/// another process has just created is given a second to get its values, or what --timeout says.
#[derive(Args)]
pub struct Create {
    /// The set; private for one without a key
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The values, 0 if left out; one fills all
    #[arg(long, value_name = "V,V", value_parser = value, value_delimiter = ',')]
    value: Vec<u32>,
    /// As many semaphores as there are values, or K
    #[arg(long, value_name = "K", value_parser = count)]
    nsems: Option<u16>,
    /// Make N slots, as run does
    #[arg(long, value_name = "N", value_parser = count, conflicts_with_all = ["value", "nsems"])]
    slots: Option<u16>,
    /// Fail with status 4 if it is there already
    #[arg(short = 'x', long)]
    exclusive: bool,
    #[command(flatten)]
    creating: Creating,
    #[command(flatten)]
    timeout: Timeout,
}

/// Reads a value; the limit of System V is looked at when the family is known.
fn value(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|value| *value <= posix::MAX_VALUE);
    let written = text.bytes().all(|byte| byte.is_ascii_digit());
    number
        .filter(|_| written)
        .ok_or_else(|| format!("a value is 0 to {}, or {} of POSIX", sem::MAX_VALUE, posix::MAX_VALUE))
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Make a semaphore, a set of them, or slots";
    const EXAMPLES: &'static str = "
# A store that is empty and has room for ten
ipcbox sem create store --value 0,10
# Four slots, before anybody wants one
ipcbox sem create build --slots 4
";

    fn run(mut self) -> Result<Exit> {
        self.creating.exclusive = self.exclusive;
        self.timeout.quiet.can_answer()?;
        let made = match (self.target.form(), self.slots) {
            (Form::Posix, _) => self.posix(),
            (_, Some(capacity)) => self.slots(capacity),
            (_, None) => self.plain(),
        };
        let name = context("create", &self.target, made)?;
        self.timeout.quiet.answer(name.as_bytes())?;
        Ok(Exit::Done)
    }
}

impl Create {
    fn posix(&self) -> Result<OsString> {
        if self.slots.is_some() {
            system_v(&self.target)?;
        }
        if self.nsems.is_some_and(|len| len > 1) || self.value.len() > 1 {
            bail!(crate::target::not_posix(&self.target, "a POSIX semaphore is alone"));
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
            bail!(Cause::new(Exit::Usage, "slots want a name or a key by which others find them"));
        }
        let slots = Slots::open_or_create(&self.target, capacity, self.creating)?;
        slots.expect(&self.target, capacity)?;
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

    /// The values asked for, one for each semaphore.
    fn values(&self) -> Result<Vec<i16>> {
        let usage = |words: String| Cause::new(Exit::Usage, words);
        let max = sem::MAX_VALUE;
        let fits = |value: &u32| {
            i16::try_from(*value)
                .map_err(|_| usage(format!("the value {value} is over {max}, the most a System V semaphore can have")))
        };
        let given = self.value.iter().map(fits).collect::<Result<Vec<i16>, _>>()?;
        let len = self.nsems.map_or(given.len().max(1), usize::from);
        let values = match given[..] {
            [] => vec![0; len],
            [value] => vec![value; len],
            _ => given,
        };
        if values.len() != len {
            bail!(usage(format!("{} values for {len} semaphores", values.len())));
        }
        let ops = birth(&values).len();
        let most = sem::limits()?.ops;
        if ops > most {
            let words = format!("{ops} semaphores cannot be given values in one step of at most {most}");
            bail!(Cause::from_errno(Errno::E2BIG, words).hint(format!(
                "the third number of /proc/sys/kernel/sem (SEMOPM) is the limit; sem create {} --nsems {len} and then sem set",
                self.target
            )));
        }
        Ok(values)
    }

    /// Checks that a set that exists is as asked, once it has its values.
    fn compare(&self, set: Set, stat: &Stat, mut values: Vec<u16>, asked: &[i16]) -> Result<()> {
        if Purpose::of(&values).is_some() {
            bail!(is_not(&self.target, &values, "a plain set"));
        }
        if stat.len != asked.len() {
            let words = format!("the set that exists has {}, not {} semaphores", stat.len, asked.len());
            bail!(Cause::new(Exit::Exists, words));
        }
        self.creating.expect_mode(stat.perm.mode)?;
        let first = (0..).zip(asked).find(|(_, value)| **value > 0);
        if let Some((index, value)) = first
            && stat.op_time == 0
            && values.iter().all(|value| *value == 0)
        {
            // Its maker may be about to give it its values: that is waited for, without changing them.
            let come = [Op::new(index, -value), Op::new(index, *value)];
            let deadline = self.timeout.deadline_or(Deadline::after(BIRTH));
            let mut notice = Notice::verbose(&self.timeout, || format!("the first values of {}", self.target));
            match notice.during(deadline, |deadline| set.operate(&come, deadline)) {
                Err(Errno::EAGAIN) if set.stat()?.op_time == 0 => {
                    let words = "it exists and was never initialised";
                    let hint = format!("where its maker is gone, remove it: sem rm {}", self.target);
                    bail!(Cause::new(Exit::Exists, words).hint(hint));
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

/// Values as `--value` takes them.
fn listed(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The operations that give a new set its values. Where all are 0 one that changes nothing still leaves the time of the
/// last operation, by which a set is seen to be initialised.
fn birth(values: &[i16]) -> Vec<Op> {
    let adds = (0..).zip(values).filter(|(_, value)| **value != 0);
    let ops: Vec<Op> = adds.map(|(index, value)| Op::new(index, *value)).collect();
    if ops.is_empty() {
        return vec![Op::new(0, 1), Op::new(0, -1)];
    }
    ops
}
