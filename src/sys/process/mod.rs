//! Other processes: pidfds, and what `/proc` shows.
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

/// Opens a pidfd, pidfd_open(2), close-on-exec. It becomes readable when the process exits.
///
/// # Errors
/// `ESRCH`: no such process, or a zombie. `EINVAL` or `ENOENT`: it is a thread. `ENOSYS`: the kernel is older than 5.3.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let fd = pidfd(pid)?;
    match ready(&[fd.as_fd()], Deadline::Now)? {
        Some(_) => Err(Errno::ESRCH),
        None => Ok(fd),
    }
}

/// Like [`open`], but also opens a zombie.
pub fn pidfd(pid: i32) -> Result<OwnedFd> {
    // SAFETY: the call takes two plain integers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just returned this descriptor, and nothing else owns it. Descriptors fit an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// Sends a signal to a child of this process, with an optional value.
pub fn signal_child(child: i32, signal: Signal, value: Option<i32>) {
    // If the signal queue is full, the signal is sent without its value.
    let sent = value.map_or(Err(Errno::EINVAL), |value| queue(child, signal, value)).or_else(|_| kill(child, signal));
    if sent.is_err() {
        // A seccomp filter can deny kill(2) alone.
        let _ = pidfd(child).and_then(|fd| send_to(fd.as_fd(), To::Process, Some(signal), value));
    }
}

/// Returns whether a seccomp filter denies [`send`], so that its `EPERM` means nothing about the process. Without a
/// filter a process may always signal itself.
pub fn is_signal_forbidden() -> bool {
    let to_self = pidfd(getpid().as_raw());
    to_self.and_then(|fd| send(fd.as_fd(), None)) == Err(Errno::EPERM)
}

/// Duplicates a descriptor of another process, pidfd_getfd(2), close-on-exec. Both share one open file description.
///
/// # Errors
/// `EPERM`: the process may not be traced. `EBADF`: it has no such descriptor.
pub fn descriptor(pid: i32, fd: i32) -> Result<OwnedFd> {
    let process = open(pid)?;
    // SAFETY: the call takes three plain integers.
    let copy = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })?;
    // SAFETY: the kernel has just returned this descriptor, and nothing else owns it. Descriptors fit an int.
    Ok(unsafe { OwnedFd::from_raw_fd(copy as c_int) })
}

/// Returns the inode of a pidfd, unique forever. `None`: the kernel is older than 6.9, and all pidfds share one inode.
pub fn inode(process: impl AsFd) -> Result<Option<u64>> {
    Ok(if is_in_pidfs(&process)? { Some(fstat(&process)?.st_ino) } else { None })
}

/// Returns whether pidfds have a file system of their own (Linux 6.9).
fn is_in_pidfs(process: impl AsFd) -> Result<bool> {
    const PID_FS_MAGIC: FsType = FsType(0x5049_4446);
    Ok(fstatfs(&process)?.filesystem_type() == PID_FS_MAGIC)
}

/// Returns the command line of a process, its arguments separated by blanks. A process without one (kernel thread,
/// zombie) is shown by its name in brackets, as in ps(1). `None`: `/proc` does not show it.
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

/// Returns whether there is a process with this pid, of any user.
pub fn exists(pid: i32) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
}

/// A thread blocked in a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The process.
    pub pid: i32,
    /// Its thread id.
    pub thread: i32,
    /// The number of the system call, as in `<sys/syscall.h>`.
    pub call: i64,
    /// The arguments of the call.
    pub args: [u64; 6],
}

impl Blocked {
    /// Returns whether it was stopped while in that call.
    pub fn is_stopped(&self) -> bool {
        procfs::thread_state(self.pid, self.thread).is_ok_and(|state| matches!(state, 'T' | 't'))
    }

    /// Reads up to `len` bytes of its memory, as far as it is mapped, process_vm_readv(2).
    pub(super) fn read(&self, at: usize, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let remote = RemoteIoVec { base: at, len };
        let read = process_vm_readv(Pid::from_raw(self.thread), &mut [IoSliceMut::new(&mut bytes)], &[remote])?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Returns whether a process is in the caller's IPC namespace, ipc_namespaces(7). If it cannot be inspected, it is not.
pub fn shares_ipc(pid: i32) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/ipc")).ok();
    let ours = namespace("thread-self");
    ours.is_some() && ours == namespace(&pid.to_string())
}

/// Returns every thread of the system that is blocked in a system call, from `/proc/PID/task/TID/syscall`. Processes
/// that exit or may not be traced are left out.
pub fn blocked() -> IoResult<Vec<Blocked>> {
    Ok(blocked_and_unseen()?.0)
}

/// Like [`blocked`], and also returns the processes that may not be traced.
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

/// Returns whether a process that could not be read still exists and runs in user space.
pub(super) fn is_out_of_sight(pid: i32, error: &Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ESRCH) => false,
        Some(Errno::EACCES | Errno::EPERM) => has_memory(pid),
        _ => true,
    }
}

/// Returns whether a process has a command line. Kernel threads and zombies have none.
fn has_memory(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Which processes `/proc` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sight {
    /// None under its pid: `/proc` is not mounted, or is that of another pid namespace.
    #[default]
    None,
    /// Only the caller's (`hidepid=`, proc(5)).
    Own,
    /// Those of this pid namespace. Processes outside it may share its IPC objects.
    Inside,
    /// All.
    All,
}

/// Returns which processes `/proc` shows to the caller.
pub fn sight() -> Sight {
    // The initial namespaces have fixed inodes, `<linux/nsfs.h>`.
    let link = |name: &str| fs::read_link(format!("/proc/{name}")).unwrap_or_default();
    if !knows_our_numbers() {
        return Sight::None;
    }
    // hidepid does not apply to a process that may trace all others.
    let may_trace = geteuid().is_root() && link("self/ns/user").to_str() == Some("user:[4026531837]");
    match fs::read_to_string("/proc/self/mountinfo") {
        Err(_) => Sight::None,
        Ok(mounts) if hides(&mounts) && !may_trace => Sight::Own,
        Ok(_) if link("self/ns/pid").to_str() == Some("pid:[4026531836]") => Sight::All,
        Ok(_) => Sight::Inside,
    }
}

/// Returns whether `/proc` is that of the caller's pid namespace, so that the pids in it are valid here.
pub(super) fn knows_our_numbers() -> bool {
    let own = fs::read_link("/proc/self").unwrap_or_default();
    own.to_str() == Some(&std::process::id().to_string())
}

/// Returns whether the topmost mount on `/proc` has the option hidepid.
fn hides(mounts: &str) -> bool {
    let on_proc = |line: &&str| line.split(' ').nth(4) == Some("/proc");
    mounts.lines().rfind(on_proc).is_some_and(|line| line.contains(",hidepid="))
}

/// The aim of a process that is blocked on one of several pipes, and the index of the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Input.
    Reads(usize),
    /// Room.
    Writes(usize),
}

/// Returns how processes are blocked on the pipes with these inodes, in read(2), write(2) and their variants. Processes
/// that may not be traced are left out.
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

/// Returns whether `/proc` shows the system call in which a process is blocked.
pub fn shows_calls(pid: i32) -> bool {
    knows_our_numbers() && fs::read(format!("/proc/{pid}/syscall")).is_ok()
}

/// Returns whether `/proc` is mounted.
pub fn has_procfs() -> bool {
    fs::symlink_metadata("/proc/self").is_ok()
}

/// Reads a number from `/proc/sys`.
pub fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

/// Returns the numeric entries of a directory of `/proc`, sorted.
pub(super) fn numbers(dir: &str) -> IoResult<Vec<i32>> {
    let number = |entry: IoResult<DirEntry>| entry.map(|entry| entry.file_name().to_str()?.parse().ok()).transpose();
    let mut numbers = fs::read_dir(dir)?.filter_map(number).collect::<IoResult<Vec<i32>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// Parses a line of `/proc/PID/syscall`. `None`: the thread is `running`, or blocked outside a system call (`-1`).
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
