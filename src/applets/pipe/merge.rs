//! `pipe merge`.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::pipeline::cmdline::Line;
use super::pipeline::report::Reporting;
use super::pipeline::stage::Readers;
use super::pipeline::{Crew, Policy, Work, unmade};
use crate::applets::{Runs, Verb};
use crate::exit::{Cause, Exit};
use crate::output::{self, Lines, is_colored, tinted};
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::sys::child::Standard;
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::fds::Outlet;
use crate::sys::signal::{self, Signal};
use crate::sys::transfer::{self, BUFFER};
use crate::sys::wait::Want;
use crate::sys::{fds, pipe};
use crate::text::visible;

/// Runs all commands at the same time and merges their output line by line. Lines on standard error are also merged,
/// and printed to standard error. A newline is added if the last line of a command's output lacks one. All commands
/// share standard input.
///
/// Exits with the status of the last command that failed, or with 0 if none failed. Without --keep-order, lines from
/// different commands have no defined order.
#[derive(Args)]
pub struct Merge {
    #[command(flatten)]
    line: Line,
    /// Start each line with the command's name or number
    #[arg(long)]
    tag: bool,
    /// Treat NUL, not newline, as the end of a line
    #[arg(short = '0', long)]
    null: bool,
    /// Print the outputs in the order of the commands
    #[arg(long)]
    keep_order: bool,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    limit: Limit,
}

impl Verb for Merge {
    const NAME: &'static str = "merge";
    const SUMMARY: &'static str = "Run commands in parallel and merge their output by line";
    const EXAMPLES: &'static str = "
# Merge the output of two commands, and tag each line
ipcbox pipe merge --tag --shell 'seq 1 3' 'seq 4 6'
";
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last failed command, or 0 if none failed")];

    fn run(self) -> Result<Exit> {
        let words = self.line.split(Self::NAME)?;
        let (commands, outcome) = self.reporting.find(words, "source", &self.limit)?;
        let tags = self.tags(&commands);
        let policy =
            Policy { verb: Self::NAME, strict: false, fail_fast: false, readers: Readers::None, work: Work::Collects };
        output::require()?;
        let mut crew = Crew::new(policy, &self.limit)?;
        let launched = crew.launch(|crew| Merging::new(self.start(crew, commands, &tags)?, self.keep_order));
        let mut merging = match launched {
            Ok(merging) => merging,
            Err(error) => return outcome.report(&mut crew).and(Err(error)),
        };
        let merged = merging.merge(&mut crew);
        let closed = merging.closed[0];
        // Closes the pipes, so that a command that still writes gets SIGPIPE.
        drop(merging);
        if merged.is_err() || closed {
            crew.end();
        }
        crew.mind()?;
        let reported = outcome.report(&mut crew);
        merged?;
        reported?;
        if closed && !crew.is_late() {
            signal::die(Signal::PIPE)?;
        }
        crew.finish(None)
    }
}

impl Merge {
    fn tags(&self, commands: &[Command]) -> Vec<Option<String>> {
        let name = |command: &Command| {
            let first = command.words().first().map(Path::new).and_then(Path::file_name);
            first.unwrap_or_default().to_string_lossy().into_owned()
        };
        let names: HashSet<String> = commands.iter().map(name).collect();
        let by_name = !self.line.shell && names.len() == commands.len();
        let tag = |(number, command)| if by_name { name(command) } else { number_text(number) };
        let tags = (1..).zip(commands).map(tag);
        tags.map(|tag| self.tag.then_some(tag)).collect()
    }

    /// Starts the commands and returns their output streams, in the order of [`Merging::streams`].
    fn start(&self, crew: &mut Crew, commands: Vec<Command>, tags: &[Option<String>]) -> Result<Vec<SourceStream>> {
        let mut streams = Vec::new();
        let end = if self.null { 0 } else { b'\n' };
        for (number, (command, tag)) in commands.into_iter().zip(tags).enumerate() {
            let (output, output_end) = pipe::new().map_err(unmade)?;
            let (error, error_end) = pipe::new().map_err(unmade)?;
            pipe::set_blocking(&output_end)?;
            pipe::set_blocking(&error_end)?;
            let standard = Standard { input: None, output: Some(output_end.as_fd()), error: Some(error_end.as_fd()) };
            crew.add(command, standard)?;
            for (from, to) in [(output, fds::stdout()), (error, fds::stderr())] {
                let tag = tag.as_deref().map(|tag| visible(tag, &[]));
                let tag = match tag {
                    Some(tag) if is_colored(to) => format!("{}: ", tinted(&tag, number)),
                    Some(tag) => format!("{tag}: "),
                    None => String::new(),
                };
                let lines = Lines::new(end, tag.into());
                streams.push(SourceStream { from: Some(from), lines, ready: true, spool: None });
            }
        }
        Ok(streams)
    }
}

fn number_text(number: usize) -> String {
    number.to_string()
}

/// Standard output or error of a command.
struct SourceStream {
    /// `None` after EOF.
    from: Option<OwnedFd>,
    lines: Lines,
    ready: bool,
    /// Output kept until it is the command's turn.
    spool: Option<File>,
}

/// The merge. Index 0 of an array is standard output, 1 is standard error.
struct Merging {
    /// Standard output and error of the first command, of the second, and so on.
    streams: Vec<SourceStream>,
    events: Events,
    /// With --keep-order: the command whose output is printed now.
    turn: Option<usize>,
    /// The stream that has printed a part of a line.
    floor: [Option<usize>; 2],
    outlets: [Outlet; 2],
    /// Closed by the reader, or full at the time limit.
    closed: [bool; 2],
}

impl Merging {
    fn new(streams: Vec<SourceStream>, keep_order: bool) -> Result<Self> {
        let events = Events::new().map_err(unmade)?;
        for (which, stream) in streams.iter().enumerate() {
            stream.from.as_ref().map(|from| events.watch(from, which)).transpose()?;
        }
        let turn = keep_order.then_some(0);
        let outlets = [Outlet::new(fds::copy_of(1)?)?, Outlet::new(fds::copy_of(2)?)?];
        Ok(Self { streams, events, turn, floor: [None; 2], outlets, closed: [false; 2] })
    }

    fn merge(&mut self, crew: &mut Crew) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while self.streams.iter().any(|stream| stream.from.is_some()) {
            let ready_ones: Vec<usize> = (0..self.streams.len()).filter(|which| self.may_read(*which)).collect();
            let until = if ready_ones.is_empty() { Deadline::Forever } else { Deadline::Now };
            if crew.turn(&[(self.events.as_fd(), Want::Readable)], until)? == Some(vec![true]) {
                for event in self.events.take()? {
                    self.streams[event.which].ready = true;
                }
            }
            for which in ready_ones {
                if self.may_read(which) {
                    self.read(which, &mut buffer, crew)?;
                }
                if self.closed[0] {
                    return Ok(());
                }
            }
            if crew.is_over() {
                return self.leave(&mut buffer, crew);
            }
        }
        Ok(())
    }

    /// Prints what the pipes hold now. A descendant of a command may still have one open.
    fn leave(&mut self, buffer: &mut [u8], crew: &mut Crew) -> Result<()> {
        self.streams.iter_mut().for_each(|stream| stream.ready = true);
        while let Some(which) = (0..self.streams.len()).find(|which| self.may_read(*which)) {
            // One read empties a pipe of default size. The second one finds EOF.
            self.read(which, buffer, crew)?;
            self.read(which, buffer, crew)?;
            if self.streams[which].from.is_some() {
                crew.miss();
                self.end(which, crew)?;
            }
        }
        Ok(())
    }

    fn may_read(&self, which: usize) -> bool {
        let stream = &self.streams[which];
        let floor = self.floor[which % 2];
        stream.ready && stream.from.is_some() && floor.is_none_or(|holder| holder == which)
    }

    fn read(&mut self, which: usize, buffer: &mut [u8], crew: &mut Crew) -> Result<()> {
        let stream = &mut self.streams[which];
        let Some(from) = &stream.from else { return Ok(()) };
        let bytes = match fds::read(from, buffer) {
            Err(Errno::EAGAIN) => {
                stream.ready = false;
                return Ok(());
            }
            Ok(0) => return self.end(which, crew),
            Ok(count) => stream.lines.add(&buffer[..count]),
            Err(errno) => return Err(errno.into()),
        };
        self.pass(which, &bytes, crew)
    }

    /// Closes a stream and prints a last line without a newline.
    fn end(&mut self, which: usize, crew: &mut Crew) -> Result<()> {
        let stream = &mut self.streams[which];
        stream.from = None;
        let bytes = stream.lines.finish();
        self.pass(which, &bytes, crew)
    }

    fn pass(&mut self, which: usize, bytes: &[u8], crew: &mut Crew) -> Result<()> {
        let stream = &mut self.streams[which];
        if self.turn.is_none() {
            let inside = stream.lines.is_inside();
            self.floor[which % 2] = inside.then_some(which);
        }
        match self.turn {
            Some(turn) if turn != which / 2 => spool(stream, bytes),
            _ => {
                self.put(which % 2, bytes, crew)?;
                self.next_turn(crew)
            }
        }
    }

    /// Moves the turn on past commands whose streams are closed.
    fn next_turn(&mut self, crew: &mut Crew) -> Result<()> {
        while let Some(turn) = self.turn {
            let own = self.streams.get(2 * turn..2 * turn + 2);
            if own.is_none_or(|own| own.iter().any(|stream| stream.from.is_some())) {
                return Ok(());
            }
            self.turn = Some(turn + 1);
            for which in [2 * turn + 2, 2 * turn + 3] {
                let Some(stream) = self.streams.get_mut(which) else { return Ok(()) };
                let Some(file) = stream.spool.take() else { continue };
                let mut at = 0;
                let mut bytes = vec![0; BUFFER];
                loop {
                    let count = transfer::read_at(file.as_fd(), at, &mut bytes).context(SPOOL)?;
                    if count == 0 {
                        break;
                    }
                    self.put(which % 2, &bytes[..count], crew)?;
                    at += count as u64;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, to: usize, bytes: &[u8], crew: &mut Crew) -> Result<()> {
        if self.closed[to] {
            return Ok(());
        }
        match crew.write(&self.outlets[to], bytes)? {
            Ok(()) => {}
            Err(Errno::EAGAIN) => {
                // This line is cut off: nothing may follow it.
                self.closed[to] = true;
                crew.miss();
            }
            Err(Errno::EPIPE) => self.closed[to] = true,
            // Standard error is where an error would be reported.
            Err(_) if to == 1 => self.closed[1] = true,
            Err(errno) => {
                return Err(Cause::plain(errno).exit(Exit::Command(1))).context("cannot write to standard output");
            }
        }
        Ok(())
    }
}

const SPOOL: &str = "cannot store the output of a later command";

fn spool(stream: &mut SourceStream, bytes: &[u8]) -> Result<()> {
    if stream.spool.is_none() {
        stream.spool = Some(fds::spool().context(SPOOL)?);
    }
    stream.spool.as_ref().map(|file| fds::write_all(file, bytes)).transpose().context(SPOOL)?;
    Ok(())
}
