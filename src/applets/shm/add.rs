//! `shm add`: an atomic counter.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, value};
use super::object::creatable;
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::exit::Exit;
use crate::output;

/// The addition is atomic, so every caller gets a different value. Beyond the highest value, the word wraps around to
/// the lowest. Processes that wait on the word are woken.
#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    place: Place,
    /// Add K (default: 1)
    #[arg(long, value_name = "K", value_parser = value)]
    by: Option<i64>,
    /// Create a missing object (one page of zeros)
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Creating")]
    create: Option<bool>,
    #[command(flatten)]
    creating: Creating,
}

impl Verb for Add {
    const NAME: &'static str = "add";
    const SUMMARY: &'static str = "Add to a word in shared memory, and print the new value";
    const EXAMPLES: &'static str = r#"
# Give each job a different number
job=$(ipcbox shm add counter --create)
echo "job $job"
"#;

    fn run(self) -> Result<Exit> {
        let open = || {
            if self.create.is_some() {
                return self.place.open_or_create(self.creating);
            }
            self.place
                .open(true)
                .map_err(|error| creatable(error, &self.place.target, "add --create to create the object"))
        };
        let by = self.by.unwrap_or(1);
        let value = self.place.with("add to", &[by], true, open, |word| word.add(by))?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}
