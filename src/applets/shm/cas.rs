//! `shm cas`: compare and swap, in one atomic step.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, Word, value};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::output;

/// Compares and swaps: the word becomes NEW where it is OLD, in one atomic step. Prints the value that was found; the
/// status is 0 where that was OLD, and 1 where it was not and nothing changed. Who waits for the word is woken.
#[derive(Args)]
pub struct Cas {
    #[command(flatten)]
    place: Place,
    /// The value that it must have
    #[arg(value_name = "OLD", value_parser = value, allow_negative_numbers = true)]
    old: i64,
    /// The value that it then gets
    #[arg(value_name = "NEW", value_parser = value, allow_negative_numbers = true)]
    new: i64,
}

impl Verb for Cas {
    const NAME: &'static str = "cas";
    const SUMMARY: &'static str = "Give a word a new value if it has the old one";
    const EXAMPLES: &'static str = r#"
# The first one that comes is the leader
ipcbox shm create leader --size 4K
ipcbox shm cas leader 0 $$ && echo "$$ leads"
"#;
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Failed, "the value is not OLD, or any other failure")];

    fn run(self) -> Result<Exit> {
        let Self { place, old, new } = &self;
        let swap = |word: &Word| word.swap(*old, *new);
        let found = place.with("swap", &[*old, *new], true, || place.open(true), swap)?;
        output::print(format!("{found}\n").as_bytes())?;
        Ok(if found == *old { Exit::Done } else { Exit::Failed })
    }
}
