//! `sem wait`, `sem post` and `sem get`: the value of one semaphore.

use anyhow::{Result, bail};
use clap::Args;

use super::run::missed;
use super::{beyond, context, never_initialised, plain};
use crate::applets::Verb;
use crate::args::numbers::{count, index};
use crate::args::waiting::Waiting;
use crate::exit::Exit;
use crate::output;
use crate::semset;
use crate::sys::interrupt;
use crate::sys::mapping::on_bus_error;
use crate::sys::posix::sem::{Semaphore, look};
use crate::sys::sysv::sem::Op;
use crate::target::{Form, Target, not_posix};
use crate::text::line;

/// Which semaphore of a set is meant.
#[derive(Args)]
struct One {
    /// The semaphore
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The semaphore with this number in its set
    #[arg(short, long, value_name = "N", value_parser = index, default_value_t = 0)]
    index: u16,
}

impl One {
    /// Whether it is a POSIX semaphore.
    ///
    /// # Errors
    /// It is asked for what only a System V set has.
    fn posix(&self, only_system_v: bool) -> Result<bool> {
        let is_posix = *self.target.form() == Form::Posix;
        if is_posix && (only_system_v || self.index != 0) {
            let why = if self.index != 0 {
                "a POSIX semaphore is alone"
            } else {
                "a POSIX semaphore goes up and down by one"
            };
            bail!(not_posix(&self.target, why));
        }
        Ok(is_posix)
    }

    /// Opens a POSIX semaphore. That its file is made shorter meanwhile ends the process with a message.
    fn open(&self, what: &str) -> Result<Semaphore> {
        let semaphore = Semaphore::open(self.target.typed())?;
        let why = "its file was made too short for a semaphore (SIGBUS)";
        let words = format!("cannot {what} {}: {why}", self.target);
        on_bus_error(line("sem", words), Exit::Missing.code())?;
        Ok(semaphore)
    }

    fn operate(&self, delta: i16, patience: crate::sys::wait::Patience) -> Result<(), anyhow::Error> {
        let set = semset::find(&self.target)?;
        plain(&self.target, set)?;
        Ok(set.operate(&[Op::new(self.index, delta)], patience)?)
    }
}

/// The value goes down by K once it is at least K, and stays so after the call: what a killed process took is not
/// given back. run and lock are for that.
#[derive(Args)]
pub struct Wait {
    #[command(flatten)]
    one: One,
    /// Take K at once
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    by: u16,
    /// Wait until the value is 0, and take nothing
    #[arg(long, conflicts_with = "by")]
    zero: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const ALIASES: &'static [&'static str] = &["p"];
    const SUMMARY: &'static str = "Take from the value (P), waiting until there is enough";
    const EXAMPLES: &'static str = "
# Wait for a door that somebody else opens
ipcbox sem create door
( sleep 0.1; ipcbox sem post door ) &
ipcbox sem wait door -w 10s
";
    const WRITES: bool = false;

    fn run(self) -> Result<Exit> {
        let deadline = self.waiting.start();
        let wait = || {
            if self.one.posix(self.zero || self.by != 1)? {
                let taken = self.one.open("wait for")?.wait(deadline.patience)?;
                return Ok(taken.map_or_else(interrupt::end, Ok)?);
            }
            let delta = if self.zero { 0 } else { -self.by.cast_signed() };
            self.one.operate(delta, deadline.patience)
        };
        let what = if self.zero { "it did not become 0" } else { "nobody posted enough" };
        let outcome = wait().map_err(|error| match error.downcast_ref() {
            Some(errno) => missed(*errno, &deadline, what),
            None => error,
        });
        context("wait for", &self.one.target, outcome)?;
        Ok(Exit::Done)
    }
}

/// The value goes up by K, and stays so after the call. Nobody is waited for: --timeout and --nonblock change nothing.
#[derive(Args)]
pub struct Post {
    #[command(flatten)]
    one: One,
    /// Add K at once
    #[arg(long, value_name = "K", value_parser = count, default_value_t = 1)]
    by: u16,
    #[command(flatten)]
    waiting: Waiting,
}

impl Verb for Post {
    const NAME: &'static str = "post";
    const ALIASES: &'static [&'static str] = &["v"];
    const SUMMARY: &'static str = "Add to the value (V)";
    const EXAMPLES: &'static str = "
# Let three pass
ipcbox sem create door
ipcbox sem post door --by 3
";
    const WRITES: bool = false;

    fn run(self) -> Result<Exit> {
        let deadline = self.waiting.start();
        let post = || {
            if self.one.posix(self.by != 1)? {
                return Ok(self.one.open("post to")?.post()?);
            }
            self.one.operate(self.by.cast_signed(), deadline.patience)
        };
        context("post to", &self.one.target, post())?;
        Ok(Exit::Done)
    }
}

/// The bare value, on a line of its own.
#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    one: One,
    /// All values of the set on one line, one blank between
    #[arg(long, conflicts_with = "index")]
    all: bool,
}

impl Verb for Get {
    const NAME: &'static str = "get";
    const SUMMARY: &'static str = "Print the value";
    const EXAMPLES: &'static str = "
# All values on one line
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
                output::tell(&never_initialised(&self.one.target));
            }
            if self.all {
                let values: Vec<String> = values.iter().map(u16::to_string).collect();
                return Ok(values.join(" "));
            }
            match values.get(usize::from(self.one.index)) {
                Some(value) => Ok(value.to_string()),
                None => bail!(beyond(&self.one.target)),
            }
        };
        let value = context("read", &self.one.target, get())?;
        output::print(format!("{value}\n").as_bytes())?;
        Ok(Exit::Done)
    }
}
