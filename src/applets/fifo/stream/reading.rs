//! The FIFOs of one `fifo read`: which of them is read next, and when reading stops.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Error, Result, bail};
use nix::errno::Errno;

use crate::applets::fifo::still;
use crate::applets::fifo::stream::backoff::Backoff;
use crate::applets::fifo::stream::records::Records;
use crate::applets::fifo::stream::sink::{self, Sink};
use crate::applets::fifo::stream::source::Source;
use crate::applets::fifo::stream::watched_path::{WatchedPath, replaced};
use crate::args::timeout::Timeout;
use crate::exit::Cause;
use crate::output;
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::transfer::{ALL, Flow};
use crate::sys::wait::Wake;
use crate::sys::{fds, interrupt, pipe};
use crate::text::counted;

/// The number of reads from a FIFO that has more data before the others are looked at.
const TURN: usize = 16;

pub struct Reading<'a> {
    sources: Vec<Source<'a>>,
    events: Events,
    sink: Sink,
    records: Option<Records>,
    follow: bool,
    /// Why one of the FIFOs is no longer read.
    replaced: Option<Cause>,
    timeout: Timeout,
    notice: Notice,
    /// Whether data was passed on.
    moved: bool,
    backoff: Backoff,
}

impl<'a> Reading<'a> {
    /// Prepares reading. `count` is the number of records wanted, and the byte that ends them.
    pub fn new(mut sources: Vec<Source<'a>>, count: Option<(u64, u8)>, follow: bool, timeout: Timeout) -> Result<Self> {
        let events = Events::new()?;
        let several = sources.len();
        let mut capacity = 0;
        for (which, source) in sources.iter_mut().enumerate() {
            let Some(fd) = &source.fd else { continue };
            events.watch(fd, which)?;
            if follow {
                source.place = Some(WatchedPath::watch(source.fifo, source.seen, fd, (&events, several + which))?);
            }
            capacity = capacity.max(pipe::capacity(fd)?);
            source.may = match (count, timeout.deadline()) {
                (Some(_), _) => Some(0),
                (None, Deadline::Now) => Some(pipe::unread(fd)?),
                (None, _) => None,
            };
        }
        let records = count.map(|(wanted, end)| Records::new(wanted, end, capacity)).transpose()?;
        let (sink, backoff) = (Sink::new()?, Backoff::FIRST);
        let notice = Notice::verbose(&timeout, || {
            let names: Vec<String> = sources.iter().map(|source| source.fifo.to_string()).collect();
            format!("data in {}", names.join(", "))
        });
        Ok(Self { sources, events, sink, records, follow, replaced: None, timeout, notice, moved: false, backoff })
    }

    /// Reads until EOF or a caught signal.
    pub fn run(&mut self) -> Result<()> {
        let streams = self.can_stream()?;
        loop {
            self.leave()?;
            if !self.flush()? {
                return Ok(());
            }
            if self.is_done() {
                return self.replaced.take().map_or(Ok(()), |cause| Err(cause.into()));
            }
            let goes_on = (0..self.sources.len()).any(|which| self.has_turn(which));
            let waits_for_part = self.sources.iter().any(|source| source.part);
            let deadline = match self.timeout.deadline() {
                _ if goes_on => Deadline::Now,
                deadline if waits_for_part && !deadline.is_over() => self.backoff.within(deadline),
                deadline => deadline,
            };
            if self.notice.is_fresh() && !goes_on && matches!(self.events.wait(Deadline::Now)?, Wake::Late) {
                self.notice.begin(deadline);
            }
            match self.events.wait(deadline)? {
                Wake::Signal => return Ok(()),
                Wake::Late if !goes_on && deadline == self.timeout.deadline() => return self.late(),
                Wake::Late if !goes_on => self.look_again(),
                Wake::Late | Wake::Ready(_) => {}
            }
            for event in self.events.take()? {
                let count = self.sources.len();
                let source = &mut self.sources[event.which % count];
                match &mut source.place {
                    Some(place) if event.which >= count => place.look()?,
                    _ => {
                        source.ready = true;
                        source.ended |= event.ended;
                    }
                }
            }
            if streams && self.sources[0].ready {
                self.stream()?;
                continue;
            }
            for which in 0..self.sources.len() {
                for _ in 0..TURN {
                    if !self.has_turn(which) {
                        break;
                    }
                    self.step(which)?;
                }
            }
            if goes_on && self.timeout.deadline().is_over() && !self.is_immediate() {
                return self.late();
            }
        }
    }

    /// Closes FIFOs that are no longer at their path and have neither data nor writers.
    fn leave(&mut self) -> Result<()> {
        let is_one = self.sources.len() == 1;
        for source in self.sources.iter_mut().filter(|source| !source.ready) {
            let (Some(place), Some(fd)) = (&source.place, &source.fd) else { continue };
            if place.is_over(fd)? && pipe::unread(fd)? == 0 {
                source.fd = None;
                source.finish(&mut self.sink)?;
                let name = if is_one { "it".to_owned() } else { source.fifo.to_string() };
                self.replaced.get_or_insert_with(|| replaced(&name));
            }
        }
        Ok(())
    }

    /// Whether one FIFO is copied as it is: then splice(2) waits itself, without epoll.
    fn can_stream(&self) -> Result<bool> {
        let is_plain = |source: &Source| source.lines.is_none() && source.may.is_none();
        let is_one = matches!(&self.sources[..], [source] if is_plain(source));
        Ok(is_one && self.sink.may_wait() && pipe::waits(fds::stdout())?)
    }

    /// Copies from the one FIFO until its writers have closed.
    fn stream(&mut self) -> Result<()> {
        if let Some(fd) = &self.sources[0].fd {
            pipe::set_blocking(fd)?;
        }
        while let Some(fd) = &self.sources[0].fd
            && self.sources[0].ready
        {
            match self.sink.pass(fd.as_fd(), ALL, self.timeout.deadline())? {
                Flow::Signal => return Ok(()),
                Flow::Empty if self.timeout.deadline().is_over() => return self.late(),
                flow => self.passed(0, flow)?,
            }
            if let Some(fd) = &self.sources[0].fd
                && self.sources[0].ready
                && self.timeout.deadline().is_over()
            {
                // Data that arrived before the deadline counts, also if this process was stopped past it.
                if pipe::unread(fd)? > 0 || !pipe::is_left(fd)? {
                    return self.late();
                }
                self.passed(0, Flow::End)?;
            }
        }
        Ok(())
    }

    /// Has FIFOs with a part of a record looked at again.
    fn look_again(&mut self) {
        for source in self.sources.iter_mut().filter(|source| source.part) {
            source.ready = true;
        }
        self.backoff = self.backoff.longer();
    }

    fn step(&mut self, which: usize) -> Result<()> {
        if let Some(records) = &mut self.records
            && !records.has_turn
        {
            if let Some(flow) = self.sources[which].waits_for_the_rest(records)? {
                return self.passed(which, flow);
            }
            if !records.take_turn(&open(&self.sources), &self.timeout)? {
                return Ok(());
            }
        }
        let flow = self.sources[which].step(&mut self.sink, self.records.as_mut())?;
        self.passed(which, flow)
    }

    /// Handles the outcome of a step.
    fn passed(&mut self, which: usize, flow: Flow) -> Result<()> {
        if let Some(records) = &mut self.records
            && records.has_turn
            && !self.moved
            && !matches!(flow, Flow::Moved(_))
        {
            self.sources.iter_mut().for_each(|source| source.may = Some(0));
            records.return_turn(&open(&self.sources))?;
        }
        let source = &mut self.sources[which];
        match flow {
            Flow::Moved(_) => {
                self.moved = true;
                self.backoff = Backoff::FIRST;
                self.stay();
            }
            Flow::Empty => source.ready = false,
            Flow::Signal => {}
            Flow::End => {
                source.ready = false;
                source.ended = true;
                source.may = source.may.map(|_| 0);
                source.finish(&mut self.sink)?;
                if !self.follow {
                    source.fd = None;
                }
            }
            Flow::Full => self.wait_for_room()?,
        }
        Ok(())
    }

    fn wait_for_room(&mut self) -> Result<()> {
        let deadline = match self.timeout.deadline() {
            Deadline::At(end) if !self.follow => Deadline::At(end),
            _ => Deadline::Forever,
        };
        sink::room(deadline).map_err(|errno| match errno {
            Errno::EAGAIN => {
                let cause = still("unable to write to standard output", &self.timeout);
                Error::from(match self.lost() {
                    Some(lost) => cause.note(&lost),
                    None => cause,
                })
            }
            errno => Error::from(errno),
        })?;
        // --follow limits the time without data, and there was data.
        self.stay();
        Ok(())
    }

    /// Describes the data that was read and cannot be written.
    fn lost(&self) -> Option<String> {
        let held = self.sink.held();
        (held > 0).then(|| format!("{} of data already read are lost", counted(held, "byte")))
    }

    /// Writes what was read. Returns `false` if a caught signal arrives before all is written.
    fn flush(&mut self) -> Result<bool> {
        self.sink.deliver()?;
        while let Some(lost) = self.lost() {
            if interrupt::any() {
                output::warn(format!("standard output is full: {lost}"));
                self.sink.give_up();
                return Ok(false);
            }
            self.wait_for_room()?;
            self.sink.deliver()?;
        }
        Ok(true)
    }

    /// Restarts the timeout of `--follow`.
    fn stay(&mut self) {
        if self.follow && !self.is_immediate() {
            self.timeout = self.timeout.again();
        }
    }

    /// Whether a FIFO may be read now.
    fn has_turn(&self, which: usize) -> bool {
        let counted = self.records.is_some();
        let busy = self.sources.iter().position(|source| source.is_in_a_line(counted));
        self.sources[which].ready && busy.is_none_or(|busy| busy == which) && !self.has_all() && !interrupt::any()
    }

    /// Whether all records wanted have been passed on.
    fn has_all(&self) -> bool {
        let owed = || self.sources.iter().any(|source| source.may != Some(0));
        self.records.as_ref().is_some_and(|records| records.left == 0) && !owed()
    }

    fn is_done(&self) -> bool {
        self.has_all() || self.sources.iter().all(|source| source.fd.is_none())
    }

    fn is_immediate(&self) -> bool {
        self.timeout.deadline() == Deadline::Now
    }

    /// Ends reading on timeout: a failure, unless the call does not wait and there was data.
    fn late(&self) -> Result<()> {
        if self.is_immediate() && (self.moved || self.sources.iter().all(|source| source.ended)) {
            return Ok(());
        }
        let words = match &self.records {
            Some(records) if self.moved && !self.follow => {
                format!("only {} of {} lines received", records.wanted - records.left, records.wanted)
            }
            _ if self.moved && !self.follow => "open for writing".into(),
            _ if self.sources.iter().any(|source| source.part) => "no complete line".into(),
            _ => "no data".into(),
        };
        bail!(still(&words, &self.timeout))
    }

    /// Prints unfinished lines.
    pub fn finish(&mut self) -> Result<()> {
        let Self { sources, sink, .. } = self;
        sources.iter_mut().try_for_each(|source| source.finish(sink))?;
        self.flush().map(drop)
    }
}

fn open<'a>(sources: &'a [Source]) -> Vec<&'a OwnedFd> {
    sources.iter().filter_map(|source| source.fd.as_ref()).collect()
}
