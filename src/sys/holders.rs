//! Which processes use a file or a System V segment: who maps it, and who has it open by which descriptor.
//!
//! Read from `/proc/PID/maps`, `/proc/PID/fd` and `/proc/PID/fdinfo`, which want the right to trace the process; how many
//! could not be looked at is told.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::fs;
use std::io::Result as IoResult;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::OFlag;
use nix::libc;

use super::process::{is_out_of_sight, numbers, shares_ipc};

/// What may be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A file of any kind, by its device and inode as in stat(2).
    File {
        /// The device that it is on.
        device: u64,
        /// Its number there.
        inode: u64,
    },
    /// A System V segment of this IPC namespace, by its id.
    Segment(i32),
}

/// A descriptor by which a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its number in that process.
    pub fd: i32,
    /// Whether it can be read from.
    pub reads: bool,
    /// Whether it can be written to.
    pub writes: bool,
    /// Whether what is written to it goes past a buffer; to a pipe, in packets (`O_DIRECT`).
    pub direct: bool,
}

/// A process that uses an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The process.
    pub pid: i32,
    /// How many mappings of it the process has.
    pub mappings: usize,
    /// The descriptors by which it has it open, by number.
    pub open: Vec<Open>,
}

/// Who uses an object, as far as may be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// The processes, by number.
    pub seen: Vec<User>,
    /// How many processes could not be looked at.
    pub unseen: usize,
}

/// The processes that use `object`. One that ends meanwhile is left out.
///
/// # Errors
/// Those of reading `/proc` itself.
pub fn by(object: Object) -> IoResult<Users> {
    let mut index = look(Wanted::One(object))?;
    let seen = match object {
        Object::File { device, inode } => index.files.remove(&(device, inode)),
        Object::Segment(id) => index.segments.remove(&id),
    };
    Ok(Users { seen: seen.unwrap_or_default(), unseen: index.unseen.len() })
}

/// Who uses what, of all segments of this IPC namespace and all files of some devices.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The processes that map each segment, by its id.
    pub segments: HashMap<i32, Vec<User>>,
    /// The processes that map each file or have it open, by device and inode.
    pub files: HashMap<(u64, u64), Vec<User>>,
    /// The processes that could not be looked at.
    pub unseen: Vec<i32>,
}

/// Looks at every process once. One that ends meanwhile is left out.
///
/// # Errors
/// Those of reading `/proc` itself.
pub fn index(devices: &[u64]) -> IoResult<Index> {
    look(Wanted::On(devices))
}

/// What is looked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    One(Object),
    /// All segments, and all files on these devices.
    On(&'a [u64]),
}

impl Wanted<'_> {
    fn has(self, object: Object) -> bool {
        match (self, object) {
            (Self::One(one), _) => one == object,
            (Self::On(devices), Object::File { device, .. }) => devices.contains(&device),
            (Self::On(_), Object::Segment(_)) => true,
        }
    }
}

fn look(wanted: Wanted) -> IoResult<Index> {
    let mut index = Index::default();
    for pid in numbers("/proc")? {
        let mut look = || {
            let maps = fs::read(format!("/proc/{pid}/maps"))?;
            // A segment is no descriptor's.
            let fds = if let Wanted::One(Object::Segment(_)) = wanted { Vec::new() } else { descriptors(pid)? };
            index.add(pid, &maps, &fds, wanted);
            IoResult::Ok(())
        };
        if look().is_err_and(|error| is_out_of_sight(pid, &error)) {
            index.unseen.push(pid);
        }
    }
    Ok(index)
}

impl Index {
    fn add(&mut self, pid: i32, maps: &[u8], fds: &[(i32, fs::Metadata)], wanted: Wanted) {
        // A segment of the same id can be in another namespace.
        let is_here = LazyCell::new(|| shares_ipc(pid));
        for object in String::from_utf8_lossy(maps).lines().filter_map(|line| mapped(line, wanted)) {
            let users = match object {
                Object::File { device, inode } => self.files.entry((device, inode)).or_default(),
                Object::Segment(id) if *is_here => self.segments.entry(id).or_default(),
                Object::Segment(_) => continue,
            };
            user(users, pid).mappings += 1;
        }
        for (fd, file) in fds {
            let (device, inode) = (file.dev(), file.ino());
            if wanted.has(Object::File { device, inode }) {
                user(self.files.entry((device, inode)).or_default(), pid).open.extend(access(pid, *fd));
            }
        }
    }
}

/// The entry of a process, which is looked at after all that have one.
fn user(users: &mut Vec<User>, pid: i32) -> &mut User {
    if users.last().is_none_or(|last| last.pid != pid) {
        users.push(User { pid, mappings: 0, open: Vec::new() });
    }
    let last = users.len() - 1;
    &mut users[last]
}

fn descriptors(pid: i32) -> IoResult<Vec<(i32, fs::Metadata)>> {
    let dir = format!("/proc/{pid}/fd");
    let file = |fd: i32| Some((fd, fs::metadata(format!("{dir}/{fd}")).ok()?));
    Ok(numbers(&dir)?.into_iter().filter_map(file).collect())
}

/// Whether this process is in the caller's IPC namespace and maps the segment with this id.
pub fn maps_segment(pid: i32, id: i32) -> bool {
    let wanted = Wanted::One(Object::Segment(id));
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    String::from_utf8_lossy(&maps).lines().any(|line| mapped(line, wanted).is_some()) && shares_ipc(pid)
}

/// What a line of `/proc/PID/maps` is a mapping of, if that is wanted: address, permissions, offset, device as `MAJOR:MINOR` in
/// hexadecimal, inode, path.
fn mapped(line: &str, wanted: Wanted) -> Option<Object> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let (major, minor) = words.next()?.split_once(':')?;
    let part = |text| libc::c_uint::from_str_radix(text, 16).ok();
    let device = libc::makedev(part(major)?, part(minor)?);
    let inode = words.next()?.parse().ok()?;
    let file = Object::File { device, inode };
    if wanted.has(file) {
        return Some(file);
    }
    // Its file is one of the kernel's own and bears the id as its inode.
    let segment = Object::Segment(i32::try_from(inode).ok()?);
    let is_one = || {
        let path = words.collect::<Vec<_>>().join(" ");
        path.starts_with("/SYSV") && path.ends_with(" (deleted)")
    };
    (wanted.has(segment) && is_one()).then_some(segment)
}

fn access(pid: i32, fd: i32) -> Option<Open> {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = OFlag::from_bits_retain(libc::c_int::from_str_radix(flags.trim(), 8).ok()?);
    let mode = flags & OFlag::O_ACCMODE;
    let usable = !flags.contains(OFlag::O_PATH);
    Some(Open {
        fd,
        reads: usable && mode != OFlag::O_WRONLY,
        writes: usable && mode != OFlag::O_RDONLY,
        direct: flags.contains(OFlag::O_DIRECT),
    })
}

#[cfg(test)]
#[path = "../../tests/units/sys/holders.rs"]
mod tests;
