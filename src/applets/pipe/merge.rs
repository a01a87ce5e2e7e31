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

/// Runs all commands at once, and puts what they print together, line by line: no line is split by another one. Standard error
/// likewise, on standard error. A last line without newline gets one. All read the box's standard input.
///
/// With --tag each line begins with the command's name, or with its number where two have the same name or --shell is given; in colour on a
/// terminal. With --keep-order the output of the first command comes first, then that of the second, and so on, though all run at
/// once; what waits for its turn lies in a file without a name, in $TMPDIR. A line of more than 1 MiB is passed on while it
/// comes; the others wait until it has ended.
///
/// The status is that of the last command that failed, 0 if none did. Every command is looked up before any is started. When standard
/// output is closed, the commands are ended.
///
/// --report writes a JSON object a line for each command: source argv pid status signal wall_s user_s system_s max_rss_bytes.
/// FILE is as of pipe run.
///
/// Signals go on to the commands as with run, and what these have printed is passed on; when none of them runs any more, a signal ends
/// merge, as where nobody reads that. --max-time is for all of it: when it is over and the commands have ended, nothing more is waited
/// for, neither what somebody prints whom they have left behind, nor who is to read.
#[derive(Args)]
pub struct Merge {
    #[command(flatten)]
    line: Line,
    /// Begin each line with the command's name or number
    #[arg(long)]
    tag: bool,
    /// Lines end in NUL instead of newline
    #[arg(short = '0', long)]
    null: bool,
    /// One command's output after the other
    #[arg(long)]
    keep_order: bool,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    limit: Limit,
}

impl Verb for Merge {
    const NAME: &'static str = "merge";
    const SUMMARY: &'static str = "Run commands at once, their output lines whole";
    const EXAMPLES: &'static str = "
# Two logs in one, and which line is whose
ipcbox pipe merge --tag --shell 'seq 1 3' 'seq 4 6'
";
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Command(0), "exit status of the last command that failed; 0 if none did")];

    fn run(self) -> Result<Exit> {
        let words = self.line.split(Self::NAME)?;
        let (commands, outcome) = self.reporting.find(words, "source", &self.limit)?;
        let tags = self.tags(&commands);
        let policy = Policy { strict: false, fail_fast: false, readers: Readers::Nobody, work: Work::Collects };
        output::require()?;
        let mut crew = Crew::new(policy, &self.limit)?;
        let launched = crew.launch(|crew| Merging::new(self.start(crew, commands, &tags)?, self.keep_order));
        let mut merging = match launched {
            Ok(merging) => merging,
            Err(error) => return outcome.report(&mut crew).and(Err(error)),
        };
        let merged = merging.merge(&mut crew);
        let closed = merging.closed[0];
        // What still writes finds nobody to read it.
        drop(merging);
        if merged.is_err() || closed {
            crew.end();
        }
        crew.mind()?;
        let told = outcome.report(&mut crew);
        merged?;
        told?;
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

    /// Starts the commands; gives standard output and error of each.
    fn start(&self, crew: &mut Crew, commands: Vec<Command>, tags: &[Option<String>]) -> Result<Vec<SourceStream>> {
        let mut streams = Vec::new();
        let end = if self.null { 0 } else { b'\n' };
        for (number, (command, tag)) in commands.into_iter().zip(tags).enumerate() {
            let (output, output_there) = pipe::new().map_err(unmade)?;
            let (error, error_there) = pipe::new().map_err(unmade)?;
            pipe::set_blocking(&output_there)?;
            pipe::set_blocking(&error_there)?;
            let standard =
                Standard { input: None, output: Some(output_there.as_fd()), error: Some(error_there.as_fd()) };
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

/// What a command prints on one of its two descriptors.
struct SourceStream {
    /// None when it has ended.
    from: Option<OwnedFd>,
    lines: Lines,
    /// There may be something to read.
    ready: bool,
    /// What waits for its turn.
    spool: Option<File>,
}

/// All streams: standard output and error of the first command, of the second, and so on.
struct Merging {
    streams: Vec<SourceStream>,
    events: Events,
    /// Whose turn it is, with --keep-order.
    turn: Option<usize>,
    /// Who writes a line in pieces to standard output and error.
    floor: [Option<usize>; 2],
    /// Standard output and error.
    outlets: [Outlet; 2],
    /// Whether they are closed, or took no more when the time was over.
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

    /// Takes what is there, and no more: somebody that they had started can still write.
    fn leave(&mut self, buffer: &mut [u8], crew: &mut Crew) -> Result<()> {
        self.streams.iter_mut().for_each(|stream| stream.ready = true);
        while let Some(which) = (0..self.streams.len()).find(|which| self.may_read(*which)) {
            // A pipe holds no more than one read takes; the second finds its end, if it is there.
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

    /// Nothing more comes from it.
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

    /// Passes the turn on while the one whose turn it is has nothing more to print.
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

    /// Writes to standard output or error. Signals are heard meanwhile.
    fn put(&mut self, to: usize, bytes: &[u8], crew: &mut Crew) -> Result<()> {
        if self.closed[to] {
            return Ok(());
        }
        match crew.write(&self.outlets[to], bytes)? {
            Ok(()) => {}
            Err(Errno::EAGAIN) => {
                // No part of a later line may follow that of one that is cut off here.
                self.closed[to] = true;
                crew.miss();
            }
            Err(Errno::EPIPE) => self.closed[to] = true,
            // Nobody could be told.
            Err(_) if to == 1 => self.closed[1] = true,
            Err(errno) => {
                return Err(Cause::plain(errno).exit(Exit::Command(1))).context("cannot write to standard output");
            }
        }
        Ok(())
    }
}

const SPOOL: &str = "cannot keep what is printed out of turn";

fn spool(stream: &mut SourceStream, bytes: &[u8]) -> Result<()> {
    if stream.spool.is_none() {
        stream.spool = Some(fds::spool().context(SPOOL)?);
    }
    stream.spool.as_ref().map(|file| fds::write_all(file, bytes)).transpose().context(SPOOL)?;
    Ok(())
}
