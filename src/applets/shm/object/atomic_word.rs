//! One word of shared memory, and who sleeps on it.

use std::sync::atomic::Ordering::SeqCst;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use crate::applets::shm::object::{create_writable, open, open_or_create, unnamed, within};
use crate::applets::shm::{context, is_posix};
use crate::args::creating::Creating;
use crate::args::size;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::futex;
use crate::sys::mapping::{Mapping, on_bus_error, page_size};
use crate::sys::memory::Memory;
use crate::target::Target;

/// Which word is meant.
#[derive(Args)]
pub struct Place {
    /// The segment or POSIX object
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// Where the word is, in bytes from the start
    #[arg(long, value_name = "N", value_parser = size::parse, default_value_t = 0)]
    pub offset: u64,
    /// How wide it is, in bits; 32 if left out
    #[arg(long, value_name = "32|64", value_parser = bits, default_value = "32")]
    pub bits: Bits,
}

/// How wide a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// 32 bits, on which `wait` can sleep.
    Narrow,
    /// 64 bits.
    Wide,
}

fn bits(text: &str) -> Result<Bits, String> {
    match text {
        "32" => Ok(Bits::Narrow),
        "64" => Ok(Bits::Wide),
        _ => Err("a word has 32 or 64 bits".into()),
    }
}

/// Reads the value of a word.
///
/// # Errors
/// Words that say what is wrong.
pub fn value(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok() } else { None };
    number.ok_or_else(|| format!("expected a number from {} to {}", i64::MIN, i64::MAX))
}

impl Bits {
    /// Bytes of such a word.
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }

    /// A value as such a word has it.
    fn fit(self, value: i64) -> Result<i64> {
        if self == Self::Narrow && i32::try_from(value).is_err() {
            let words = format!("{value} is beyond 32 bits, {} to {}", i32::MIN, i32::MAX);
            bail!(Cause::new(Exit::Usage, words).hint("--bits 64"));
        }
        Ok(value)
    }
}

/// A word that is mapped.
pub struct Word {
    mapping: Mapping,
    at: usize,
    bits: Bits,
}

impl Place {
    /// Does `act`, called `what` in messages, with the word, which is only read or also written; `memory` opens the
    /// object that it is in. Values that are given to it have to fit.
    pub fn with<T>(
        &self,
        what: &str,
        values: &[i64],
        writable: bool,
        memory: impl FnOnce() -> Result<Memory>,
        act: impl FnOnce(&Word) -> Result<T>,
    ) -> Result<T> {
        let run = || {
            let width = u64::from(self.bits.bytes());
            if !self.offset.is_multiple_of(width) {
                let words = format!("offset {} is no multiple of {width}: an atomic word is aligned", self.offset);
                bail!(Cause::new(Exit::Usage, words));
            }
            for value in values {
                self.bits.fit(*value)?;
            }
            let memory = memory()?;
            within(self.offset, width, memory.size()?)?;
            if is_posix(&self.target) {
                let why = "it was made shorter meanwhile, or /dev/shm is full (SIGBUS)";
                let warning = output::warning(format!("cannot {what} {}: {why}", self.target));
                on_bus_error(warning, Exit::Failed.code())?;
            }
            act(&Word::of(memory, self.offset, self.bits, writable)?)
        };
        context(what, &self.target, run())
    }

    /// Opens the object for reading alone, or for both.
    pub fn open(&self, writable: bool) -> Result<Memory> {
        open(&self.target, writable)
    }

    /// Opens the object for both, created of zeros up to the end of the word's page if it is missing.
    pub fn open_or_create(&self, creating: Creating) -> Result<Memory> {
        open_or_create(&self.target, creating, || {
            let end = self.offset.checked_add(self.bits.bytes().into());
            let size = end.and_then(|end| end.checked_next_multiple_of(page_size()));
            let size = size.ok_or(Errno::EOVERFLOW)?;
            if !is_posix(&self.target) {
                return create_writable(&self.target, size, creating);
            }
            let object = unnamed(size)?;
            object.publish(self.target.typed(), creating.bits())?;
            Ok(Memory::Object(object))
        })
    }
}

impl Word {
    fn of(memory: Memory, offset: u64, bits: Bits, writable: bool) -> Result<Self> {
        let (mapping, at) = memory.words(offset, bits.bytes().into(), writable)?;
        Ok(Self { mapping, at, bits })
    }

    /// Its value.
    pub fn load(&self) -> Result<i64> {
        Ok(match self.bits {
            Bits::Narrow => self.mapping.word(self.at)?.load(SeqCst).into(),
            Bits::Wide => self.mapping.wide_word(self.at)?.load(SeqCst),
        })
    }

    /// Gives it a value, and wakes who sleeps on it.
    pub fn store(&self, value: i64) -> Result<()> {
        match self.bits {
            Bits::Narrow => self.mapping.word(self.at)?.store(i32::try_from(value)?, SeqCst),
            Bits::Wide => self.mapping.wide_word(self.at)?.store(value, SeqCst),
        }
        self.wake()
    }

    /// Adds to it, wrapping, and wakes who sleeps on it; gives the new value.
    pub fn add(&self, by: i64) -> Result<i64> {
        let value = match self.bits {
            Bits::Narrow => {
                let by = i32::try_from(by)?;
                self.mapping.word(self.at)?.fetch_add(by, SeqCst).wrapping_add(by).into()
            }
            Bits::Wide => self.mapping.wide_word(self.at)?.fetch_add(by, SeqCst).wrapping_add(by),
        };
        self.wake()?;
        Ok(value)
    }

    /// Gives it the value `new` where it has `old`, and then wakes who sleeps on it; gives the value that it had.
    pub fn swap(&self, old: i64, new: i64) -> Result<i64> {
        let found = match self.bits {
            Bits::Narrow => {
                let (old, new) = (i32::try_from(old)?, i32::try_from(new)?);
                let word = self.mapping.word(self.at)?;
                word.compare_exchange(old, new, SeqCst, SeqCst).unwrap_or_else(|other| other).into()
            }
            Bits::Wide => {
                let word = self.mapping.wide_word(self.at)?;
                word.compare_exchange(old, new, SeqCst, SeqCst).unwrap_or_else(|other| other)
            }
        };
        if found == old {
            self.wake()?;
        }
        Ok(found)
    }

    /// Sleeps until it satisfies `holds`, which is asked at every change of the box's.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn wait(&self, holds: impl Fn(i32) -> bool, deadline: crate::sys::deadline::Deadline) -> Result<()> {
        let word = self.mapping.word(self.at)?;
        loop {
            let value = word.load(SeqCst);
            if holds(value) {
                return Ok(());
            }
            match futex::wait(word, value, deadline) {
                // It can have come at the last instant.
                Err(Errno::EAGAIN) if holds(word.load(SeqCst)) => return Ok(()),
                slept => slept?,
            }
        }
    }

    fn wake(&self) -> Result<()> {
        wake(&self.mapping, self.at, self.bits.bytes().into())
    }
}

/// Wakes who sleeps on the 32-bit words of `len` bytes from `at` on, which is aligned.
pub fn wake(mapping: &Mapping, at: usize, len: usize) -> Result<()> {
    for at in (at..at + len).step_by(4).filter(|at| at + 4 <= mapping.len()) {
        futex::wake(mapping.word(at)?)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/shm/object/atomic_word.rs"]
mod tests;
