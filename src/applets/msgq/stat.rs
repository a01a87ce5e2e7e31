//! `msgq stat`: queues, and the processes that wait on them.

use anyhow::Result;
use clap::Args;

use super::context;
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::objects::{Object, State, columns, find, users};
use crate::sys::process;
use crate::sys::sysv::Kind;
use crate::target::Target;

const COLUMNS: &str = "-kind -family id key name owner -uid -group -gid -creator -creator_uid -creator_gid mode messages \
                       bytes max_bytes max_messages message_size last_send_pid last_receive_pid send_time receive_time \
                       change_time";
const WAITERS: &str = "-kind -family id -key name role pid command type except";

/// Without TARGET, shows every System V and POSIX queue. The number of bytes in a POSIX queue is known only if the
/// caller has read permission. --waiters lists only those waiting processes that the caller may trace.
#[derive(Args)]
pub struct Stat {
    /// Queues to show
    #[arg(value_name = "TARGET")]
    targets: Vec<Target>,
    /// Show the processes that wait to send or receive
    #[arg(long)]
    waiters: bool,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show queues, or the processes that wait on them";
    const EXAMPLES: &'static str = "
# Count the messages in a queue
ipcbox msgq send jobs 'first job' --create
ipcbox msgq stat jobs --columns messages,bytes
";

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.targets, |target| {
            found.push(context("show", target, look(target))?);
            Ok(())
        });
        if self.targets.is_empty() {
            let (all, complete) = find::all(&[Kind::Msg], true)?;
            if !complete {
                find::report_no_queues();
            }
            found = all;
        }
        let single = self.targets.len() == 1;
        if self.waiters {
            let blocked = process::blocked().unwrap_or_default();
            let of = |object| users::queue_waiters(object, &blocked).into_iter().map(move |user| (object, user));
            let users: Vec<_> = found.iter().flat_map(of).collect();
            columns::show_users(WAITERS, &users, &self.showing, single)?;
        } else {
            columns::show(COLUMNS, &found, &self.showing, single)?;
        }
        exit
    }
}

/// Returns the queue behind `target`, if the caller may open it.
fn look(target: &Target) -> Result<Object> {
    let object = find::one(target, Kind::Msg)?;
    if let State::PosixQueue(Err(errno)) = object.state {
        return Err(errno.into());
    }
    Ok(object)
}
