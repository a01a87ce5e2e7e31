//! A pipe on the command line: `FD`, `PID:FD`, or a path.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::errno::Errno;

use crate::exit::{Cause, Exit};
use crate::sys::holders::{self, Holders};
use crate::sys::{errno, fds, pipe, process};
use crate::text::quote;

/// A pipe as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeTarget {
    typed: OsString,
    form: Spelling,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Spelling {
    Own(i32),
    Of(i32, i32),
    Path(PathBuf),
}

/// A pipe that was found.
pub struct OpenPipe {
    /// A descriptor; `None` if no process that may be traced has the FIFO open.
    pub fd: Option<OwnedFd>,
    pub holders: Holders,
    pub is_fifo: bool,
}

impl From<OsString> for PipeTarget {
    fn from(typed: OsString) -> Self {
        let text = typed.to_str().unwrap_or_default();
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<i32>().ok())?
        };
        let form = match text.split_once(':') {
            Some((pid, fd)) => number(pid).zip(number(fd)).map(|(pid, fd)| Spelling::Of(pid, fd)),
            None => number(text).map(Spelling::Own),
        };
        let form = form.unwrap_or_else(|| Spelling::Path(PathBuf::from(&typed)));
        Self { typed, form }
    }
}

impl fmt::Display for PipeTarget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.typed.display())
    }
}

impl PipeTarget {
    /// Returns those of the descriptors `numbers` that are pipes.
    pub fn standard(numbers: std::ops::Range<i32>) -> Vec<Self> {
        let is_pipe = |number: &i32| fds::copy_of(*number).is_ok_and(pipe::is_pipe);
        let end = |number: i32| Self { typed: number.to_string().into(), form: Spelling::Own(number) };
        numbers.filter(is_pipe).map(end).collect()
    }

    /// Returns a descriptor that another process has, or a copy. Opening a FIFO again would unblock waits in open(2).
    pub fn fd(&self) -> Result<OwnedFd> {
        if let Spelling::Path(path) = &self.form {
            let Some(fd) = lent(&holders::of(look(path)?).unwrap_or_default()) else {
                let cause = Cause::new(Exit::Missing, "no process that you may trace has the FIFO open");
                bail!(cause.hint(format!("open the FIFO first: exec 8<>{}", quote(&path.to_string_lossy()))));
            };
            return Ok(fd);
        }
        let fd = match &self.form {
            Spelling::Of(pid, fd) => process::descriptor(*pid, *fd).map_err(|errno| match errno {
                Errno::EBADF => {
                    Cause::from_errno(errno, format!("process {pid} has no descriptor {fd}")).exit(Exit::Missing)
                }
                Errno::ESRCH | Errno::EINVAL => {
                    Cause::from_errno(errno, format!("no process {pid}")).exit(Exit::Missing)
                }
                Errno::EPERM => Cause::from_errno(errno, format!("no permission to trace process {pid}")),
                errno => Cause::plain(errno),
            })?,
            Spelling::Own(number) => fds::copy_of(*number).map_err(|errno| match errno {
                Errno::EBADF => Cause::from_errno(errno, "not an open descriptor").exit(Exit::Missing),
                errno => Cause::plain(errno),
            })?,
            Spelling::Path(_) => bail!(Errno::EINVAL),
        };
        if pipe::is_pipe(&fd) {
            return Ok(fd);
        }
        bail!(not_a_pipe());
    }

    /// Returns the pipe and the processes that have it open.
    pub fn find(&self) -> Result<OpenPipe> {
        let (place, fd) = if let Spelling::Path(path) = &self.form {
            (look(path)?, None)
        } else {
            let file = File::from(self.fd()?);
            let meta = file.metadata()?;
            ((meta.dev(), meta.ino()), Some(OwnedFd::from(file)))
        };
        let holders = holders::of(place).unwrap_or_default();
        let fd = fd.or_else(|| lent(&holders));
        let is_fifo = fd.as_ref().is_none_or(has_name);
        Ok(OpenPipe { fd, holders, is_fifo })
    }
}

/// Returns device and inode of the FIFO, or of the pipe below `/proc`, at a path.
fn look(path: &Path) -> Result<(u64, u64)> {
    match path.metadata() {
        Ok(meta) if meta.file_type().is_fifo() => Ok((meta.dev(), meta.ino())),
        Ok(_) => bail!(not_a_pipe()),
        Err(error) => {
            let cause = match errno(error) {
                errno @ Errno::ENOENT => {
                    Cause::from_errno(errno, "no such file").hint("write a descriptor of a process as PID:FD")
                }
                errno => Cause::plain(errno),
            };
            bail!(cause)
        }
    }
}

fn not_a_pipe() -> Cause {
    Cause::new(Exit::Failed, "not a pipe")
}

/// Returns a copy of a descriptor of one of these processes.
fn lent(holders: &Holders) -> Option<OwnedFd> {
    let mut fds = holders.seen.iter().flat_map(|holder| holder.open.iter().map(|open| (holder.pid, open.fd)));
    fds.find_map(|(pid, fd)| process::descriptor(pid, fd).ok())
}

/// Whether a pipe is a FIFO: the link of any other pipe in `/proc` reads `pipe:[INODE]`.
fn has_name(fd: &OwnedFd) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()));
    link.is_ok_and(|path| path.to_str().is_none_or(|path| !path.starts_with("pipe:[")))
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/pipe/pipeline/target.rs"]
mod tests;
