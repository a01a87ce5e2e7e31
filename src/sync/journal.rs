//! A write under a lock that is whole or absent, although its writer can be killed in the middle of it.
//!
//! The kernel gives back a lock whose holder is killed, but not half a write. So the writer puts all that it will write
//! into a segment beside the object and marks it complete, in one store; then it copies, then it removes the segment. From
//! the mark on the write has happened: a reader that finds such a segment reads through it, and the next writer
//! completes the copy. Without the mark it has not, and the next writer removes the rest.
//!
//! The segment's key is a hash of the lock's id and the object. Somebody else can have taken that key, or have left a
//! segment that only its owner can remove: then the next one of a few keys is used. A segment counts
//! only where the one who created it could have written to the object anyway.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::lock::Lock;
use crate::exit::{Cause, Exit};
use crate::sys::mapping::Mapping;
use crate::sys::memory::Memory;
use crate::sys::sysv::shm::{Segment, Stat};
use crate::sys::sysv::{Key, Perm};
use crate::target::name_key;

/// How many keys are tried.
const SLOTS: u8 = 16;
/// The first word of every journal.
const MAGIC: u64 = 0x6970_6362_6f78_4a31;
/// How many words describe the write.
const WORDS: usize = 8;
/// Where the mark is.
const MARK: usize = WORDS * 8;
/// Where the bytes are.
const DATA: usize = 128;
/// What is copied at a time.
const STEP: usize = 64 << 10;

/// The write is complete here, and to be seen.
const COMPLETE: i32 = 1;
/// It was copied.
const COPIED: i32 = 2;

/// The object that is written, and who may.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// What tells it from every other one.
    pub identity: [u64; 3],
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// A write: so many bytes at an offset, and what follows made zero or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Whether the rest of the object is made zero.
    pub clears: bool,
}

/// The journal of an object under a lock, which the caller holds.
#[derive(Debug, Clone, Copy)]
pub struct Journal {
    lock: Lock,
    object: Object,
}

/// A write that is complete in its journal.
struct Entry {
    bytes: Mapping,
    extent: Extent,
}

impl Journal {
    /// That of `object` under `lock`.
    #[must_use]
    pub const fn new(lock: Lock, object: Object) -> Self {
        Self { lock, object }
    }

    fn key(&self, slot: u8) -> Key {
        let lock = i64::from(self.lock.set.id()).cast_unsigned();
        let words = [MAGIC, lock, u64::from(slot)].into_iter().chain(self.object.identity);
        name_key(&words.flat_map(u64::to_ne_bytes).collect::<Vec<_>>())
    }

    fn header(&self, extent: Extent) -> [u64; WORDS] {
        let lock = i64::from(self.lock.set.id()).cast_unsigned();
        let [kind, device, number] = self.object.identity;
        let Extent { offset, len, clears } = extent;
        [MAGIC, lock, kind, device, number, offset, len, u64::from(clears)]
    }

    /// Whether the one who created a segment could have written to the object.
    fn trusts(&self, perm: &Perm) -> bool {
        let Object { uid, gid, mode, .. } = self.object;
        let known = [0, geteuid().as_raw(), uid].contains(&perm.creator_uid);
        known || mode & 0o002 != 0 || (mode & 0o020 != 0 && perm.creator_gid == gid)
    }

    /// The journal's segments, those of somebody who may not write left out.
    fn segments(&self) -> Result<Vec<(Segment, Stat)>> {
        let mut found = Vec::new();
        for slot in 0..SLOTS {
            let segment = match Segment::find(self.key(slot)) {
                Err(Errno::ENOENT) => break,
                found => found?,
            };
            let stat = segment.stat()?;
            if self.trusts(&stat.perm) {
                found.push((segment, stat));
            }
        }
        Ok(found)
    }

    /// The write in a segment, if it is complete and of this object.
    fn entry(&self, segment: Segment, stat: &Stat) -> Result<Option<Entry>> {
        let room = stat.size.saturating_sub(DATA as u64);
        if stat.size < DATA as u64 {
            return Ok(None);
        }
        let bytes = segment.attach(false)?;
        let mut words = [0; WORDS];
        for (n, word) in words.iter_mut().enumerate() {
            let mut raw = [0; 8];
            bytes.read_at(n * 8, &mut raw)?;
            *word = u64::from_ne_bytes(raw);
        }
        let [.., offset, len, clears] = words;
        let extent = Extent { offset, len, clears: clears != 0 };
        let complete = bytes.word(MARK)?.load(Ordering::SeqCst) == COMPLETE;
        let ours = words == self.header(extent) && len <= room;
        Ok((complete && ours).then_some(Entry { bytes, extent }))
    }

    /// Puts the writes that were complete and are not yet copied over `bytes`, which were read at `offset`.
    ///
    /// # Errors
    /// A journal may not be read.
    pub fn read_through(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        for (segment, stat) in self.segments()? {
            if let Some(entry) = self.entry(segment, &stat)? {
                entry.overlay(offset, bytes)?;
            }
        }
        Ok(())
    }

    /// Completes the copies that killed writers left, and removes what else they left.
    ///
    /// # Errors
    /// A journal may not be read or written.
    pub fn complete(&self, memory: &Memory) -> Result<()> {
        for (segment, stat) in self.segments()? {
            if let Some(entry) = self.entry(segment, &stat)? {
                entry.copy(memory)?;
                segment.attach(true)?.word(MARK)?.store(COPIED, Ordering::SeqCst);
            }
            match segment.remove() {
                // Its owner removes it; it counts no more.
                Ok(()) | Err(Errno::EPERM) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Writes: `fill` puts the bytes into the mapping it is given, at the place it is given.
    ///
    /// # Errors
    /// There is no room for the journal; what `fill` says. Then nothing was written.
    pub fn write(
        &self,
        memory: &Memory,
        extent: Extent,
        fill: impl FnOnce(&Mapping, usize) -> Result<()>,
    ) -> Result<()> {
        let segment = self.begin(extent)?;
        let prepared = || {
            let bytes = segment.attach(true)?;
            for (n, word) in self.header(extent).into_iter().enumerate() {
                bytes.write_at(n * 8, &word.to_ne_bytes())?;
            }
            fill(&bytes, DATA)?;
            bytes.word(MARK)?.store(COMPLETE, Ordering::SeqCst);
            Ok::<_, anyhow::Error>(Entry { bytes, extent })
        };
        let outcome = prepared().and_then(|entry| Ok(entry.copy(memory)?));
        segment.remove()?;
        outcome
    }

    fn begin(&self, extent: Extent) -> Result<Segment> {
        let size = extent.len.saturating_add(DATA as u64);
        // Whoever may take the lock may complete the copy.
        let mode = self.lock.set.stat()?.perm.mode | 0o600;
        for slot in 0..SLOTS {
            match Segment::create(self.key(slot), size, mode, false) {
                Err(Errno::EEXIST) => {}
                Err(errno @ (Errno::ENOSPC | Errno::ENOMEM | Errno::EINVAL)) => {
                    let words = "no room for the copy that a locked write keeps of its data";
                    let hint = "ipcs -lm shows the limits of segments, and ipcs -um what is used";
                    bail!(Cause::told(errno, words).hint(hint));
                }
                created => return Ok(created?),
            }
        }
        let words = "killed writers of other users left their copies, and may remove them";
        bail!(Cause::new(Exit::Failed, words).hint("ipcs -m shows the segments of others"))
    }
}

impl Entry {
    /// Copies it to the object. One that was made shorter meanwhile has lost the rest anyway.
    fn copy(&self, memory: &Memory) -> nix::Result<()> {
        let Extent { offset, len, clears } = self.extent;
        let mut buffer = vec![0; STEP];
        let size = memory.size()?;
        let len = len.min(size.saturating_sub(offset));
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(usize::MAX).min(STEP);
            self.bytes.read_at(DATA + index(done)?, &mut buffer[..step])?;
            memory.write_at(offset + done, &buffer[..step])?;
            done += step as u64;
        }
        let end = offset.saturating_add(len);
        if clears && end < size { memory.clear(end, size - end) } else { Ok(()) }
    }

    /// Puts it over `bytes`, which were read at `at`.
    fn overlay(&self, at: u64, bytes: &mut [u8]) -> nix::Result<()> {
        let Extent { offset, len, clears } = self.extent;
        let end = at.saturating_add(bytes.len() as u64);
        let last = offset.saturating_add(len);
        let (from, to) = (offset.max(at), last.min(end));
        if from < to {
            let place = index(from - at)?..index(to - at)?;
            self.bytes.read_at(DATA + index(from - offset)?, &mut bytes[place])?;
        }
        if clears && last < end {
            bytes[index(last.max(at) - at)?..].fill(0);
        }
        Ok(())
    }
}

fn index(at: u64) -> nix::Result<usize> {
    usize::try_from(at).map_err(|_| Errno::EFAULT)
}
