//! The removal of chosen objects: the check for users, the confirmation, and the act.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::Remove;
use crate::exit::{Cause, Exit, each};
use crate::objects::errors::denied;
use crate::objects::remove::{confirm, refused};
use crate::objects::usage::{Evidence, Use};
use crate::objects::{Object, find};
use crate::output;
use crate::target::Target;
use crate::target::remembered::Remembered;
use crate::text::visible;

pub(super) struct Chosen {
    pub(super) object: Object,
    pub(super) by: ChosenBy,
}

pub(super) enum ChosenBy {
    Target(Target),
    /// An option of util-linux, which removes it even if it is in use.
    Letter,
    Filter,
}

impl Chosen {
    /// Returns it for messages: a TARGET as typed, with its name if that is an id or a key.
    fn titled(&self, names: &Remembered) -> String {
        let ChosenBy::Target(target) = &self.by else { return self.object.titled(names) };
        match self.object.known_name(names) {
            Some(name) if self.object.name.is_none() => format!("{target} ({})", name.display()),
            _ => target.to_string(),
        }
    }
}

impl Remove {
    pub(super) fn remove_chosen(&self, chosen: Vec<Chosen>, by_filter: bool) -> Result<Exit> {
        if chosen.is_empty() {
            return Ok(Exit::Done);
        }
        let names = Remembered::default();
        let objects: Vec<Object> = chosen.iter().map(|one| one.object.clone()).collect();
        let evidence = if self.force { None } else { Some(Evidence::gather(&objects)) };
        let mut free = Vec::new();
        let skipped = each(chosen, |one| {
            let use_of = evidence.as_ref().filter(|_| !matches!(one.by, ChosenBy::Letter));
            let words = use_of.and_then(|evidence| in_the_way(evidence, &one.object));
            let Some(words) = words else {
                free.push(one);
                return Ok(());
            };
            Err(refused(words)).with_context(|| format!("cannot remove {}", one.titled(&names)))
        });
        if self.dry_run {
            self.show(&free.iter().map(|one| one.object.clone()).collect::<Vec<_>>())?;
            return skipped;
        }
        if by_filter && !free.is_empty() && !self.yes {
            let titles: Vec<String> = free.iter().map(|one| one.titled(&names)).collect();
            let refused = confirm(&titles, "add --dry-run to list the objects").map(|()| Exit::Done);
            if refused.is_err() {
                return each([refused, skipped], |outcome| outcome.map(drop));
            }
        }
        let mut gone = Vec::new();
        let removed = each(free, |one| {
            let doing = || format!("removing {}", one.object.titled(&names));
            match (self.verbose, self.showing.json) {
                (false, _) => {}
                // Standard output has the records.
                (true, true) => output::warn(doing()),
                (true, false) => {
                    output::print(format!("{}\n", visible(&doing(), &[])).as_bytes())?;
                }
            }
            let outcome = self.remove_one(&one);
            outcome.with_context(|| format!("cannot remove {}", one.titled(&names)))?;
            gone.push(one.object);
            Ok(())
        });
        if self.showing.json {
            self.show(&gone)?;
        }
        each([skipped, removed], |outcome| outcome.map(drop))
    }

    fn remove_one(&self, one: &Chosen) -> Result<()> {
        let removed = find::again(&one.object).and_then(|object| find::remove(&object));
        match removed {
            Ok(()) => Ok(()),
            // A filtered object that vanished needs no removal.
            Err(Errno::EINVAL | Errno::ENOENT | Errno::EIDRM)
                if self.missing_ok || matches!(one.by, ChosenBy::Filter) =>
            {
                Ok(())
            }
            Err(errno @ (Errno::EINVAL | Errno::ENOENT | Errno::EIDRM)) => {
                bail!(Cause::from_errno(errno, "removed by another process").exit(Exit::Missing))
            }
            Err(Errno::ESTALE) => {
                bail!(Cause::new(Exit::Failed, "the object was changed or replaced after it was inspected"))
            }
            Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
                bail!(denied(errno, one.object.owned().map(|(uid, _, _)| uid)))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Returns why an object needs `--force`.
fn in_the_way(evidence: &Evidence, object: &Object) -> Option<String> {
    let users = match evidence.of(object) {
        Use::By(users) => users,
        // The kernel refuses an object of another user, and its message is clearer.
        Use::Unknown if may_remove(object) && evidence.is_in_doubt(object) => {
            return Some("cannot inspect every process that may use the object".into());
        }
        Use::Unknown | Use::Free => return None,
    };
    let users: Vec<String> = users.iter().map(|user| user.uses(object)).collect();
    Some(format!("in use by {}", users.join(", ")))
}

/// Whether the caller is the owner or creator of the object, or root.
pub(super) fn may_remove(object: &Object) -> bool {
    let user = geteuid();
    user.is_root() || object.is_of(user.as_raw())
}
