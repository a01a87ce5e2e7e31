//! `shm memfd`: bytes in a sealed memory file, given to CMD.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::object::source::readable;
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit};
use crate::supervise::command::{Command, fill};
use crate::sys::{errno, fds, memfd, transfer};

/// An anonymous file in memory with the bytes of FILE, else of standard input, which CMD can open but nobody can
/// change: it is sealed against writing, growing and shrinking. It never has a name on any disk, is in no argument
/// list, and goes when the last process that has it open ends; memory that is swapped out is the one way to a disk.
///
/// Its mode is 0400, 0500 with --executable, so that ssh-keygen, ssh-add, PGPASSFILE and mariadb accept it as a private
/// file. With --writable it is 0600, or 0700.
///
/// The box becomes CMD. An argument {} is replaced by the file's path, /proc/self/fd/N, which IPCBOX_MEMFD holds too;
/// it is good for CMD and for its children. With --executable {} can be CMD itself. Where the box read its own standard
/// input, that of CMD is empty.
#[derive(Args)]
pub struct Memfd {
    /// What to read instead of standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The name that /proc shows for it
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "ipcbox")]
    name: CString,
    /// Leave it unsealed
    #[arg(long)]
    writable: bool,
    /// Let it be executed
    #[arg(long)]
    executable: bool,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

fn name(text: &str) -> Result<CString, String> {
    let name = CString::new(text).ok().filter(|name| name.count_bytes() <= memfd::NAME_MAX);
    name.ok_or_else(|| format!("a name has at most {} bytes", memfd::NAME_MAX))
}

impl Verb for Memfd {
    const NAME: &'static str = "memfd";
    const SUMMARY: &'static str = "Give CMD a sealed memory file";
    const EXAMPLES: &'static str = "
# A secret as a file that lies on no disk
printf secret | ipcbox shm memfd -- cat {}
";
    const RUNS: Runs = Runs::Command;

    fn run(self) -> Result<Exit> {
        let file = memfd::create(&self.name, self.executable)
            .map_err(|errno| refused(errno, self.executable))
            .context("cannot make a memory file")?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut words = self.command;
        fill(&mut words, path.as_bytes())?;
        let command = Command::find(words)?;
        if let Some(name) = &self.file {
            let from = File::open(name).map_err(|error| Cause::plain(errno(error)));
            let copied = from.and_then(|from| copy(from.as_fd(), &file));
            copied.with_context(|| format!("cannot read {}", name.display()))?;
        } else {
            copy(fds::stdin(), &file).context("cannot read standard input")?;
            fds::empty_stdin().context("cannot open /dev/null")?;
        }
        if !self.writable {
            memfd::seal(&file).context("cannot seal the memory file")?;
        }
        // CMD inherits it.
        std::mem::forget(file);
        match command.replace(&[("IPCBOX_MEMFD", path)])? {}
    }
}

fn copy(from: BorrowedFd, to: &OwnedFd) -> Result<(), Cause> {
    readable(from)?;
    let copied = transfer::pull(from, to.as_fd(), 0, u64::MAX);
    copied.and_then(|_| transfer::seek(to, 0)).map_err(Cause::plain)
}

fn refused(errno: Errno, executable: bool) -> Cause {
    match errno {
        Errno::EACCES if executable => {
            Cause::from_errno(errno, "none that can be executed is allowed").hint("/proc/sys/vm/memfd_noexec is 2")
        }
        Errno::EPERM => Cause::forbidden("memfd_create"),
        errno => Cause::plain(errno),
    }
}
