//! `signal wait`: takes signals, instead of being killed by them.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;

use crate::applets::Verb;
use crate::args::format::Streaming;
use crate::args::numbers::many;
use crate::args::signals::{catchable, name};
use crate::args::timeout::Timeout;
use crate::exit::Exit;
use crate::output::notice::Notice;
use crate::output::{self, Cell, Column, Stream};
use crate::supervise::report::unwritable;
use crate::sys::deadline::Deadline;
use crate::sys::fds::write_all;
use crate::sys::process::command;
use crate::sys::signal::{Arrival, Arrivals, CODES, Signal, block};
use crate::sys::wait::ready;
use crate::sys::written::{Before, opened};

/// Blocks the signals, then prints the name of each signal that arrives. --json adds the sender, cause and value of
/// each signal. Real-time signals are queued: they arrive in order, and none is lost. A standard signal that is sent
/// again while it is pending arrives only once. To avoid missing a signal, start the sender after --ready has written
/// the pid.
#[derive(Args)]
pub struct Wait {
    /// Signals: TERM, 15, RTMIN+3, or several as INT,TERM
    #[arg(
        value_name = "SIG", value_parser = awaited, value_delimiter = ',', required = true,
        allow_negative_numbers = true
    )]
    signals: Vec<Signal>,
    /// Exit after N signals (default: 1)
    #[arg(short, long, value_name = "N", value_parser = many, default_value_t = 1)]
    count: u64,
    /// Write the pid to FILE when ready for signals
    ///
    /// FILE may be a FIFO (ipcbox waits for its reader), a regular file, or /dev/fd/N (closed afterwards). A symbolic
    /// link is refused.
    #[arg(long, value_name = "FILE")]
    ready: Option<OsString>,
    #[command(flatten)]
    streaming: Streaming,
    #[command(flatten)]
    timeout: Timeout,
}

fn awaited(text: &str) -> Result<Signal, String> {
    catchable(text).map_err(|words| match text.parse::<u32>() {
        Ok(65..) => format!("{words} (to wait for a process: ipcbox signal join {text})"),
        _ => words,
    })
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const SUMMARY: &'static str = "Wait for signals, and print each one";
    const EXAMPLES: &'static str = r#"
# Wait for USR1, however early another process sends it
ipcbox signal wait USR1 --ready ready & waiter=$!
until [ -s ready ]; do sleep 0.01; done
ipcbox signal send USR1 "$(cat ready)"
wait "$waiter"
"#;

    fn run(self) -> Result<Exit> {
        let timeout = &self.timeout;
        let stream = Stream::new(&COLUMNS, &self.streaming)?;
        let names = self.signals.iter().map(|signal| name(*signal)).collect::<Vec<_>>().join(",");
        let cannot = || format!("cannot wait for {names}");
        let set = self.signals.iter().copied().collect();
        output::require().with_context(cannot)?;
        let listener = self.listener(timeout)?;
        block(set).with_context(cannot)?;
        self.announce(listener, timeout)?;
        let arrivals = Arrivals::open(set).with_context(cannot)?;
        let mut left = self.count;
        let mut notice = Notice::verbose(timeout, || names.clone());
        if notice.is_fresh() && ready(&[arrivals.as_fd()], Deadline::Now).with_context(cannot)?.is_none() {
            notice.begin(timeout.deadline());
        }
        while left > 0 {
            if ready(&[arrivals.as_fd()], timeout.deadline()).with_context(cannot)?.is_none() {
                let state = match self.count {
                    1 => "no signal arrived".into(),
                    count => format!("{} of {count} signals arrived", count - left),
                };
                return Err(timeout.expired(state + &timeout.after())).with_context(cannot);
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let came = arrivals.take(most).with_context(cannot)?;
            left -= came.len() as u64;
            stream.print(&came)?;
        }
        Ok(Exit::Done)
    }
}

impl Wait {
    /// Opens the file of `--ready`, before signals are blocked: while it waits for a reader, they act as usual.
    fn listener(&self, timeout: &Timeout) -> Result<Option<OwnedFd>> {
        let Some(file) = &self.ready else {
            return Ok(None);
        };
        opened(file, Before::Goes, timeout.deadline()).map(Some).or_else(|errno| self.unwritten(errno, timeout))
    }

    fn announce(&self, listener: Option<OwnedFd>, timeout: &Timeout) -> Result<()> {
        let Some(listener) = listener else {
            return Ok(());
        };
        let line = format!("{}\n", std::process::id());
        write_all(listener, line.as_bytes()).or_else(|errno| self.unwritten(errno, timeout))
    }

    fn unwritten<T>(&self, errno: Errno, timeout: &Timeout) -> Result<T> {
        let cause = match errno {
            Errno::EAGAIN => timeout.expired(format!("no reader opened the file{}", timeout.after())),
            errno => unwritable(errno),
        };
        let file = self.ready.as_deref().unwrap_or_default();
        Err(cause).with_context(|| format!("cannot write the pid to {}", file.display()))
    }
}

fn sender(arrival: &Arrival, get: impl FnOnce() -> Cell) -> Cell {
    if arrival.is_kernels() || !arrival.is_sent() { Cell::Unknown } else { get() }
}

/// The name of a code; one that has a meaning for only one signal is shown as a number.
fn code(code: i32) -> Cell {
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| Cell::Text(code.to_string()), |(_, name)| Cell::word(name))
}

const COLUMNS: [Column<Arrival>; 7] = [
    Column::new("signal", |arrival| Cell::Text(name(arrival.signal))),
    Column::detail("number", |arrival| arrival.signal.number().into()),
    Column::detail("sender_pid", |arrival| sender(arrival, || Cell::pid(arrival.pid))),
    Column::detail("sender_uid", |arrival| sender(arrival, || arrival.uid.into())),
    Column::detail("sender_command", |arrival| sender(arrival, || Cell::known(command(arrival.pid), Cell::Text))),
    Column::detail("code", |arrival| code(arrival.code)),
    Column::detail("value", |arrival| if arrival.has_value() { arrival.value.into() } else { Cell::Unknown }),
];
