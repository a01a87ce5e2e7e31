//! `fifo`: named pipes that do not hang scripts.
//!
//! A read end is opened without waiting and then watched: the kernel is quiet about it until a writer has come. A write
//! end waits in open(2) itself, which a timer ends, since only there does the kernel tell of a reader that waits for a
//! writer.

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

/// Adds "cannot WHAT PATH" to a failure, and puts a bare errno into words that fit a FIFO.
fn context<T>(what: &str, fifo: &Fifo, outcome: Result<T>) -> Result<T> {
    cannot(what, fifo, outcome, |errno| explain(fifo, errno))
}

fn explain(fifo: &Fifo, errno: Errno) -> Cause {
    let told = |words: &str| Cause::from_errno(errno, words);
    match errno {
        Errno::ENOENT if !fifo.has_directory() => told("its directory is missing"),
        Errno::ENOENT => told("no such FIFO"),
        Errno::EEXIST => told("it is there already"),
        Errno::ENOTDIR => told("a part of the path is not a directory"),
        Errno::ELOOP => told("there is a symbolic link, which is not followed").exit(Exit::Exists),
        Errno::EACCES | Errno::EPERM => match fifo::look(fifo.path()) {
            Ok(seen) if seen.uid != geteuid().as_raw() => {
                told(&format!("permission denied, it belongs to {}", user(seen.uid)))
            }
            _ => Cause::plain(errno),
        },
        Errno::ENOSPC => told("no space left on its file system"),
        Errno::EROFS => told("its file system is read-only"),
        Errno::ENAMETOOLONG => told("the path, or a name in it, is too long"),
        errno => Cause::plain(errno),
    }
}
