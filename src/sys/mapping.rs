//! Memory that other processes can write at any time.
//!
//! There is never a reference to its bytes: they are copied through raw pointers, moved by read(2) and write(2)
//! straight from and to descriptors, and single words are atomics. A mapped file that another process makes shorter
//! raises SIGBUS where it is touched ([`on_bus_error`]); the system calls fail with `EFAULT` there.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicUsize, Ordering};

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::signal::{Handling, Set, Signal, unblock};
use super::transfer::{ALL, reading, write_some};
use super::wait::without_waiting;

/// Memory of a segment or of a file, shared.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    len: usize,
    /// What of it was asked for; a file is mapped from a page's start on.
    skipped: usize,
    is_segment: bool,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.is_segment {
            // SAFETY: shmat gave this address; whatever borrowed from the mapping has ended.
            unsafe { libc::shmdt(self.start.as_ptr()) };
        } else {
            // SAFETY: mmap gave this address and length; whatever borrowed from the mapping has ended.
            let _ = unsafe { munmap(self.start, self.len) };
        }
    }
}

impl Mapping {
    /// The segment `id`, of `len` bytes, shmat(2).
    ///
    /// # Errors
    /// `EACCES`: no permission to read it, or to write it. `EINVAL`, `EIDRM`: it is gone.
    pub fn attach(id: c_int, len: usize, writable: bool) -> Result<Self> {
        let flags = if writable { 0 } else { libc::SHM_RDONLY };
        // SAFETY: the kernel chooses the address, so that nothing of ours is covered.
        let address = unsafe { libc::shmat(id, std::ptr::null(), flags) };
        if address.addr() == usize::MAX {
            return Err(Errno::last());
        }
        let start = NonNull::new(address).ok_or(Errno::ENOMEM)?;
        Ok(Self { start, len, skipped: 0, is_segment: true })
    }

    /// `len` bytes of a file from `offset` on, mmap(2).
    ///
    /// # Errors
    /// `EACCES`: the descriptor was not opened for that. `EINVAL`: no bytes. `EOVERFLOW`: they end beyond any file.
    pub fn map(file: impl AsFd, offset: u64, len: usize, writable: bool) -> Result<Self> {
        let skipped = offset % page_size();
        let from = libc::off_t::try_from(offset - skipped).map_err(|_| Errno::EOVERFLOW)?;
        let skipped = skipped as usize;
        let whole = len.checked_add(skipped).ok_or(Errno::EOVERFLOW)?;
        let size = NonZeroUsize::new(whole).ok_or(Errno::EINVAL)?;
        let write = if writable { ProtFlags::PROT_WRITE } else { ProtFlags::empty() };
        let access = ProtFlags::PROT_READ | write;
        // SAFETY: the kernel chooses the address, so that nothing of ours is covered.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, from) };
        let start = without_waiting(start)?;
        Ok(Self { start, len: whole, skipped, is_segment: false })
    }

    /// How many bytes there are.
    pub const fn len(&self) -> usize {
        self.len - self.skipped
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address of `len` bytes from `at` on.
    fn place(&self, at: usize, len: usize) -> Result<*mut c_void> {
        let end = at.checked_add(len).ok_or(Errno::EFAULT)?;
        if end > self.len() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: `at` is within the mapping, or one past its end for no bytes at all.
        Ok(unsafe { self.start.as_ptr().byte_add(self.skipped + at) })
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn read_at(&self, at: usize, bytes: &mut [u8]) -> Result<()> {
        let from = self.place(at, bytes.len())?;
        // SAFETY: both are that long, and ours does not overlap shared memory. What others write meanwhile is copied as
        // it happens to be; every byte is a value.
        unsafe { from.cast::<u8>().copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn write_at(&self, at: usize, bytes: &[u8]) -> Result<()> {
        let to = self.place(at, bytes.len())?;
        // SAFETY: as for reading.
        unsafe { to.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Makes bytes zero.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn clear(&self, at: usize, len: usize) -> Result<()> {
        let to = self.place(at, len)?;
        // SAFETY: so many bytes are there.
        unsafe { to.cast::<u8>().write_bytes(0, len) };
        Ok(())
    }

    /// Reads at most `most` bytes from a descriptor straight into the memory, read(2), stopping at its end: how many.
    pub fn pull(&self, from: BorrowedFd, at: usize, most: usize) -> Result<usize> {
        let mut done = 0;
        while done < most {
            let step = (most - done).min(ALL);
            let to = self.place(at + done, step)?;
            // SAFETY: so many bytes are there.
            let read = || Errno::result(unsafe { libc::read(from.as_raw_fd(), to, step) });
            match reading(from, read)? {
                0 => break,
                came => done += came.cast_unsigned(),
            }
        }
        Ok(done)
    }

    /// Writes `len` bytes to a descriptor straight from the memory, write(2): how many.
    pub fn pour(&self, to: BorrowedFd, at: usize, len: usize) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let step = (len - done).min(ALL);
            let from = self.place(at + done, step)?;
            // SAFETY: so many bytes are there.
            let write = || Errno::result(unsafe { libc::write(to.as_raw_fd(), from, step) }).map(isize::cast_unsigned);
            done += write_some(to, write)?;
        }
        Ok(done)
    }

    /// The 32-bit word at `at`.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end. `EINVAL`: not aligned.
    pub fn word(&self, at: usize) -> Result<&AtomicI32> {
        let place = self.place(at, size_of::<i32>())?.cast::<i32>();
        if !place.is_aligned() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: it is aligned and lives as long as the mapping; all of the box's accesses to it that
        // are not atomic go by copies that expect it to change.
        Ok(unsafe { AtomicI32::from_ptr(place) })
    }

    /// The 64-bit word at `at`.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end. `EINVAL`: not aligned.
    pub fn wide_word(&self, at: usize) -> Result<&AtomicI64> {
        let place = self.place(at, size_of::<i64>())?.cast::<i64>();
        if !place.is_aligned() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: as for the 32-bit word.
        Ok(unsafe { AtomicI64::from_ptr(place) })
    }
}

/// Bytes in a page.
pub fn page_size() -> u64 {
    // SAFETY: a plain integer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

static LINE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LINE_LEN: AtomicUsize = AtomicUsize::new(0);
static STATUS: AtomicI32 = AtomicI32::new(1);

/// From now on SIGBUS writes `line` to standard error and ends the process with `status`.
pub fn on_bus_error(line: String, status: u8) -> Result<()> {
    let line: &'static mut str = line.leak();
    LINE_LEN.store(line.len(), Ordering::SeqCst);
    LINE.store(line.as_mut_ptr(), Ordering::SeqCst);
    STATUS.store(status.into(), Ordering::SeqCst);
    // SAFETY: the handler calls write(2) and _exit(2) alone, on memory that is never freed.
    unsafe { Handling::new(report_and_exit as *const () as usize, 0).set(Signal::BUS) }?;
    // A blocked one would end the process without a word.
    unblock(Set::of(Signal::BUS)).map(drop)
}

extern "C" fn report_and_exit(_: c_int) {
    let line = LINE.load(Ordering::SeqCst);
    // SAFETY: the line was leaked, and is that long. That it cannot be written cannot be told.
    unsafe { libc::write(libc::STDERR_FILENO, line.cast(), LINE_LEN.load(Ordering::SeqCst)) };
    // SAFETY: ends the process without running anything of what was interrupted.
    unsafe { libc::_exit(STATUS.load(Ordering::SeqCst)) }
}
