//! `sock call`.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::endpoint::client::{Client, Reaching};
use super::endpoint::frame::{self, Answer};
use super::endpoint::relay::{Pipes, Relay};
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, of_called};
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output::notice::Notice;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::interrupt;
use crate::sys::signal::Signal;
use crate::sys::socket::{self, pass};
use crate::sys::wait::{Wake, ready_or_signal};

/// The server (sock serve) runs its CMD on the standard input, output and error of call. call exits with the status of
/// CMD. MESSAGE, without a newline, replaces standard input and each argument {} of CMD. CMD has the environment and
/// directory of the server.
///
/// --timeout limits the time until CMD starts. call passes SIGINT, SIGTERM and SIGHUP on to CMD; a second signal ends
/// call. If call is killed, CMD gets SIGHUP.
#[derive(Args)]
pub struct Call {
    /// Address of the server
    #[arg(value_name = "ADDR", value_parser = of_called())]
    address: Address,
    /// Input for CMD; after '--', it may begin with '-'
    #[arg(value_name = "MESSAGE")]
    message: Option<OsString>,
    #[command(flatten)]
    reaching: Reaching,
    #[command(flatten)]
    timeout: Timeout,
}

impl Verb for Call {
    const NAME: &'static str = "call";
    const SUMMARY: &'static str = "Run the CMD of a server on your own files";
    const EXAMPLES: &'static str = "
# Start a server for one call, and call it
ipcbox sock serve tagger -c 1 -- tr a-z A-Z &
echo hello | ipcbox sock call tagger --await -w 10s
";
    const RUNS: Runs = Runs::ByServer;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::BeforeCommand, "no server, or any failure before CMD exited"),
        (Exit::Command(0), "otherwise, the exit status of the server's CMD"),
    ];

    fn run(self) -> Result<Exit> {
        let Self { address, reaching, timeout, .. } = &self;
        let name = frame::marker();
        let client = Client { address, reaching: *reaching, timeout, name: Some(&name) };
        let socket = client.connect()?.socket;
        let status = self.call(&socket).with_context(|| format!("cannot call {address}"))?;
        Ok(Exit::Command(status))
    }
}

impl Call {
    fn call(&self, socket: &OwnedFd) -> Result<u8> {
        let caller = geteuid().as_raw();
        let is_trusted = [0, socket::credentials(socket)?.uid].contains(&caller);
        // CMD of another user could open the caller's files once more, with permissions that the caller lacks.
        let (mut pipes, theirs) = if is_trusted { None } else { Some(Pipes::new()?) }.unzip();
        interrupt::catch_once(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let mut answers = frame::Answers::default();
        let Some(()) = self.begin(socket, &mut answers, theirs)? else {
            // Dies by the signal, before CMD has started.
            interrupt::end()?;
            bail!(Errno::EINTR);
        };
        let relay = pipes.as_mut().map(|pipes| pipes.relay(self.message.is_none())).transpose()?;
        finish(socket, &mut answers, relay.unwrap_or_default())
    }

    /// Passes the caller's files, or these, and waits until the server starts CMD. `None`: a signal has come first.
    fn begin(
        &self,
        socket: &OwnedFd,
        answers: &mut frame::Answers,
        mut theirs: Option<[OwnedFd; 3]>,
    ) -> Result<Option<()>> {
        let deadline = self.timeout.deadline();
        let mut is_last = false;
        Notice::verbose(&self.timeout, || format!("{}: the server has not started CMD yet", self.address))
            .begin(deadline);
        loop {
            match answers.next() {
                Some(Answer::Ready) => {
                    let request = frame::request(self.message.as_ref().map(|message| message.as_bytes()));
                    let files = theirs.as_ref().map(|theirs| theirs.each_ref().map(AsFd::as_fd));
                    send(socket, &request, &files.unwrap_or([fds::stdin(), fds::stdout(), fds::stderr()]))?;
                    theirs = None;
                    continue;
                }
                Some(Answer::Accepted) => return Ok(Some(())),
                Some(Answer::Denied) => bail!(Cause::new(Exit::Denied, "the server does not accept your user")),
                Some(Answer::Gone) if !is_last => {
                    bail!(Cause::new(Exit::BeforeCommand, "the server closed the connection before it started CMD"));
                }
                Some(Answer::Ended(_) | Answer::Strange) => {
                    bail!(Cause::new(Exit::Exists, "the server does not take calls"));
                }
                Some(Answer::Gone) | None if is_last => {
                    let words = format!("the server has not started CMD{}", self.timeout.after());
                    bail!(self.timeout.expired(words));
                }
                Some(Answer::Gone) | None => {}
            }
            match ready_or_signal(&[socket.as_fd()], deadline)? {
                Wake::Ready(_) => {}
                Wake::Signal => return Ok(None),
                Wake::Late => {
                    // From now on, the server cannot accept the call. It may have done so just before.
                    socket::end_receiving(socket)?;
                    is_last = true;
                }
            }
            answers.read(socket)?;
        }
    }
}

/// Sends all of a request. If the server has closed the connection, its answer is read next.
fn send(socket: &OwnedFd, request: &[u8], files: &[BorrowedFd]) -> Result<()> {
    let mut at = 0;
    while at < request.len() {
        let files = if at == 0 { files } else { &[] };
        match pass::send(socket, &request[at..], files) {
            Ok(count) => at += count,
            Err(Errno::EPIPE | Errno::ECONNRESET) => break,
            Err(errno) => bail!(errno),
        }
    }
    Ok(())
}

/// Waits until CMD has exited, and returns its status. Signals go on to CMD.
fn finish(socket: &OwnedFd, answers: &mut frame::Answers, mut relay: Relay) -> Result<u8> {
    loop {
        match answers.next() {
            None => {}
            Some(Answer::Ended(status)) => {
                // What CMD has printed is in the pipes.
                relay.drain()?;
                return Ok(status);
            }
            Some(Answer::Gone) => bail!(Cause::new(Exit::BeforeCommand, "the server exited before CMD did")),
            Some(_) => bail!(Cause::new(Exit::BeforeCommand, "the server does not follow the protocol")),
        }
        for signal in interrupt::take()?.iter() {
            // The server may be gone, which the next answer shows.
            let _ = pass::send(socket, &[signal.number().to_le_bytes()[0]], &[]);
        }
        relay.turn(Some(socket.as_fd()), Deadline::Forever)?;
        answers.read(socket)?;
    }
}
