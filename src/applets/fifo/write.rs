//! `fifo write`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::path::Fifo;
use super::stream::readers;
use super::stream::writer::{Writer, fits};
use crate::applets::Verb;
use crate::args::creating::Making;
use crate::args::numbers::count;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::sys::pipe;

/// Waits for a reader, then writes each TEXT as a line or, without TEXT, copies standard input. --timeout limits the
/// wait for readers and for free space, not the time spent reading standard input.
///
/// If the last reader closes the FIFO too early, the status is 3, and the message shows how many bytes were read. With
/// --lines, lines from several writers never mix, but each line is limited to 4096 bytes.
#[derive(Args)]
pub struct Write {
    /// Path of the FIFO
    #[arg(value_name = "PATH")]
    fifo: Fifo,
    /// Lines to write instead of standard input
    #[arg(value_name = "TEXT")]
    texts: Vec<OsString>,
    #[command(flatten)]
    making: Making,
    /// Write each line atomically
    #[arg(long)]
    lines: bool,
    /// Wait until N readers open the FIFO (default: 1)
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1)]
    readers: u16,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Write {
    const NAME: &'static str = "write";
    const SUMMARY: &'static str = "Write lines or standard input to a FIFO";
    const EXAMPLES: &'static str = "
# Wait at most 0.1 seconds for a reader
ipcbox fifo create log
ipcbox fifo write log 'built a' -w 0.1 ||
  echo 'no reader'
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "the FIFO does not exist, or its last reader has closed it early"),
        (Exit::Exists, "the path is not a FIFO"),
    ];

    fn run(self) -> Result<Exit> {
        context("write to", &self.fifo, self.write())?;
        Ok(Exit::Done)
    }
}

impl Write {
    fn write(&self) -> Result<()> {
        pipe::block_sigpipe()?;
        let text = self.text();
        if let (Some(text), true) = (&text, self.lines) {
            // Before the first line is written.
            let lines = text.split_inclusive(|byte| *byte == b'\n').zip(1..);
            lines.into_iter().try_for_each(|(line, number)| fits(line.len() as u64, number))?;
        }
        self.fifo.create_if(self.making)?;
        let foreign = self.making.creating.foreign.is_some();
        let mut notice = Notice::verbose(&self.timeout, || format!("a reader of {}", self.fifo));
        let opened = notice.during(self.timeout.deadline(), |deadline| self.fifo.open_to_write(foreign, deadline));
        let (fd, seen) = opened.map_err(|error| match error.downcast_ref() {
            Some(Errno::EAGAIN) => self.unread().into(),
            _ => error,
        })?;
        if self.readers > 1 {
            let readers = || format!("{} readers of {}", self.readers, self.fifo);
            let notice = Notice::verbose(&self.timeout, readers);
            readers::wait_for(&fd, &seen, self.readers.into(), &self.timeout, notice)?;
        }
        let room = Notice::verbose(&self.timeout, || format!("{}: the FIFO is full", self.fifo));
        let mut out = Writer::new(fd, self.timeout, room);
        match (text, self.lines) {
            (Some(text), false) => out.write(&text),
            (Some(text), true) => text.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| out.write(line)),
            (None, false) => out.copy_input(),
            (None, true) => out.copy_lines(),
        }
    }

    fn unread(&self) -> Cause {
        let words = "no reader has opened it";
        if self.timeout.after().is_empty() { self.timeout.expired(words) } else { self.timeout.missed(words) }
    }

    /// The lines that were given as arguments.
    fn text(&self) -> Option<Vec<u8>> {
        let lines = self.texts.iter().flat_map(|text| [text.as_bytes(), b"\n"]);
        (!self.texts.is_empty()).then(|| lines.flatten().copied().collect())
    }
}
