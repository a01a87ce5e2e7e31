//! `shm write`.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::object::atomic_word::wake;
use super::object::locking::{Locking, ObjectGuard};
use super::object::payload::Payload;
use super::object::{creatable, create_writable, no_space, open, open_or_create, unnamed, within};
use super::{context, is_posix};
use crate::applets::Verb;
use crate::args::creating::Creating;
use crate::args::size;
use crate::exit::{Cause, Exit};
use crate::semset::journal::{self, Extent, Journal, Rest};
use crate::sys::memory::Memory;
use crate::sys::posix::shm::Object;
use crate::sys::transfer;
use crate::target::Target;
use crate::text::counted;

/// The longest write, in bytes, that wakes the waiters for its words.
const WAKING: u64 = 4096;

/// Writes the bytes unchanged, and adds no newline or NUL at the end. Writes nothing if TEXT or a file on standard
/// input does not fit. A stream, such as a pipe, is written until the object is full; if data remains, the status is 1.
///
/// With the same --lock, a reader sees the whole write or none of it, even if the writer is killed. With --lock, a
/// stream is read to EOF before the lock is taken.
#[derive(Args)]
pub struct Write {
    /// Segment or POSIX object to write to
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Text to write instead of standard input
    #[arg(value_name = "TEXT", allow_negative_numbers = true)]
    text: Option<OsString>,
    /// Start at byte offset N (default: 0)
    #[arg(long, value_name = "N", value_parser = size::parse, default_value_t = 0)]
    offset: u64,
    /// Create a missing object, as large as the data
    #[arg(long, help_heading = "Creating")]
    create: bool,
    /// Set the rest of the object to zeros
    #[arg(long)]
    clear: bool,
    /// Replace the content, and resize to fit it (POSIX)
    ///
    /// Processes that have the object open or mapped see the new content.
    #[arg(long, conflicts_with_all = ["offset", "clear"])]
    replace: bool,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    creating: Creating,
}

impl Verb for Write {
    const NAME: &'static str = "write";
    const SUMMARY: &'static str = "Write TEXT or standard input to shared memory";
    const EXAMPLES: &'static str = r#"
# Publish a text; readers with the same lock see all of it or none
echo '{"level": 3}' | ipcbox shm write /conf \
  --create --replace --lock conf
"#;

    fn run(mut self) -> Result<Exit> {
        let text = self.text.take();
        context("write to", &self.target, self.write(text))?;
        Ok(Exit::Done)
    }
}

impl Write {
    fn write(&self, text: Option<OsString>) -> Result<()> {
        if self.replace && !is_posix(&self.target) {
            bail!(fixed(&self.target));
        }
        let mut source = Payload::of(text)?;
        if self.locking.is_wanted() || self.replace {
            source = source.spooled()?;
        }
        let held = self.locking.take(&self.target, false, self.creating, self.create)?;
        let mut created = false;
        let memory = if self.create {
            open_or_create(&self.target, self.creating, || {
                if is_posix(&self.target) {
                    let object = self.create_object(&mut source)?;
                    created = true;
                    return Ok(Memory::Object(object));
                }
                self.create_segment(&mut source)
            })?
        } else {
            open(&self.target, true).map_err(|error| {
                creatable(error, &self.target, "add --create to create an object as large as the data")
            })?
        };
        // A new POSIX object already has its bytes.
        let end = if created { memory.size()? } else { self.fill(&source, &memory, held)? };
        let size = memory.size()?;
        self.wake(memory, end)?;
        if end == size && !created && !self.replace && source.has_more()? {
            let written = counted(usize::try_from(size - self.offset)?, "byte");
            let words = format!("input truncated after {written}, at the end of the object");
            bail!(Cause::new(Exit::Failed, words));
        }
        Ok(())
    }

    /// Creates a segment that is as large as the data.
    fn create_segment(&self, source: &mut Payload) -> Result<Memory> {
        let known = std::mem::replace(source, Payload::Stream(None)).spooled()?;
        let len = known.len().unwrap_or(0);
        *source = known;
        let size = self.offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        if size == 0 {
            bail!(Cause::new(Exit::Failed, "there is no data, but a segment needs at least 1 byte"));
        }
        create_writable(&self.target, size, self.creating)
    }

    /// Creates a POSIX object with the data in it. If another process was faster (`EEXIST`), the data is kept.
    fn create_object(&self, source: &mut Payload) -> Result<Object> {
        let len = source.len().unwrap_or(0);
        let size = self.offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        let object = unnamed(size)?;
        let len = source.fill(&object, self.offset).map_err(|errno| match errno {
            Errno::ENOSPC => Cause::from_errno(errno, "no space left in /dev/shm; nothing was created"),
            errno => no_space(errno, size),
        })?;
        match object.publish(self.target.typed(), self.creating.bits()) {
            Err(Errno::EEXIST) => {
                transfer::seek(&object, self.offset)?;
                *source = Payload::Spooled(object.into(), len);
                bail!(Errno::EEXIST)
            }
            published => Ok(published.map(|()| object)?),
        }
    }

    /// Writes to an existing object, and returns the offset of the end of the data.
    fn fill(&self, source: &Payload, memory: &Memory, held: Option<ObjectGuard>) -> Result<u64> {
        let size = memory.size()?;
        if !self.replace {
            within(self.offset, source.len().unwrap_or(0), size)?;
        }
        let end = match (held, source.len()) {
            (Some(held), Some(len)) => {
                let journal = Journal::new(journal::Subject::of(memory)?);
                journal.complete(memory)?;
                let rest = match (self.replace, self.clear) {
                    (true, _) => Rest::Cut,
                    (false, true) => Rest::Cleared,
                    (false, false) => Rest::Kept,
                };
                let extent = Extent { offset: self.offset, len, rest };
                journal.write(memory, extent, |mapping, at| source.put_whole(mapping, at, len))?;
                held.release()?;
                return Ok(self.offset + len);
            }
            (None, Some(len)) if self.replace => {
                memory.promise(0, len)?;
                if size < len {
                    memory.resize(len)?;
                }
                let end = source.put(memory, 0, len)?;
                memory.resize(end)?;
                end
            }
            _ => self.offset + source.put(memory, self.offset, size - self.offset)?,
        };
        if self.clear {
            memory.clear(end, size - end)?;
        }
        Ok(end)
    }

    fn wake(&self, memory: Memory, end: u64) -> Result<()> {
        let size = memory.size()?;
        let first = self.offset - self.offset % 4;
        let cleared = self.clear && size.saturating_sub(self.offset) <= WAKING;
        let last = if cleared { size } else { end.next_multiple_of(4).min(size) };
        if end - self.offset > WAKING || first >= last {
            return Ok(());
        }
        let len = usize::try_from(last - first)?;
        let (mapping, at) = memory.words(first, len, false)?;
        wake(&mapping, at, len)
    }
}

fn fixed(target: &Target) -> Cause {
    let words = "--replace needs a POSIX object: the size of a segment is fixed";
    let name = target.name().map_or("NAME".into(), |name| name.display().to_string());
    Cause::new(Exit::Usage, words).hint(format!("write to /{name}, a POSIX object"))
}
