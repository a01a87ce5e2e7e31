//! `fifo serve`.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::doing;
use super::lines::Ending;
use super::path::{Fifo, Finding, Made};
use super::peek::Peek;
use crate::applets::{Runs, Verb};
use crate::args::command::Command;
use crate::args::numbers::count;
use crate::exit::{Cause, Exit};
use crate::jobs::{Jobs, Printed};
use crate::sys::events::Events;
use crate::sys::wait::Patience;
use crate::sys::{fds, fifo, pipe};

/// Runs CMD for each line, which CMD finds on its standard input, newline and all, and without it wherever {} is an argument by
/// itself. With --null a record is what lies between two NULs, which are in neither. A line is taken when a CMD can start: the
/// others stay in the FIFO. What several CMDs print is not mixed.
///
/// It stays when writers have closed. Lines that it has not taken are lost when it ends and nobody else has the FIFO open. A FIFO has one
/// server; readers that count records, too, are kept away by it.
///
/// SIGTERM: no more lines are taken, what runs is waited for, status 0. SIGINT and SIGHUP likewise, and then it dies by the signal. A
/// second signal goes on to the CMDs and ends it. A CMD that fails does not; one that cannot be found ends it with 127 before
/// a line is taken.
#[derive(Args)]
pub struct Serve {
    /// The FIFO
    #[arg(value_name = "PATH")]
    fifo: Fifo,
    #[command(flatten)]
    finding: Finding,
    /// Remove at the end what was made here
    #[arg(long, requires = "create")]
    rm: bool,
    /// At most so many CMDs at once instead of one
    #[arg(short, long, value_name = "N", value_parser = count, default_value_t = 1, hide_default_value = true, allow_negative_numbers = true)]
    jobs: u16,
    #[command(flatten)]
    ending: Ending,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Serve {
    const NAME: &'static str = "serve";
    const SUMMARY: &'static str = "Run CMD for each line that writers write";
    const RUNS: Runs = Runs::Each;

    fn run(mut self) -> Result<Exit> {
        let command = Command::find(std::mem::take(&mut self.command))?;
        let is_text = self.ending.byte() == b'\n';
        let command = if is_text { command.ending_records_in(b"\n") } else { command };
        let mut jobs = Jobs::new(command, self.jobs, super::APPLET.name)?;
        doing("serve", &self.fifo, self.serve(&mut jobs))?;
        jobs.end(false)
    }
}

impl Serve {
    fn serve(&self, jobs: &mut Jobs<()>) -> Result<()> {
        let new = self.fifo.find(self.finding)?;
        let _made = new.filter(|_| self.rm).map(|seen| Made(&self.fifo, seen));
        let (fd, _) = self.fifo.open_to_read(self.finding.creating.foreign)?;
        fifo::lock(&fd, Patience::Never).map_err(|errno| match errno {
            Errno::EAGAIN => {
                let words = "another one serves it, or counts the records that it reads";
                anyhow::Error::from(Cause::told(errno, words).exit(Exit::Failed))
            }
            errno => errno.into(),
        })?;
        let events = Events::new()?;
        events.watch(&fd, 0)?;
        let end = self.ending.byte();
        let mut lines =
            OneByOne { peek: Peek::new(pipe::capacity(&fd)?, end)?, end, begun: Vec::new() };
        let mut ready = false;
        loop {
            jobs.ended()?;
            if jobs.is_stopping() && jobs.is_idle() {
                return Ok(());
            }
            if jobs.is_stopping() || !jobs.has_room() {
                jobs.wait()?;
                continue;
            }
            if !ready {
                events.wait(Patience::Forever)?;
                ready = !events.take()?.is_empty();
                continue;
            }
            match lines.next(&fd)? {
                Some(line) => drop(jobs.start(&line, &[], Printed::Passed, ())?),
                None => ready = false,
            }
        }
    }
}

/// The lines of a FIFO, each taken from it when it is asked for.
struct OneByOne {
    peek: Peek,
    end: u8,
    /// What was taken of a line that is longer than the FIFO.
    begun: Vec<u8>,
}

impl OneByOne {
    /// The next line, without its end. `None`: there is no whole one.
    fn next(&mut self, fifo: impl std::os::fd::AsFd) -> Result<Option<Vec<u8>>> {
        loop {
            let piece = match self.peek.piece(&fifo, 1) {
                Ok(Some(piece)) => piece,
                Ok(None) if self.begun.is_empty() => return Ok(None),
                // The writer of a long line left before its end.
                Ok(None) => return Ok(Some(std::mem::take(&mut self.begun))),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => bail!(errno),
            };
            let start = self.begun.len();
            self.begun.resize(start + piece.bytes, 0);
            let mut read = start;
            while read < self.begun.len() {
                read += fds::read(&fifo, &mut self.begun[read..])?;
            }
            if piece.records == 1 {
                let mut line = std::mem::take(&mut self.begun);
                line.pop_if(|byte| *byte == self.end);
                return Ok(Some(line));
            }
        }
    }
}
