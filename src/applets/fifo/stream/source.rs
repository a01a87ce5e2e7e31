//! A FIFO that is read.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;

use crate::applets::fifo::context;
use crate::applets::fifo::stream::path::Fifo;
use crate::applets::fifo::stream::peek::Found;
use crate::applets::fifo::stream::records::Records;
use crate::applets::fifo::stream::sink::Sink;
use crate::applets::fifo::stream::watched_path::WatchedPath;
use crate::exit::{Cause, Exit};
use crate::output::Lines;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::fifo::{self, Seen};
use crate::sys::transfer::Flow;

pub struct Source<'a> {
    pub fifo: &'a Fifo,
    pub seen: Seen,
    /// Its read end; `None` once it is no longer read.
    pub fd: Option<OwnedFd>,
    /// Whether there may be data.
    pub ready: bool,
    /// Whether it holds the beginning of a record.
    pub part: bool,
    /// Whether all writers have closed at least once.
    pub ended: bool,
    /// Bytes that may be read; `None` is no limit.
    pub may: Option<usize>,
    /// Its path, if that is watched.
    pub place: Option<WatchedPath<'a>>,
    /// Assembles its lines, if lines must not mix.
    pub lines: Option<Lines>,
}

impl<'a> Source<'a> {
    pub fn open(fifo: &'a Fifo, foreign: bool, lines: Option<Lines>) -> Result<Self> {
        let (fd, seen) = fifo.open_to_read(foreign)?;
        let fd = Some(fd);
        Ok(Self { fifo, seen, fd, ready: false, part: false, ended: false, may: None, place: None, lines })
    }

    /// Whether its line must be finished before another FIFO is read. If records are counted, that is every line of
    /// which a part was read, as it cannot be put back.
    pub fn is_in_a_line(&self, counted: bool) -> bool {
        let lines = self.lines.as_ref();
        lines.is_some_and(|lines| lines.is_inside() || counted && lines.has_begun())
    }

    /// Returns how many bytes may be read and how many records end in them, or why none may be read.
    fn look(&mut self, records: &mut Records) -> Result<Result<(usize, u64), Flow>> {
        let Some(fd) = &self.fd else { return Ok(Err(Flow::Empty)) };
        let found = records.peek.look(fd, records.left)?;
        self.part = found == Found::Part;
        Ok(match found {
            Found::Piece(bytes, ended) => Ok((bytes, ended)),
            Found::Part | Found::Nothing => Err(Flow::Empty),
            Found::End => Err(Flow::End),
        })
    }

    /// Looks at an incomplete record, without the lock. Returns why it cannot be taken yet.
    pub fn waits_for_the_rest(&mut self, records: &mut Records) -> Result<Option<Flow>> {
        if self.part { Ok(self.look(records)?.err()) } else { Ok(None) }
    }

    /// Passes on data, once.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn step(&mut self, sink: &mut Sink, records: Option<&mut Records>) -> Result<Flow> {
        if let Some(records) = records
            && self.may == Some(0)
            && records.left > 0
        {
            match self.look(records)? {
                Ok((bytes, ended)) => {
                    self.may = Some(bytes);
                    records.left -= ended;
                }
                Err(flow) => return Ok(flow),
            }
        }
        let most = self.may.unwrap_or(usize::MAX);
        let Some(fd) = self.fd.as_ref().filter(|_| most > 0) else { return Ok(Flow::Empty) };
        let flow = match &mut self.lines {
            None => sink.pass(fd.as_fd(), most, Deadline::Now)?,
            Some(lines) => sink.pass_lines(fd.as_fd(), most, lines)?,
        };
        if let (Flow::Moved(count), Some(may)) = (flow, &mut self.may) {
            *may -= count;
        }
        Ok(flow)
    }

    /// Prints an unfinished line.
    pub fn finish(&mut self, sink: &mut Sink) -> Result<()> {
        self.lines.as_mut().map_or(Ok(()), |lines| sink.put(&lines.finish()))
    }
}

/// Refuses a FIFO that is also standard output, which would never reach EOF, or that is listed twice.
pub fn check(sources: &[Source]) -> Result<()> {
    let output = fifo::behind(fds::stdout());
    let usage = |words: &str| Err(Cause::new(Exit::Usage, words).into());
    for (n, Source { fifo, seen, .. }) in sources.iter().enumerate() {
        if output.is_ok_and(|output| output.is(seen)) {
            return context("read", fifo, usage("standard output is the same FIFO"));
        }
        if sources[..n].iter().any(|other| other.seen.is(seen)) {
            return context("read", fifo, usage("given twice"));
        }
    }
    Ok(())
}
