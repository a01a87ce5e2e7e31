//! Anonymous files in memory, memfd_create(2).

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod, fstat};

/// The maximum length of a name, in bytes.
pub const NAME_MAX: usize = 249;

/// Creates an empty file that only its owner may open. It can be sealed and stays open across exec.
///
/// # Errors
/// `EINVAL`: the name is longer than [`NAME_MAX`]. `EACCES`: the system (vm.memfd_noexec) forbids executable ones.
pub fn create(name: &CStr, executable: bool) -> Result<OwnedFd> {
    let access = if executable { libc::MFD_EXEC } else { libc::MFD_NOEXEC_SEAL };
    let plain = MFdFlags::MFD_ALLOW_SEALING;
    let file = match memfd_create(name, plain | MFdFlags::from_bits_retain(access)) {
        // Linux before 6.3 knows neither flag; all its memfds are executable.
        Err(Errno::EINVAL) => memfd_create(name, plain),
        made => made,
    }?;
    let mode = if executable { Mode::S_IRWXU } else { Mode::S_IRUSR | Mode::S_IWUSR };
    fchmod(&file, mode)?;
    Ok(file)
}

/// Checks that the kernel can create a file that is not executable (Linux 6.3).
pub(super) fn can_forbid_execution() -> Result<()> {
    memfd_create(c"ipcbox", MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL)).map(drop)
}

/// Forbids writing, growing, shrinking and further seals for good. Also clears the write permission.
///
/// # Errors
/// `EBUSY`: a process has a writable mapping of the file.
pub fn seal(file: &OwnedFd) -> Result<()> {
    let mode = Mode::from_bits_truncate(fstat(file)?.st_mode);
    fchmod(file, mode & !Mode::S_IWUSR)?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop)
}
