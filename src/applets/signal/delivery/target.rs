//! Whom `send` signals: a process, its group, or its tree; and what keeps a signal from reaching one.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::args::creating::user;
use crate::args::signals::name;
use crate::exit::{Cause, Exit};
use crate::objects::process::{Process, unopened};
use crate::sys::fds::raise_fd_limit;
use crate::sys::process::tree::{Member, Tree, opened, visible};
use crate::sys::process::wait_status::{Stage, stage};
use crate::sys::process::{self, command, procfs};
use crate::sys::signal::{self, Set, Signal, To, block, set_mask};

/// A process that is to be signalled, held by a descriptor.
pub struct Aim<'a> {
    /// As the user called it.
    pub process: &'a Process,
    /// Its descriptor.
    pub fd: OwnedFd,
    /// Which processes are meant.
    pub reach: Reach,
}

/// Which processes of those around one are signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The process.
    Alone,
    /// The process group that it leads.
    Group,
    /// The process and all below it.
    Tree,
    /// All below it, but neither itself nor ipcbox.
    Below,
}

impl Aim<'_> {
    /// Whether it has not ended, as far as that can be told: who sends to it is told again.
    pub fn runs(&self) -> bool {
        !stage(self.fd.as_fd()).is_ok_and(|stage| stage != Stage::Runs)
    }
}

/// Whether the box is the process `pid` or below it.
pub fn below(pid: i32) -> bool {
    let mut above = std::process::id().cast_signed();
    while above > 0 {
        if above == pid {
            return true;
        }
        above = procfs::stat(above).map_or(0, |stat| stat.parent);
    }
    false
}

/// A process that got a signal, and its command line before, where that was asked for.
pub type Told = (i32, OwnedFd, Option<String>);

/// The processes of the group that it leads.
fn members(aim: &Aim) -> Result<Vec<Told>> {
    let pid = aim.process.pid;
    raise_fd_limit()?;
    let of_group = |member: i32| {
        let Some(fd) = opened(member)? else { return Ok(None) };
        let is_in = visible(procfs::stat(member))?.is_some_and(|stat| stat.group == pid);
        let runs = is_in && stage(fd.as_fd())? == Stage::Runs;
        Ok(runs.then(|| (member, fd, command(member))))
    };
    let found: Result<Vec<_>, Errno> =
        procfs::all()?.into_iter().filter_map(|member| of_group(member).transpose()).collect();
    Ok(found.map_err(|errno| failed(pid, errno))?)
}

/// Sends the signal, or only tests whether one could be sent, and adds the processes that got it to `told`. Where
/// `watch` says so those of a group are looked for, and what each of them is.
pub fn send(aim: Aim, signal: Option<Signal>, value: Option<i32>, watch: bool, told: &mut Vec<Told>) -> Result<()> {
    let pid = aim.process.pid;
    let is_group = aim.reach == Reach::Group;
    if matches!(aim.reach, Reach::Tree | Reach::Below) {
        return to_tree(aim, signal, value, watch, told);
    }
    let found = if is_group && watch { members(&aim)? } else { Vec::new() };
    let before = if watch { command(pid) } else { None };
    let to = if is_group { To::Group } else { To::Process };
    let sent = signal::send_to(aim.fd.as_fd(), to, signal, value);
    sent.map_err(|errno| match errno {
        Errno::ESRCH if is_group => Cause::from_errno(errno, format!("{pid} leads no process group")),
        Errno::EINVAL if is_group => {
            Cause::from_errno(errno, "this kernel signals no group by descriptor; Linux 6.9 does")
        }
        errno => failed(pid, errno),
    })?;
    told.extend(if is_group { found } else { vec![(pid, aim.fd, before)] });
    Ok(())
}

fn to_tree(aim: Aim, signal: Option<Signal>, value: Option<i32>, watch: bool, told: &mut Vec<Told>) -> Result<()> {
    let pid = aim.process.pid;
    if !procfs::knows_us().context("cannot read /proc")? {
        let words = "/proc is not that of this pid namespace, or does not tell of children";
        return Err(Cause::new(Exit::Failed, words).into());
    }
    raise_fd_limit()?;
    let what = |pid| if watch { command(pid) } else { None };
    // Whoever would end the box now would leave the tree stopped; for a test nobody is stopped.
    let mask = block(Set::ALL)?;
    let stops = signal.is_some();
    let (tree, walked) = match aim.reach {
        // A process that waits for ipcbox forks nothing, and a shell that stopped would make its own parent take the
        // terminal.
        Reach::Below if below(pid) => Tree::below(pid, &[], stops),
        _ => Tree::of([(pid, aim.fd)], stops),
    };
    let is_spared = |member: &Member| aim.reach == Reach::Below && member.pid == pid;
    let sent = match walked {
        Ok(()) => deliver(tree, is_spared, signal, value, what, told),
        Err(errno) => {
            tree.resume(|_| true);
            Err(failed(pid, errno))
        }
    };
    set_mask(mask)?;
    Ok(sent?)
}

/// Sends one more signal to the rest of a tree, and to what was forked below it since the last one, which is added to
/// `rest`.
pub fn again(rest: &mut Vec<Told>, signal: Signal) -> Result<()> {
    let known: HashMap<i32, Option<String>> = rest.iter().map(|one| (one.0, one.2.clone())).collect();
    let what = |pid| known.get(&pid).cloned().unwrap_or_else(|| command(pid));
    let first = rest.first().map_or(0, |one| one.0);
    let mask = block(Set::ALL)?;
    let (tree, walked) = Tree::of(rest.drain(..).map(|(pid, fd, _)| (pid, fd)), true);
    let sent = deliver(tree, |_| false, Some(signal), None, what, rest);
    set_mask(mask)?;
    Ok(sent.and(walked.map_err(|errno| failed(first, errno)))?)
}

/// Sends a signal to a tree, the leaves first, and continues what was stopped for the walk. Those that got it are
/// added to `told`.
fn deliver(
    tree: Tree,
    is_spared: impl Fn(&Member) -> bool,
    signal: Option<Signal>,
    value: Option<i32>,
    what: impl Fn(i32) -> Option<String>,
    told: &mut Vec<Told>,
) -> Result<(), Cause> {
    let to = |member: &Member| (what(member.pid), signal::send_to(member.fd.as_fd(), To::Process, signal, value));
    let sent: Vec<_> = tree.members.iter().rev().filter(|member| !is_spared(member)).map(to).collect();
    tree.resume(|member| is_spared(member) || !signal.is_some_and(Signal::stops));
    let mut first = Ok(());
    let members = tree.members.into_iter().rev().filter(|member| !is_spared(member));
    for (member, (before, sent)) in members.zip(sent) {
        match sent {
            Ok(()) | Err(Errno::ESRCH) => told.push((member.pid, member.fd, before)),
            Err(errno) => first = first.and(Err(failed(member.pid, errno))),
        }
    }
    first
}

/// What keeps a signal from having any effect on the process itself, although the kernel would take it.
pub fn obstacle(aim: &Aim, signal: Option<Signal>) -> Result<(), Cause> {
    let pid = aim.process.pid;
    if matches!(aim.reach, Reach::Group | Reach::Below) {
        return Ok(());
    }
    if !aim.runs() {
        let parent = procfs::stat(pid).ok().filter(procfs::Stat::is_zombie).map(|stat| stat.parent);
        let parent = parent.filter(|parent| *parent > 0);
        return Err(match parent {
            Some(parent) => {
                let who = command(parent).unwrap_or_default();
                Cause::from_errno(Errno::ESRCH, format!("it has ended; {parent} ({who}) has not reaped it yet"))
            }
            None => unopened(pid, Errno::ESRCH),
        });
    }
    let Some(signal) = signal else {
        return Ok(());
    };
    if procfs::stat(pid).is_ok_and(|stat| stat.is_kernels()) {
        permitted(aim)?;
        return Err(Cause::new(Exit::Failed, "it is a thread of the kernel's, which signals do not reach"));
    }
    let heard = || procfs::status(pid).is_ok_and(|status| (status.caught | status.blocked).has(signal));
    if pid == 1 && !(signal.is_catchable() && heard()) {
        permitted(aim)?;
        let words = format!("it is init and has no handler for {}: the kernel drops it", name(signal));
        return Err(Cause::new(Exit::Failed, words));
    }
    Ok(())
}

fn permitted(aim: &Aim) -> Result<(), Cause> {
    signal::send(aim.fd.as_fd(), None).map_err(|errno| failed(aim.process.pid, errno))
}

fn failed(pid: i32, errno: Errno) -> Cause {
    let told = procfs::status(pid).unwrap_or_default();
    match errno {
        Errno::ESRCH => unopened(pid, errno),
        Errno::EPERM if process::is_signal_forbidden() => Cause::forbidden("pidfd_send_signal"),
        Errno::EPERM => Cause::from_errno(errno, format!("permission denied, it belongs to {}", user(told.uid))),
        Errno::EAGAIN => {
            let words = format!("{} of {} signals are pending for its user already", told.queued, told.queue_limit);
            Cause::from_errno(errno, words)
                .exit(Exit::Failed)
                .hint(format!("its RLIMIT_SIGPENDING is the limit: prlimit --sigpending --pid {pid}"))
        }
        Errno::EMFILE => Cause::from_errno(errno, "it is more processes than the box may hold, and none was signalled"),
        Errno::ENOSYS => Cause::from_errno(errno, "this kernel has no pidfd_send_signal; Linux 5.1 has"),
        errno => Cause::plain(errno),
    }
}
