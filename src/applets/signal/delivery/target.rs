//! The targets of `send`: a process, its group or its tree; and obstacles to signalling one.

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

/// A process to signal.
pub struct Aim<'a> {
    /// As typed by the user.
    pub process: &'a Process,
    pub fd: OwnedFd,
    pub reach: Reach,
}

/// The processes that a signal is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Alone,
    /// The process group that it leads.
    Group,
    /// The process and its descendants.
    Tree,
    /// Its descendants, without ipcbox.
    Below,
}

impl Aim<'_> {
    /// Whether it still runs. If that cannot be read, sending fails later.
    pub fn runs(&self) -> bool {
        !stage(self.fd.as_fd()).is_ok_and(|stage| stage != Stage::Runs)
    }
}

/// Whether ipcbox is `pid` or a descendant of it.
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

/// A process that got a signal, and its command line before that, if requested.
pub type Signalled = (i32, OwnedFd, Option<String>);

/// Returns the processes of the group that it leads.
fn members(aim: &Aim) -> Result<Vec<Signalled>> {
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

/// Sends or tests the signal, and adds its receivers to `signalled`: with `watch` a whole group, with command lines.
pub fn send(
    aim: Aim,
    signal: Option<Signal>,
    value: Option<i32>,
    watch: bool,
    signalled: &mut Vec<Signalled>,
) -> Result<()> {
    let pid = aim.process.pid;
    let is_group = aim.reach == Reach::Group;
    if matches!(aim.reach, Reach::Tree | Reach::Below) {
        return to_tree(aim, signal, value, watch, signalled);
    }
    let found = if is_group && watch { members(&aim)? } else { Vec::new() };
    let before = if watch { command(pid) } else { None };
    let to = if is_group { To::Group } else { To::Process };
    let sent = signal::send_to(aim.fd.as_fd(), to, signal, value);
    sent.map_err(|errno| match errno {
        Errno::ESRCH if is_group => Cause::from_errno(errno, format!("{pid} is not the leader of a process group")),
        Errno::EINVAL if is_group => Cause::from_errno(errno, "--group needs Linux 6.9"),
        errno => failed(pid, errno),
    })?;
    signalled.extend(if is_group { found } else { vec![(pid, aim.fd, before)] });
    Ok(())
}

fn to_tree(
    aim: Aim,
    signal: Option<Signal>,
    value: Option<i32>,
    watch: bool,
    signalled: &mut Vec<Signalled>,
) -> Result<()> {
    let pid = aim.process.pid;
    if !procfs::knows_us().context("cannot read /proc")? {
        let option = if aim.reach == Reach::Below { "--below" } else { "--tree" };
        let words = format!("{option} needs the /proc of this pid namespace, including PID/task/TID/children");
        return Err(Cause::new(Exit::Failed, words).into());
    }
    raise_fd_limit()?;
    let what = |pid| if watch { command(pid) } else { None };
    // A signal that killed ipcbox now would leave the tree stopped.
    let mask = block(Set::ALL)?;
    let stops = signal.is_some();
    let (tree, walked) = match aim.reach {
        // A process that waits for ipcbox does not fork, and if a shell stopped, its parent would take the terminal.
        Reach::Below if below(pid) => Tree::below(pid, &[], stops),
        _ => Tree::of([(pid, aim.fd)], stops),
    };
    let is_spared = |member: &Member| aim.reach == Reach::Below && member.pid == pid;
    let sent = match walked {
        Ok(()) => deliver(tree, is_spared, signal, value, what, signalled),
        Err(errno) => {
            tree.resume(|_| true);
            Err(failed(pid, errno))
        }
    };
    set_mask(mask)?;
    Ok(sent?)
}

/// Sends another signal to the rest of a tree and to processes forked below it since, which are added to `rest`.
pub fn again(rest: &mut Vec<Signalled>, signal: Signal) -> Result<()> {
    let known: HashMap<i32, Option<String>> = rest.iter().map(|one| (one.0, one.2.clone())).collect();
    let what = |pid| known.get(&pid).cloned().unwrap_or_else(|| command(pid));
    let first = rest.first().map_or(0, |one| one.0);
    let mask = block(Set::ALL)?;
    let (tree, walked) = Tree::of(rest.drain(..).map(|(pid, fd, _)| (pid, fd)), true);
    let sent = deliver(tree, |_| false, Some(signal), None, what, rest);
    set_mask(mask)?;
    Ok(sent.and(walked.map_err(|errno| failed(first, errno)))?)
}

/// Signals a tree, leaves first, and continues what the walk stopped. Adds the receivers to `signalled`.
fn deliver(
    tree: Tree,
    is_spared: impl Fn(&Member) -> bool,
    signal: Option<Signal>,
    value: Option<i32>,
    what: impl Fn(i32) -> Option<String>,
    signalled: &mut Vec<Signalled>,
) -> Result<(), Cause> {
    let to = |member: &Member| (what(member.pid), signal::send_to(member.fd.as_fd(), To::Process, signal, value));
    let sent: Vec<_> = tree.members.iter().rev().filter(|member| !is_spared(member)).map(to).collect();
    tree.resume(|member| is_spared(member) || !signal.is_some_and(Signal::stops));
    let mut first = Ok(());
    let members = tree.members.into_iter().rev().filter(|member| !is_spared(member));
    for (member, (before, sent)) in members.zip(sent) {
        match sent {
            Ok(()) | Err(Errno::ESRCH) => signalled.push((member.pid, member.fd, before)),
            Err(errno) => first = first.and(Err(failed(member.pid, errno))),
        }
    }
    first
}

/// Fails if the kernel would accept the signal, but it could have no effect on the process.
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
                let name = command(parent).unwrap_or_default();
                Cause::from_errno(
                    Errno::ESRCH,
                    format!("the process is a zombie that its parent {parent} ({name}) has not reaped"),
                )
            }
            None => unopened(pid, Errno::ESRCH),
        });
    }
    let Some(signal) = signal else {
        return Ok(());
    };
    if procfs::stat(pid).is_ok_and(|stat| stat.is_kernels()) {
        permitted(aim)?;
        return Err(Cause::new(Exit::Failed, "kernel threads ignore signals"));
    }
    let heard = || procfs::status(pid).is_ok_and(|status| (status.caught | status.blocked).has(signal));
    if pid == 1 && !(signal.is_catchable() && heard()) {
        permitted(aim)?;
        let words = format!("init has no handler for {}, so the kernel discards the signal", name(signal));
        return Err(Cause::new(Exit::Failed, words));
    }
    Ok(())
}

fn permitted(aim: &Aim) -> Result<(), Cause> {
    signal::send(aim.fd.as_fd(), None).map_err(|errno| failed(aim.process.pid, errno))
}

fn failed(pid: i32, errno: Errno) -> Cause {
    let status = procfs::status(pid).unwrap_or_default();
    match errno {
        Errno::ESRCH => unopened(pid, errno),
        Errno::EPERM if process::is_signal_forbidden() => Cause::forbidden("pidfd_send_signal"),
        Errno::EPERM => Cause::from_errno(errno, format!("permission denied; owned by {}", user(status.uid))),
        Errno::EAGAIN => {
            let words = format!(
                "{} of at most {} signals are pending for the owner of the process",
                status.queued, status.queue_limit
            );
            Cause::from_errno(errno, words)
                .exit(Exit::Failed)
                .hint(format!("prlimit --pid {pid} --sigpending={}", status.queue_limit.saturating_mul(2).max(64)))
        }
        Errno::EMFILE => Cause::from_errno(errno, "not enough file descriptors for all processes; none was signalled"),
        Errno::ENOSYS => Cause::from_errno(errno, "pidfd_send_signal needs Linux 5.1"),
        errno => Cause::plain(errno),
    }
}
