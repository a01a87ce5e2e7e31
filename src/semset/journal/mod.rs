//! A write under a lock that is whole or absent, although its writer can be killed in the middle of it.
//!
//! The kernel gives back a lock whose holder is killed, but not half a write. So the writer puts all that it will write
//! into a segment beside the object and marks it complete, in one store; then it copies, then it removes the segment.
//! From the mark on the write has happened: a reader that finds such a segment reads through it, and the next writer
//! completes the copy. Without the mark it has not, and the next writer removes the rest.
//!
//! The segment's key is a hash of the object, so that it is found under whatever lock the object is used next, and by
//! who removes the object. Somebody else can have taken that key: then the next one of a few is used.
//!
//! The segment belongs to the owner of the object and has its permission bits: who may read the one reads the other,
//! who may write it marks that the copy is done, and its owner removes it. Anybody can make a segment with that key. It
//! counts only where neither its creator nor anybody who can write to it could do more by it than write to the object,
//! which the kernel tells of both for everybody alike. A writer whose segment would not count is refused before it
//! writes.

mod entry;
mod object;

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
pub use object::Object;
use object::SHARED;

/// How many keys are tried.
const SLOTS: u8 = 8;
/// The first word of every journal.
const MAGIC: u64 = 0x6970_6362_6f78_4a33;
/// How many words say whose place it is, and how many there are: then come the object's life and the write.
const PLACE_WORDS: usize = 4;
const WORDS: usize = 9;
/// Where the mark is.
const MARK: usize = 96;
/// The write is complete here, and to be seen.
const COMPLETE: i32 = 1;
/// It was copied.
const COPIED: i32 = 2;

/// The journal of an object, under a lock that the caller holds.
#[derive(Debug, Clone, Copy)]
pub struct Journal(Object);

/// What a killed writer left.
struct Left {
    segment: Segment,
    /// Its write, where that is complete.
    entry: Option<JournalEntry>,
    /// Who left it, where that does not count.
    stranger: Option<u32>,
}

impl Left {
    /// Its write; that one does not count is told.
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
    /// That of `object`.
    pub const fn new(object: Object) -> Self {
        Self(object)
    }

    fn key(&self, slot: u8) -> Key {
        let words = [MAGIC, u64::from(slot)].into_iter().chain(self.0.place);
        name_key(&words.flat_map(u64::to_ne_bytes).collect::<Vec<_>>())
    }

    /// The keys that its segments can have.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        (0..SLOTS).map(move |slot| self.key(slot))
    }

    fn header(&self, life: [u64; 2], extent: Extent) -> [u64; WORDS] {
        let [family, device, number] = self.0.place;
        let Extent { offset, len, rest } = extent;
        [MAGIC, family, device, number, life[0], life[1], offset, len, rest as u64]
    }

    /// What killed writers left.
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
                    // It was removed meanwhile.
                    Some(Errno::EINVAL | Errno::EIDRM) => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(left)
    }

    /// What a segment is to this journal; nothing where it is another's.
    fn look(&self, segment: Segment) -> Result<Option<Left>> {
        let stat = segment.stat()?;
        let is_idle = stat.attached == 0;
        if stat.perm.mode & 0o200 == 0 {
            // It has not been given its owner and its mode yet.
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
        // A writer can be killed at each of its words, the first included.
        let is_ours = words.iter().zip(header).take(PLACE_WORDS).all(|(a, b)| *a == b || *a == 0);
        let complete = bytes.word(MARK)?.load(Ordering::SeqCst) == COMPLETE;
        // What is of an object that had this place before can only be removed.
        let may_cut = self.0.is_file() && offset == 0;
        let counts_here =
            words == header && len <= room && (extent.rest != Rest::Cut || may_cut) && self.0.is_of(life, &stat);
        let entry = (complete && counts_here).then_some(JournalEntry { bytes, extent });
        // Who has it attached and has not come so far writes under another lock.
        if !is_ours || (entry.is_none() && !is_idle) {
            return Ok(None);
        }
        let stranger = (!counts).then_some(stat.perm.creator_uid);
        Ok(Some(Left { segment, entry, stranger }))
    }

    /// The writes that were complete and are not yet copied.
    ///
    /// # Errors
    /// A journal may not be read.
    pub fn writes(&self) -> Result<Writes> {
        Ok(self.left()?.into_iter().filter_map(Left::write).collect())
    }

    /// Completes the copies that killed writers left, and removes what else they left.
    ///
    /// # Errors
    /// A journal may not be read or written.
    pub fn complete(&self, memory: &Memory) -> Result<()> {
        for left in self.left()? {
            let (segment, entry) = (left.segment, left.write());
            if let Some(entry) = &entry {
                entry.copy(memory)?;
            }
            if segment.remove() == Err(Errno::EPERM) {
                // Its owner removes it; it counts no more.
                match (segment.attach(true), entry) {
                    (Ok(bytes), _) => bytes.word(MARK)?.store(COPIED, Ordering::SeqCst),
                    (Err(Errno::EACCES), Some(_)) => bail!(out_of_reach(&segment.stat()?.perm)),
                    (Err(_), _) => {}
                }
            }
        }
        Ok(())
    }

    /// Changes the attributes of a segment by `change`; a write that was left of it keeps counting.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn keep(&self, change: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
        let left = self.left().unwrap_or_default();
        // A journal that is older than the last change of its segment counts no more.
        let renew = || {
            for left in left.iter().filter(|left| left.entry.is_some()) {
                let _ = left.segment.change(Change::default());
            }
        };
        // Before the change as well: should this process be killed after it, both most likely have the same second.
        renew();
        change()?;
        renew();
        Ok(())
    }

    /// Removes what killed writers left of an object that is gone.
    ///
    /// # Errors
    /// `EPERM`: some of it belongs to others. Those of looking for it.
    pub fn remove(&self) -> Result<()> {
        let left = self.left()?.into_iter();
        match left.filter(|left| left.segment.remove() == Err(Errno::EPERM)).count() {
            0 => Ok(()),
            _ => Err(Errno::EPERM.into()),
        }
    }

    /// Writes: `fill` puts the bytes into the mapping it is given, at the place it is given.
    ///
    /// # Errors
    /// There is no room for the journal, or it would not count; what `fill` says. Then nothing was written.
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
            // Somebody removed the object, and this with it.
            Ok(()) | Err(Errno::EINVAL | Errno::EIDRM) => Ok(()),
            removed => removed,
        };
        match prepared() {
            // A copy that fails leaves the journal, from which the write is read, and copied again by the next writer.
            Ok(entry) => entry.copy(memory).map_err(not_copied)?,
            Err(error) => {
                remove()?;
                return Err(error);
            }
        }
        Ok(remove()?)
    }

    /// A new segment for a write, with the owner and the permission bits of the object.
    fn begin(&self, extent: Extent) -> Result<Segment> {
        let Object { uids: [uid, _], gids, mode, .. } = self.0;
        let (user, group) = (geteuid().as_raw(), getegid());
        // The group of who creates a segment has a group's rights beside that of its owner. Who is privileged can
        // choose it.
        let switched = !gids.contains(&group.as_raw()) && setegid(Gid::from_raw(gids[0])).is_ok();
        let creator_gid = if switched { gids[0] } else { group.as_raw() };
        let gid = if creator_gid == gids[0] { gids[1] } else { gids[0] };
        let mode = mode & SHARED | 0o600;
        let perm = Perm { key: 0, uid, gid, creator_uid: user, creator_gid, mode };
        let begun = if self.0.admits(&perm) { self.make(extent, &perm) } else { Err(self.0.refused(&perm).into()) };
        if switched {
            setegid(group)?;
        }
        begun
    }

    fn make(&self, extent: Extent, perm: &Perm) -> Result<Segment> {
        let size = extent.len.saturating_add(DATA as u64);
        let is_given = (perm.uid, perm.gid) != (perm.creator_uid, perm.creator_gid);
        let first_mode = if is_given { 0o400 } else { perm.mode };
        let Some(segment) = self
            .keys()
            .map(|key| Segment::create(key, size, first_mode, false))
            .find(|made| *made != Err(Errno::EEXIST))
        else {
            let words = "killed writers of other users left their copies, and may remove them";
            bail!(Cause::new(Exit::Failed, words).hint("ipcs -m shows the segments of others"));
        };
        let segment = segment.map_err(no_room)?;
        let change = Change { uid: Some(perm.uid), gid: Some(perm.gid), mode: Some(perm.mode) };
        if is_given && let Err(errno) = segment.change(change) {
            segment.remove()?;
            bail!(Cause::from_errno(
                errno,
                "the copy that a locked write keeps of its data cannot be given to the owner"
            ));
        }
        Ok(segment)
    }
}

fn no_room(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::ENOSPC | Errno::ENOMEM | Errno::EINVAL => {
            let words = "no room for the copy that a locked write keeps of its data";
            let hint = "ipcs -lm shows the limits of segments, and ipcs -um what is used";
            Cause::from_errno(errno, words).hint(hint).into()
        }
        errno => errno.into(),
    }
}

/// A write that is complete and could not be copied to the object.
fn not_copied(errno: Errno) -> Cause {
    let words = match errno {
        Errno::EFAULT => "it was made shorter meanwhile".into(),
        errno => words(errno),
    };
    Cause::from_errno(errno, words).hint("readers under a lock see the new data; the next locked write copies it again")
}

/// What a complete write is that somebody left who may not write.
fn unbelieved(uid: u32) -> Cause {
    let words =
        format!("a write that {} left unfinished does not count: permissions do not allow it, or no longer", user(uid));
    Cause::new(Exit::Denied, words).hint("the next locked write of the owner removes it")
}

/// A journal that may not be used: the object's permissions changed after it was made.
fn out_of_reach(perm: &Perm) -> Cause {
    let words = format!("a write that {} left unfinished is not for this user", user(perm.creator_uid));
    Cause::from_errno(Errno::EACCES, words).hint("the next locked write of the owner completes it")
}
