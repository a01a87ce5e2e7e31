//! What every `rm` of named objects takes, and how it goes through them.

use anyhow::Result;
use clap::Args;

use super::explain::is_gone;
use crate::exit::{Exit, each};
use crate::target::{Form, Target, not_private};

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
    /// The hint for what is left alone without `--force`.
    pub const HINT: &'static str = "--force removes it all the same";

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
