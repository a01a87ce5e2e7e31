//! Receiving from all addresses and all connections at once, in one loop over epoll(7).
//!
//! A line that was printed in part blocks the other sources until its end, or until it has not grown for a second. If lines are counted, they are looked at in
//! the socket first, and only whole ones are taken: what is left stays for the next reader.

mod inlet;
mod reading;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Result, bail};

use self::inlet::{Feed, Incoming, Inlet, Remaining};
use super::allow::{Gate, Origin};
use super::listener::Listener;
use super::printing::Rendering;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, doubled};
use crate::output::notice::Notice;
use crate::output::{self, print};
use crate::sys::deadline::Deadline;
use crate::sys::epoll::Events;
use crate::sys::pipe;
use crate::sys::socket::{self, Type, never_block};
use crate::sys::transfer::BUFFER;
use crate::sys::wait::Wake;
use crate::text::counted;

/// The most clients and messages that are taken after a signal: a sender that does not stop must not delay the exit.
const REST: usize = 4096;
/// How much is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    /// One connection to its end, or one message.
    One,
    /// This many lines and messages.
    Count(u64),
    /// Everything.
    Endless,
}

/// The state of one call.
pub struct Receiving {
    /// The place of each is its number in the events.
    inlets: Vec<Option<Inlet>>,
    /// The place of the one that is read.
    current: Option<usize>,
    events: Events,
    layout: Rendering,
    gate: Gate,
    most: Most,
    /// Counted lines and messages.
    count: u64,
    timeout: Timeout,
    buffer: Vec<u8>,
    /// Room for a datagram.
    datagram: Vec<u8>,
    has_moved: bool,
    /// Whether the names are removed, and no new client comes.
    is_closed: bool,
    /// Whether a client waits because a descriptor is lacking.
    lacks: bool,
}

impl Receiving {
    /// Prepares receiving from these listeners.
    pub fn new(listeners: Vec<Listener>, gate: Gate, layout: Rendering, most: Most, timeout: Timeout) -> Result<Self> {
        let mut new = Self {
            inlets: Vec::new(),
            current: None,
            events: Events::new()?,
            layout,
            gate,
            most,
            count: 0,
            timeout,
            buffer: vec![0; BUFFER],
            datagram: Vec::new(),
            has_moved: false,
            is_closed: false,
            lacks: false,
        };
        for listener in listeners {
            let address = listener.shown.clone();
            if listener.kind != Type::Dgram && !listener.is_shared {
                never_block(&listener)?;
            }
            let is_datagram = listener.kind == Type::Dgram;
            new.add(address, if is_datagram { Feed::Datagrams(listener) } else { Feed::Listener(listener) })?;
        }
        Ok(new)
    }

    /// Adds a connection.
    pub fn connected(&mut self, address: OsString, socket: OwnedFd, is_shared: bool, origin: Origin) -> Result<()> {
        if socket::type_of(&socket)? != Type::Stream {
            // Otherwise an empty packet would look like EOF.
            socket::pass_credentials(&socket)?;
            return self.add(address, Feed::Packets(socket, origin));
        }
        let wording = self.layout.stream(&address, &origin);
        let last = Instant::now();
        let incoming = Incoming { socket, is_shared, wording, taken: 0, is_inside: false, part: None, last };
        self.add(address, Feed::Stream(incoming))
    }

    fn add(&mut self, address: OsString, feed: Feed) -> Result<()> {
        let inlet = Inlet { address, feed, is_ready: false, has_ended: false };
        let is_free = |at: &usize| self.inlets[*at].is_none() && self.current != Some(*at);
        let at = (0..self.inlets.len()).find(is_free).unwrap_or(self.inlets.len());
        self.events.watch(inlet.fd(), at)?;
        if at == self.inlets.len() {
            self.inlets.push(None);
        }
        self.inlets[at] = Some(inlet);
        Ok(())
    }

    /// Receives until that is enough, or a caught signal comes.
    pub fn run(&mut self) -> Result<()> {
        let names: Vec<String> = self.open().map(|inlet| inlet.address.display().to_string()).collect();
        let mut notice = Notice::verbose(&self.timeout, || format!("data at {}", names.join(", ")));
        let outcome = self.receive(&mut notice);
        outcome.and(self.finish())
    }

    fn open(&self) -> impl Iterator<Item = &Inlet> {
        self.inlets.iter().flatten()
    }

    fn receive(&mut self, notice: &mut Notice) -> Result<()> {
        loop {
            if self.is_done() {
                return self.end();
            }
            let goes_on = (0..self.inlets.len()).any(|at| self.may_read(at));
            let limit = self.timeout.deadline();
            let is_held_up = !goes_on && self.open().any(|inlet| inlet.is_ready);
            let due = self.open().filter(|inlet| !inlet.is_ready).filter_map(Inlet::due);
            let again = due.chain(self.open().filter(|_| is_held_up).filter_map(Inlet::breaks)).min();
            let deadline = match again {
                _ if goes_on => Deadline::Now,
                Some(again) => Deadline::At(again).earlier(limit),
                None => limit,
            };
            if notice.is_fresh() && !goes_on && self.events.wait(Deadline::Now)? == Wake::Late {
                notice.begin(deadline);
            }
            match self.events.wait(deadline)? {
                Wake::Signal => return if self.most == Most::Endless { self.sweep() } else { Ok(()) },
                Wake::Late if !goes_on && limit.is_over() => return self.late(),
                Wake::Late if !goes_on => self.take_parts(is_held_up)?,
                Wake::Late | Wake::Ready(_) => {}
            }
            for event in self.events.take()? {
                if let Some(Some(inlet)) = self.inlets.get_mut(event.which) {
                    inlet.is_ready = true;
                    inlet.has_ended |= event.ended;
                }
            }
            for at in 0..self.inlets.len() {
                if self.may_read(at) && !self.is_done() {
                    self.turn(at)?;
                }
            }
            if goes_on && limit.is_over() && limit != Deadline::Now && self.most != Most::Endless && !self.is_done() {
                return self.late();
            }
        }
    }

    /// Takes incomplete lines, and breaks one that holds up others.
    fn take_parts(&mut self, is_held_up: bool) -> Result<()> {
        for inlet in self.inlets.iter_mut().flatten() {
            inlet.is_ready |= inlet.due().is_some();
            let breaks = inlet.breaks().filter(|at| is_held_up && *at <= Instant::now());
            if let (Some(_), Feed::Stream(incoming)) = (breaks, &mut inlet.feed) {
                print(&incoming.wording.finish())?;
            }
        }
        Ok(())
    }

    /// Whether a source may be read now. The end of a line that was begun comes first.
    fn may_read(&self, at: usize) -> bool {
        let is_ready = self.inlets[at].as_ref().is_some_and(|inlet| inlet.is_ready);
        let inside = || self.inlets.iter().position(|inlet| inlet.as_ref().is_some_and(Inlet::is_inside));
        is_ready && inside().is_none_or(|inside| inside == at)
    }

    fn has_all(&self) -> bool {
        matches!(self.most, Most::Count(wanted) if self.count >= wanted)
    }

    fn is_done(&self) -> bool {
        self.has_all() || self.open().next().is_none()
    }

    fn end(&self) -> Result<()> {
        match self.most {
            Most::Count(wanted) if self.count < wanted => {
                let words = format!("the connection ended after {} of {wanted} lines", self.count);
                bail!(Cause::new(Exit::Missing, words))
            }
            _ => Ok(()),
        }
    }

    /// Ends on timeout: a failure, unless the call does not wait and there was data.
    fn late(&self) -> Result<()> {
        let words = match self.most {
            Most::Count(wanted) if self.count > 0 => format!("only {} of {wanted} received", self.count),
            Most::One if self.has_moved && self.timeout.deadline() == Deadline::Now => return Ok(()),
            Most::One if self.open().any(Inlet::is_connection) => {
                format!("the connection is{} open", self.timeout.still())
            }
            _ => "no data received".into(),
        };
        bail!(self.timeout.expired(words + &self.timeout.after()))
    }

    /// Reads a source once, or some messages of it.
    fn turn(&mut self, at: usize) -> Result<()> {
        let Some(mut inlet) = self.inlets[at].take() else { return Ok(()) };
        self.current = Some(at);
        let next = match &mut inlet.feed {
            Feed::Listener(listener) => self.accept(listener, &inlet.address)?,
            Feed::Datagrams(listener) => self.datagrams(listener, &inlet.address)?,
            Feed::Packets(socket, origin) => self.packets(socket, origin, &inlet.address)?,
            Feed::Stream(incoming) => self.stream(incoming, &inlet.address, inlet.has_ended)?,
        };
        self.current = None;
        inlet.is_ready = next == Remaining::More;
        if next != Remaining::Over {
            self.inlets[at] = Some(inlet);
        } else if std::mem::take(&mut self.lacks) {
            // A descriptor is free now.
            self.inlets.iter_mut().flatten().for_each(|inlet| inlet.is_ready |= !inlet.is_connection());
        }
        Ok(())
    }

    /// After a signal: removes the names, and takes what was sent before.
    fn sweep(&mut self) -> Result<()> {
        self.is_closed = true;
        for inlet in self.open() {
            if let Feed::Listener(listener) | Feed::Datagrams(listener) = &inlet.feed {
                listener.stop();
            }
        }
        let is_listener = |inlet: &Inlet| !inlet.is_connection();
        for kind in [is_listener, Inlet::is_inside, Inlet::is_connection] {
            for at in 0..self.inlets.len() {
                if self.inlets[at].as_ref().is_some_and(kind) {
                    self.drain(at)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what a source has now.
    fn drain(&mut self, at: usize) -> Result<()> {
        let unread = |inlet: &Inlet| match &inlet.feed {
            Feed::Stream(incoming) => pipe::unread(&incoming.socket).ok().map(|unread| incoming.taken + unread as u64),
            _ => None,
        };
        let end = self.inlets[at].as_ref().and_then(unread);
        for _ in 0..REST {
            let is_over = |inlet: &Inlet| match &inlet.feed {
                Feed::Stream(incoming) => end.is_some_and(|end| incoming.taken >= end),
                _ => false,
            };
            match self.inlets[at].as_ref() {
                Some(inlet) if !is_over(inlet) => self.turn(at)?,
                _ => break,
            }
            if self.inlets[at].as_ref().is_none_or(|inlet| !inlet.is_ready) {
                break;
            }
        }
        if let Some(Inlet { feed: Feed::Stream(incoming), .. }) = &mut self.inlets[at] {
            print(&incoming.wording.finish())?;
        }
        Ok(())
    }

    /// Prints what was taken, and reports what was lost.
    fn finish(&mut self) -> Result<()> {
        let has_all = self.has_all();
        for inlet in self.inlets.iter_mut().flatten() {
            match &mut inlet.feed {
                // A part beyond the count.
                Feed::Stream(incoming) if has_all && !incoming.wording.is_inside() => {}
                Feed::Stream(incoming) => print(&incoming.wording.finish())?,
                Feed::Datagrams(listener) => warn_of_dropped(listener),
                Feed::Listener(_) | Feed::Packets(..) => {}
            }
        }
        Ok(())
    }
}

fn warn_of_dropped(listener: &Listener) {
    let count = socket::dropped(listener).unwrap_or(0);
    if count > 0 {
        let datagrams = counted(usize::try_from(count).unwrap_or(usize::MAX), "datagram");
        let address = listener.shown.display();
        // The kernel counts from the creation of the socket, which another process may have read before.
        let since = if listener.is_shared { " so far" } else { "" };
        output::warn(format!("the kernel dropped {datagrams} to {address}{since}: the receive buffer was full"));
        output::hint(doubled("net.core.rmem_default"));
    }
}
