//! Moving bytes between descriptors inside the kernel where it can, and through a buffer where it cannot.

use std::os::fd::{AsFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::libc::{S_IFBLK, S_IFDIR, S_IFMT, S_IFREG};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::fstat;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{Whence, lseek, read, write};

use super::deadline::Deadline;
use super::fds;
use super::interrupt::retry;
use super::wait::{Want, any, ready};

/// What is moved at a time through a buffer, which stays in the processor's cache.
const BUFFER: usize = 128 << 10;

/// Does a read again that a signal interrupted, or waits for data where the descriptor was made not to.
///
/// # Errors
/// The read's, never `EINTR` and never `EAGAIN`.
pub fn reading<T>(from: BorrowedFd, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match retry(&mut read) {
            Err(Errno::EAGAIN) => drop(ready(&[from], Deadline::Forever)?),
            other => return other,
        }
    }
}

/// Reads once, whatever the descriptor is: how many bytes came, 0 at its end.
pub fn read_some(from: BorrowedFd, bytes: &mut [u8]) -> Result<usize> {
    reading(from, || read(from, bytes))
}

/// Moves at most `most` bytes from where `from` stands to `at` in the file `to`, stopping at the end of `from`: how many.
pub fn pull(from: BorrowedFd, to: BorrowedFd, at: u64, most: u64) -> Result<u64> {
    let mut done = 0;
    // splice(2) is for a pipe, sendfile(2) for a file; what neither takes goes through a buffer.
    while done < most {
        let step = usize::try_from(most - done).unwrap_or(usize::MAX).min(1 << 30);
        let place = i64::try_from(at + done).map_err(|_| Errno::EFBIG)?;
        let by_splice = || {
            let mut place = place;
            splice(from, None, to, Some(&mut place), step, SpliceFFlags::empty())
        };
        let by_sendfile = || {
            lseek(to, place, Whence::SeekSet)?;
            sendfile(to, from, None, step)
        };
        // EPERM can be a seccomp filter's. If it is the file's, as of a sealed one, writing to it reports it, too.
        let cannot = |errno| matches!(errno, Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::ESPIPE);
        let moved = match reading(from, by_splice) {
            Err(errno) if cannot(errno) => match reading(from, by_sendfile) {
                Err(errno) if cannot(errno) => return pull_by_buffer(from, to, at, done, most),
                moved => moved?,
            },
            moved => moved?,
        };
        if moved == 0 {
            break;
        }
        done += moved as u64;
    }
    Ok(done)
}

fn pull_by_buffer(from: BorrowedFd, to: BorrowedFd, at: u64, mut done: u64, most: u64) -> Result<u64> {
    let mut buffer = vec![0; BUFFER];
    while done < most {
        let step = usize::try_from(most - done).unwrap_or(usize::MAX).min(BUFFER);
        match read_some(from, &mut buffer[..step])? {
            0 => break,
            came => {
                write_at(to, at + done, &buffer[..came])?;
                done += came as u64;
            }
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `at`, pwrite(2) as often as it takes.
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

/// Reads at `at` until `bytes` is full or the file ends, pread(2): how many bytes came.
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

/// Writes once to `to`, again where a signal interrupted it or it was made not to wait and is full.
pub fn write_some(to: BorrowedFd, mut once: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match retry(&mut once) {
            Err(Errno::EAGAIN) => drop(any(&[(to, Want::Writable)], Deadline::Forever)?),
            other => return other,
        }
    }
}

/// Moves `most` bytes at `at` in the file `from` to where `to` stands, stopping at the end of `from`: how many.
///
/// A pipe gets a copy: by splice(2) it would get the file's own pages, and what is written to them later.
pub fn pour(from: BorrowedFd, at: u64, to: BorrowedFd, most: u64) -> Result<u64> {
    let is_file = fstat(to).is_ok_and(|stat| stat.st_mode & S_IFMT == S_IFREG);
    let mut done = 0;
    while is_file && done < most {
        let step = usize::try_from(most - done).unwrap_or(usize::MAX).min(1 << 30);
        let mut place = i64::try_from(at + done).map_err(|_| Errno::EFBIG)?;
        match write_some(to, || sendfile(to, from, Some(&mut place), step)) {
            Ok(0) => return Ok(done),
            Ok(moved) => done += moved as u64,
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => break,
            Err(errno) => return Err(errno),
        }
    }
    let mut buffer = Vec::new();
    while done < most {
        buffer.resize(usize::try_from(most - done).unwrap_or(usize::MAX).min(BUFFER), 0);
        let came = read_at(from, at + done, &mut buffer)?;
        let mut bytes = &buffer[..came];
        while !bytes.is_empty() {
            let written = write_some(to, || write(to, bytes))?;
            bytes = &bytes[written..];
        }
        done += came as u64;
        if came < buffer.len() {
            break;
        }
    }
    Ok(done)
}

/// How many bytes are left to read of a file; `None` where it does not tell, as a pipe and the files of `/proc` and `/sys` do not.
///
/// # Errors
/// `EISDIR`: it is a directory. `EBADF`: it is not open for reading.
pub fn left(from: BorrowedFd) -> Result<Option<u64>> {
    let access = OFlag::from_bits_retain(fcntl(from, FcntlArg::F_GETFL)?) & OFlag::O_ACCMODE;
    let stat = fstat(from)?;
    match stat.st_mode & S_IFMT {
        _ if access == OFlag::O_WRONLY => Err(Errno::EBADF),
        S_IFDIR => Err(Errno::EISDIR),
        S_IFREG => {
            let left = stat.st_size - lseek(from, 0, Whence::SeekCur)?;
            let left = u64::try_from(left).ok().filter(|left| *left > 0);
            // A file of /sys says a page, whatever is in it; a file with holes takes as little room.
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

/// Goes to a place in a file, lseek(2).
pub fn seek(file: impl AsFd, at: u64) -> Result<()> {
    let at = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
    lseek(file, at, Whence::SeekSet).map(drop)
}
