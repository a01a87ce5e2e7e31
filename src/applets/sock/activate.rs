//! `sock activate`.

use std::ffi::OsString;

use anyhow::{Context, Result};
use clap::Args;

use super::endpoint::handover;
use super::endpoint::listener::{self, Opening};
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, of_listener};
use crate::args::creating::mode;
use crate::exit::Exit;
use crate::supervise::command::Command;
use crate::sys::fds;

/// The descriptors of reserved ports: not those that shells use themselves.
const HIGH: u64 = 200;

/// Listens, then replaces itself with CMD, which gets the sockets as descriptors 3, 4 and so on. LISTEN_FDS, LISTEN_PID
/// and LISTEN_FDNAMES describe the sockets, as in systemd. Clients can connect before CMD accepts them.
///
/// CMD decides which clients it accepts. The arguments {address} and {port} of CMD are replaced, and the variables
/// IPCBOX_ADDRESS and IPCBOX_PORT have the same values. For port 0, the kernel chooses a free port.
#[derive(Args)]
pub struct Activate {
    /// Addresses to listen on, or fd:N to pass a socket on
    #[arg(value_name = "ADDR", required = true, value_parser = of_listener())]
    addresses: Vec<Address>,
    /// Keep the TCP port free until CMD binds it
    ///
    /// The kernel gives the port to no other process. CMD must set SO_REUSEADDR, as most servers do.
    #[arg(long)]
    reserve: bool,
    /// Create a path with this mode (default: 0600)
    ///
    /// The mode is octal, and the umask does not change it.
    #[arg(short, long, value_parser = mode)]
    mode: Option<u32>,
    /// Command and its arguments, run as given
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Verb for Activate {
    const NAME: &'static str = "activate";
    const SUMMARY: &'static str = "Run CMD with sockets that already listen";
    const EXAMPLES: &'static str = r"
# Run a server on a free port that no other process gets
ipcbox sock activate tcp:localhost:0 --reserve -- \
  echo server --port '{port}'
";
    const RUNS: Runs = Runs::Command;
    const STATUSES: &'static [(Exit, &'static str)] = &[];

    fn run(self) -> Result<Exit> {
        let command = Command::find(self.command)?.with_interpreter()?;
        if self.reserve {
            let held = listener::reserve(&self.addresses)?;
            let (command, variables) = handover::announce(command, &held)?;
            let lowest = fds::limit().map_or(HIGH, |limit| HIGH.min(limit / 2));
            let mut kept = Vec::new();
            for held in &held {
                let keep = || -> nix::Result<_> {
                    let copy = fds::copy_above(held, i32::try_from(lowest).unwrap_or(i32::MAX))?;
                    fds::inherit(&copy)?;
                    Ok(copy)
                };
                kept.push(keep().with_context(|| format!("cannot keep {}", held.shown.display()))?);
            }
            match command.replace(&variables)? {}
        }
        let how = Opening { mode: self.mode.unwrap_or(0o600), is_open: true, takes_files: true, timeout: None };
        let mut listeners = listener::open(&self.addresses, &how)?;
        let (command, mut variables) = handover::announce(command, &listeners)?;
        variables.extend(handover::pass(&mut listeners)?);
        match command.replace(&variables)? {}
    }
}
