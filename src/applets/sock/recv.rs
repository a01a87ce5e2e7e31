//! `sock recv`.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use clap::Args;

use super::endpoint::allow::{Access, Origin};
use super::endpoint::listener::{self, Listener, Opening};
use super::endpoint::missing;
use super::endpoint::printing::{Framing, Rendering};
use super::endpoint::receiving::{Most, Receiving};
use crate::applets::Verb;
use crate::args::address::{Address, Endpoint, of_listener};
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output;
use crate::sys::signal::{self, Signal};
use crate::sys::socket::{self, Type};
use crate::sys::{fds, interrupt, pipe};

/// Listens, and prints the data of one connection until EOF, or one message and a newline. --count and --follow accept
/// any number of connections at once. Lines of different connections never mix, and messages are never cut.
///
/// fd:N can be a connection. With --count, recv takes exactly N lines from fd:N, and leaves the rest for the next
/// reader. --timeout limits the whole call or, with --follow, the time without data.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Recv {
    /// Addresses to listen on; port 0 chooses a free port
    #[arg(value_name = "ADDR", required = true, value_parser = of_listener())]
    addresses: Vec<Address>,
    /// Stop after N lines and messages in total
    #[arg(short, long, value_name = "N", value_parser = many)]
    count: Option<u64>,
    /// Receive until interrupted
    #[arg(long, conflicts_with = "count")]
    follow: bool,
    /// Print data unchanged, without added newlines
    #[arg(long, group = "shape")]
    raw: bool,
    /// Treat NUL, not newline, as the end of a line
    ///
    /// A message is printed with a NUL at its end.
    #[arg(short = '0', long, group = "shape")]
    null: bool,
    /// Print each line or message as a line of JSON
    ///
    /// The keys are address, peer, peer_pid, uid, length, and data or data_base64.
    #[arg(short = 'J', long, group = "shape")]
    json: bool,
    /// Start each line with "ADDR: "
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    tag: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Recv {
    const NAME: &'static str = "recv";
    const SUMMARY: &'static str = "Print lines and messages that clients send";
    const EXAMPLES: &'static str = "
# Collect one line of each of two programs
ipcbox sock recv ./log.sock -c 2 &
ipcbox sock send ./log.sock --await 'built a'
ipcbox sock send ./log.sock 'built b'
wait
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "the connection ended early, or there is no such directory"),
        (Exit::Exists, "a live server has the address, or the path is not a socket"),
    ];

    fn run(self) -> Result<Exit> {
        output::require()?;
        // What was taken must be written, and a path removed, before one of these ends the call.
        interrupt::catch_once(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        pipe::block_sigpipe()?;
        let outcome = self.receive();
        // A filter whose reader has gone dies of SIGPIPE.
        signal::let_in(Signal::PIPE)?;
        interrupt::end()?;
        outcome.map(|()| Exit::Done)
    }
}

impl Recv {
    fn receive(&self) -> Result<()> {
        let mut connections = Vec::new();
        let mut to_open = Vec::new();
        for address in &self.addresses {
            match connection(address)? {
                Some(socket) => connections.push((address, socket)),
                None => to_open.push(address.clone()),
            }
        }
        let (mode, is_open) = (self.access.bits(), self.access.is_any());
        let opening = Opening { mode, is_open, takes_files: false, timeout: Some(&self.timeout) };
        let listeners = listener::open(&to_open, &opening)?;
        let gate = self.access.gate(&listeners)?;
        self.print_ports(&listeners);
        let is_alone =
            self.count.is_none() && !self.follow && connections.len() + usize::from(!listeners.is_empty()) < 2;
        let layout = Rendering { framing: self.framing(), is_tagged: self.tag, is_alone };
        let most = match self.count {
            Some(count) => Most::Count(count),
            None if self.follow => Most::Endless,
            None => Most::One,
        };
        let mut receiving = Receiving::new(listeners, gate, layout, most, self.timeout)?;
        for (address, socket) in connections {
            let origin = peer(&socket).with_context(|| format!("cannot receive from {address}"))?;
            receiving.connected(address.typed().to_owned(), socket, true, origin)?;
        }
        let names: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        receiving.run().with_context(|| format!("cannot receive from {}", names.join(", ")))
    }

    const fn framing(&self) -> Framing {
        match (self.json, self.raw, self.null) {
            (true, ..) => Framing::Json,
            (_, true, _) => Framing::Raw,
            (.., true) => Framing::Ended(0),
            _ => Framing::Ended(b'\n'),
        }
    }

    /// Reports the addresses of which the kernel has chosen the port.
    fn print_ports(&self, listeners: &[Listener]) {
        for shown in listener::chosen(listeners, &self.addresses).iter().filter(|_| !self.timeout.is_quiet()) {
            output::warn(format!("listening at {}", shown.display()));
        }
    }
}

/// Returns an inherited connection. `None`: the address is to listen at, or its socket listens.
fn connection(address: &Address) -> Result<Option<OwnedFd>> {
    let Endpoint::Inherited(number) = address.endpoint() else { return Ok(None) };
    // The failure of opening it as a listener shows what is wrong.
    let Ok(socket) = fds::copy_of(*number) else { return Ok(None) };
    let Ok(kind) = socket::type_of(&socket) else { return Ok(None) };
    let is_connection = kind != Type::Dgram && !socket::is_listening(&socket)?;
    Ok(is_connection.then_some(socket))
}

/// Returns the other end of a connection.
fn peer(socket: &OwnedFd) -> Result<Origin> {
    let name = socket::peer_name(socket).map_err(|errno| missing(errno, "the socket is not connected"))?;
    let process = if name.inet().is_none() { Some(socket::credentials(socket)?) } else { None };
    Ok(Origin::of(name, process))
}
