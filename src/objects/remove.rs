//! What every `rm` of named objects takes, and how it goes through them.

use std::io::{BufRead, stdin};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::exit::{Cause, Exit, each};
use crate::objects::errors::is_gone;
use crate::objects::users::{User, list};
use crate::output;
use crate::sys::fds;
use crate::target::{Form, Target, not_private};
use crate::text::counted;

/// What is removed, and what is not minded.
#[derive(Args)]
pub struct Removing {
    /// The objects
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// Also what is attached, held or waited on
    #[arg(long)]
    pub force: bool,
    /// What is not there counts as removed
    #[arg(long)]
    missing_ok: bool,
}

impl Removing {
    /// Whether no target was named.
    pub const fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Removes each target; `explain` words a failure, but that it is not there is none where the user said so.
    pub fn each(
        &self,
        remove: impl Fn(&Target) -> Result<()>,
        explain: impl Fn(&str, &Target, Result<()>) -> Result<()>,
    ) -> Result<Exit> {
        // Wrong usage, and then none is tried.
        if let Some(none) = self.targets.iter().find(|target| *target.form() == Form::Private) {
            explain("remove", none, Err(not_private("object").into()))?;
        }
        each(&self.targets, |target| match remove(target) {
            Err(error) if self.missing_ok && is_gone(&error, target) => Ok(()),
            removed => explain("remove", target, removed),
        })
    }
}

/// Refuses to remove what these processes use.
///
/// # Errors
/// They are listed, unless there is none.
pub fn refuse(how: &str, users: &[User]) -> Result<()> {
    list(users).map_or(Ok(()), |users| Err(refused(format!("it is {how} by {users}")).into()))
}

/// Why something is not removed without `--force`.
pub fn refused(words: impl Into<String>) -> Cause {
    Cause::new(Exit::Failed, words).hint("--force removes it all the same")
}

/// Asks on a terminal whether so many objects, which a filter chose, shall go.
///
/// # Errors
/// Status 2 if there is no terminal to ask on, 1 if the answer is no.
pub fn confirm(count: usize, hint: &str) -> Result<()> {
    let objects = counted(count, "object");
    let refused = |words: &str| Cause::new(Exit::Usage, format!("cannot remove {objects}: {words}"));
    if !fds::is_terminal(fds::stdin()) || !fds::is_terminal(fds::stderr()) {
        bail!(refused("a filter removes without asking only with --yes").hint(hint));
    }
    output::tell(output::warning(format!("remove {objects}? [y/N] ")).trim_end_matches('\n'));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!(refused("it was not confirmed").exit(Exit::Failed));
    }
    Ok(())
}
