//! `sock serve`.

use anyhow::Result;
use clap::Args;

use super::endpoint::allow::Access;
use super::endpoint::listener::{self, Opening};
use super::endpoint::server::Server;
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, of_listener};
use crate::args::numbers::many;
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::supervise::escalation::Steps;
use crate::supervise::pool::Serving;
use crate::sys::interrupt;

/// For a connection, CMD has the connection as standard input and output. For a call (sock call), CMD has the standard
/// files of the caller. For a datagram, CMD reads the datagram, and the output of CMD is the reply.
///
/// On SIGTERM, the server removes its name, serves the clients that are connected, and exits with status 0. With
/// --timeout, the server exits after DURATION without a client. Variables such as IPCBOX_PEER_UID describe the client.
#[derive(Args)]
pub struct Serve {
    /// Addresses to listen on; port 0 chooses a free port
    #[arg(value_name = "ADDR", required = true, value_parser = of_listener())]
    addresses: Vec<Address>,
    /// Stop after N connections, calls and datagrams
    #[arg(short, long, value_name = "N", value_parser = many)]
    count: Option<u64>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    steps: Steps,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Serve {
    const NAME: &'static str = "serve";
    const SUMMARY: &'static str = "Run CMD for each connection, call or datagram";
    const EXAMPLES: &'static str = "
# Answer in capitals; the name has no file
ipcbox sock serve tagger -c 1 -- tr a-z A-Z &
ipcbox sock call tagger hello --await -w 10s
";
    const RUNS: Runs = Runs::Each;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Failed, "a CMD failed (with --count), or any other failure"),
        (Exit::Missing, "the directory of a path does not exist"),
        (Exit::Exists, "a live server has the address, or the path is not a socket"),
    ];

    fn run(mut self) -> Result<Exit> {
        let mut pool = self.serving.pool(b"")?;
        let is_open = self.access.is_any();
        let opening = Opening { mode: self.access.bits(), is_open, takes_files: false, timeout: Some(&self.timeout) };
        let listeners = listener::open(&self.addresses, &opening);
        if listeners.is_err() && interrupt::any() {
            interrupt::end()?;
        }
        let listeners = listeners?;
        let gate = self.access.gate(&listeners)?;
        self.print_ports(&listeners)?;
        Server::new(listeners, gate, self.count, self.steps.into(), &mut pool).run(self.timeout)?;
        pool.end(self.count.is_some())
    }
}

impl Serve {
    /// Prints the addresses of which the kernel has chosen the port.
    fn print_ports(&self, listeners: &[listener::Listener]) -> Result<()> {
        let mut chosen = listener::chosen(listeners, &self.addresses).into_iter();
        chosen.try_for_each(|shown| self.timeout.quiet.answer(shown.as_encoded_bytes()))
    }
}
