//! Decides by the attributes of the object and of the segment beside it whether a journal counts.

use crate::exit::{Cause, Exit};
use crate::sys::memory::Memory;
use crate::sys::namespace::pid_namespace;
use crate::sys::posix::shm as posix;
use crate::sys::sysv::Perm;
use crate::sys::sysv::shm::Stat;

/// Permission to read and write for group and others.
pub(super) const SHARED: u32 = 0o066;

/// The first word of a place.
const SEGMENT: u64 = 1;
const FILE: u64 = 2;

/// The object that is written, and its permissions.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its family, and its device and inode number, or its id. A later object can have the same place.
    pub(super) place: [u64; 3],
    /// Distinguishes it from other objects in the same place: see [`is_of`](Self::is_of). 0 is unknown.
    pub(super) life: [u64; 2],
    /// Creation or last change of a segment, seconds since 1970.
    changed: i64,
    /// Users with the permissions of an owner: the owner, and a segment's creator.
    pub(super) uids: [u32; 2],
    /// Groups with the permissions of the group.
    pub(super) gids: [u32; 2],
    pub(super) mode: u32,
}

impl From<&Stat> for Subject {
    fn from(stat: &Stat) -> Self {
        let Perm { gid, creator_gid, mode, .. } = stat.perm;
        Self {
            place: [SEGMENT, 0, i64::from(stat.id).cast_unsigned()],
            life: [0; 2],
            changed: stat.change_time,
            uids: stat.perm.owners(),
            gids: [gid, creator_gid],
            mode,
        }
    }
}

impl From<&posix::Stat> for Subject {
    fn from(stat: &posix::Stat) -> Self {
        Self {
            place: [FILE, stat.device, stat.inode],
            life: [0; 2],
            changed: 0,
            uids: [stat.uid; 2],
            gids: [stat.gid; 2],
            mode: stat.mode,
        }
    }
}

impl Subject {
    /// Returns the object that is open.
    ///
    /// # Errors
    /// It was removed.
    pub fn of(memory: &Memory) -> nix::Result<Self> {
        Ok(match memory {
            Memory::Segment(segment, _) => {
                let stat = segment.stat()?;
                let creator = u64::from(stat.creator_pid.unsigned_abs());
                let life = pid_namespace().map_or([0; 2], |namespace| [namespace, creator]);
                Self { life, ..(&stat).into() }
            }
            Memory::Object(object) => {
                let life = [object.birth().unwrap_or(0), object.generation().unwrap_or(0)];
                let mut it = Self { life, ..(&object.stat()?).into() };
                if object.has_acl()? {
                    // With an access list, the group bits are the most that any entry can have.
                    it.mode &= !0o070;
                }
                it
            }
        })
    }

    pub(super) const fn is_file(&self) -> bool {
        self.place[0] == FILE
    }

    /// Whether a journal of an object in this place and with this `life` belongs to this object.
    ///
    /// An id is used again after some four million segments. A segment created or changed after the journal is another
    /// one. Within the same second its creator distinguishes it, whose pid is comparable only within one PID namespace.
    ///
    /// A new tmpfs can repeat device and inode number. Then the birth time and the inode generation, a random number,
    /// differ. Not every kernel has the first, and some containers forbid reading the second.
    pub(super) fn is_of(&self, life: [u64; 2], journal: &Stat) -> bool {
        if !self.is_file() {
            return self.changed <= journal.change_time && (self.life[0] != life[0] || self.life[1] == life[1]);
        }
        self.life.iter().zip(life).all(|(own, known)| *own == known || *own == 0 || known == 0)
    }

    /// Whether a segment with these permissions can only contain data of users who can write to the object, and only
    /// users who can read the object can read it.
    pub(super) fn admits(&self, perm: &Perm) -> bool {
        let Self { uids, gids, mode, .. } = self;
        let (owners, group) = (uids.contains(&perm.uid), gids.contains(&perm.creator_gid));
        let creator =
            [0, uids[0], uids[1]].contains(&perm.creator_uid) || mode & 0o022 == 0o022 || (mode & 0o020 != 0 && group);
        // If group and others have the same permissions, the group does not matter.
        let same_group = group && gids.contains(&perm.gid);
        let grants = perm.mode & SHARED;
        creator
            && (owners || perm.uid == perm.creator_uid)
            && grants & !mode == 0
            && (same_group || grants & 0o060 == 0 || (mode >> 3 ^ mode) & 0o006 == 0)
    }

    /// Returns why a writer cannot have a journal: it would not prove permission to write, or users outside the group
    /// could read it.
    pub(super) fn refused(&self, perm: &Perm) -> Cause {
        if self.mode & 0o060 == 0 {
            return Cause::new(
                Exit::Denied,
                "the owner and mode of the object do not allow a locked write by this user",
            );
        }
        let words = format!(
            "a locked write needs the group of the object ({}), but the group of this process is {}",
            perm.gid, perm.creator_gid
        );
        Cause::new(Exit::Denied, words).hint(format!("run the write as group {}", perm.gid))
    }
}
