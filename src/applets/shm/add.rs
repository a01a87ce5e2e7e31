//! `shm get`, `shm add` and `shm cas`: one word, in one atomic step.

use anyhow::Result;
use clap::Args;

use super::object::atomic_word::{Place, Word, value};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::exit::Exit;
use crate::output;

/// The bare value, signed, on a line of its own. Permission to read is enough.
#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    place: Place,
}

impl Verb for Get {
    const NAME: &'static str = "get";
    const SUMMARY: &'static str = "Print the value of a word";
    const EXAMPLES: &'static str = "
# The counter's value
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

/// Prints the new value. Any number of callers get different ones: the addition is atomic. It wraps from the highest value
/// to the lowest. Who waits for the word is woken.
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
                return self.place.open_or_make(self.creating);
            }
            self.place.open(true)
        };
        let value = self.place.with("add to", &[self.by], true, open, |word| word.add(self.by))?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}

/// Compares and swaps: the word becomes NEW where it is OLD, in one atomic step. Prints the value that was found; the status
/// is 0 where that was OLD, and 1 where it was not and nothing changed. Who waits for the word is woken.
#[derive(Args)]
pub struct Swap {
    #[command(flatten)]
    place: Place,
    /// The value that it must have
    #[arg(value_name = "OLD", value_parser = value, allow_negative_numbers = true)]
    old: i64,
    /// The value that it then gets
    #[arg(value_name = "NEW", value_parser = value, allow_negative_numbers = true)]
    new: i64,
}

impl Verb for Swap {
    const NAME: &'static str = "cas";
    const SUMMARY: &'static str = "Give a word a new value if it has the old one";
    const EXAMPLES: &'static str = r#"
# The first one that comes is the leader
ipcbox shm create leader --size 4K
ipcbox shm cas leader 0 $$ && echo "$$ leads"
"#;

    fn run(self) -> Result<Exit> {
        let Self { place, old, new } = &self;
        let swap = |word: &Word| word.swap(*old, *new);
        let found = place.with("swap", &[*old, *new], true, || place.open(true), swap)?;
        output::print(format!("{found}\n").as_bytes())?;
        Ok(if found == *old { Exit::Done } else { Exit::Failed })
    }
}
