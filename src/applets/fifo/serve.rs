//! `fifo serve`.

use std::ffi::OsString;
use std::os::fd::AsFd;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::backoff::Pause;
use super::stream::path::{Fifo, Finding, Made};
use super::stream::peek::{Ending, Found, Peek};
use super::stream::place::{Place, replaced};
use crate::applets::{Runs, Verb};
use crate::args::numbers::count;
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::pool::{Jobs, Printed};
use crate::supervise::report::Report;
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::wait::Wake;
use crate::sys::{fds, fifo, pipe};

/// Runs CMD for each line, which CMD finds on its standard input, newline and all, and without it wherever {} is an argument by
/// itself. With --null a record is what lies between two NULs, which are in neither. A line is taken when it is whole and a CMD can start: the
/// others stay in the FIFO. The rest of one that is not whole is looked for as read --count does. What several CMDs print is not mixed:
/// with -j each one's output is printed when it exits, and what its background processes print later is dropped.
///
/// It stays when writers have closed. Lines that it has not taken are lost when it ends and nobody else has the FIFO open. A FIFO has one
/// server; readers that count records, too, are kept away by it.
///
/// --report writes a JSON object a line for each line that was taken, when its CMD has ended: record argv pid status signal wall_s user_s system_s max_rss_bytes.
/// FILE can be /dev/fd/N, or a FIFO, whose reader is waited for before anything is taken. A symbolic link is refused. Where
/// the report cannot be written the server takes no more and fails.
///
/// If the FIFO is removed or replaced, it serves what the writers of the old one write until they have left, and then fails with
/// status 3.
///
/// SIGTERM: no more lines are taken, what runs is waited for, status 0. SIGINT and SIGHUP likewise, and then it dies by the signal. A
/// second signal goes on to the CMDs and ends it. A CMD that fails does not; one that cannot be found ends it with 127 before
/// a line is taken, one that cannot be executed with 126. Where there is no process or descriptor for one more, its line waits until another has ended; where none runs it is
/// told to be lost, and the server ends.
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
    #[arg(short, long, value_name = "N", value_parser = count, default_value_t = 1)]
    jobs: u16,
    #[command(flatten)]
    ending: Ending,
    /// Write what became of each CMD to FILE
    #[arg(long, value_name = "FILE")]
    report: Option<OsString>,
    /// The command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Serve {
    const NAME: &'static str = "serve";
    const SUMMARY: &'static str = "Run CMD for each line that writers write";
    const EXAMPLES: &'static str = r#"
# A command for each line that somebody writes
ipcbox fifo serve control --create --rm -- \
  echo build {} & server=$!
until [ -p control ]; do sleep 0.01; done
ipcbox fifo write control src/a src/b -w 10s
kill "$server"
"#;
    const RUNS: Runs = Runs::Each;

    fn run(mut self) -> Result<Exit> {
        let command = Command::find(std::mem::take(&mut self.command))?.with_interpreter()?;
        let is_text = self.ending.byte() == b'\n';
        let command = if is_text { command.ending_records_in(b"\n") } else { command };
        let report = self.report.as_deref().map(|path| Report::open(path, "record", &Limit::default()));
        let report = report.transpose()?;
        let jobs = Jobs::new(command, self.jobs, super::APPLET.name, |_, _| Ok(()))?;
        let mut jobs = jobs.reporting(report);
        let outcome = self.serve(&mut jobs);
        context("serve", &self.fifo, jobs.finish(outcome))?;
        jobs.end(false)
    }
}

impl Serve {
    fn serve(&self, jobs: &mut Jobs<()>) -> Result<()> {
        let new = self.fifo.find(self.finding)?;
        let _made = new.filter(|_| self.rm).map(|seen| Made(&self.fifo, seen));
        let (fd, seen) = self.fifo.open_to_read(self.finding.creating.foreign)?;
        fifo::lock(&fd, Deadline::Now).map_err(|errno| match errno {
            Errno::EAGAIN => {
                let words = "another one serves it, or counts the records that it reads";
                anyhow::Error::from(Cause::from_errno(errno, words).exit(Exit::Failed))
            }
            errno => errno.into(),
        })?;
        let events = Events::new()?;
        events.watch(&fd, 0)?;
        let mut place = Place::watch(&self.fifo, seen, &fd, (&events, 1))?;
        let end = self.ending.byte();
        let mut lines = OneByOne { peek: Peek::new(pipe::capacity(&fd)?, end)?, end, begun: Vec::new() };
        let mut pause = None;
        let mut ready = false;
        loop {
            jobs.reap()?;
            if jobs.is_stopping() && jobs.is_idle() {
                return Ok(());
            }
            if jobs.is_stopping() || !jobs.has_room() {
                jobs.wait()?;
                continue;
            }
            if !ready {
                let within = |pause: Pause| pause.within(Deadline::Forever);
                let woken = events.wait(pause.map_or(Deadline::Forever, within))?;
                pause = pause.map(Pause::longer);
                let came = events.take()?;
                if came.iter().any(|event| event.which == 1) {
                    place.look()?;
                }
                ready = !came.is_empty() || woken == Wake::Late;
                continue;
            }
            match lines.next(&fd)? {
                Next::Line(line) => {
                    pause = None;
                    jobs.start(&line, &[], Printed::Passed, ())?;
                }
                Next::Part => {
                    pause = pause.or(Some(Pause::FIRST));
                    ready = false;
                }
                Next::Nothing if place.is_over(&fd)? && pipe::unread(&fd)? == 0 => {
                    bail!(replaced("it"));
                }
                Next::Nothing => {
                    pause = None;
                    ready = false;
                }
            }
        }
    }
}

/// What there is to be served.
enum Next {
    /// A line, without its end.
    Line(Vec<u8>),
    /// The beginning of one.
    Part,
    /// Nothing.
    Nothing,
}

/// The lines of a FIFO, each taken from it when it is asked for.
struct OneByOne {
    peek: Peek,
    end: u8,
    /// What was taken of a line that is longer than the FIFO.
    begun: Vec<u8>,
}

impl OneByOne {
    /// The next line.
    fn next(&mut self, fifo: impl AsFd) -> Result<Next> {
        loop {
            let (bytes, ended) = match self.peek.look(&fifo, 1)? {
                Found::Piece(bytes, ended) => (bytes, ended),
                Found::Part => return Ok(Next::Part),
                // The writer of a long line left before its end.
                Found::End if !self.begun.is_empty() => {
                    return Ok(Next::Line(std::mem::take(&mut self.begun)));
                }
                Found::Nothing | Found::End => return Ok(Next::Nothing),
            };
            let mut read = self.begun.len();
            self.begun.resize(read + bytes, 0);
            while read < self.begun.len() {
                match fds::read(&fifo, &mut self.begun[read..]) {
                    // Somebody else reads it too, and had it first.
                    Ok(0) | Err(Errno::EAGAIN) => {
                        self.begun.truncate(read);
                        return Ok(Next::Nothing);
                    }
                    count => read += count?,
                }
            }
            if ended > 0 {
                let mut line = std::mem::take(&mut self.begun);
                line.pop_if(|byte| *byte == self.end);
                return Ok(Next::Line(line));
            }
        }
    }
}
