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
use crate::exit::Exit;
use crate::output::notice::Notice;
use crate::sys::pipe;

/// Waits for a reader, and writes each TEXT as a line, or copies standard input.
///
/// With --lines every line is one write of at most 4096 bytes, its newline included, so that lines of any number of
/// writers never mix; a last line without newline gets one. A longer line is refused with its number and length, and
/// ends it; the lines before it have been written.
///
/// --timeout bounds the waiting for readers and for room in the FIFO, all together; what standard input takes does not
/// count. When the last reader goes away the status is 3, and it is told how many bytes had been read until then.
///
/// With --readers it waits until so many processes have the FIFO open for reading, as seen in /proc: those of the same
/// user, or all with the privilege. The kernel tells that it was opened just before the descriptor can be seen, and not
/// at all that one was inherited: so /proc is looked through at every opening and then at growing intervals, from 1 ms
/// up to 1 s.
#[derive(Args)]
pub struct Write {
    /// The FIFO
    #[arg(value_name = "PATH")]
    fifo: Fifo,
    /// Lines to write instead of standard input
    #[arg(value_name = "TEXT")]
    texts: Vec<OsString>,
    #[command(flatten)]
    making: Making,
    /// Write every line in one piece
    #[arg(long)]
    lines: bool,
    /// Wait for so many readers instead of one
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1)]
    readers: u16,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Write {
    const NAME: &'static str = "write";
    const SUMMARY: &'static str = "Write lines or standard input, when there is a reader";
    const EXAMPLES: &'static str = "
# Wait for a reader for a tenth of a second at most
ipcbox fifo create log
ipcbox fifo write log 'built a' -w 0.1 ||
  echo 'nobody reads'
";

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
            // Before anything is written.
            let lines = text.split_inclusive(|byte| *byte == b'\n').zip(1..);
            lines.into_iter().try_for_each(|(line, number)| fits(line.len() as u64, number))?;
        }
        self.fifo.create_if(self.making)?;
        let foreign = self.making.creating.foreign;
        let mut notice = Notice::verbose(&self.timeout, || format!("a reader of {}", self.fifo));
        let opened = notice.during(self.timeout.deadline(), |deadline| self.fifo.open_to_write(foreign, deadline));
        let (fd, seen) = opened.map_err(|error| match error.downcast_ref() {
            Some(Errno::EAGAIN) => self.timeout.missed("no reader came").into(),
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

    /// The lines that were given as arguments.
    fn text(&self) -> Option<Vec<u8>> {
        let lines = self.texts.iter().flat_map(|text| [text.as_bytes(), b"\n"]);
        (!self.texts.is_empty()).then(|| lines.flatten().copied().collect())
    }
}
