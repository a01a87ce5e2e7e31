//! `sock wait`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use clap::Args;

use super::endpoint::lookout::{Awaited, Lookout, Which};
use super::endpoint::no_server_yet;
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, Endpoint, of_server};
use crate::args::signals::name;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::objects::process::{Process, parse};
use crate::output::notice::Notice;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::{Event, Grouping, Supervisor, end_as};
use crate::sys::deadline::Deadline;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Set, Signal};
use crate::sys::wait::{Want, any, has};

/// The first pause after a CMD that failed.
const FIRST: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(1);

/// Waits until every ADDR has a server that accepts connections. Servers on this machine do not notice, because wait
/// asks the kernel instead of connecting.
///
/// If CMD is given, wait then repeats CMD until it exits with status 0. The pause between two runs grows from 50ms to
/// 1s. --timeout never ends a running CMD.
#[derive(Args)]
pub struct Wait {
    /// Addresses of the servers
    #[arg(value_name = "ADDR", value_parser = of_server(), required = true)]
    addresses: Vec<Address>,
    /// Wait until no ADDR has a server any more
    #[arg(long)]
    gone: bool,
    /// Wait for any one ADDR, not for all of them
    #[arg(long)]
    any: bool,
    /// Exit with status 3 when process PID exits
    #[arg(long, value_name = "PID", value_parser = parse)]
    pid: Option<Process>,
    #[command(flatten)]
    timeout: Timeout,
    /// Command that succeeds once the servers are ready
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const SUMMARY: &'static str = "Wait until servers accept, without connecting to them";
    const EXAMPLES: &'static str = "
# Give up after a second if no server listens
ipcbox sock wait -w 1 ./a.sock tcp:localhost:80 ||
  echo 'not ready'
";
    const RUNS: Runs = Runs::Each;
    const WRITES: bool = false;
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "the process of --pid has exited"),
        (Exit::Exists, "not a socket, or a socket of another type"),
    ];

    fn run(mut self) -> Result<Exit> {
        if let Some(address) = self.addresses.iter().find(|it| matches!(it.endpoint(), Endpoint::Inherited(_))) {
            bail!(Cause::new(Exit::Usage, format!("{address} is open already; expected the address of a server")));
        }
        let command = match std::mem::take(&mut self.command) {
            none if none.is_empty() => None,
            words => Some(Command::find(words)?.with_interpreter()?),
        };
        let process = match &self.pid {
            Some(process) => Some(process.open().with_context(|| format!("cannot wait for process {process}"))?),
            None => None,
        };
        self.servers(process.as_ref())?;
        match command {
            Some(command) => self.succeeds(&command, process.as_ref()),
            None => Ok(Exit::Done),
        }
    }
}

impl Wait {
    fn servers(&self, process: Option<&OwnedFd>) -> Result<()> {
        let (timeout, deadline) = (&self.timeout, self.timeout.deadline());
        let mut lookout = Lookout::new(&self.addresses, Awaited { gone: self.gone, any: self.any });
        let mut notice = Notice::verbose(timeout, || {
            let names: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
            let state = match &self.addresses[..] {
                _ if self.gone => "a server accepts".into(),
                [address] => no_server_yet(address),
                _ => "no server yet".into(),
            };
            format!("{}: {state}", names.join(", "))
        });
        loop {
            // A process that was stopped past the deadline still finds a server that came before it.
            let is_last = deadline.is_over();
            // A server that has come since cannot be that of the process.
            let has_exited = process.map_or(Ok(false), |process| has(process.as_fd(), Want::Readable))?;
            let is_over = lookout.look(if is_last { Which::All } else { Which::Due }, timeout)?;
            if is_over && (self.gone || !has_exited) {
                return Ok(());
            }
            if has_exited {
                bail!(self.exited());
            }
            if is_last {
                bail!(lookout.late(timeout));
            }
            let due = lookout.due();
            if due != Deadline::Now {
                notice.begin(deadline);
                let mut events = lookout.events();
                events.extend(process.map(|process| (process.as_fd(), Want::Readable)));
                any(&events, due.earlier(deadline))?;
            }
        }
    }

    fn exited(&self) -> Error {
        let names: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        let process = self.pid.as_ref().map(Process::to_string).unwrap_or_default();
        let cause = Cause::new(Exit::Missing, format!("process {process} has exited"));
        Error::from(cause).context(format!("cannot wait for {}", names.join(", ")))
    }

    /// Runs CMD until it exits with status 0.
    fn succeeds(&self, command: &Command, process: Option<&OwnedFd>) -> Result<Exit> {
        let deadline = self.timeout.deadline();
        let mut supervisor = Supervisor::new(Grouping::Own, &Limit::default())?;
        let mut pause = FIRST;
        loop {
            let is_last = deadline.is_over();
            let (ended, has_exited) = attend(&mut supervisor, command, process)?;
            match ended {
                Ended::Exited(0) => return Ok(Exit::Done),
                _ if has_exited => bail!(self.exited()),
                // From the keyboard: the user does not want another try.
                Ended::Killed(Signal::INT | Signal::QUIT) => return end_as(ended),
                ended if is_last => {
                    let how = match ended {
                        Ended::Exited(status) => format!("exits with status {status}"),
                        Ended::Killed(signal) => format!("is killed by SIG{}", name(signal)),
                    };
                    let (still, after) = (self.timeout.still(), self.timeout.after());
                    let cause = self.timeout.expired(format!("it{still} {how}{after}"));
                    return Err(Error::from(cause).context(format!("cannot wait for {command}")));
                }
                _ => {}
            }
            let until = Deadline::after(pause).earlier(deadline);
            pause = LONGEST.min(pause * 2);
            while !until.is_over() {
                let process: Vec<_> = process.iter().map(|process| (process.as_fd(), Want::Readable)).collect();
                match supervisor.next(&process, until)? {
                    Event::Signal(arrival) => obey(arrival.signal)?,
                    Event::Child => while supervisor.reap(None)?.is_some() {},
                    Event::Ready(ready) if ready.contains(&true) => bail!(self.exited()),
                    Event::Ready(_) | Event::Due => {}
                }
            }
        }
    }
}

/// Runs CMD once, and returns how it exited. If `process` exits before, CMD gets SIGTERM, and the second value is true.
fn attend(supervisor: &mut Supervisor, command: &Command, process: Option<&OwnedFd>) -> Result<(Ended, bool)> {
    let mut awaited: Vec<_> = process.into_iter().map(|process| (process.as_fd(), Want::Readable)).collect();
    let (mut ended, mut stop) = (Ended::Exited(0), None);
    supervisor.start(command, &[], (Set::EMPTY, &[]), None)?;
    while supervisor.runs() {
        match supervisor.next(&awaited, Deadline::Forever)? {
            Event::Signal(arrival) => {
                supervisor.hear(&arrival)?;
                stop = stop.or(Some(arrival.signal).filter(|signal| signal.is_termination()));
            }
            Event::Child => {
                while let Some((_, how, _)) = supervisor.reap(None)? {
                    ended = how;
                }
            }
            Event::Ready(_) => {
                awaited.clear();
                supervisor.forward(Signal::TERM, None);
            }
            Event::Due => {}
        }
    }
    stop.map_or(Ok(()), obey)?;
    Ok((ended, process.is_some() && awaited.is_empty()))
}

/// Lets a blocked signal act.
fn obey(signal: Signal) -> Result<()> {
    // Init of a pid namespace has no default action.
    Ok(if signal.is_termination() && !signal::is_ignored(signal)? { signal::die(signal) } else { signal::act(signal) }?)
}
