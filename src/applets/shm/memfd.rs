//! `shm memfd`: a sealed memory file for CMD.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::object::payload::readable;
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit, sysctl};
use crate::supervise::command::{Command, fill};
use crate::sys::{errno, fds, memfd, transfer};

/// Copies FILE, or standard input, to a file that exists in memory only, and runs CMD. An argument {} is replaced with
/// the path of the file; IPCBOX_MEMFD also contains this path. CMD and its children can open the path. The file cannot
/// be changed, and only its owner may open it. The file disappears when the last process that has it open exits. Swap
/// can hold a copy.
#[derive(Args)]
pub struct Memfd {
    /// File to copy (default: standard input)
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show the file as NAME in /proc (default: ipcbox)
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "ipcbox")]
    name: CString,
    /// Leave the file unsealed, so that CMD can change it
    #[arg(long)]
    writable: bool,
    /// Allow the file to be executed
    ///
    /// To run the file itself, use {} as CMD.
    #[arg(long)]
    executable: bool,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

fn name(text: &str) -> Result<CString, String> {
    let name = CString::new(text).ok().filter(|name| name.count_bytes() <= memfd::NAME_MAX);
    name.ok_or_else(|| format!("expected at most {} bytes", memfd::NAME_MAX))
}

impl Verb for Memfd {
    const NAME: &'static str = "memfd";
    const SUMMARY: &'static str = "Run CMD with the path of a sealed memory file";
    const EXAMPLES: &'static str = "
# Pass a secret in a file that is never written to disk
printf secret | ipcbox shm memfd -- cat {}
";
    const RUNS: Runs = Runs::Command;

    fn run(self) -> Result<Exit> {
        let file = memfd::create(&self.name, self.executable)
            .map_err(|errno| refused(errno, self.executable))
            .context("cannot create a memory file")?;
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
        Errno::EACCES if executable => Cause::from_errno(errno, "vm.memfd_noexec forbids executable memory files")
            .hint(sysctl("vm.memfd_noexec", 1)),
        Errno::EPERM => Cause::forbidden("memfd_create"),
        errno => Cause::plain(errno),
    }
}
