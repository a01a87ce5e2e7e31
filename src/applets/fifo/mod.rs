//! `fifo`: named pipes that do not hang scripts.
//!
//! A read end is opened without blocking and then watched: the kernel reports no event for it before the first writer
//! opens. A write end blocks in open(2), interrupted by a timer: no other call notices a reader that waits in open(2).

mod create;
mod read;
mod rm;
mod serve;
mod stat;
mod stream;
mod write;

use anyhow::Result;
use nix::errno::Errno;
use nix::unistd::geteuid;

use self::stream::path::Fifo;
use super::{Applet, Entry};
use crate::args::creating::user;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::objects::errors::cannot;
use crate::sys::fifo;

/// The applet.
pub const APPLET: Applet = Applet {
    name: "fifo",
    summary: "Read and write named pipes without hanging, by line or in bulk",
    example: "ipcbox fifo read build.log --create --rm --follow",
    verbs: &[
        Entry::of::<create::Create>(),
        Entry::of::<read::Read>(),
        Entry::of::<write::Write>(),
        Entry::of::<serve::Serve>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<rm::Rm>(),
    ],
};

fn context<T>(what: &str, fifo: &Fifo, outcome: Result<T>) -> Result<T> {
    cannot(what, fifo, outcome, |errno| explain(fifo, errno))
}

/// Returns the failure on timeout, in a state: "still no data after 2s", or "no data" if the call did not wait.
fn still(state: &str, timeout: &Timeout) -> Cause {
    let after = timeout.after();
    let still = if after.is_empty() { "" } else { "still " };
    timeout.expired(format!("{still}{state}{after}"))
}

fn explain(fifo: &Fifo, errno: Errno) -> Cause {
    let cause = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT if !fifo.has_directory() => cause("the parent directory does not exist"),
        Errno::ENOENT => cause("no such FIFO"),
        Errno::EEXIST => cause("already exists"),
        Errno::ENOTDIR => cause("a part of the path is not a directory"),
        Errno::ELOOP => cause("the path contains a symbolic link, which is not followed").exit(Exit::Exists),
        Errno::EACCES | Errno::EPERM => match fifo::look(fifo.path()) {
            Ok(seen) if seen.uid != geteuid().as_raw() => {
                cause(&format!("permission denied; owned by {}", user(seen.uid)))
            }
            _ => Cause::plain(errno),
        },
        Errno::ENOSPC => cause("no space left on the file system"),
        Errno::EROFS => cause("the file system is read-only"),
        Errno::ENAMETOOLONG => cause("the path, or a name in it, is too long"),
        errno => Cause::plain(errno),
    }
}
