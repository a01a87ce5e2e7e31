//! An atomic write under a lock: it is complete or absent, even if the writer is killed in the middle.
//!
//! The kernel releases the lock of a killed holder, but does not revert half a write. So the writer first puts all data
//! into a segment beside the object, the journal, and marks it complete in one store. Then it copies the data and
//! removes the segment. The mark is the moment of the write: readers that find such a segment read through it, and the
//! next writer completes the copy. A segment without the mark is removed by the next writer.
//!
//! The segment's key is a hash of the object, so that it is found under any lock, and by a process that removes the
//! object. If another program uses that key, the next of 8 keys is used.
//!
//! The segment has the owner and the permission bits of the object: a process that can read the object can read the
//! journal, one that can write marks the copy as done, and the owner removes it. Any process can create a segment with
//! that key. It counts only if its owner, its creator and its permissions allow nothing that writing to the object
//! does not. A writer whose segment would not count is refused before it writes.

mod entry;
mod subject;

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::unistd::{Gid, getegid, geteuid, setegid};

use crate::args::creating::user;
use crate::exit::{Cause, Exit, words};
use crate::output;
use crate::sys::mapping::Mapping;
use crate::sys::memory::Memory;
use crate::sys::sysv::shm::Segment;
use crate::sys::sysv::{Change, Key, Perm};
use crate::target::name_key;

use entry::{DATA, JournalEntry};
pub use entry::{Extent, Rest, Writes};
use subject::SHARED;
pub use subject::Subject;

const SLOTS: u8 = 8;
const MAGIC: u64 = 0x6970_6362_6f78_4a33;
/// The number of words that identify the object's place, and of all words: those of its life and of the write follow.
const PLACE_WORDS: usize = 4;
const WORDS: usize = 9;
const MARK: usize = 96;
const COMPLETE: i32 = 1;
const COPIED: i32 = 2;

/// The journal of an object. The caller holds a lock.
#[derive(Debug, Clone, Copy)]
pub struct Journal(Subject);

/// A segment that a killed writer left.
struct Left {
    segment: Segment,
    /// Its write, if that is complete.
    entry: Option<JournalEntry>,
    /// Its creator, if it does not count.
    stranger: Option<u32>,
}

impl Left {
    /// Returns its write. Reports one that does not count.
    fn write(self) -> Option<JournalEntry> {
        let Self { entry, stranger, .. } = self;
        entry.filter(|_| {
            stranger.is_none_or(|uid| {
                output::report(&unbelieved(uid).into());
                false
            })
        })
    }
}

impl Journal {
    /// Returns the journal of `object`.
    pub const fn new(object: Subject) -> Self {
        Self(object)
    }

    fn key(&self, slot: u8) -> Key {
        let words = [MAGIC, u64::from(slot)].into_iter().chain(self.0.place);
        name_key(&words.flat_map(u64::to_ne_bytes).collect::<Vec<_>>())
    }

    /// Returns the keys that its segments can have.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        (0..SLOTS).map(move |slot| self.key(slot))
    }

    fn header(&self, life: [u64; 2], extent: Extent) -> [u64; WORDS] {
        let [family, device, number] = self.0.place;
        let Extent { offset, len, rest } = extent;
        [MAGIC, family, device, number, life[0], life[1], offset, len, rest as u64]
    }

    fn left(&self) -> Result<Vec<Left>> {
        let mut left = Vec::new();
        for key in self.keys() {
            let segment = match Segment::find(key) {
                Err(Errno::ENOENT) => continue,
                found => found?,
            };
            match self.look(segment) {
                Ok(found) => left.extend(found),
                Err(error) => match error.downcast_ref() {
                    Some(Errno::EINVAL | Errno::EIDRM) => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(left)
    }

    /// Reads a segment of this journal; `None` if it belongs to another object.
    fn look(&self, segment: Segment) -> Result<Option<Left>> {
        let stat = segment.stat()?;
        let is_idle = stat.attached == 0;
        if stat.perm.mode & 0o200 == 0 {
            // It does not have its owner and its mode yet.
            return Ok(is_idle.then_some(Left { segment, entry: None, stranger: None }));
        }
        let Some(room) = stat.size.checked_sub(DATA as u64) else { return Ok(None) };
        let counts = self.0.admits(&stat.perm);
        let bytes = match segment.attach(false) {
            Err(Errno::EACCES) if counts => bail!(out_of_reach(&stat.perm)),
            Err(Errno::EACCES) => return Ok(None),
            bytes => bytes?,
        };
        let mut words = [0; WORDS];
        for (n, word) in words.iter_mut().enumerate() {
            let mut raw = [0; 8];
            bytes.read_at(n * 8, &mut raw)?;
            *word = u64::from_ne_bytes(raw);
        }
        let [.., born, seen, offset, len, rest] = words;
        let (life, extent) = ([born, seen], Extent { offset, len, rest: Rest::of(rest) });
        let header = self.header(life, extent);
        // A writer can be killed before any of the words.
        let is_ours = words.iter().zip(header).take(PLACE_WORDS).all(|(a, b)| *a == b || *a == 0);
        let complete = bytes.word(MARK)?.load(Ordering::SeqCst) == COMPLETE;
        // A journal of an earlier object in this place can only be removed.
        let may_cut = self.0.is_file() && offset == 0;
        let counts_here =
            words == header && len <= room && (extent.rest != Rest::Cut || may_cut) && self.0.is_of(life, &stat);
        let entry = (complete && counts_here).then_some(JournalEntry { bytes, extent });
        // An attached process that has not completed it writes under another lock.
        if !is_ours || (entry.is_none() && !is_idle) {
            return Ok(None);
        }
        let stranger = (!counts).then_some(stat.perm.creator_uid);
        Ok(Some(Left { segment, entry, stranger }))
    }

    /// Returns the complete writes that have not been copied yet.
    ///
    /// # Errors
    /// A journal cannot be read.
    pub fn writes(&self) -> Result<Writes> {
        Ok(self.left()?.into_iter().filter_map(Left::write).collect())
    }

    /// Completes the writes of killed writers, and removes their segments.
    ///
    /// # Errors
    /// A journal cannot be read or written.
    pub fn complete(&self, memory: &Memory) -> Result<()> {
        for left in self.left()? {
            let (segment, entry) = (left.segment, left.write());
            if let Some(entry) = &entry {
                entry.copy(memory)?;
            }
            if segment.remove() == Err(Errno::EPERM) {
                // Its owner removes it. It no longer counts.
                match (segment.attach(true), entry) {
                    (Ok(bytes), _) => bytes.word(MARK)?.store(COPIED, Ordering::SeqCst),
                    (Err(Errno::EACCES), Some(_)) => bail!(out_of_reach(&segment.stat()?.perm)),
                    (Err(_), _) => {}
                }
            }
        }
        Ok(())
    }

    /// Changes the attributes of a segment by `change`. Its journals keep counting.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn keep(&self, change: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
        let left = self.left().unwrap_or_default();
        // A journal that is older than the last change of its segment does not count.
        let renew = || {
            for left in left.iter().filter(|left| left.entry.is_some()) {
                let _ = left.segment.change(Change::default());
            }
        };
        // Before the change as well: if this process is killed after it, both are most likely of the same second.
        renew();
        change()?;
        renew();
        Ok(())
    }

    /// Removes the segments that killed writers of a removed object left.
    ///
    /// # Errors
    /// `EPERM`: some belong to other users. Those of the search.
    pub fn remove(&self) -> Result<()> {
        let left = self.left()?.into_iter();
        match left.filter(|left| left.segment.remove() == Err(Errno::EPERM)).count() {
            0 => Ok(()),
            _ => Err(Errno::EPERM.into()),
        }
    }

    /// Writes. `fill` puts the bytes into the given mapping at the given offset.
    ///
    /// # Errors
    /// There is no room for the journal, or it would not count; those of `fill`. Then nothing was written.
    pub fn write(
        &self,
        memory: &Memory,
        extent: Extent,
        fill: impl FnOnce(&Mapping, usize) -> Result<()>,
    ) -> Result<()> {
        let segment = self.begin(extent)?;
        let prepared = || {
            let bytes = segment.attach(true)?;
            for (n, word) in self.header(self.0.life, extent).into_iter().enumerate() {
                bytes.write_at(n * 8, &word.to_ne_bytes())?;
            }
            fill(&bytes, DATA)?;
            let promised = match extent.rest {
                Rest::Cleared => memory.size()?.max(extent.end()) - extent.offset,
                Rest::Kept | Rest::Cut => extent.len,
            };
            memory.promise(extent.offset, promised)?;
            bytes.word(MARK)?.store(COMPLETE, Ordering::SeqCst);
            Ok::<_, anyhow::Error>(JournalEntry { bytes, extent })
        };
        let remove = || match segment.remove() {
            // Another process removed the object and its journal.
            Ok(()) | Err(Errno::EINVAL | Errno::EIDRM) => Ok(()),
            removed => removed,
        };
        match prepared() {
            // After a failed copy, readers use the journal, and the next writer copies it again.
            Ok(entry) => entry.copy(memory).map_err(not_copied)?,
            Err(error) => {
                remove()?;
                return Err(error);
            }
        }
        Ok(remove()?)
    }

    /// Creates the segment for a write, with the owner and the permission bits of the object.
    fn begin(&self, extent: Extent) -> Result<Segment> {
        let Subject { uids: [uid, _], gids, mode, .. } = self.0;
        let (user, group) = (geteuid().as_raw(), getegid());
        // The creator's group has a group's permissions, beside the owner's. A privileged process can choose it.
        let switched = !gids.contains(&group.as_raw()) && setegid(Gid::from_raw(gids[0])).is_ok();
        let creator_gid = if switched { gids[0] } else { group.as_raw() };
        let gid = if creator_gid == gids[0] { gids[1] } else { gids[0] };
        let mode = mode & SHARED | 0o600;
        let perm = Perm { key: 0, uid, gid, creator_uid: user, creator_gid, mode };
        let begun = if self.0.admits(&perm) { self.create(extent, &perm) } else { Err(self.0.refused(&perm).into()) };
        if switched {
            setegid(group)?;
        }
        begun
    }

    fn create(&self, extent: Extent, perm: &Perm) -> Result<Segment> {
        let size = extent.len.saturating_add(DATA as u64);
        let is_given = (perm.uid, perm.gid) != (perm.creator_uid, perm.creator_gid);
        let first_mode = if is_given { 0o400 } else { perm.mode };
        let Some(segment) = self
            .keys()
            .map(|key| Segment::create(key, size, first_mode, false))
            .find(|created| *created != Err(Errno::EEXIST))
        else {
            let words = "killed writers left segments that only their owners can remove";
            bail!(Cause::new(Exit::Failed, words).hint("list the segments of all users: ipcs -m"));
        };
        let segment = segment.map_err(no_room)?;
        let change = Change { uid: Some(perm.uid), gid: Some(perm.gid), mode: Some(perm.mode) };
        if is_given && let Err(errno) = segment.change(change) {
            segment.remove()?;
            bail!(Cause::from_errno(errno, "cannot change the owner of the write journal to that of the object"));
        }
        Ok(segment)
    }
}

fn no_room(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::ENOSPC | Errno::ENOMEM | Errno::EINVAL => {
            let words = "no room for the journal of a locked write";
            let hint = "list the limits of segments: ipcs -lm";
            Cause::from_errno(errno, words).hint(hint).into()
        }
        errno => errno.into(),
    }
}

fn not_copied(errno: Errno) -> Cause {
    let words = match errno {
        Errno::EFAULT => "the object was truncated during the write".into(),
        errno => words(errno),
    };
    Cause::from_errno(errno, words).hint("repeat the locked write to complete the copy")
}

/// The warning about a journal that does not count.
fn unbelieved(uid: u32) -> Cause {
    let words = format!("ignored an unfinished write by {}, who lacks write permission", user(uid));
    Cause::new(Exit::Denied, words).hint("repeat shm write --lock as the owner of the object")
}

/// The failure to read a journal because the object's permissions have changed since.
fn out_of_reach(perm: &Perm) -> Cause {
    let words = format!("no permission to complete the unfinished write by {}", user(perm.creator_uid));
    Cause::from_errno(Errno::EACCES, words).hint("repeat shm write --lock as the owner of the object")
}
