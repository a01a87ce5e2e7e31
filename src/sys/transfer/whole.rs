//! Reads and writes that signals do not cut short, and file offsets.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::{S_IFBLK, S_IFDIR, S_IFMT, S_IFREG};
use nix::sys::stat::fstat;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{Whence, lseek, read};

use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::interrupt::retry;
use crate::sys::wait::{interruptible, ready, room};

/// Writes once to `to`, and waits for room if another process has made it non-blocking.
///
/// # Errors
/// `EINTR`: a [caught](crate::sys::interrupt::catch) signal came.
pub fn write_some(to: BorrowedFd, mut once: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match interruptible(Deadline::Forever, &mut once) {
            Err(Errno::EAGAIN) => drop(room(to, Deadline::Forever)?),
            written => return written?.ok_or(Errno::EINTR),
        }
    }
}

/// Repeats a read that a signal interrupted, and waits for input if the descriptor is non-blocking.
///
/// # Errors
/// Those of `read` except `EINTR` and `EAGAIN`.
pub fn reading<T>(from: BorrowedFd, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match retry(&mut read) {
            Err(Errno::EAGAIN) => drop(ready(&[from], Deadline::Forever)?),
            other => return other,
        }
    }
}

/// Reads once, whether or not the descriptor blocks. Returns the number of bytes, 0 at EOF.
pub fn read_some(from: BorrowedFd, bytes: &mut [u8]) -> Result<usize> {
    reading(from, || read(from, bytes))
}

/// Writes all of `bytes` at offset `at`, pwrite(2).
pub fn write_at(to: BorrowedFd, mut at: u64, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let place = i64::try_from(at).map_err(|_| Errno::EFBIG)?;
        match retry(|| pwrite(to, bytes, place)) {
            Ok(written) => {
                bytes = &bytes[written..];
                at += written as u64;
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads from offset `at` until `bytes` is full or EOF, pread(2). Returns the number of bytes.
pub fn read_at(from: BorrowedFd, at: u64, bytes: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let place = i64::try_from(at + done as u64).map_err(|_| Errno::EFBIG)?;
        match retry(|| pread(from, &mut bytes[done..], place)) {
            Ok(0) => break,
            Ok(came) => done += came,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Returns how many bytes of a file are left. `None`: unknown, as for a pipe and for files in `/proc` and `/sys`.
///
/// # Errors
/// `EISDIR`: it is a directory. `EBADF`: not open for reading.
pub fn left(from: BorrowedFd) -> Result<Option<u64>> {
    let access = fds::flags(from)? & OFlag::O_ACCMODE;
    let stat = fstat(from)?;
    match stat.st_mode & S_IFMT {
        _ if access == OFlag::O_WRONLY => Err(Errno::EBADF),
        S_IFDIR => Err(Errno::EISDIR),
        S_IFREG => {
            let left = stat.st_size - lseek(from, 0, Whence::SeekCur)?;
            let left = u64::try_from(left).ok().filter(|left| *left > 0);
            // A file in /sys reports one page, whatever it contains, and no blocks. A file of holes has no blocks
            // either, but its last byte can be read.
            let is_true = stat.st_blocks > 0 || pread(from, &mut [0], stat.st_size - 1).is_ok_and(|came| came > 0);
            Ok(left.filter(|_| is_true))
        }
        S_IFBLK => {
            let at = lseek(from, 0, Whence::SeekCur)?;
            Ok(fds::size_of_device(from)?.checked_sub(at.cast_unsigned()))
        }
        _ => Ok(None),
    }
}

/// Sets the file offset, lseek(2).
pub fn seek(file: impl AsFd, at: u64) -> Result<()> {
    let at = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
    lseek(file, at, Whence::SeekSet).map(drop)
}
