//! Whose journal counts: what the kernel tells of the object and of the segment beside it.

use crate::exit::{Cause, Exit};
use crate::sys::memory::Memory;
use crate::sys::namespace::pid_namespace;
use crate::sys::posix::shm as posix;
use crate::sys::sysv::Perm;
use crate::sys::sysv::shm::Stat;

/// The bits of who may read and write, of group and others.
pub(super) const SHARED: u32 = 0o066;

/// The first word of a place: a System V segment, a POSIX object.
const SEGMENT: u64 = 1;
const FILE: u64 = 2;

/// The object that is written, and who may.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// Its family and its place: device and inode number, or id. Another object can get the same place later.
    pub(super) place: [u64; 3],
    /// What no other object in that place has: see [`is_of`](Self::is_of). 0 is unknown.
    pub(super) life: [u64; 2],
    /// When a segment was created, or its attributes changed last, seconds since 1970.
    changed: i64,
    /// Who has the rights of an owner: the owner, and a segment's creator.
    pub(super) uids: [u32; 2],
    /// Whose members have those of the group.
    pub(super) gids: [u32; 2],
    /// Permission bits.
    pub(super) mode: u32,
}

impl From<&Stat> for Object {
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

impl From<&posix::Stat> for Object {
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

impl Object {
    /// The one that is open.
    ///
    /// # Errors
    /// It is gone.
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
                    // Then the bits of the group are those of all whom the list names.
                    it.mode &= !0o070;
                }
                it
            }
        })
    }

    /// Whether it is a POSIX object.
    pub(super) const fn is_file(&self) -> bool {
        self.place[0] == FILE
    }

    /// Whether a journal of an object in this place, whose `life` that object had, is this object's.
    ///
    /// An id comes again after some four million segments. A segment that was created, or changed, after the journal is
    /// another one. Within the same second its creator tells, whose pid means the same only in one pid namespace.
    ///
    /// Device and inode number come again when a tmpfs is mounted anew: then the time of birth and the generation of
    /// the inode, a random number, differ. Not every kernel has the first one, and some containers forbid asking for
    /// the second.
    pub(super) fn is_of(&self, life: [u64; 2], journal: &Stat) -> bool {
        if !self.is_file() {
            return self.changed <= journal.change_time && (self.life[0] != life[0] || self.life[1] == life[1]);
        }
        self.life.iter().zip(life).all(|(own, known)| *own == known || *own == 0 || known == 0)
    }

    /// Whether what is in a segment with these permissions can only be from somebody who may write to the object, and
    /// is for nobody who may not read it.
    pub(super) fn admits(&self, perm: &Perm) -> bool {
        let Self { uids, gids, mode, .. } = self;
        let (owners, group) = (uids.contains(&perm.uid), gids.contains(&perm.creator_gid));
        let creator =
            [0, uids[0], uids[1]].contains(&perm.creator_uid) || mode & 0o022 == 0o022 || (mode & 0o020 != 0 && group);
        // Where the group may as much as all others it does not matter which one it is.
        let same_group = group && gids.contains(&perm.gid);
        let grants = perm.mode & SHARED;
        creator
            && (owners || perm.uid == perm.creator_uid)
            && grants & !mode == 0
            && (same_group || grants & 0o060 == 0 || (mode >> 3 ^ mode) & 0o006 == 0)
    }

    /// Why a writer may leave no journal: nobody could know whether it might write, or others than the group could read
    /// it.
    pub(super) fn refused(&self, perm: &Perm) -> Cause {
        if self.mode & 0o060 == 0 {
            return Cause::new(Exit::Denied, "its owner and permission bits allow no locked write by this user");
        }
        let words = format!(
            "a locked write keeps a copy for the group {} of the object, which has to be the process's own, not {}",
            perm.gid, perm.creator_gid
        );
        Cause::new(Exit::Denied, words).hint("sg GROUP -c 'ipcbox shm write …' runs it as that group")
    }
}
