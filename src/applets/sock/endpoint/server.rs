//! The loop of a server: connections, calls and datagrams take the places of one pool of commands.
//!
//! While a command may start, the server waits for a client at its listeners, and for the rest of a call. At all times it
//! waits for the signals and the end of callers whose command runs. A client that no command may serve yet stays in
//! the backlog of the kernel.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;

use super::allow::{Gate, Origin, refuse};
use super::frame;
use super::half_open::{Dropped, HalfOpen, MOST};
use super::listener::{LACKING, Listener};
use super::reply::{answer, unreachable};
use super::too_long;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::supervise::escalation::Limit;
use crate::supervise::pool::{Next, Pool, Receiver, Taken, Task};
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::interrupt;
use crate::sys::signal::Signal;
use crate::sys::socket::name::Name;
use crate::sys::socket::{Type, datagram, pass, peer_name};
use crate::sys::wait::all_ready_or_signal;

/// The pause before a client is accepted again if no process of this server can release what was lacking.
const PAUSE: Duration = Duration::from_millis(100);

/// A server with open listeners.
pub struct Server<'a> {
    pool: &'a mut Pool,
    /// Shared with the handler of the signal that stops the server.
    listeners: Rc<RefCell<Vec<Listener>>>,
    gate: Gate,
    half_open: Vec<HalfOpen>,
    /// How many clients to serve.
    count: Option<u64>,
    /// Callers that have gone, by the pid of their command.
    gone: Vec<i32>,
    /// The listener that comes first, so that each has its turn.
    first: usize,
    /// Until when no client is accepted, for lack of a descriptor.
    lacking: Option<Deadline>,
    /// Room for a datagram.
    buffer: Vec<u8>,
}

/// What has come.
enum Came {
    /// A signal from the caller of this command, or its end.
    Caller(i32),
    /// The end of a caller whose command waits to be started at this place.
    Waiting(usize),
    /// Data of this connection.
    HalfOpen(usize),
    /// A client of this listener.
    Client(usize),
}

/// What became of a client.
enum Accepted {
    /// CMD starts for it.
    Starts(Taken),
    /// Its call has not come yet.
    Calls,
    /// Nothing.
    Refused,
}

impl<'a> Server<'a> {
    /// A server for `count` clients at most, each of whose commands may run within `limit`.
    pub fn new(listeners: Vec<Listener>, gate: Gate, count: Option<u64>, limit: Limit, pool: &'a mut Pool) -> Self {
        let listeners = Rc::new(RefCell::new(listeners));
        let closed = Rc::clone(&listeners);
        pool.lead_sessions(limit, Box::new(move || closed.borrow().iter().for_each(Listener::stop)));
        let (half_open, gone, buffer) = (Vec::new(), Vec::new(), Vec::new());
        Self { pool, listeners, gate, half_open, count, gone, first: 0, lacking: None, buffer }
    }

    /// Serves until a signal, the count or the timeout ends it.
    pub fn run(mut self, timeout: Timeout) -> Result<()> {
        let mut notice = Notice::verbose(&timeout, || "a client".to_owned());
        let mut silence = timeout.again();
        let mut outcome = Ok(());
        loop {
            if self.is_done() {
                self.close();
            }
            self.make_ready();
            let is_wanted = !self.listeners.borrow().is_empty() || !self.half_open.is_empty();
            let has_room = match self.pool.poll(is_wanted)? {
                Some(Next::Over) => return outcome,
                Some(Next::Ended(ended)) => {
                    self.lacking = None;
                    let running: Vec<i32> = self.pool.receivers().map(|(pid, _)| pid).collect();
                    self.gone.retain(|pid| running.contains(pid));
                    answer(ended)?;
                    silence = silence.again();
                    continue;
                }
                // A command has just been started that waited for a process.
                Some(Next::Room) if self.is_done() => continue,
                Some(Next::Room) => {
                    if let Some(at) = self.half_open.iter().position(|half_open| half_open.call.is_some()) {
                        self.begin_call(at);
                        continue;
                    }
                    true
                }
                None => false,
            };
            if self.pool.is_stopping() {
                // Another process serves the backlog of these.
                self.listeners.borrow_mut().retain(|listener| !listener.is_shared);
            }
            // The timeout counts from the end of the last client.
            let is_quiet = self.pool.is_idle() && self.half_open.is_empty() && !self.pool.is_stopping();
            let deadline = if is_quiet { silence.deadline() } else { Deadline::Forever };
            if is_quiet {
                notice.begin(deadline);
            }
            let handled = match self.wait(has_room, deadline)? {
                all if !all.is_empty() => self.handle(all),
                _ if interrupt::any() => continue,
                _ => {
                    self.rest(has_room);
                    Ok(false)
                }
            };
            // A client that is refused is none.
            let handled = match handled {
                Ok(false) if is_quiet && deadline.is_over() => {
                    Err(silence.expired(format!("no client has connected{}", silence.after())).into())
                }
                handled => handled,
            };
            self.give_up();
            if !matches!(handled, Ok(false)) {
                silence = silence.again();
            }
            if let Err(error) = handled {
                outcome = Err(error);
                self.close();
            }
        }
    }

    /// Handles what has come, but only one client, whose CMD may take the last place. Returns whether there was one.
    fn handle(&mut self, all: Vec<Came>) -> Result<bool> {
        let mut client = None;
        for came in all {
            match came {
                Came::Caller(pid) => self.hear(pid),
                Came::Waiting(at) => {
                    self.pool.withdraw(at);
                    self.lacking = None;
                }
                Came::HalfOpen(at) => self.read_call(at),
                Came::Client(at) => client = Some(at),
            }
        }
        client.map_or(Ok(false), |at| self.admit(at))
    }

    /// Waits for events, a signal, or a deadline. Those of the same kind come in reverse, so that handling one leaves the
    /// places of the others.
    fn wait(&self, has_room: bool, mut deadline: Deadline) -> Result<Vec<Came>> {
        let listeners = self.listeners.borrow();
        let is_heard = |(pid, receiver): &(i32, &Receiver)| receiver.sender.is_none() && !self.gone.contains(pid);
        let callers = self.pool.receivers().filter(is_heard);
        let mut waited: Vec<(BorrowedFd, Came)> =
            callers.map(|(pid, receiver)| (receiver.to.as_fd(), Came::Caller(pid))).collect();
        waited.extend(self.pool.waiting().map(|(at, receiver)| (receiver.to.as_fd(), Came::Waiting(at))));
        deadline = deadline.earlier(self.pool.due());
        for (at, half_open) in self.half_open.iter().enumerate() {
            waited.push((half_open.connection.as_fd(), Came::HalfOpen(at)));
            deadline = deadline.earlier(half_open.until());
        }
        if has_room {
            match self.lacking.filter(|until| !until.is_over()) {
                Some(until) => deadline = deadline.earlier(until),
                None if self.half_open.len() < MOST || self.gives_way().is_some() => {
                    let first = self.first % listeners.len().max(1);
                    let turns = (first..listeners.len()).chain(0..first);
                    waited.extend(turns.map(|at| (listeners[at].as_fd(), Came::Client(at))));
                    // Only clients that are connected already are served after a signal.
                    if self.pool.is_stopping() && self.half_open.is_empty() {
                        deadline = Deadline::Now;
                    }
                }
                None => {}
            }
        }
        let polled: Vec<BorrowedFd> = waited.iter().map(|(fd, _)| *fd).collect();
        let ready = all_ready_or_signal(&polled, deadline).context("cannot wait for clients")?;
        Ok(ready.into_iter().rev().map(|at| waited.swap_remove(at).1).collect())
    }

    /// Gives up calls that have not come in time.
    fn give_up(&mut self) {
        let before = self.half_open.len();
        self.half_open.retain(|half_open| !half_open.until().is_over());
        // A call that is given up releases its descriptors.
        self.lacking = self.lacking.filter(|until| !until.is_over() && self.half_open.len() == before);
    }

    /// Returns the oldest call of a process that has several, unless it has come.
    fn gives_way(&self) -> Option<usize> {
        self.half_open.iter().position(|one| {
            let is_same = |other: &&HalfOpen| other.origin.pid.is_some() && other.origin.pid == one.origin.pid;
            one.call.is_none() && self.half_open.iter().filter(is_same).count() > 1
        })
    }

    /// After a signal, stops when no client is left.
    fn rest(&mut self, has_room: bool) {
        if has_room && self.pool.is_stopping() && self.half_open.is_empty() && self.lacking.is_none() {
            self.close();
        }
    }

    /// Lets the clients that call send their calls, as far as descriptors are left for them.
    fn make_ready(&mut self) {
        while self.lacking.is_none() {
            let Some(at) = self.half_open.iter().position(|half_open| !half_open.is_ready()) else { break };
            match self.half_open[at].make_ready() {
                Ok(()) => {}
                Err(errno) if LACKING.contains(&errno) => {
                    let is_helpless = self.pool.is_idle() && !self.half_open.iter().any(HalfOpen::is_ready);
                    self.lacking = Some(if is_helpless { Deadline::after(PAUSE) } else { Deadline::Forever });
                }
                // It has gone.
                Err(_) => drop(self.half_open.remove(at)),
            }
        }
    }

    /// Takes no more clients.
    fn close(&mut self) {
        self.listeners.borrow_mut().clear();
        self.half_open.clear();
    }

    /// Whether all clients that were asked for have their commands.
    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.pool.count() >= count)
    }

    /// Passes the signals of a caller on to its command. A caller that is gone is a hangup.
    fn hear(&mut self, pid: i32) {
        let Some((_, caller)) = self.pool.receivers().find(|(of, _)| *of == pid) else { return };
        let mut bytes = [0; 16];
        match pass::receive(&caller.to, &mut bytes) {
            Err(Errno::EAGAIN) => {}
            Ok((count @ 1.., _)) => {
                let signals = bytes[..count].iter().filter_map(|byte| Signal::new(i32::from(*byte)));
                signals.for_each(|signal| self.pool.signal(pid, signal));
            }
            Ok(_) | Err(_) => {
                self.pool.signal(pid, Signal::HUP);
                self.gone.push(pid);
            }
        }
    }

    /// Accepts a client of a listener, or receives its datagram. Returns whether there was one that is not refused.
    fn admit(&mut self, at: usize) -> Result<bool> {
        self.first = at + 1;
        let listeners = Rc::clone(&self.listeners);
        let accepted = {
            let listeners = listeners.borrow();
            let listener = &listeners[at];
            if listener.kind == Type::Dgram {
                self.receive(listener)
            } else {
                listener.accept().map(|connection| self.accept(listener, connection))
            }
        };
        match accepted {
            Ok(Accepted::Starts(taken)) => {
                self.pool.start(taken);
                return Ok(true);
            }
            Ok(Accepted::Calls) => return Ok(true),
            // After a signal, its backlog is empty.
            Err(Errno::EAGAIN | Errno::EINVAL) if self.pool.is_stopping() => drop(listeners.borrow_mut().remove(at)),
            Ok(Accepted::Refused) | Err(Errno::EAGAIN | Errno::ECONNABORTED) => {}
            Err(errno) if LACKING.contains(&errno) => {
                let is_helpless = self.pool.is_idle() && self.half_open.is_empty();
                if is_helpless && errno == Errno::EMFILE {
                    bail!(Error::from(errno).context("cannot accept a client"));
                }
                self.lacking = Some(if is_helpless { Deadline::after(PAUSE) } else { Deadline::Forever });
            }
            Err(errno) => bail!(Error::from(errno).context("cannot accept a client")),
        }
        Ok(false)
    }

    /// Decides about a connection.
    fn accept(&mut self, listener: &Listener, connection: OwnedFd) -> Accepted {
        let is_call = matches!(peer_name(&connection), Ok(Name::Abstract(name)) if name.starts_with(frame::MARKER));
        let address = listener.shown.to_string_lossy().into_owned();
        let origin = match self.gate.admit(&connection) {
            Ok(origin) => origin,
            // It has gone already.
            Err(_) if peer_name(&connection) == Err(Errno::ENOTCONN) => return Accepted::Refused,
            Err(cause) => {
                if is_call {
                    let _ = pass::send(&connection, &[frame::DENIED], &[]);
                }
                refuse("client", &listener.shown, cause);
                return Accepted::Refused;
            }
        };
        if is_call {
            if self.half_open.len() >= MOST {
                self.gives_way().map(|at| self.half_open.remove(at));
            }
            self.half_open.push(HalfOpen::new(connection, origin, address));
            return Accepted::Calls;
        }
        // From now on, they go to CMD.
        pass::take_files(&connection, true);
        let task = Task::Files { files: vec![connection], payload: None };
        Accepted::Starts(Taken { task, added: variables(address, &origin), reply_to: None })
    }

    /// Receives a datagram.
    fn receive(&mut self, listener: &Listener) -> nix::Result<Accepted> {
        // The reply comes from this address.
        let to = fds::copy_of(listener.as_fd().as_raw_fd())?;
        let address = listener.shown.to_string_lossy().into_owned();
        let (length, sender) = match datagram::receive(listener, &mut self.buffer) {
            Err(Errno::EMSGSIZE) => {
                refuse("datagram", address.as_ref(), too_long());
                return Ok(Accepted::Refused);
            }
            came => came?,
        };
        let admitted = self.gate.admit_sender(sender.clone());
        let origin = match admitted.and_then(|origin| unreachable(&sender).map_or(Ok(origin), Err)) {
            Ok(origin) => origin,
            Err(cause) => {
                refuse("datagram", address.as_ref(), cause);
                return Ok(Accepted::Refused);
            }
        };
        let is_named = sender.name != Name::Unnamed;
        let reply_to = is_named.then_some(Receiver { to, sender: Some(sender), greeting: None });
        Ok(Accepted::Starts(Taken {
            task: Task::Record(self.buffer[..length].to_vec()),
            added: variables(address, &origin),
            reply_to,
        }))
    }

    /// Reads what has come of a call.
    fn read_call(&mut self, at: usize) {
        let Err(dropped) = self.half_open[at].read() else { return };
        self.lacking = None;
        let HalfOpen { address, .. } = self.half_open.remove(at);
        if let Dropped::Wrong(why) = dropped {
            refuse("call", address.as_ref(), Cause::new(Exit::Denied, why));
        }
    }

    /// Starts CMD for a call that has come whole.
    fn begin_call(&mut self, at: usize) {
        if let Some(taken) = taken(self.half_open.remove(at)) {
            self.pool.start(taken);
        }
        // It has released its descriptors.
        self.lacking = None;
    }
}

/// Returns what to start for a call that has come whole. `None`: it is refused.
fn taken(half_open: HalfOpen) -> Option<Taken> {
    let HalfOpen { connection, origin, address, call, .. } = half_open;
    let (message, [input, output, error]) = call?;
    let input = match &message {
        Some(message) => {
            // Its descriptor is needed for the new file.
            drop(input);
            fds::sealed(message)
        }
        None => Ok(input),
    };
    let input = input.map_err(|errno| refuse("call", address.as_ref(), Cause::plain(errno))).ok()?;
    let task = Task::Files { files: vec![input, output, error], payload: message };
    // From then on, the caller may assume that CMD runs. One that has gone has withdrawn the call.
    let reply_to = Some(Receiver { to: connection, sender: None, greeting: Some(frame::ACCEPTED) });
    Some(Taken { task, added: variables(address, &origin), reply_to })
}

fn variables(address: String, origin: &Origin) -> Vec<(&'static str, String)> {
    let mut variables = origin.variables();
    variables.push(("IPCBOX_ADDRESS", address));
    variables
}
