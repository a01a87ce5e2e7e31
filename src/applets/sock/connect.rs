//! `sock connect`.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::endpoint::client::{Client, Connection, Reaching};
use super::endpoint::exchange;
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, Endpoint, of_server};
use crate::args::numbers::digits;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::supervise::command::Command;
use crate::sys::fds;
use crate::sys::socket::{self, Type};

/// Copies standard input to the server, and data from the server to standard output, until both are at EOF. After EOF
/// on standard input, the server can still reply. --timeout limits connecting, not copying.
///
/// If the server closes the connection, connect exits at once. Status 3 means that the connection was reset, or that
/// the server did not take all input. With CMD, connect only connects, and then replaces itself with CMD.
#[derive(Args)]
pub struct Connect {
    /// Address of the server
    #[arg(value_name = "ADDR", value_parser = of_server())]
    address: Address,
    #[command(flatten)]
    reaching: Reaching,
    /// Pass the connection as descriptor N (default: 0, 1)
    #[arg(long, value_name = "N", value_parser = descriptor, requires = "command")]
    fd: Option<i32>,
    #[command(flatten)]
    timeout: Timeout,
    /// Command and its arguments, run as given
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

fn descriptor(text: &str) -> Result<i32, String> {
    let number = digits(text).and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| "expected a descriptor number".into())
}

impl Verb for Connect {
    const NAME: &'static str = "connect";
    const SUMMARY: &'static str = "Send standard input to a server and print its reply";
    const EXAMPLES: &'static str = "
# Exit with status 3 if no server listens
ipcbox sock connect ./db.sock </dev/null ||
  echo 'no server'
";
    const RUNS: Runs = Runs::Optionally;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "no such server, or the connection was lost"),
        (Exit::Exists, "not a socket, or a socket of another type"),
        (Exit::Denied, "permission denied, or the server belongs to another user"),
    ];

    fn run(mut self) -> Result<Exit> {
        let command = match std::mem::take(&mut self.command) {
            none if none.is_empty() => None,
            words => Some(Command::find(words)?),
        };
        let Self { address, reaching, timeout, .. } = &self;
        let context = || format!("cannot exchange data with {address}");
        if command.is_none() {
            fds::can_read(fds::stdin()).context("cannot read standard input")?;
            output::require()?;
            can_copy(address.endpoint()).with_context(context)?;
        }
        let client = Client { address, reaching: *reaching, timeout, name: None };
        let connection = client.connect()?;
        if let Some(command) = command {
            return self.hand_on(&connection, command);
        }
        if connection.is_shared {
            is_stream(socket::type_of(&connection.socket)?).with_context(context)?;
        }
        exchange::run(&connection).with_context(context)?;
        Ok(Exit::Done)
    }
}

/// Checks before connecting that the server at an address can be a stream of its own.
fn can_copy(endpoint: &Endpoint) -> Result<()> {
    match endpoint {
        Endpoint::Path(kind, _) | Endpoint::Abstract(kind, _) | Endpoint::Inet(kind, ..) => is_stream(*kind),
        Endpoint::Inherited(0 | 1) => {
            let words = "without CMD, descriptors 0 and 1 are the other side of the copy";
            bail!(Cause::new(Exit::Usage, words))
        }
        Endpoint::Inherited(_) => Ok(()),
    }
}

fn is_stream(kind: Type) -> Result<()> {
    if kind != Type::Stream {
        bail!(Cause::new(Exit::Exists, "it takes messages, and connect without CMD copies a stream"));
    }
    Ok(())
}

impl Connect {
    fn hand_on(&self, connection: &Connection, command: Command) -> Result<Exit> {
        let numbers = self.fd.map_or(vec![0, 1], |number| vec![number]);
        for number in numbers {
            fds::pass_as(&connection.socket, number)
                .with_context(|| format!("cannot pass the connection as descriptor {number}"))?;
        }
        match command.replace(&[])? {}
    }
}
