//! `shm wait`: waiting until a word has a value.

use anyhow::{Result, bail};
use clap::{ArgGroup, Args, ValueEnum};
use nix::errno::Errno;

use super::context;
use super::object::atomic_word::{Bits, Place, Word, value};
use crate::applets::Verb;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;

/// Sleeps until the word is changed by shm set, shm add, shm cas, or a shm write of at most 4 KiB. A shm write of more
/// than 4 KiB does not wake waiters, and neither does a write by another program. If a value lasts only a moment, shm
/// wait can miss it.
///
/// Read permission is enough. If the object is removed during the wait, only --timeout or a signal ends the wait.
#[derive(Args)]
#[command(group(ArgGroup::new("end").args(["value", "changed"]).required(true)))]
pub struct Wait {
    #[command(flatten)]
    place: Place,
    /// Value to compare the word with
    #[arg(
        value_name = "VALUE", value_parser = narrow, allow_negative_numbers = true
    )]
    value: Option<i32>,
    /// Choose how to compare with VALUE (default: eq)
    ///
    /// shm wait ends when the word is: eq, equal to VALUE; ne, different from VALUE; ge, VALUE or more; le, VALUE or
    /// less.
    #[arg(long, value_name = "eq|ne|ge|le", default_value = "eq", hide_possible_values = true)]
    until: Until,
    /// Wait until the word changes
    #[arg(long, conflicts_with = "until")]
    changed: bool,
    #[command(flatten)]
    timeout: Timeout,
}

fn narrow(text: &str) -> Result<i32, String> {
    let value = value(text)?;
    i32::try_from(value).map_err(|_| format!("expected a number from {} to {}", i32::MIN, i32::MAX))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Eq,
    Ne,
    Ge,
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

    const fn wanted(self) -> &'static str {
        match self {
            Self::Eq => "to become",
            Self::Ne => "to differ from",
            Self::Ge => "to reach",
            Self::Le => "to fall to",
        }
    }

    fn state(self, word: i64, value: i64, after: &str) -> String {
        let wanted = match self {
            Self::Ne => return format!("the word is still {word}{after}"),
            Self::Eq => "not",
            Self::Ge => "expected at least",
            Self::Le => "expected at most",
        };
        format!("the word is {word}{after}, {wanted} {value}")
    }
}

/// How to wait for the low half of a 64-bit word.
const LOW_HALF: &str = if cfg!(target_endian = "little") {
    "omit --bits to wait for the low 32 bits of the word"
} else {
    "replace --bits with an --offset that is larger by 4"
};

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const SUMMARY: &'static str = "Wait until a 32-bit word has a given value";
    const EXAMPLES: &'static str = "
# Wait until the work has reached stage 2
ipcbox shm create stage --size 4K
( sleep 0.1; ipcbox shm set stage 2 --bits 32 ) &
ipcbox shm wait stage 2 --until ge -w 10s
";

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let Self { place, value, until, .. } = self;
        let until = if self.changed { Until::Ne } else { until };
        if place.bits() == Bits::Wide {
            let words = "the kernel can wait only for 32-bit words";
            let refused = Cause::new(Exit::Usage, words).hint(LOW_HALF);
            context("wait for", &place.target, Err::<(), _>(refused.into()))?;
        }
        let sleep = |word: &Word| {
            let value = value.map_or_else(|| word.load(), |value| Ok(value.into()))?;
            let holds = |word: i32| until.holds(word.into(), value);
            let mut notice = Notice::verbose(timeout, || format!("{} {} {value}", place.target, until.wanted()));
            match notice.during(timeout.deadline(), |deadline| word.wait(holds, deadline)) {
                Err(error) if error.downcast_ref() == Some(&Errno::EAGAIN) => {
                    bail!(timeout.expired(until.state(word.load()?, value, &timeout.after())))
                }
                slept => slept,
            }
        };
        place.with("wait for", &[], false, || place.open(false), sleep)?;
        Ok(Exit::Done)
    }
}
