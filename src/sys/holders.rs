//! The processes that use a file or a System V segment, by mappings and descriptors.
//!
//! They are found in `/proc/PID/maps`, `/proc/PID/fd` and `/proc/PID/fdinfo`. Reading these needs the permission to
//! trace the process; processes that cannot be read are counted.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Result as IoResult;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::OFlag;
use nix::libc;

use super::process::{is_out_of_sight, numbers, shares_ipc};

/// A descriptor of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its number in that process.
    pub fd: i32,
    /// Whether it is open for reading.
    pub reads: bool,
    /// Whether it is open for writing.
    pub writes: bool,
    /// Whether writes bypass buffers or, on a pipe, form packets (`O_DIRECT`).
    pub direct: bool,
}

/// A process that uses an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: i32,
    /// The number of its mappings of the object.
    pub mappings: usize,
    /// Its descriptors of the object, by number.
    pub open: Vec<Open>,
}

/// A file, by device and inode as in stat(2).
pub type Place = (u64, u64);

/// The processes that use a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Those that could be read, by pid.
    pub seen: Vec<Holder>,
    /// The number of those that could not.
    pub unseen: usize,
}

/// Returns the processes that use a file. A process that exits during the search is left out.
pub fn of(file: Place) -> IoResult<Holders> {
    let mut index = index(&[file])?;
    Ok(Holders { seen: index.files.remove(&file).unwrap_or_default(), unseen: index.unseen.len() })
}

/// The users of all segments of this IPC namespace and of some files.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The processes that map each segment, by segment id.
    pub segments: HashMap<i32, Vec<Holder>>,
    /// The processes that map each file or have it open.
    pub files: HashMap<Place, Vec<Holder>>,
    /// The processes that could not be read.
    pub unseen: Vec<i32>,
}

/// Reads every process once. One that exits during the search is left out.
pub fn index(files: &[Place]) -> IoResult<Index> {
    let files: HashSet<Place> = files.iter().copied().collect();
    let mut index = Index::default();
    for pid in numbers("/proc")? {
        let look = || IoResult::Ok((fs::read(format!("/proc/{pid}/maps"))?, descriptors(pid, &files)?));
        match look() {
            Ok((maps, fds)) => index.add(pid, &maps, fds, &files),
            Err(error) if is_out_of_sight(pid, &error) => index.unseen.push(pid),
            Err(_) => {}
        }
    }
    Ok(index)
}

impl Index {
    fn add(&mut self, pid: i32, maps: &[u8], fds: Vec<(Place, Open)>, files: &HashSet<Place>) {
        // Another IPC namespace can have a segment with the same id.
        let is_here = LazyCell::new(|| shares_ipc(pid));
        for line in String::from_utf8_lossy(maps).lines() {
            let holders = match mapped(line) {
                Some(Mapped::File(file)) if files.contains(&file) => self.files.entry(file).or_default(),
                Some(Mapped::Segment(id)) if *is_here => self.segments.entry(id).or_default(),
                _ => continue,
            };
            holder(holders, pid).mappings += 1;
        }
        for (file, open) in fds {
            holder(self.files.entry(file).or_default(), pid).open.push(open);
        }
    }
}

/// Returns the entry of a process. Processes come one after another, so it is the last one or a new one.
fn holder(holders: &mut Vec<Holder>, pid: i32) -> &mut Holder {
    if holders.last().is_none_or(|last| last.pid != pid) {
        holders.push(Holder { pid, mappings: 0, open: Vec::new() });
    }
    let last = holders.len() - 1;
    &mut holders[last]
}

fn descriptors(pid: i32, files: &HashSet<Place>) -> IoResult<Vec<(Place, Open)>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let dir = format!("/proc/{pid}/fd");
    let open = |fd: i32| {
        let file = fs::metadata(format!("{dir}/{fd}")).ok()?;
        let place = (file.dev(), file.ino());
        if files.contains(&place) { Some((place, access(pid, fd)?)) } else { None }
    };
    Ok(numbers(&dir)?.into_iter().filter_map(open).collect())
}

/// Returns whether this process is in the caller's IPC namespace and maps this segment.
pub fn maps_segment(pid: i32, id: i32) -> bool {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    String::from_utf8_lossy(&maps).lines().any(|line| mapped(line) == Some(Mapped::Segment(id))) && shares_ipc(pid)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mapped {
    File(Place),
    Segment(i32),
}

/// Parses a line of `/proc/PID/maps`: address, permissions, offset, device (`MAJOR:MINOR` in hex), inode, path.
fn mapped(line: &str) -> Option<Mapped> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let (major, minor) = words.next()?.split_once(':')?;
    let inode: u64 = words.next()?.parse().ok()?;
    // A segment is an internal file of the kernel whose inode is the segment's id.
    if words.next().is_some_and(|path| path.starts_with("/SYSV")) && line.ends_with(" (deleted)") {
        return Some(Mapped::Segment(i32::try_from(inode).ok()?));
    }
    let number = |text| u32::from_str_radix(text, 16).ok();
    Some(Mapped::File((libc::makedev(number(major)?, number(minor)?), inode)))
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
