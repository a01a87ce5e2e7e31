//! `sem get`: the value of a semaphore.

use anyhow::{Result, bail};
use clap::Args;

use super::semaphore::One;
use super::{beyond, context, report_uninitialised};
use crate::applets::Verb;
use crate::exit::Exit;
use crate::output;
use crate::semset;
use crate::sys::posix::sem::look;

/// Prints the value and nothing else, on one line.
#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    one: One,
    /// Print all values of the set on one line
    #[arg(long, conflicts_with = "index")]
    all: bool,
}

impl Verb for Get {
    const NAME: &'static str = "get";
    const SUMMARY: &'static str = "Print the value of a semaphore";
    const EXAMPLES: &'static str = "
# Print all values of a set on one line
ipcbox sem create store --value 5,0
ipcbox sem get store --all
";

    fn run(self) -> Result<Exit> {
        let get = || {
            if self.one.posix(false)? {
                return Ok(look(self.one.target.typed())?.value.to_string());
            }
            let (stat, values) = semset::find(&self.one.target)?.values()?;
            if stat.op_time == 0 && values.iter().all(|value| *value == 0) {
                report_uninitialised(&self.one.target);
            }
            if self.all {
                let values: Vec<String> = values.iter().map(u16::to_string).collect();
                return Ok(values.join(" "));
            }
            match values.get(usize::from(self.one.index())) {
                Some(value) => Ok(value.to_string()),
                None => bail!(beyond(&self.one.target)),
            }
        };
        let value = context("read", &self.one.target, get())?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}
