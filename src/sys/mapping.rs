//! Memory that other processes can write at any time.
//!
//! No reference to its bytes ever exists. They are copied through raw pointers, moved by read(2) and write(2) directly
//! from and to descriptors, or accessed as single atomic words. If another process truncates a mapped file, an access
//! beyond the new end raises SIGBUS ([`on_bus_error`]), and system calls fail with `EFAULT`.
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

/// A shared mapping of a segment or a file.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    len: usize,
    /// Bytes before the requested part: a file is mapped from a page boundary.
    skipped: usize,
    is_segment: bool,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.is_segment {
            // SAFETY: shmat returned this address, and no borrow of the mapping is left.
            unsafe { libc::shmdt(self.start.as_ptr()) };
        } else {
            // SAFETY: mmap returned this address for this length, and no borrow of the mapping is left.
            let _ = unsafe { munmap(self.start, self.len) };
        }
    }
}

impl Mapping {
    /// Attaches the segment `id` of `len` bytes, shmat(2).
    ///
    /// # Errors
    /// `EACCES`: no permission to read or write it. `EINVAL`, `EIDRM`: it is gone.
    pub fn attach(id: c_int, len: usize, writable: bool) -> Result<Self> {
        let flags = if writable { 0 } else { libc::SHM_RDONLY };
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
        let address = unsafe { libc::shmat(id, std::ptr::null(), flags) };
        if address.addr() == usize::MAX {
            return Err(Errno::last());
        }
        let start = NonNull::new(address).ok_or(Errno::ENOMEM)?;
        Ok(Self { start, len, skipped: 0, is_segment: true })
    }

    /// Maps `len` bytes of a file from `offset` on, mmap(2).
    ///
    /// # Errors
    /// `EACCES`: the descriptor does not permit it. `EINVAL`: `len` is 0. `EOVERFLOW`: beyond the largest file offset.
    pub fn map(file: impl AsFd, offset: u64, len: usize, writable: bool) -> Result<Self> {
        let skipped = offset % page_size();
        let from = libc::off_t::try_from(offset - skipped).map_err(|_| Errno::EOVERFLOW)?;
        let skipped = skipped as usize;
        let whole = len.checked_add(skipped).ok_or(Errno::EOVERFLOW)?;
        let size = NonZeroUsize::new(whole).ok_or(Errno::EINVAL)?;
        let write = if writable { ProtFlags::PROT_WRITE } else { ProtFlags::empty() };
        let access = ProtFlags::PROT_READ | write;
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, from) };
        let start = without_waiting(start)?;
        Ok(Self { start, len: whole, skipped, is_segment: false })
    }

    /// Returns the number of bytes.
    pub const fn len(&self) -> usize {
        self.len - self.skipped
    }

    /// Returns whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the address of `len` bytes from `at` on.
    fn place(&self, at: usize, len: usize) -> Result<*mut c_void> {
        let end = at.checked_add(len).ok_or(Errno::EFAULT)?;
        if end > self.len() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: `at` is within the mapping, or one past its end if `len` is 0.
        Ok(unsafe { self.start.as_ptr().byte_add(self.skipped + at) })
    }

    /// Copies bytes out of the memory.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn read_at(&self, at: usize, bytes: &mut [u8]) -> Result<()> {
        let from = self.place(at, bytes.len())?;
        // SAFETY: both are that long, and private memory does not overlap shared memory. A concurrent write can be
        // copied in part; every byte is a valid u8.
        unsafe { from.cast::<u8>().copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies bytes into the memory.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn write_at(&self, at: usize, bytes: &[u8]) -> Result<()> {
        let to = self.place(at, bytes.len())?;
        // SAFETY: as for reading.
        unsafe { to.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Sets bytes to zero.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end.
    pub fn clear(&self, at: usize, len: usize) -> Result<()> {
        let to = self.place(at, len)?;
        // SAFETY: place() has checked the range.
        unsafe { to.cast::<u8>().write_bytes(0, len) };
        Ok(())
    }

    /// Reads up to `most` bytes from a descriptor directly into the memory, until EOF, and returns their number.
    pub fn pull(&self, from: BorrowedFd, at: usize, most: usize) -> Result<usize> {
        let mut done = 0;
        while done < most {
            let step = (most - done).min(ALL);
            let to = self.place(at + done, step)?;
            // SAFETY: place() has checked the range.
            let read = || Errno::result(unsafe { libc::read(from.as_raw_fd(), to, step) });
            match reading(from, read)? {
                0 => break,
                came => done += came.cast_unsigned(),
            }
        }
        Ok(done)
    }

    /// Writes `len` bytes directly from the memory to a descriptor, and returns their number.
    pub fn pour(&self, to: BorrowedFd, at: usize, len: usize) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let step = (len - done).min(ALL);
            let from = self.place(at + done, step)?;
            // SAFETY: place() has checked the range.
            let write = || Errno::result(unsafe { libc::write(to.as_raw_fd(), from, step) }).map(isize::cast_unsigned);
            done += write_some(to, write)?;
        }
        Ok(done)
    }

    /// Returns the 32-bit word at `at`.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end. `EINVAL`: `at` is not aligned.
    pub fn word(&self, at: usize) -> Result<&AtomicI32> {
        let place = self.place(at, size_of::<i32>())?.cast::<i32>();
        if !place.is_aligned() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the word is aligned and lives as long as the mapping. All other accesses of ipcbox to it are copies
        // that allow for concurrent changes.
        Ok(unsafe { AtomicI32::from_ptr(place) })
    }

    /// Returns the 64-bit word at `at`.
    ///
    /// # Errors
    /// `EFAULT`: beyond the end. `EINVAL`: `at` is not aligned.
    pub fn wide_word(&self, at: usize) -> Result<&AtomicI64> {
        let place = self.place(at, size_of::<i64>())?.cast::<i64>();
        if !place.is_aligned() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: as for the 32-bit word.
        Ok(unsafe { AtomicI64::from_ptr(place) })
    }
}

/// Returns the page size in bytes.
pub fn page_size() -> u64 {
    // SAFETY: a plain integer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

static LINE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LINE_LEN: AtomicUsize = AtomicUsize::new(0);
static STATUS: AtomicI32 = AtomicI32::new(1);

/// Makes SIGBUS write `line` to standard error and exit with `status`.
pub fn on_bus_error(line: String, status: u8) -> Result<()> {
    let line: &'static mut str = line.leak();
    LINE_LEN.store(line.len(), Ordering::SeqCst);
    LINE.store(line.as_mut_ptr(), Ordering::SeqCst);
    STATUS.store(status.into(), Ordering::SeqCst);
    // SAFETY: the handler only calls write(2) and _exit(2), with memory that is never freed.
    unsafe { Handling::new(report_and_exit as *const () as usize, 0).set(Signal::BUS) }?;
    // A blocked SIGBUS would kill the process without a message.
    unblock(Set::of(Signal::BUS)).map(drop)
}

extern "C" fn report_and_exit(_: c_int) {
    let line = LINE.load(Ordering::SeqCst);
    // SAFETY: the line is leaked and has this length. A failure to write it cannot be reported.
    unsafe { libc::write(libc::STDERR_FILENO, line.cast(), LINE_LEN.load(Ordering::SeqCst)) };
    // SAFETY: exits without running any code that was interrupted.
    unsafe { libc::_exit(STATUS.load(Ordering::SeqCst)) }
}
