//! Opening what an address names, and copying both directions of a connection.

pub mod client;
pub mod exchange;

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::args::creating::user;
use crate::exit::{Cause, Exit};
use crate::sys::fifo::{self, Kind};

/// Explains a failed call on the file of a socket.
pub fn explain_path(path: &Path, errno: Errno) -> Cause {
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT if fifo::directory(directory(path)) == Err(errno) => cause("the parent directory does not exist"),
        // A socket is reached through /proc.
        Errno::ENOENT if fifo::look(path).is_ok() && fifo::directory(Path::new("/proc/self/fd")).is_err() => {
            cause("/proc is not mounted").exit(Exit::Failed)
        }
        Errno::ENOENT => cause("no such socket"),
        Errno::ENOTDIR => cause("a part of the path is not a directory"),
        Errno::EISDIR => cause("the path ends in a directory"),
        Errno::ENAMETOOLONG => cause("the path, or a name in it, is too long"),
        Errno::EACCES => match fifo::look(path) {
            Ok(seen) if seen.uid != geteuid().as_raw() => {
                cause(&format!("permission denied; owned by {}", user(seen.uid)))
            }
            _ => Cause::plain(errno),
        },
        errno => Cause::plain(errno),
    }
}

/// Returns the failure on a file that is not a socket.
pub fn not_a_socket(path: &Path, kind: Kind) -> Cause {
    let words = match kind {
        Kind::Fifo => "a FIFO",
        Kind::Regular => "a regular file",
        Kind::Directory => "a directory",
        Kind::Link => "a symbolic link, which is not followed",
        Kind::Device => "a device",
        Kind::Socket => "another socket by now",
    };
    let cause = Cause::new(Exit::Exists, format!("the path is {words}, not a socket"));
    match std::fs::canonicalize(path) {
        Ok(target) if kind == Kind::Link => cause.hint(format!("use {}", target.display())),
        _ => cause,
    }
}

/// Returns the directory of a path.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
