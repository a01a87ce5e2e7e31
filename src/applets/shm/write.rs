//! `shm write`.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::object::atomic_word::wake;
use super::object::locking::{Held, Locking};
use super::object::source::Source;
use super::object::{create_writable, no_space, open, open_or_create, unnamed, within};
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

/// The longest write that wakes who waits for a word in it, in bytes.
const WAKING: u64 = 4096;

/// TEXT byte for byte, without a newline or a NUL added, else standard input to its end. What is known to be too long
/// (TEXT, a file as standard input) is refused before a byte is written; a stream that turns out too long stops at the
/// end of the object, with status 1 and how much was written.
///
/// With --create a missing object is made as large as the data needs. A stream is read to its end before that. A POSIX
/// object then appears whole or not at all.
///
/// A write of at most 4 KiB wakes who waits for a word in it (shm wait); a longer one wakes nobody. What --clear makes
/// zero counts with it, up to the end of the object: where that makes it longer, who waits for a word of that is not
/// woken.
///
/// With --replace the content of a POSIX object becomes exactly the data, and its size follows. It stays the same
/// object: whoever has it open or mapped sees the new content. A segment has a fixed size and no length of its own, so
/// that --replace refuses it.
///
/// With --lock a reader that takes the same lock sees all of the write or nothing of it, also where the writer is
/// killed in the middle: a copy of the data is kept beside the object, as a segment, until it is written. What a killed
/// writer leaves is completed by the next locked write, under whatever lock, and goes with the object (shm rm). A
/// stream is read to its end before the lock is taken.
///
/// The copy has the owner, the group and the permission bits of the object. Where they allow the group what they do not
/// allow all others, who writes has to have that group as its own (sg, newgrp), not among its further ones: else the
/// write is refused.
#[derive(Args)]
pub struct Write {
    /// The segment or POSIX object
    #[arg(value_name = "TARGET")]
    target: Target,
    /// What to write instead of standard input
    #[arg(value_name = "TEXT", allow_negative_numbers = true)]
    text: Option<OsString>,
    /// Begin there, in bytes from the start
    #[arg(long, value_name = "N", value_parser = size::parse, default_value_t = 0)]
    offset: u64,
    /// Make it if it is missing, as large as the data needs
    #[arg(long)]
    create: bool,
    /// Make zero what follows the data
    #[arg(long)]
    clear: bool,
    /// Make the data the whole content; the size follows (POSIX)
    #[arg(long, conflicts_with_all = ["offset", "clear"])]
    replace: bool,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    creating: Creating,
}

impl Verb for Write {
    const NAME: &'static str = "write";
    const SUMMARY: &'static str = "Write TEXT or standard input";
    const EXAMPLES: &'static str = r#"
# Publish a text: readers under the same lock see all of it or nothing
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
        let mut source = Source::of(text)?;
        if self.locking.is_wanted() || self.replace {
            source = source.spooled()?;
        }
        let held = self.locking.take(&self.target, false, self.creating, self.create)?;
        let mut made = false;
        let memory = if self.create {
            open_or_create(&self.target, self.creating, || {
                if is_posix(&self.target) {
                    let object = self.create_object(&mut source)?;
                    made = true;
                    return Ok(Memory::Object(object));
                }
                self.create_segment(&mut source)
            })?
        } else {
            open(&self.target, true)?
        };
        // A new POSIX object was born with its bytes.
        let end = if made { memory.size()? } else { self.fill(&source, &memory, held)? };
        let size = memory.size()?;
        self.wake(memory, end)?;
        if end == size && !made && !self.replace && source.has_more()? {
            let words = match usize::try_from(size - self.offset)? {
                0 => "it has no room there".into(),
                room => {
                    let room = counted(room, "byte");
                    format!("it has room for {room}; what fits was written, and there was more")
                }
            };
            bail!(Cause::new(Exit::Failed, words));
        }
        Ok(())
    }

    /// A new segment that is as large as the data needs.
    fn create_segment(&self, source: &mut Source) -> Result<Memory> {
        let known = std::mem::replace(source, Source::Stream(None)).spooled()?;
        let len = known.len().unwrap_or(0);
        *source = known;
        let size = self.offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        if size == 0 {
            bail!(Cause::new(Exit::Failed, "there is nothing to write, and a segment has at least one byte"));
        }
        create_writable(&self.target, size, self.creating)
    }

    /// A new POSIX object with the data in it. If another process was faster (`EEXIST`), what was read of the source is
    /// kept.
    fn create_object(&self, source: &mut Source) -> Result<Object> {
        let len = source.len().unwrap_or(0);
        let size = self.offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        let object = unnamed(size)?;
        let len = source.fill(&object, self.offset).map_err(|errno| match errno {
            Errno::ENOSPC => Cause::from_errno(errno, "no space left in /dev/shm; nothing was made"),
            errno => no_space(errno, size),
        })?;
        match object.publish(self.target.typed(), self.creating.bits()) {
            Err(Errno::EEXIST) => {
                transfer::seek(&object, self.offset)?;
                *source = Source::Spooled(object.into(), len);
                bail!(Errno::EEXIST)
            }
            published => Ok(published.map(|()| object)?),
        }
    }

    /// Writes to what is there: where the data ends.
    fn fill(&self, source: &Source, memory: &Memory, held: Option<Held>) -> Result<u64> {
        let size = memory.size()?;
        if !self.replace {
            within(self.offset, source.len().unwrap_or(0), size)?;
        }
        let end = match (held, source.len()) {
            (Some(held), Some(len)) => {
                let journal = Journal::new(journal::Object::of(memory)?);
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

    /// Wakes who waits for a word of what was written.
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

/// Why a segment cannot be replaced.
fn fixed(target: &Target) -> Cause {
    let words = "a segment has a fixed size and no length of its own, which --replace needs";
    let name = target.name().map_or("NAME".into(), |name| name.display().to_string());
    Cause::new(Exit::Usage, words).hint(format!("write /{name}: a POSIX object's size follows"))
}
