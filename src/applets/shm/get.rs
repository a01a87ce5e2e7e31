//! `shm get`: the value of a word.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, Word};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::output;

/// Prints the value as a signed number. Read permission is enough.
#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    place: Place,
}

impl Verb for Get {
    const NAME: &'static str = "get";
    const SUMMARY: &'static str = "Print the value of a word in shared memory";
    const EXAMPLES: &'static str = "
# Print the value of a counter
ipcbox shm add counter --create
ipcbox shm get counter
";

    fn run(self) -> Result<Exit> {
        let place = &self.place;
        let value = place.with("read", &[], false, || place.open(false), Word::load)?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}
