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

/// Copies data until every writer has closed the FIFO. --timeout limits the wait for the first writer. Reads several
/// FIFOs at once and never mixes their lines. A newline is added if the last line of a FIFO lacks one.
///
/// --count takes exactly COUNT lines and leaves the rest for the next reader. A FIFO keeps data only while a process
/// has it open. To keep data between two readers, hold the FIFO open with exec 8<>PATH.
#[derive(Args)]
pub struct Read {
    /// Paths of the FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    #[command(flatten)]
    making: Making,
    /// Remove the FIFO at exit if this call created it
    #[arg(long, requires = "create")]
    rm: bool,
    /// Keep reading after the last writer closes the FIFO
    ///
    /// Reading stops on a signal, or if --timeout expires without new data.
    #[arg(short, long)]
    follow: bool,
    /// Stop after COUNT lines; leave the rest in the FIFO
    ///
    /// The option --records is another name for --count.
    #[arg(short, long, alias = "records", value_name = "COUNT", value_parser = many)]
    count: Option<u64>,
    #[command(flatten)]
    ending: Ending,
    /// Start each line with "PATH: "
    #[arg(long)]
    tag: bool,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Read {
    const NAME: &'static str = "read";
    const SUMMARY: &'static str = "Copy data from FIFOs to standard output";
    const EXAMPLES: &'static str = "
# Read two lines, then remove the FIFO
ipcbox fifo read log --create --rm -c 2 &
until [ -p log ]; do sleep 0.01; done
ipcbox fifo write log 'built a' 'built b' -w 10s
wait
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "the FIFO does not exist, or was removed or replaced"),
        (Exit::Exists, "the path is not a FIFO"),
    ];

    fn run(self) -> Result<Exit> {
        interrupt::catch(&[Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE]).context("cannot catch signals")?;
        let outcome = self.read();
        // Data has been delivered and FIFOs removed: now a caught signal may kill the process.
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
                let source = Source::open(fifo, self.making.creating.foreign.is_some(), self.lines(fifo))?;
                sources.push(source);
                Ok(())
            };
            context("read", fifo, open())
        });
        source::check(&sources)?;
        let Some(first) = sources.first() else { return opened };
        let fifo = first.fifo;
        // Reported now, because reading the others can take long.
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

    /// Passes on data until EOF or a caught signal.
    fn pass(&self, sources: Vec<Source>) -> Result<()> {
        let count = self.count.map(|count| (count, self.ending.byte()));
        let mut reading = Reading::new(sources, count, self.follow, self.timeout)?;
        let outcome = reading.run();
        outcome.and(reading.finish())
    }

    /// Returns what assembles the lines of a FIFO, if lines must not mix.
    fn lines(&self, fifo: &Fifo) -> Option<Lines> {
        let path = fifo.path().as_os_str().as_bytes();
        let tag = if self.tag { [&visible_bytes(path)[..], b": "].concat() } else { Vec::new() };
        (self.tag || self.fifos.len() > 1).then(|| Lines::new(self.ending.byte(), tag))
    }
}
