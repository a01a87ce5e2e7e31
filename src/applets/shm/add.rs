//! `shm add`: a counter, in one atomic step.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, value};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::exit::Exit;
use crate::output;

/// Prints the new value. Any number of callers get different ones: the addition is atomic. It wraps from the highest
/// value to the lowest. Who waits for the word is woken.
#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    place: Place,
    /// Add K instead of 1
    #[arg(long, value_name = "K", value_parser = value, default_value_t = 1)]
    by: i64,
    /// Make it if it is missing, a page of zeros
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    creating: Creating,
}

impl Verb for Add {
    const NAME: &'static str = "add";
    const SUMMARY: &'static str = "Add to a word and print the new value";
    const EXAMPLES: &'static str = r#"
# A number that nobody else gets
job=$(ipcbox shm add counter --create)
echo "job $job"
"#;

    fn run(self) -> Result<Exit> {
        let open = || {
            if self.create {
                return self.place.open_or_create(self.creating);
            }
            self.place.open(true)
        };
        let value = self.place.with("add to", &[self.by], true, open, |word| word.add(self.by))?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}
