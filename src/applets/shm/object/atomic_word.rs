//! A word of shared memory, and the processes that wait for it.

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

/// The place of a word.
#[derive(Args)]
pub struct Place {
    /// Segment or POSIX object
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// Use the word at byte offset N (default: 0)
    #[arg(long, value_name = "N", value_parser = size::parse)]
    offset: Option<u64>,
    /// Use a word of 32 or 64 bits (default: 32)
    #[arg(long, value_name = "32|64", value_parser = bits)]
    bits: Option<Bits>,
}

/// The width of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// 32 bits, the only width that `wait` can wait for.
    Narrow,
    /// 64 bits.
    Wide,
}

fn bits(text: &str) -> Result<Bits, String> {
    match text {
        "32" => Ok(Bits::Narrow),
        "64" => Ok(Bits::Wide),
        _ => Err("expected 32 or 64 bits".into()),
    }
}

/// Parses the value of a word.
///
/// # Errors
/// The range that is expected.
pub fn value(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok() } else { None };
    number.ok_or_else(|| format!("expected a number from {} to {}", i64::MIN, i64::MAX))
}

impl Bits {
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }

    fn fit(self, value: i64) -> Result<i64> {
        if self == Self::Narrow && i32::try_from(value).is_err() {
            let words = format!("{value} does not fit in 32 bits ({} to {})", i32::MIN, i32::MAX);
            bail!(Cause::new(Exit::Usage, words).hint("add --bits 64"));
        }
        Ok(value)
    }
}

pub struct Word {
    mapping: Mapping,
    at: usize,
    bits: Bits,
}

impl Place {
    fn offset(&self) -> u64 {
        self.offset.unwrap_or(0)
    }

    pub fn bits(&self) -> Bits {
        self.bits.unwrap_or(Bits::Narrow)
    }

    /// Runs `act`, called `what` in messages, on the word in `memory`, if `values` fit the word.
    pub fn with<T>(
        &self,
        what: &str,
        values: &[i64],
        writable: bool,
        memory: impl FnOnce() -> Result<Memory>,
        act: impl FnOnce(&Word) -> Result<T>,
    ) -> Result<T> {
        let run = || {
            let width = u64::from(self.bits().bytes());
            if !self.offset().is_multiple_of(width) {
                let words = format!("offset {} is not a multiple of {width}, the word size in bytes", self.offset());
                bail!(Cause::new(Exit::Usage, words));
            }
            for value in values {
                self.bits().fit(*value)?;
            }
            let memory = memory()?;
            within(self.offset(), width, memory.size()?)?;
            if is_posix(&self.target) {
                let why = "truncated by another process, or /dev/shm is full (SIGBUS)";
                let warning = output::warning(format!("cannot {what} {}: {why}", self.target));
                on_bus_error(warning, Exit::Failed.code())?;
            }
            act(&Word::of(memory, self.offset(), self.bits(), writable)?)
        };
        context(what, &self.target, run())
    }

    /// Opens the object for reading, or for reading and writing.
    pub fn open(&self, writable: bool) -> Result<Memory> {
        open(&self.target, writable)
    }

    /// Opens the object for reading and writing; creates a missing one of zeros, up to the end of the word's page.
    pub fn open_or_create(&self, creating: Creating) -> Result<Memory> {
        open_or_create(&self.target, creating, || {
            let end = self.offset().checked_add(self.bits().bytes().into());
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

    pub fn load(&self) -> Result<i64> {
        Ok(match self.bits {
            Bits::Narrow => self.mapping.word(self.at)?.load(SeqCst).into(),
            Bits::Wide => self.mapping.wide_word(self.at)?.load(SeqCst),
        })
    }

    /// Sets the value and wakes the waiters.
    pub fn store(&self, value: i64) -> Result<()> {
        match self.bits {
            Bits::Narrow => self.mapping.word(self.at)?.store(i32::try_from(value)?, SeqCst),
            Bits::Wide => self.mapping.wide_word(self.at)?.store(value, SeqCst),
        }
        self.wake()
    }

    /// Adds to the value, wrapping, wakes the waiters and returns the new value.
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

    /// Sets the value to `new` and wakes the waiters if it is `old`; returns the value before.
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

    /// Sleeps until `holds` returns true, which is checked at each wake-up.
    ///
    /// # Errors
    /// `EAGAIN`: the deadline is over.
    pub fn wait(&self, holds: impl Fn(i32) -> bool, deadline: crate::sys::deadline::Deadline) -> Result<()> {
        let word = self.mapping.word(self.at)?;
        loop {
            let value = word.load(SeqCst);
            if holds(value) {
                return Ok(());
            }
            match futex::wait(word, value, deadline) {
                // The change can come at the very deadline.
                Err(Errno::EAGAIN) if holds(word.load(SeqCst)) => return Ok(()),
                slept => slept?,
            }
        }
    }

    fn wake(&self) -> Result<()> {
        wake(&self.mapping, self.at, self.bits.bytes().into())
    }
}

/// Wakes the waiters for the 32-bit words in `len` bytes at `at`, which is aligned.
pub fn wake(mapping: &Mapping, at: usize, len: usize) -> Result<()> {
    for at in (at..at + len).step_by(4).filter(|at| at + 4 <= mapping.len()) {
        futex::wake(mapping.word(at)?)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/shm/object/atomic_word.rs"]
mod tests;
