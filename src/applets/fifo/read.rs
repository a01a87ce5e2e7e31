//! `fifo read`.

use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::context;
use super::stream::backoff::Pause;
use super::stream::path::{Fifo, Finding, Made};
use super::stream::peek::{Ending, Peek};
use super::stream::place::{Place, replaced};
use super::stream::sink::{self, Flow, Sink};
use super::stream::source::{self, Records, Source};
use super::stream::turn;
use crate::applets::Verb;
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, each};
use crate::output::{self, Lines};
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::interrupt;
use crate::sys::wait::Wake;
use crate::sys::{fds, pipe};
use crate::text::{counted, visible_bytes};

/// Copies to standard output until every writer has closed, as it comes. Opening does not wait: a writer that comes later finds a
/// reader, and one that never comes keeps read waiting no longer than --timeout.
///
/// Several FIFOs are read at once, and so is one with --tag, by whole lines, which are never mixed; a last line without newline gets
/// one. A line of more than 1 MiB has the output for itself until it ends.
///
/// With --count the lines are taken from the FIFO to the byte, and the rest stays in it for the next reader. Readers that do so take
/// turns, each from its first record to its last. Bytes in a FIFO are lost when the last process closes it, and a writer without reader gets EPIPE:
/// between two readers somebody has to hold it open for both, as a shell does with exec 8<>PATH. A line that is not whole yet is not taken
/// until its writer has left, or the FIFO is full of it; since the kernel does not always tell when more of it has come, it is looked for at
/// growing intervals, from 1 ms up to 1 s.
///
/// With --nonblock status 0 means that there was something, or that the writers had left, and 124 that there was nothing. A writer
/// that waits in open(2) is let in by any reader, also by one that is gone before the writer writes: give it time by --timeout.
///
/// With --follow, if the FIFO is removed or replaced, it is read until the writers of the old one have left; then the status is 3.
///
/// With --rm a FIFO that was made here is removed at the end, also after SIGINT, SIGTERM and SIGHUP; SIGKILL leaves it behind.
#[derive(Args)]
pub struct Read {
    /// The FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    #[command(flatten)]
    finding: Finding,
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
        interrupt::catch(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE])
            .context("cannot catch signals")?;
        let outcome = self.read(self.timeout);
        // What was taken has been delivered, what was made is removed: now a signal ends the process.
        interrupt::end()?;
        outcome
    }
}

impl Read {
    fn read(&self, timeout: Timeout) -> Result<Exit> {
        let mut made = Vec::new();
        let mut sources = Vec::new();
        let opened = each(&self.fifos, |fifo| {
            let mut open = || {
                output::require()?;
                let new = fifo.find(self.finding)?;
                made.extend(new.filter(|_| self.rm).map(|seen| Made(fifo, seen)));
                let source = Source::open(fifo, self.finding.creating.foreign, self.lines(fifo))?;
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
        let read = context("read", fifo, self.pass(sources, timeout));
        match unopened {
            None => read.map(|()| Exit::Done),
            Some(first) => {
                let _ = read.inspect_err(output::report);
                Ok(Exit::of(&first))
            }
        }
    }

    /// Passes on what comes, until the end or a signal that is caught.
    fn pass(&self, sources: Vec<Source>, timeout: Timeout) -> Result<()> {
        let mut reading = self.start(sources, timeout)?;
        let outcome = reading.run();
        outcome.and(reading.finish())
    }

    /// What puts the lines of a FIFO together, where they are to be whole.
    fn lines(&self, fifo: &Fifo) -> Option<Lines> {
        let path = fifo.path().as_os_str().as_bytes();
        let tag = if self.tag { [&visible_bytes(path)[..], b": "].concat() } else { Vec::new() };
        (self.tag || self.fifos.len() > 1).then(|| Lines::new(self.ending.byte(), tag))
    }

    fn start<'a>(&self, mut sources: Vec<Source<'a>>, timeout: Timeout) -> Result<Reading<'a>> {
        let events = Events::new()?;
        let count = sources.len();
        let mut capacity = 0;
        for (which, source) in sources.iter_mut().enumerate() {
            let Some(fd) = &source.fd else { continue };
            events.watch(fd, which)?;
            if self.follow {
                let numbered = (&events, count + which);
                source.place = Some(Place::watch(source.fifo, source.seen, fd, numbered)?);
            }
            capacity = capacity.max(pipe::capacity(fd)?);
            source.may = match (self.count, timeout.deadline()) {
                (Some(_), _) => Some(0),
                (None, Deadline::Now) => Some(pipe::unread(fd)?),
                (None, _) => None,
            };
        }
        let records =
            self.count.map(|left| Ok::<_, Errno>(Records { left, peek: Peek::new(capacity, self.ending.byte())? }));
        Ok(Reading {
            sources,
            events,
            sink: Sink::new()?,
            records: records.transpose()?,
            turn: false,
            wanted: self.count,
            follow: self.follow,
            replaced: None,
            timeout,
            moved: false,
            pause: Pause::FIRST,
        })
    }
}

/// How often a FIFO that has more to give is asked before the others are looked at.
const TURN: usize = 16;

/// The FIFOs that are read, and how far that has come.
struct Reading<'a> {
    sources: Vec<Source<'a>>,
    events: Events,
    sink: Sink,
    records: Option<Records>,
    /// It is this reader's turn to take records.
    turn: bool,
    /// How many records were asked for.
    wanted: Option<u64>,
    follow: bool,
    /// Why one of several is read no more.
    replaced: Option<Cause>,
    timeout: Timeout,
    /// Something was passed on.
    moved: bool,
    pause: Pause,
}

impl Reading<'_> {
    /// Reads until the end, or a signal that is caught.
    fn run(&mut self) -> Result<()> {
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
                deadline if waits_for_part && !deadline.is_over() => self.pause.within(deadline),
                deadline => deadline,
            };
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

    /// Leaves those FIFOs that lie at their path no more, and that have nothing more to give.
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

    /// Whether there is nothing to do but to pass on what comes from one FIFO. Then the calls that do it wait themselves.
    fn can_stream(&self) -> Result<bool> {
        let is_plain = |source: &Source| source.lines.is_none() && source.may.is_none();
        let is_one = matches!(&self.sources[..], [source] if is_plain(source));
        Ok(is_one && self.sink.may_wait() && pipe::waits(fds::stdout())?)
    }

    /// Passes on what comes from the one FIFO until its writers have closed.
    fn stream(&mut self) -> Result<()> {
        if let Some(fd) = &self.sources[0].fd {
            pipe::let_wait(fd)?;
        }
        while let Some(fd) = &self.sources[0].fd
            && self.sources[0].ready
        {
            match self.sink.pass_in_time(fd, self.timeout.deadline()) {
                Ok(Some(flow)) => self.passed(0, flow)?,
                Ok(None) => return Ok(()),
                Err(error) if error.downcast_ref() != Some(&Errno::EAGAIN) => return Err(error),
                Err(_) if pipe::unread(fd)? > 0 => self.passed(0, Flow::Full)?,
                // Somebody has made standard output one that does not wait.
                Err(_) if !self.timeout.deadline().is_over() => self.passed(0, Flow::Empty)?,
                Err(_) => return self.late(),
            }
            if let Some(fd) = &self.sources[0].fd
                && self.sources[0].ready
                && self.timeout.deadline().is_over()
            {
                // All may have come in time to who was stopped meanwhile.
                if pipe::unread(fd)? > 0 || !pipe::is_left(fd)? {
                    return self.late();
                }
                self.passed(0, Flow::End)?;
            }
        }
        Ok(())
    }

    /// Looks whether more has come of the records of which a part lies there.
    fn look_again(&mut self) {
        for source in self.sources.iter_mut().filter(|source| source.part) {
            source.ready = true;
        }
        self.pause = self.pause.longer();
    }

    fn step(&mut self, which: usize) -> Result<()> {
        if let Some(records) = &mut self.records
            && !self.turn
        {
            if let Some(flow) = self.sources[which].waits_for_the_rest(records)? {
                return self.passed(which, flow);
            }
            self.turn = turn::take(&self.sources, &self.timeout)?;
            if !self.turn {
                return Ok(());
            }
        }
        let flow = self.sources[which].step(&mut self.sink, self.records.as_mut())?;
        self.passed(which, flow)
    }

    /// Lets the other readers have their turn, since this one has taken nothing and waits.
    fn give_back(&mut self) -> Result<()> {
        if let (Some(records), Some(wanted)) = (&mut self.records, self.wanted) {
            records.left = wanted;
            self.sources.iter_mut().for_each(|source| source.may = Some(0));
        }
        self.turn = false;
        turn::give_back(&self.sources)
    }

    /// Takes note of what came of a step.
    fn passed(&mut self, which: usize, flow: Flow) -> Result<()> {
        if self.turn && !self.moved && !matches!(flow, Flow::Moved(_)) {
            self.give_back()?;
        }
        let source = &mut self.sources[which];
        source.part = flow == Flow::Part;
        match flow {
            Flow::Moved(_) => {
                self.moved = true;
                self.pause = Pause::FIRST;
                self.stay();
            }
            Flow::Empty | Flow::Part => source.ready = false,
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
                let cause = self.timeout.missed("standard output took no more");
                Error::from(match self.lost() {
                    Some(lost) => cause.note(&lost),
                    None => cause,
                })
            }
            errno => Error::from(errno),
        })?;
        // What could not be passed on was no silence.
        self.stay();
        Ok(())
    }

    /// What cannot be written any more, in words.
    fn lost(&self) -> Option<String> {
        let held = self.sink.held();
        (held > 0).then(|| format!("{} that were taken are lost", counted(held, "byte")))
    }

    /// Writes what was taken; `false` if a signal that is caught comes before all is written.
    fn flush(&mut self) -> Result<bool> {
        self.sink.deliver()?;
        while let Some(lost) = self.lost() {
            if interrupt::any() {
                output::warn(format!("standard output took no more: {lost}"));
                self.sink.give_up();
                return Ok(false);
            }
            self.wait_for_room()?;
            self.sink.deliver()?;
        }
        Ok(true)
    }

    /// With `--follow` the time starts anew.
    fn stay(&mut self) {
        if self.follow && !self.is_immediate() {
            self.timeout = self.timeout.again();
        }
    }

    /// Whether a FIFO may have something that is to be passed on now.
    fn has_turn(&self, which: usize) -> bool {
        let counted = self.records.is_some();
        let busy = self.sources.iter().position(|source| source.is_in_a_line(counted));
        self.sources[which].ready && busy.is_none_or(|busy| busy == which) && !self.has_all() && !interrupt::any()
    }

    /// Whether all the records that were asked for have been passed on.
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

    /// The time is over. Without waiting that is the end where there was something.
    fn late(&self) -> Result<()> {
        if self.is_immediate() && (self.moved || self.sources.iter().all(|source| source.ended)) {
            return Ok(());
        }
        let words = match (&self.records, self.wanted) {
            (Some(records), Some(wanted)) if self.moved && !self.follow => {
                format!("only {} of {wanted} records came", wanted - records.left)
            }
            _ if self.moved && !self.follow => "not all writers closed".into(),
            _ if self.sources.iter().any(|source| source.part) => "no whole line came".into(),
            _ => "nothing came".into(),
        };
        bail!(self.timeout.missed(&words))
    }

    /// Prints the lines that were begun.
    fn finish(&mut self) -> Result<()> {
        let Self { sources, sink, .. } = self;
        sources.iter_mut().try_for_each(|source| source.finish(sink))?;
        self.flush().map(drop)
    }
}
