//! Removal of named objects, shared by every `rm`.

use std::fmt::Write as _;
use std::io::{BufRead, stdin};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::exit::{Cause, Exit, each};
use crate::objects::errors::is_gone;
use crate::objects::users::{User, list};
use crate::output;
use crate::sys::fds;
use crate::target::{Form, Target, not_private};
use crate::text::{counted, visible};

/// The objects to remove.
#[derive(Args)]
pub struct Removing {
    /// Objects to remove
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// Remove the object even if it is in use
    #[arg(long)]
    pub force: bool,
    /// Do not fail if the object does not exist
    #[arg(long)]
    missing_ok: bool,
}

impl Removing {
    /// Whether no target was named.
    pub const fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Removes each target; `explain` turns a failure into words. A missing object is none with `--missing-ok`.
    pub fn each(
        &self,
        remove: impl Fn(&Target) -> Result<()>,
        explain: impl Fn(&str, &Target, Result<()>) -> Result<()>,
    ) -> Result<Exit> {
        // Wrong usage: no object is removed.
        if let Some(none) = self.targets.iter().find(|target| *target.form() == Form::Private) {
            explain("remove", none, Err(not_private("object").into()))?;
        }
        each(&self.targets, |target| match remove(target) {
            Err(error) if self.missing_ok && is_gone(&error, target) => Ok(()),
            removed => explain("remove", target, removed),
        })
    }
}

/// Refuses to remove an object that these processes use.
///
/// # Errors
/// The list of processes, unless it is empty.
pub fn refuse(how: &str, users: &[User]) -> Result<()> {
    list(users).map_or(Ok(()), |users| Err(refused(format!("{how} by {users}")).into()))
}

/// Returns the refusal to remove an object without `--force`.
pub fn refused(words: impl Into<String>) -> Cause {
    Cause::new(Exit::Failed, words).hint("use --force to remove the object anyway")
}

/// How many objects are listed above the question whether to remove them.
const LISTED: usize = 8;

/// Asks on a terminal whether to remove these objects, which a filter selected.
///
/// # Errors
/// Status 2 if there is no terminal to ask on, 1 if the answer is no.
pub fn confirm(titles: &[String], hint: &str) -> Result<()> {
    let objects = counted(titles.len(), "object");
    let refused = |words: &str| Cause::new(Exit::Usage, format!("cannot remove {objects}: {words}"));
    if !fds::is_terminal(fds::stdin()) || !fds::is_terminal(fds::stderr()) {
        bail!(refused("no terminal for confirmation, and --yes was not given").hint(hint));
    }
    let mut text = String::new();
    for title in titles.iter().take(LISTED) {
        let _ = writeln!(text, "  {}", visible(title, &[]));
    }
    if titles.len() > LISTED {
        let _ = writeln!(text, "  and {} more", titles.len() - LISTED);
    }
    output::to_stderr((text + &output::warning(format!("remove {objects}? [y/N] "))).trim_end_matches('\n'));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).context("cannot read the answer to the prompt")?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!(refused("not confirmed").exit(Exit::Failed));
    }
    Ok(())
}
