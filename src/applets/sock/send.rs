//! `sock send`.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Error, Result, bail};
use clap::Args;

use super::endpoint::client::{Client, Connection, Reaching};
use super::endpoint::exchange::{self, OF_INPUT, Sending};
use super::endpoint::messages::Messages;
use crate::applets::Verb;
use crate::args::address::{Address, of_server};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit, at_record};
use crate::output::notice::Notice;
use crate::sys::input::{Input, Record};
use crate::sys::socket::{self, Type};
use crate::sys::{fds, transfer};

/// Sends each MESSAGE to a stream socket as a line, to other sockets as one message. Without MESSAGE, sends standard
/// input: to a stream socket unchanged, to other sockets as one message. Replies are discarded; connect prints them.
///
/// A message that is too long is an error, and is never cut. All MESSAGE arguments are checked before the first is sent.
/// --timeout limits the wait for the server and for room, not the reading of standard input. fd:N stays open.
#[derive(Args)]
pub struct Send {
    /// Address of the server
    #[arg(value_name = "ADDR", value_parser = of_server())]
    address: Address,
    /// Messages to send; after '--', they may begin with '-'
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,
    /// Send each line as a message, without its newline
    ///
    /// A stream socket gets standard input unchanged.
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,
    /// Send each NUL-terminated record, without its NUL
    ///
    /// A stream socket gets standard input unchanged, and a NUL instead of a newline after each MESSAGE.
    #[arg(short = '0', long)]
    null: bool,
    /// Send EOF on the connection fd:N after the data
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    reaching: Reaching,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Send lines or messages to a server";
    const EXAMPLES: &'static str = "
# Exit with status 3 if no server listens
ipcbox sock send ./db.sock flush ||
  echo 'no server'
";
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "no such server, or the connection was lost"),
        (Exit::Exists, "not a socket, or a socket of another type"),
        (Exit::Denied, "permission denied, or the server belongs to another user"),
    ];

    fn run(self) -> Result<Exit> {
        if self.messages.is_empty() {
            fds::can_read(fds::stdin()).context("cannot read standard input")?;
        }
        let Self { address, reaching, timeout, .. } = &self;
        let client = Client { address, reaching: *reaching, timeout, name: None };
        let connection = client.connect()?;
        self.send(client, connection).with_context(|| format!("cannot send to {address}"))?;
        Ok(Exit::Done)
    }
}

impl Send {
    fn send(&self, client: Client, connection: Connection) -> Result<()> {
        let kind = socket::type_of(&connection.socket)?;
        if kind == Type::Stream {
            return self.to_stream(&connection);
        }
        if kind == Type::Dgram && self.end {
            bail!(Cause::new(Exit::Usage, "--end is for a connection, and datagrams have none"));
        }
        let mut out = Messages::new(client, connection, kind)?;
        if self.messages.is_empty() { self.input_to(&mut out) } else { self.messages_to(&mut out) }?;
        out.finish(self.end)
    }

    fn to_stream(&self, connection: &Connection) -> Result<()> {
        let (timeout, ends) = (self.timeout, self.end);
        let notice = Notice::verbose(&timeout, || format!("{}: the server takes no more", self.address));
        let sending = Sending { timeout, notice, ends };
        if self.messages.is_empty() {
            return exchange::send(connection, fds::stdin(), OF_INPUT, sending);
        }
        let end: &[u8] = if self.null { b"\0" } else { b"\n" };
        let lines: Vec<u8> = self.messages.iter().flat_map(|line| [line.as_bytes(), end]).flatten().copied().collect();
        exchange::send(connection, fds::in_memory(&lines)?.as_fd(), "", sending)
    }

    fn messages_to(&self, out: &mut Messages) -> Result<()> {
        let what = if self.messages.len() == 1 { "" } else { "message" };
        for (message, number) in self.messages.iter().zip(1..) {
            if message.len() > out.most {
                let error = Error::from(out.too_long(message.len() as u64));
                return Err(if what.is_empty() { error } else { error.context(format!("{what} {number}")) });
            }
        }
        for message in &self.messages {
            out.send(message.as_bytes()).map_err(|error| at_record(error, what, out.sent))?;
        }
        Ok(())
    }

    fn input_to(&self, out: &mut Messages) -> Result<()> {
        let (mut input, what) = match (self.lines, self.null) {
            (true, _) => (Input::records(b'\n', out.most), "line"),
            (_, true) => (Input::records(0, out.most), "record"),
            _ => (Input::whole(out.most), ""),
        };
        loop {
            let read = |block: &mut [u8]| out.timeout.uncounted(|| transfer::read_some(fds::stdin(), block));
            let sent = match input.next(read).context("cannot read standard input")? {
                None => return Ok(()),
                Some(Record::Whole(bytes)) => out.send(bytes),
                Some(Record::TooLong(length)) => Err(out.too_long(length).into()),
            };
            sent.map_err(|error| at_record(error, what, out.sent))?;
        }
    }
}
