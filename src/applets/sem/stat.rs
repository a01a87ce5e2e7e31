//! `sem stat`: semaphores, what they are used as, their holders and waiters.

use std::cell::LazyCell;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::{context, report_uninitialised};
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::objects::columns::{self, Part, Record};
use crate::objects::users::{self, How, User};
use crate::objects::{Object, State, find};
use crate::output;
use crate::semset::Purpose;
use crate::sys::process::{self, Blocked};
use crate::sys::sysv::Kind;
use crate::sys::sysv::sem::Set;
use crate::target::Target;
use crate::target::remembered::Remembered;

const COLUMNS: &str = "-kind -family -id -key name -path -device -inode -owner -uid -group -gid -creator -creator_uid -creator_gid -mode -nsems \
                       purpose -free -capacity -held used -index value holders waiting -waiters -stopped -zero_waiters \
                       -last_pid -op_time -change_time";
const USERS: &str = "-kind -family -id -key name -path purpose role state slot count pid command operations";

/// Shows one row for each lock, barrier, plain semaphore and set of slots. A row shows how much of the object is in use
/// (2/4), its holders, and the number of waiting processes. Without TARGET, shows all. A plain semaphore has a value
/// but no known holders. --columns and --json show more.
#[derive(Args)]
pub struct Stat {
    /// Semaphores (default: all)
    #[arg(value_name = "TARGET", value_parser = Target::or_file())]
    targets: Vec<Target>,
    /// List the holders of slots and locks
    #[arg(long)]
    holders: bool,
    /// List the waiters and their operations
    #[arg(long)]
    waiters: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show semaphores, their holders and waiters";
    const EXAMPLES: &'static str = "
# List the processes that hold a slot now
ipcbox sem create build --slots 4
ipcbox sem stat build --holders
# Show all semaphores as JSON, for a program
ipcbox sem stat --json
";

    fn run(self) -> Result<Exit> {
        let of_users = self.holders || self.waiters;
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, named(target, of_users))?);
            Ok(())
        });
        if self.targets.is_empty() {
            found = all()?;
        }
        let blocked = LazyCell::<Vec<_>>::new(|| process::blocked().unwrap_or_default());
        let names = columns::names(found.iter().filter(|_| !of_users).map(|looked| &looked.object));
        let mut users = Vec::new();
        for looked in found.iter().filter(|_| of_users) {
            users.extend(self.users(looked, &blocked, &names.objects)?.into_iter().map(|user| (looked, user)));
        }
        let mut records = Vec::new();
        for (looked, user) in &users {
            let part = looked.purpose(&blocked);
            records.push(Record { part, user: Some(user), ..Record::of(&looked.object, &names) });
        }
        for looked in found.iter().filter(|_| !of_users) {
            let record = Record::of(&looked.object, &names);
            records.extend(looked.parts(&blocked).into_iter().map(|part| Record { part, ..record }));
        }
        let mut columns = columns::pick(if of_users { USERS } else { COLUMNS });
        // Only if they distinguish the rows.
        let is_nameless = |record: &Record| record.object.known_name(&names.objects).is_none();
        let is_unnamed = self.showing.is_table() && records.iter().any(is_nameless);
        let is_of_several = records.iter().any(|record| matches!(record.part, Part::Semaphore(1.., _)));
        for column in &mut columns {
            column.in_table |= (column.key == "id" && is_unnamed) || (column.key == "index" && is_of_several);
        }
        output::show(&columns, &records, &self.showing, false)?;
        exit
    }
}

struct Looked {
    object: Object,
    /// Values of a set; `None` without permission to read them.
    values: Option<Vec<u16>>,
}

/// Reads the values of a semaphore. Without permission to read them it can still be shown, but not its users.
fn look(object: Object, for_users: bool) -> nix::Result<Looked> {
    let values = match &object.state {
        State::Set(stat) => match Set::from_id(stat.id).values() {
            Err(Errno::EACCES) if !for_users => None,
            read => Some(read?.1),
        },
        State::PosixSemaphore(_, Err(errno)) if *errno != Errno::EACCES || for_users => return Err(*errno),
        _ => None,
    };
    Ok(Looked { object, values })
}

fn named(target: &Target, for_users: bool) -> Result<Looked> {
    let looked = look(find::one(target, Kind::Sem)?, for_users)?;
    if let (State::Set(stat), Some(values)) = (&looked.object.state, &looked.values)
        && stat.op_time == 0
        && values.iter().all(|value| *value == 0)
    {
        report_uninitialised(target);
    }
    Ok(looked)
}

/// Returns all semaphores, without those that vanish at this moment and files that are not semaphores.
fn all() -> Result<Vec<Looked>> {
    let mut found = Vec::new();
    for object in find::all(&[Kind::Sem], true)?.0 {
        match look(object, false) {
            Err(Errno::EINVAL | Errno::EIDRM | Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => {}
            looked => found.push(looked.context("cannot list semaphores")?),
        }
    }
    Ok(found)
}

/// Replaces the failure of a set that has been removed since by an empty result.
fn unless_gone<T: Default>(outcome: nix::Result<T>) -> nix::Result<T> {
    match outcome {
        Err(Errno::EINVAL | Errno::EIDRM) => Ok(T::default()),
        outcome => outcome,
    }
}

impl Looked {
    fn purpose<'a>(&self, blocked: &'a LazyCell<Vec<Blocked>>) -> Part<'a> {
        if let State::SlotFile(state) = &self.object.state {
            return Part::Purpose(state.purpose(), blocked);
        }
        let purpose = self.values.as_ref().and_then(|values| Purpose::of(values));
        purpose.map_or(Part::Whole, |purpose| Part::Purpose(purpose, blocked))
    }

    /// Returns the parts that get a record: each semaphore of a plain set, or the whole.
    fn parts<'a>(&self, blocked: &'a LazyCell<Vec<Blocked>>) -> Vec<Part<'a>> {
        match (&self.object.state, &self.values, self.purpose(blocked)) {
            (State::Set(_), None, _) => vec![Part::Unreadable],
            (_, Some(values), Part::Whole) => {
                (0..).zip(values).map(|(index, value)| Part::Semaphore(index, *value)).collect()
            }
            (.., part) => vec![part],
        }
    }
}

impl Stat {
    fn users(&self, looked: &Looked, blocked: &[Blocked], names: &Remembered) -> Result<Vec<User>> {
        let mut found = Vec::new();
        let object = &looked.object;
        let name = || object.called(names);
        match (&object.state, &looked.values) {
            (State::Set(stat), Some(values)) => {
                let set = Set::from_id(stat.id);
                if self.holders {
                    found.extend(unless_gone(users::holders(set, values))?);
                }
                if self.waiters {
                    found.extend(unless_gone(users::set_waiters(set, values, blocked))?);
                }
                if found.iter().any(|user| matches!(user.how, How::Operates { .. }) && user.pid().is_none()) {
                    output::warn(format!("cannot list all waiters of {}: no permission to trace them", name()));
                }
            }
            (State::SlotFile(state), _) => {
                if self.holders {
                    found.extend(state.holders.iter().cloned());
                }
                if self.waiters {
                    found.extend(users::file_waiters(state, blocked));
                }
            }
            (State::PosixSemaphore(_, Err(_)), _) if self.waiters => {
                output::warn(format!("cannot list the waiters of {}: permission denied (EACCES)", name()));
            }
            (State::PosixSemaphore(_, Ok(stat)), _) if self.waiters && stat.waiters > 0 => {
                found.push(User::unknown(stat.waiters, How::Operates { operations: None, stopped: false }));
                output::warn("cannot list the waiters of a POSIX semaphore: only their number is known");
            }
            _ => {}
        }
        Ok(found)
    }
}
