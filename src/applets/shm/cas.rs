//! `shm cas`: an atomic compare and swap.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, Word, value};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::output;

/// Performs an atomic compare-and-swap, and prints the previous value of the word. If the value was OLD, the word is
/// set to NEW, its waiters are woken and the status is 0. If the value was not OLD, nothing changes and the status is
/// 1.
#[derive(Args)]
pub struct Cas {
    #[command(flatten)]
    place: Place,
    /// Expected value of the word
    #[arg(value_name = "OLD", value_parser = value, allow_negative_numbers = true)]
    old: i64,
    /// New value of the word
    #[arg(value_name = "NEW", value_parser = value, allow_negative_numbers = true)]
    new: i64,
}

impl Verb for Cas {
    const NAME: &'static str = "cas";
    const SUMMARY: &'static str = "Set a word to NEW if its value is OLD";
    const EXAMPLES: &'static str = r#"
# Let the first process that arrives become the leader
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
