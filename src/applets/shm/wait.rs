//! `shm wait`: sleep until a word has a value.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use nix::errno::Errno;

use super::context;
use super::object::atomic_word::{Bits, Place, Word, value};
use crate::applets::Verb;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;

/// Sleeps in a futex, and polls nothing: set, add and cas of the box wake it, and so does a write of at most 4 KiB for
/// the words in it. A longer write wakes nobody, nor does a program that only stores; it has to call futex(2) with
/// FUTEX_WAKE and without FUTEX_PRIVATE_FLAG. A word that changes and changes back between two looks can be missed.
///
/// Permission to read is enough. Whoever waits keeps the memory: where it is removed meanwhile, nobody can find it any
/// more to wake the waiter.
#[derive(Args)]
pub struct Wait {
    #[command(flatten)]
    place: Place,
    /// The value to compare the word with
    #[arg(
        value_name = "VALUE", value_parser = narrow, required_unless_present = "changed",
        allow_negative_numbers = true
    )]
    value: Option<i32>,
    /// Until the word is equal, not equal, at least or at most VALUE
    #[arg(long, value_name = "eq|ne|ge|le", default_value = "eq", hide_possible_values = true)]
    until: Until,
    /// Until the word differs from what it is when the wait begins
    #[arg(long, conflicts_with_all = ["value", "until"])]
    changed: bool,
    #[command(flatten)]
    timeout: Timeout,
}

/// Reads the value of a word that can be slept on.
fn narrow(text: &str) -> Result<i32, String> {
    let value = value(text)?;
    i32::try_from(value).map_err(|_| format!("it is beyond 32 bits, {} to {}", i32::MIN, i32::MAX))
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The word is VALUE.
    Eq,
    /// It is another one.
    Ne,
    /// It is VALUE or more.
    Ge,
    /// It is VALUE or less.
    Le,
}

impl Until {
    const fn holds(self, word: i64, value: i64) -> bool {
        match self {
            Self::Eq => word == value,
            Self::Ne => word != value,
            Self::Ge => word >= value,
            Self::Le => word <= value,
        }
    }

    /// Between a word and VALUE in a message.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Eq => "to become",
            Self::Ne => "to differ from",
            Self::Ge => "to reach",
            Self::Le => "to fall to",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Eq => "it did not become",
            Self::Ne => "it did not change from",
            Self::Ge => "it did not reach",
            Self::Le => "it did not fall to",
        }
    }
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const SUMMARY: &'static str = "Sleep until a 32-bit word has a value";
    const EXAMPLES: &'static str = "
# Until the work has come to its second stage
ipcbox shm create stage --size 4K
( sleep 0.1; ipcbox shm set stage 2 --bits 32 ) &
ipcbox shm wait stage 2 --until ge -w 10s
";

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let Self { place, value, until, .. } = self;
        let until = if self.changed { Until::Ne } else { until };
        if place.bits == Bits::Wide {
            let words = "the kernel sleeps on 32-bit words only";
            let refused = Cause::new(Exit::Usage, words).hint("--offset of its low half, without --bits");
            context("wait for", &place.target, Err::<(), _>(refused.into()))?;
        }
        let sleep = |word: &Word| {
            let value = value.map_or_else(|| word.load(), |value| Ok(value.into()))?;
            let holds = |word: i32| until.holds(word.into(), value);
            let mut notice = Notice::verbose(timeout, || format!("{} {} {value}", place.target, until.wanted()));
            match notice.during(timeout.deadline(), |deadline| word.wait(holds, deadline)) {
                Err(error) if error.downcast_ref() == Some(&Errno::EAGAIN) => {
                    bail!(timeout.missed(&format!("{} {value}", until.words())))
                }
                slept => slept,
            }
        };
        place.with("wait for", &[], false, || place.open(false), sleep)?;
        Ok(Exit::Done)
    }
}
