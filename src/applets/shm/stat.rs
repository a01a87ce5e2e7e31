//! `shm stat`: segments and POSIX objects, and the processes that use them.

use anyhow::Result;
use clap::Args;

use super::context;
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::objects::users::{self, User};
use crate::objects::{Object, columns, find};
use crate::output;
use crate::sys::holders::Index;
use crate::sys::sysv::Kind;
use crate::target::Target;
use crate::target::remembered::Remembered;

const COLUMNS: &str = "-kind -family id key name size owner -uid -group -gid -creator -creator_uid -creator_gid mode \
                       attached creator_pid last_pid -attach_time -detach_time -change_time -resident -swapped \
                       -removed -pinned";
const HOLDERS: &str = "-kind -family id -key name pid command mappings descriptors";

/// Without TARGET, shows every segment and every POSIX object. The resident bytes of a POSIX object include bytes that
/// are swapped out. --holders lists only the processes that the caller may trace; a warning shows how many others there
/// are.
#[derive(Args)]
pub struct Stat {
    /// Segments and POSIX objects to show
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// Show the processes that have objects mapped or open
    #[arg(long)]
    holders: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show segments and POSIX objects, or processes that use them";
    const EXAMPLES: &'static str = "
# Show the processes that have a segment attached
ipcbox shm create board --size 64K
ipcbox shm stat board --holders
";

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, find::one(target, Kind::Shm))?);
            Ok(())
        });
        if self.targets.is_empty() {
            found = find::all(&[Kind::Shm], true)?.0;
        }
        let single = self.targets.len() == 1;
        if self.holders {
            let index = users::index(&found)?;
            let names = Remembered::default();
            let of = |object| seen(object, &index, &names).into_iter().map(move |user| (object, user));
            let users: Vec<_> = found.iter().flat_map(of).collect();
            columns::show_users(HOLDERS, &users, &self.showing, single)?;
        } else {
            columns::show(COLUMNS, &found, &self.showing, single)?;
        }
        exit
    }
}

/// Returns the processes that use an object, and warns about those that cannot be inspected.
fn seen(object: &Object, index: &Index, names: &Remembered) -> Vec<User> {
    let mut users = users::mappers(object, index);
    let unknown = users.iter().find_map(User::count);
    let (what, unseen) = match object.id() {
        Some(_) => ("mappings", unknown.map_or(0, u64::from)),
        None => ("processes", index.unseen.len() as u64),
    };
    if unseen > 0 {
        warn_unseen(&object.called(names), what, unseen);
    }
    users.retain(|user| user.pid().is_some());
    users
}

/// Warns that `unseen` processes or mappings, which may use an object, cannot be inspected.
pub fn warn_unseen(object: &str, what: &str, unseen: u64) {
    output::warn(format!("cannot list every process that uses {object}: no permission to inspect {unseen} {what}"));
}
