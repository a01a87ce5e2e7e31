//! Other processes: a descriptor for one, and what `/proc` tells of them.
#![allow(unsafe_code)]

pub mod procfs;
pub mod tree;
pub mod wait_status;

use std::ffi::c_int;
use std::fs::{self, DirEntry};
use std::io::{Error, IoSliceMut, Result as IoResult};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, geteuid, getpid};

use super::deadline::Deadline;
use super::signal::{Signal, To, kill, queue, send, send_to};
use super::wait::ready;

/// A descriptor for a process, pidfd_open(2), closed on exec. It becomes readable when the process ends.
///
/// # Errors
/// `ESRCH`: there is no such process, or it has ended and only waits to be reaped. `EINVAL` or `ENOENT`: it is
/// a thread. `ENOSYS`: the kernel is older than 5.3.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let fd = pidfd(pid)?;
    match ready(&[fd.as_fd()], Deadline::Now)? {
        Some(_) => Err(Errno::ESRCH),
        None => Ok(fd),
    }
}

/// The same, also for a process that has ended and only waits to be reaped.
pub fn pidfd(pid: i32) -> Result<OwnedFd> {
    // SAFETY: the call takes two plain integers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just gave us this descriptor, and nothing else knows it. It fits: descriptors are ints.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// Sends a signal to a child of the caller, with a value if there is one.
pub fn signal_child(child: i32, signal: Signal, value: Option<i32>) {
    // A full queue takes no value, but the signal itself.
    let sent = value.map_or(Err(Errno::EINVAL), |value| queue(child, signal, value)).or_else(|_| kill(child, signal));
    if sent.is_err() {
        // A seccomp filter can deny kill(2) alone.
        let _ = pidfd(child).and_then(|fd| send_to(fd.as_fd(), To::Process, Some(signal), value));
    }
}

/// Whether a seccomp filter denies [`send`]: its `EPERM` is then not about the process. A process may always signal
/// itself.
pub fn is_signal_forbidden() -> bool {
    let to_self = pidfd(getpid().as_raw());
    to_self.and_then(|fd| send(fd.as_fd(), None)) == Err(Errno::EPERM)
}

/// A copy of a descriptor of another process, pidfd_getfd(2), closed on exec. Both are one opening of the file.
///
/// # Errors
/// `EPERM`: the process may not be traced. `EBADF`: it has no such descriptor.
pub fn descriptor(pid: i32, fd: i32) -> Result<OwnedFd> {
    let process = open(pid)?;
    // SAFETY: the call takes three plain integers.
    let copy = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })?;
    // SAFETY: the kernel just gave us this descriptor, and nothing else knows it. It fits: descriptors are ints.
    Ok(unsafe { OwnedFd::from_raw_fd(copy as c_int) })
}

/// The number of a pidfd in the kernel's file system of them, which no other process ever has. `None` where the kernel
/// is older than 6.9 and gives all the same one.
pub fn inode(process: impl AsFd) -> Result<Option<u64>> {
    Ok(if is_in_pidfs(&process)? { Some(fstat(&process)?.st_ino) } else { None })
}

/// Whether pidfds have a file system of their own, as they do from Linux 6.9 on.
fn is_in_pidfs(process: impl AsFd) -> Result<bool> {
    /// Of `<linux/magic.h>`.
    const PID_FS_MAGIC: FsType = FsType(0x5049_4446);
    Ok(fstatfs(&process)?.filesystem_type() == PID_FS_MAGIC)
}

/// The command line of a process, its arguments separated by blanks; of a process without one (a kernel
/// thread, a zombie) its name in brackets, as ps(1) has it. `None` where `/proc` does not tell.
pub fn command(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&line);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    if !text.is_empty() {
        return Some(text);
    }
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("[{}]", String::from_utf8_lossy(&name).trim_end()))
}

/// Whether a process of this number is there, kill(2) with signal 0; one of somebody else's is.
pub fn exists(pid: i32) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
}

/// A thread that is blocked in a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The process.
    pub pid: i32,
    /// The thread in it.
    pub thread: i32,
    /// Number of the system call, as in `<sys/syscall.h>`.
    pub call: i64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Blocked {
    /// Whether it was stopped in that call, so that it is not asleep in it.
    pub fn is_stopped(&self) -> bool {
        procfs::thread_state(self.pid, self.thread).is_ok_and(|state| matches!(state, 'T' | 't'))
    }

    /// As much of `len` bytes of its memory as is there, process_vm_readv(2).
    pub(super) fn read(&self, at: usize, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let remote = RemoteIoVec { base: at, len };
        let read = process_vm_readv(Pid::from_raw(self.thread), &mut [IoSliceMut::new(&mut bytes)], &[remote])?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Whether a process is in the caller's IPC namespace, ipc_namespaces(7); one that may not be looked at is not.
pub fn shares_ipc(pid: i32) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/ipc")).ok();
    let ours = namespace("thread-self");
    ours.is_some() && ours == namespace(&pid.to_string())
}

/// Every thread of the system that is blocked in a system call and may be looked at
/// (`/proc/PID/task/TID/syscall`, which wants the right to trace it).
///
/// # Errors
/// Those of reading `/proc`; a process that ends meanwhile or is not ours to look at is left out.
pub fn blocked() -> IoResult<Vec<Blocked>> {
    Ok(blocked_and_unseen()?.0)
}

/// The same, and the processes that may not be looked at.
///
/// # Errors
/// Those of reading `/proc`.
pub fn blocked_and_unseen() -> IoResult<(Vec<Blocked>, Vec<i32>)> {
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    for pid in numbers("/proc")? {
        let mut look = || {
            for thread in numbers(&format!("/proc/{pid}/task"))? {
                let line = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall"))?;
                if let Some((call, args)) = system_call(&line) {
                    found.push(Blocked { pid, thread, call, args });
                }
            }
            IoResult::Ok(())
        };
        if look().is_err_and(|error| is_out_of_sight(pid, &error)) {
            unseen.push(pid);
        }
    }
    Ok((found, unseen))
}

/// Whether a process that could not be looked at is one of user space, and has not ended meanwhile.
pub(super) fn is_out_of_sight(pid: i32, error: &Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ESRCH) => false,
        Some(Errno::EACCES | Errno::EPERM) => has_memory(pid),
        _ => true,
    }
}

/// Whether a process is one of user space that has not ended; a kernel thread and a zombie have no command line.
fn has_memory(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Which processes `/proc` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sight {
    /// None that the box would know by its number: it is not mounted, or is that of another pid namespace.
    #[default]
    None,
    /// Not those of others (`hidepid=` of proc(5)).
    Own,
    /// Those of this pid namespace; what is outside of it can share its IPC objects all the same.
    Inside,
    /// All.
    All,
}

/// Which processes `/proc` shows to the caller.
pub fn sight() -> Sight {
    // The first namespaces have numbers of their own, `<linux/nsfs.h>`.
    let link = |name: &str| fs::read_link(format!("/proc/{name}")).unwrap_or_default();
    if !knows_our_numbers() {
        return Sight::None;
    }
    // Whoever may trace every process sees them all the same.
    let may_trace = geteuid().is_root() && link("self/ns/user").to_str() == Some("user:[4026531837]");
    match fs::read_to_string("/proc/self/mountinfo") {
        Err(_) => Sight::None,
        Ok(mounts) if hides(&mounts) && !may_trace => Sight::Own,
        Ok(_) if link("self/ns/pid").to_str() == Some("pid:[4026531836]") => Sight::All,
        Ok(_) => Sight::Inside,
    }
}

/// Whether `/proc` is that of the caller's pid namespace, so that a process has the same number in it.
pub(super) fn knows_our_numbers() -> bool {
    let own = fs::read_link("/proc/self").unwrap_or_default();
    own.to_str() == Some(&std::process::id().to_string())
}

/// Whether the last mount on `/proc` in `/proc/self/mountinfo` has the option.
fn hides(mounts: &str) -> bool {
    let on_proc = |line: &&str| line.split(' ').nth(4) == Some("/proc");
    mounts.lines().rfind(on_proc).is_some_and(|line| line.contains(",hidepid="))
}

/// A process that is blocked at one of some pipes, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Until there is something to read.
    Reads(usize),
    /// Until there is room to write.
    Writes(usize),
}

/// How processes are blocked at the pipes with these inodes, in read(2), write(2) and their kin, as far as may be
/// looked at.
pub fn at_pipes(inodes: &[u64]) -> Vec<Waiting> {
    let at = |blocked: &Blocked| {
        let kind = match blocked.call {
            libc::SYS_read | libc::SYS_readv => Waiting::Reads,
            libc::SYS_write | libc::SYS_writev => Waiting::Writes,
            _ => return None,
        };
        let link = fs::read_link(format!("/proc/{}/fd/{}", blocked.thread, blocked.args[0])).ok()?;
        let which = inodes.iter().position(|inode| link.as_os_str() == &*format!("pipe:[{inode}]"))?;
        Some(kind(which))
    };
    blocked().unwrap_or_default().iter().filter_map(at).collect()
}

/// Whether `/proc` shows what a process is blocked in.
pub fn shows_calls(pid: i32) -> bool {
    knows_our_numbers() && fs::read(format!("/proc/{pid}/syscall")).is_ok()
}

/// Whether `/proc` is there to tell anything.
pub fn has_procfs() -> bool {
    fs::symlink_metadata("/proc/self").is_ok()
}

/// A number of `/proc/sys`, such as `fs/pipe-max-size`.
pub(super) fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

/// The entries of a directory of `/proc` that are numbers, in order.
pub(super) fn numbers(dir: &str) -> IoResult<Vec<i32>> {
    let number = |entry: IoResult<DirEntry>| entry.map(|entry| entry.file_name().to_str()?.parse().ok()).transpose();
    let mut numbers = fs::read_dir(dir)?.filter_map(number).collect::<IoResult<Vec<i32>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a line of `/proc/PID/syscall`: number and six arguments. `running`, and a thread that is blocked
/// outside a system call (`-1`), are none.
fn system_call(line: &str) -> Option<(i64, [u64; 6])> {
    let mut words = line.split_ascii_whitespace();
    let call = words.next()?.parse().ok().filter(|call| *call >= 0)?;
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some((call, args))
}

#[cfg(test)]
#[path = "../../../tests/units/sys/process.rs"]
mod tests;
