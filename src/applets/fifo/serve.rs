//! `fifo serve`.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::context;
use super::stream::backoff::Backoff;
use super::stream::path::{Fifo, Made};
use super::stream::peek::{Ending, Found, Peeker};
use super::stream::watched_path::{WatchedPath, replaced};
use crate::applets::{Runs, Verb};
use crate::args::creating::Making;
use crate::exit::{Cause, Exit};
use crate::supervise::pool::{Next, Pool, Serving, Taken, Task};
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::wait::Wake;
use crate::sys::{fds, fifo, pipe};

/// CMD reads the line from standard input. An argument {} is replaced with the line, without its newline. The server
/// takes a line from the FIFO only when the line is complete and another CMD may start.
///
/// The server runs until SIGTERM, then waits for running CMDs and exits with status 0. A CMD that fails does not stop
/// the server. A FIFO can have only one server at a time.
#[derive(Args)]
pub struct Serve {
    /// Path of the FIFO
    #[arg(value_name = "PATH")]
    fifo: Fifo,
    #[command(flatten)]
    making: Making,
    /// Remove the FIFO at exit if this call created it
    #[arg(long, requires = "create")]
    rm: bool,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    serving: Serving,
}

impl Verb for Serve {
    const NAME: &'static str = "serve";
    const SUMMARY: &'static str = "Run CMD for each line written to a FIFO";
    const EXAMPLES: &'static str = r#"
# Run a command for each line
ipcbox fifo serve control --create --rm -- \
  echo build {} & server=$!
until [ -p control ]; do sleep 0.01; done
ipcbox fifo write control src/a src/b -w 10s
kill "$server"
"#;
    const RUNS: Runs = Runs::Each;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "the FIFO does not exist, or was removed or replaced"),
        (Exit::Exists, "the path is not a FIFO"),
    ];

    fn run(mut self) -> Result<Exit> {
        let end: &[u8] = if self.ending.byte() == b'\n' { b"\n" } else { b"" };
        let mut jobs = self.serving.pool(end)?;
        context("serve", &self.fifo, self.serve(&mut jobs))?;
        jobs.end(false)
    }
}

impl Serve {
    fn serve(&self, jobs: &mut Pool) -> Result<()> {
        let new = self.fifo.create_if(self.making)?;
        let _made = new.filter(|_| self.rm).map(|seen| Made(&self.fifo, seen));
        let (fd, seen) = self.fifo.open_to_read(self.making.creating.foreign.is_some())?;
        fifo::lock(&fd, Deadline::Now).map_err(|errno| match errno {
            Errno::EAGAIN => {
                let words = "another server, or a reader with --count, uses the FIFO";
                anyhow::Error::from(Cause::from_errno(errno, words).exit(Exit::Failed))
            }
            errno => errno.into(),
        })?;
        let events = Events::new()?;
        events.watch(&fd, 0)?;
        let place = WatchedPath::watch(&self.fifo, seen, &fd, (&events, 1))?;
        let end = self.ending.byte();
        let peek = Peeker::new(pipe::capacity(&fd)?, end)?;
        let mut lines = LineReader { fd, events, place, peek, end, begun: Vec::new(), pause: None, ready: false };
        let mut outcome = Ok(());
        loop {
            match jobs.next(outcome.is_ok())? {
                Next::Over => return outcome,
                Next::Ended(_) => {}
                Next::Room => match lines.take() {
                    Ok(line) => line.into_iter().for_each(|record| {
                        jobs.start(Taken { task: Task::Record(record), added: Vec::new(), reply_to: None });
                    }),
                    Err(error) => outcome = Err(error),
                },
            }
        }
    }
}

/// The lines of a FIFO, taken one by one.
struct LineReader<'a> {
    fd: OwnedFd,
    events: Events,
    place: WatchedPath<'a>,
    peek: Peeker,
    end: u8,
    /// The beginning of a line that is longer than the FIFO.
    begun: Vec<u8>,
    pause: Option<Backoff>,
    ready: bool,
}

impl LineReader<'_> {
    /// Takes a line if there is one, else waits for data or a signal.
    fn take(&mut self) -> Result<Option<Vec<u8>>> {
        if self.ready {
            let line = self.find()?;
            if line.is_some() {
                self.pause = None;
                return Ok(line);
            }
        }
        let within = |pause: Backoff| pause.within(Deadline::Forever);
        let woken = self.events.wait(self.pause.map_or(Deadline::Forever, within))?;
        self.pause = self.pause.map(Backoff::longer);
        let came = self.events.take()?;
        if came.iter().any(|event| event.which == 1) {
            self.place.look()?;
        }
        self.ready = !came.is_empty() || woken == Wake::Late;
        Ok(None)
    }

    /// Takes a line without waiting.
    fn find(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let (bytes, ended) = match self.peek.look(&self.fd, 1)? {
                Found::Piece(bytes, ended) => (bytes, ended),
                Found::Part => {
                    self.pause = self.pause.or(Some(Backoff::FIRST));
                    return Ok(None);
                }
                // The writer of a long line has closed without a newline.
                Found::End if !self.begun.is_empty() => return Ok(Some(std::mem::take(&mut self.begun))),
                Found::Nothing | Found::End => return self.nothing(),
            };
            let mut read = self.begun.len();
            self.begun.resize(read + bytes, 0);
            while read < self.begun.len() {
                match fds::read(&self.fd, &mut self.begun[read..]) {
                    // Another process has read it.
                    Ok(0) | Err(Errno::EAGAIN) => {
                        self.begun.truncate(read);
                        return self.nothing();
                    }
                    count => read += count?,
                }
            }
            if ended > 0 {
                let mut line = std::mem::take(&mut self.begun);
                line.pop_if(|byte| *byte == self.end);
                return Ok(Some(line));
            }
        }
    }

    /// Notes that there is no line, and fails if there can be none.
    fn nothing(&mut self) -> Result<Option<Vec<u8>>> {
        self.pause = None;
        if self.place.is_over(&self.fd)? && pipe::unread(&self.fd)? == 0 {
            bail!(replaced("it"));
        }
        Ok(None)
    }
}
