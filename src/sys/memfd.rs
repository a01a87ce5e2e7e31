//! Anonymous files of memory: memfd_create(2).

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod, fstat};

/// The longest name, in bytes.
pub const NAME_MAX: usize = 249;

/// A new, empty one, which its owner alone may open. It can be sealed; it stays open across exec.
///
/// # Errors
/// `EINVAL`: a name above [`NAME_MAX`]. `EACCES`: the system (vm.memfd_noexec) allows none that can be executed.
pub fn create(name: &CStr, executable: bool) -> Result<OwnedFd> {
    let access = if executable { libc::MFD_EXEC } else { libc::MFD_NOEXEC_SEAL };
    let plain = MFdFlags::MFD_ALLOW_SEALING;
    let file = match memfd_create(name, plain | MFdFlags::from_bits_retain(access)) {
        // Linux before 6.3 knows neither; there all can be executed.
        Err(Errno::EINVAL) => memfd_create(name, plain),
        made => made,
    }?;
    let mode = if executable { Mode::S_IRWXU } else { Mode::S_IRUSR | Mode::S_IWUSR };
    fchmod(&file, mode)?;
    Ok(file)
}

/// Nobody can write to it, make it longer or shorter from now on, nor take that back. Its mode says so too.
///
/// # Errors
/// `EBUSY`: somebody maps it for writing.
pub fn seal(file: &OwnedFd) -> Result<()> {
    let mode = Mode::from_bits_truncate(fstat(file)?.st_mode);
    fchmod(file, mode & !Mode::S_IWUSR)?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop)
}
