//! `shm read`.

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::object::locking::{Locking, ObjectGuard};
use super::object::{open, within};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::size;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::semset::journal::{Journal, Subject};
use crate::sys::fds;
use crate::sys::memory::Memory;
use crate::sys::transfer::BUFFER;
use crate::target::Target;

/// Prints the bytes unchanged, up to the end of the object. --text stops before the first NUL, so the zeros after the
/// text are not printed.
///
/// Without a lock, a reader can see only part of a concurrent write. If reader and writer use the same --lock, the
/// reader sees the whole write or none of it, even if the writer is killed.
#[derive(Args)]
pub struct Read {
    /// Segment or POSIX object to read
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Start at byte offset N (default: 0)
    #[arg(long, value_name = "N", value_parser = size::parse, default_value_t = 0)]
    offset: u64,
    /// Read at most N bytes
    #[arg(long, value_name = "N", value_parser = size::parse)]
    length: Option<u64>,
    /// Stop before the first NUL
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    creating: Creating,
}

impl Verb for Read {
    const NAME: &'static str = "read";
    const SUMMARY: &'static str = "Print the content of a segment or POSIX object";
    const EXAMPLES: &'static str = r#"
# Write a text to shared memory, and print it
ipcbox shm write config '{"level": 3}' --create
ipcbox shm read config --text
"#;

    fn run(self) -> Result<Exit> {
        context("read", &self.target, self.read())?;
        Ok(Exit::Done)
    }
}

impl Read {
    fn read(&self) -> Result<()> {
        let held = self.locking.take(&self.target, true, self.creating, false)?;
        let memory = open(&self.target, false)?;
        if let Some(held) = held {
            let bytes = self.snapshot(held, &memory)?;
            let text = if self.text { before_nul(&bytes) } else { &bytes };
            return output::print(text);
        }
        let len = self.len(memory.size()?)?;
        if self.text {
            return self.print_text(&memory, len);
        }
        let done = memory.pour(fds::stdout(), self.offset, len).map_err(Cause::plain);
        let done = done.context("cannot write to standard output")?;
        if done < len {
            bail!(Cause::from_errno(
                Errno::EFAULT,
                format!("truncated by another process: {done} of {len} bytes were read")
            ));
        }
        Ok(())
    }

    fn len(&self, size: u64) -> Result<u64> {
        within(self.offset, 0, size)?;
        let most = size - self.offset;
        Ok(self.length.map_or(most, |len| len.min(most)))
    }

    /// Copies the bytes and releases the lock.
    fn snapshot(&self, held: ObjectGuard, memory: &Memory) -> Result<Vec<u8>> {
        let left = Journal::new(Subject::of(memory)?).writes()?;
        let size = memory.size()?;
        let len = usize::try_from(self.len(left.size(size))?)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        let there = usize::try_from(size.saturating_sub(self.offset))?.min(len);
        memory.read_at(self.offset, &mut bytes[..there])?;
        left.overlay(self.offset, &mut bytes)?;
        held.release()?;
        Ok(bytes)
    }

    fn print_text(&self, memory: &Memory, len: u64) -> Result<()> {
        let mut bytes = Vec::new();
        let mut done = 0;
        while done < len {
            bytes.resize(usize::try_from((len - done).min(BUFFER as u64))?, 0);
            memory.read_at(self.offset + done, &mut bytes)?;
            let text = before_nul(&bytes);
            output::print(text)?;
            if text.len() < bytes.len() {
                break;
            }
            done += bytes.len() as u64;
        }
        Ok(())
    }
}

fn before_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}
