//! `fifo read`.

use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use clap::Args;

use super::context;
use super::stream::path::{Fifo, Made};
use super::stream::peek::Ending;
use super::stream::reading::Reading;
use super::stream::source::{self, Source};
use crate::applets::Verb;
use crate::args::creating::Making;
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::{Exit, each};
use crate::output::{self, Lines};
use crate::sys::interrupt;
use crate::sys::signal::Signal;
use crate::text::visible_bytes;

/// Copies to standard output until every writer has closed, as it comes. Opening does not wait: a writer that comes
/// later finds a reader, and one that never comes keeps read waiting no longer than --timeout.
///
/// Several FIFOs are read at once, and so is one with --tag, by whole lines, which are never mixed; a last line without
/// newline gets one. A line of more than 1 MiB has the output for itself until it ends.
///
/// With --count the lines are taken from the FIFO to the byte, and the rest stays in it for the next reader. Readers
/// that do so take turns, each from its first record to its last. Bytes in a FIFO are lost when the last process closes
/// it, and a writer without reader gets EPIPE: between two readers somebody has to hold it open for both, as a shell
/// does with exec 8<>PATH. A line that is not whole yet is not taken until its writer has left, or the FIFO is full of
/// it; since the kernel does not always tell when more of it has come, it is looked for at growing intervals, from 1 ms
/// up to 1 s.
///
/// With --nonblock status 0 means that there was something, or that the writers had left, and 124 that there was
/// nothing. A writer that waits in open(2) is let in by any reader, also by one that is gone before the writer writes:
/// give it time by --timeout.
///
/// With --follow, if the FIFO is removed or replaced, it is read until the writers of the old one have left; then the
/// status is 3.
///
/// With --rm a FIFO that was made here is removed at the end, also after SIGINT, SIGTERM and SIGHUP; SIGKILL leaves it
/// behind.
#[derive(Args)]
pub struct Read {
    /// The FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    #[command(flatten)]
    making: Making,
    /// Remove at the end what was made here
    #[arg(long, requires = "create")]
    rm: bool,
    /// Stay when writers have closed, until a signal comes, or nothing for as long as --timeout
    #[arg(short, long)]
    follow: bool,
    /// Stop after COUNT lines and leave the rest in the FIFO; --records is another name
    #[arg(short, long, alias = "records", value_name = "COUNT", value_parser = many)]
    count: Option<u64>,
    #[command(flatten)]
    ending: Ending,
    /// Put "PATH: " before each line
    #[arg(long)]
    tag: bool,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Read {
    const NAME: &'static str = "read";
    const SUMMARY: &'static str = "Copy what writers write to standard output";
    const EXAMPLES: &'static str = "
# Two lines of whoever writes; the FIFO goes with the reader
ipcbox fifo read log --create --rm -c 2 &
until [ -p log ]; do sleep 0.01; done
ipcbox fifo write log 'built a' 'built b' -w 10s
wait
";

    fn run(self) -> Result<Exit> {
        interrupt::catch(&[Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE]).context("cannot catch signals")?;
        let outcome = self.read();
        // What was taken has been delivered, what was made is removed: now a signal ends the process.
        interrupt::end()?;
        outcome
    }
}

impl Read {
    fn read(&self) -> Result<Exit> {
        let mut made = Vec::new();
        let mut sources = Vec::new();
        let opened = each(&self.fifos, |fifo| {
            let mut open = || {
                output::require()?;
                let new = fifo.create_if(self.making)?;
                made.extend(new.filter(|_| self.rm).map(|seen| Made(fifo, seen)));
                let source = Source::open(fifo, self.making.creating.foreign, self.lines(fifo))?;
                sources.push(source);
                Ok(())
            };
            context("read", fifo, open())
        });
        source::check(&sources)?;
        let Some(first) = sources.first() else { return opened };
        let fifo = first.fifo;
        // Told now: to read the others can take long.
        let unopened = opened.inspect_err(output::report).err();
        let read = context("read", fifo, self.pass(sources));
        match unopened {
            None => read.map(|()| Exit::Done),
            Some(first) => {
                let _ = read.inspect_err(output::report);
                Ok(Exit::of(&first))
            }
        }
    }

    /// Passes on what comes, until the end or a signal that is caught.
    fn pass(&self, sources: Vec<Source>) -> Result<()> {
        let count = self.count.map(|count| (count, self.ending.byte()));
        let mut reading = Reading::new(sources, count, self.follow, self.timeout)?;
        let outcome = reading.run();
        outcome.and(reading.finish())
    }

    /// What puts the lines of a FIFO together, where they are to be whole.
    fn lines(&self, fifo: &Fifo) -> Option<Lines> {
        let path = fifo.path().as_os_str().as_bytes();
        let tag = if self.tag { [&visible_bytes(path)[..], b": "].concat() } else { Vec::new() };
        (self.tag || self.fifos.len() > 1).then(|| Lines::new(self.ending.byte(), tag))
    }
}
