//! `sock with`: a server for the time of a command.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::endpoint::claim::Claim;
use super::endpoint::handover;
use super::endpoint::listener::Listener;
use super::endpoint::lookout::{Awaited, Lookout, Which};
use crate::applets::{Runs, Verb};
use crate::args::address::{Address, of_listener};
use crate::args::signals::name;
use crate::args::timeout::Timeout;
use crate::exit::{Cause, Exit};
use crate::output;
use crate::output::notice::Notice;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::tree::{self, own_pid};
use crate::supervise::{Event, Grouping, Supervisor, end_as};
use crate::sys::child::{self, Group, Standard, Unstarted, reports};
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::process::procfs;
use crate::sys::process::wait_status::Ended;
use crate::sys::signal::{self, Set, Signal};

/// How long the server may take to exit after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Starts SERVER, runs CMD when SERVER accepts at every ADDR, then sends SIGTERM to all processes of both, and SIGKILL
/// 5s later. Exits with the status of CMD. --timeout limits the wait for SERVER.
///
/// Port 0 is replaced with a free port, which no other process gets. The arguments {port} and {address}, and the
/// variables IPCBOX_PORT and IPCBOX_ADDRESS, have the values of ADDR. SERVER writes its standard output to standard
/// error.
#[derive(Args)]
pub struct With {
    /// Addresses of SERVER
    #[arg(value_name = "ADDR", value_parser = of_listener(), required = true)]
    addresses: Vec<Address>,
    /// Pass listening sockets to SERVER (LISTEN_FDS)
    ///
    /// As with systemd, SERVER gets the sockets as descriptors 3, 4 and so on. CMD starts at once.
    #[arg(long)]
    pass: bool,
    /// Separate SERVER and CMD with WORD (default: :::)
    #[arg(long, value_name = "WORD", default_value = ":::")]
    sep: OsString,
    #[command(flatten)]
    timeout: Timeout,
    /// SERVER, then ::: and CMD, run without a shell
    #[arg(value_name = "SERVER", last = true, required = true)]
    words: Vec<OsString>,
}

impl Verb for With {
    const NAME: &'static str = "with";
    const SUMMARY: &'static str = "Start a server for CMD, and stop it afterwards";
    const EXAMPLES: &'static str = r#"
# Run a test against a server on a free port
ipcbox sock with tcp:localhost:0 -w 1m -- \
  python3 -m http.server {port} ::: \
  sh -c 'echo "http://localhost:$IPCBOX_PORT"'
"#;
    const RUNS: Runs = Runs::Command;

    fn run(mut self) -> Result<Exit> {
        let mut commands = Vec::new();
        for words in self.commands()? {
            commands.push(Command::find(words)?.with_interpreter()?);
        }
        if !procfs::knows_us().context("cannot read /proc")? {
            let words = "with needs the /proc of this pid namespace, including PID/task/TID/children";
            bail!(Cause::new(Exit::Failed, words));
        }
        let claim = |address| {
            if self.pass { Claim::listen(address, &self.timeout) } else { Claim::reserve(address, &self.timeout) }
        };
        let claims: Vec<Claim> = self.addresses.iter().map(claim).collect::<Result<_>>()?;
        let addresses: Vec<String> = claims.iter().map(|claim| claim.address.to_string()).collect();
        let port = claims.iter().find_map(|claim| claim.port);
        let mut filled = Vec::new();
        for command in commands {
            filled.push(handover::fill(command, addresses.join(" "), port)?);
        }
        let [(server, added), (command, _)] = filled.try_into().map_err(|_| Errno::EINVAL)?;
        Hosting::open(claims, server, added, self.pass)?.play(&command, &self.timeout)
    }
}

impl With {
    /// Returns the words of SERVER, and those of CMD.
    fn commands(&mut self) -> Result<[Vec<OsString>; 2]> {
        let mut server = std::mem::take(&mut self.words);
        let sep = self.sep.display();
        let usage = format!("ipcbox sock with ADDR -- SERVER {sep} CMD");
        let wrong = |words: String| Cause::new(Exit::Usage, words).hint(format!("write {usage}"));
        let Some(place) = server.iter().position(|word| *word == self.sep) else {
            bail!(wrong(format!("'{sep}' and CMD are missing after SERVER")));
        };
        let command = server.split_off(place + 1);
        server.truncate(place);
        for (words, name) in [(&server, "SERVER"), (&command, "CMD")] {
            if words.is_empty() {
                bail!(wrong(format!("{name} is missing")));
            }
        }
        Ok([server, command])
    }
}

type Added = Vec<(&'static str, String)>;

/// The processes of one call.
struct Hosting {
    claims: Vec<Claim>,
    /// Variables for SERVER and CMD.
    added: Added,
    /// The sockets that are passed to SERVER.
    listeners: Vec<Listener>,
    server: Command,
    supervisor: Supervisor,
    /// Children from before SERVER.
    before: Vec<i32>,
    pid: i32,
    /// How SERVER exited.
    ended: Option<Ended>,
    /// The signal that ends the call.
    stop: Option<Signal>,
}

impl Hosting {
    /// Starts SERVER.
    fn open(mut claims: Vec<Claim>, server: Command, added: Added, pass: bool) -> Result<Self> {
        let mut supervisor = Supervisor::new(Grouping::Own, &Limit::default())?;
        child::adopt_orphans()?;
        let before = procfs::children(own_pid())?;
        let passed = claims.iter_mut().filter(|_| pass).flat_map(|claim| claim.sockets.drain(..));
        let mut listeners: Vec<Listener> = passed.collect();
        let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
        let standard = Standard { input: Some(nothing.as_fd()), output: Some(fds::stderr()), error: None };
        let (reports, reporter) = reports()?;
        // Passing the sockets must not close it.
        let reporter = reporter.above(handover::FIRST + i32::try_from(listeners.len())?)?;
        let run = || {
            let mut added = added.clone();
            if !listeners.is_empty() {
                match handover::pass(&mut listeners) {
                    Ok(variables) => added.extend(variables),
                    Err(error) => {
                        let errno = error.root_cause().downcast_ref::<Errno>();
                        return Unstarted::Fork(errno.copied().unwrap_or(Errno::EMFILE));
                    }
                }
            }
            server.execute(&added)
        };
        let begun = child::begin(&supervisor.how(), Group::New, standard, (&reporter, 0), run);
        drop(reporter);
        let started = begun.map_err(Unstarted::from).and_then(|pid| reports.of_one(pid));
        let pid = started.map_err(|why| server.unstarted(why))?;
        supervisor.attend(pid);
        Ok(Self { claims, added, listeners, server, supervisor, before, pid, ended: None, stop: None })
    }

    /// Runs CMD, then ends all processes.
    fn play(mut self, command: &Command, timeout: &Timeout) -> Result<Exit> {
        let outcome = if self.listeners.is_empty() { self.await_server(timeout) } else { Ok(()) };
        let outcome = match outcome {
            Ok(()) if self.stop.is_none() => self.command(command).map(Some),
            outcome => outcome.map(|()| None),
        };
        let closed = self.close();
        self.claims.iter().for_each(Claim::clear);
        let ended = outcome?;
        closed.context("cannot end the processes of SERVER")?;
        match (ended, self.stop) {
            (Some(ended), _) => end_as(ended),
            (None, Some(stop)) => end_as(Ended::Killed(stop)),
            (None, None) => Ok(Exit::Failed),
        }
    }

    fn await_server(&mut self, timeout: &Timeout) -> Result<()> {
        let addresses: Vec<Address> = self.claims.iter().map(|claim| claim.address.clone()).collect();
        let mut lookout = Lookout::new(&addresses, Awaited::default());
        let deadline = timeout.deadline();
        let names = || addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(", ");
        let mut notice = Notice::verbose(timeout, || format!("{}: no server yet", names()));
        loop {
            let is_last = deadline.is_over();
            if lookout.look(if is_last { Which::All } else { Which::Due }, timeout)? {
                return Ok(());
            }
            if let Some(ended) = self.ended
                && !self.is_in_background()
            {
                let cause = Cause::new(Exit::BeforeCommand, format!("{} {}", self.server, how(ended)));
                let cause = if self.claims.iter().any(|claim| claim.port.is_some()) {
                    cause.hint(
                        "if its address is in use, let SERVER set SO_REUSEADDR (socat: ,reuseaddr), or use --pass",
                    )
                } else {
                    cause
                };
                bail!(Error::from(cause).context(format!("cannot wait for {}", names())));
            }
            if is_last {
                bail!(lookout.late(timeout));
            }
            let due = lookout.due();
            if due != Deadline::Now {
                notice.begin(deadline);
            }
            match self.supervisor.next(&lookout.events(), due.earlier(deadline))? {
                Event::Signal(arrival) if !arrival.signal.is_termination() => signal::act(arrival.signal)?,
                Event::Signal(arrival) if signal::is_ignored(arrival.signal)? => {}
                Event::Signal(arrival) => {
                    self.stop = Some(arrival.signal);
                    return Ok(());
                }
                Event::Child => drop(self.reap(None)?),
                Event::Ready(_) | Event::Due => {}
            }
        }
    }

    /// Whether SERVER has exited with status 0, and left a process in the background.
    fn is_in_background(&self) -> bool {
        self.ended == Some(Ended::Exited(0)) && tree::is_left(&self.before)
    }

    /// Runs CMD, and returns how it exited.
    fn command(&mut self, command: &Command) -> Result<Ended> {
        let cmd = self.supervisor.start(command, &self.added, (Set::EMPTY, &[]), None)?;
        loop {
            match self.supervisor.next(&[], Deadline::Forever)? {
                Event::Signal(arrival) => self.supervisor.hear(&arrival)?,
                Event::Child => {
                    if let Some(ended) = self.reap(Some(cmd))? {
                        return Ok(ended);
                    }
                }
                Event::Ready(_) | Event::Due => {}
            }
        }
    }

    /// Reaps children, and returns how CMD exited, if it did.
    fn reap(&mut self, cmd: Option<i32>) -> Result<Option<Ended>> {
        let mut of_cmd = None;
        while let Some((pid, ended, _)) = self.supervisor.reap(None)? {
            if pid == self.pid {
                self.ended = Some(ended);
                if !self.is_in_background() {
                    // A client of a server that has exited must be refused.
                    self.listeners.clear();
                }
                if cmd.is_some() && of_cmd.is_none() && ended != Ended::Exited(0) {
                    output::warn(format!("the server {} {} before CMD", self.server, how(ended)));
                }
            } else if cmd == Some(pid) {
                of_cmd = Some(ended);
            }
        }
        Ok(of_cmd)
    }

    /// Asks all processes to exit, and kills the rest. A further signal ends the wait.
    fn close(&mut self) -> Result<()> {
        // Zombies would count as left.
        let reaped = self.reap(None);
        tree::terminate(&self.before);
        let until = Deadline::after(GRACE);
        while tree::is_left(&self.before) && !until.is_over() {
            match self.supervisor.next(&[], until)? {
                Event::Signal(arrival) if arrival.signal.is_termination() => break,
                Event::Child => drop(self.reap(None)?),
                Event::Signal(_) | Event::Ready(_) | Event::Due => {}
            }
        }
        tree::kill(&self.before)?;
        reaped.map(drop)
    }
}

fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("exited with status {status}"),
        Ended::Killed(signal) => format!("was killed by SIG{}", name(signal)),
    }
}
