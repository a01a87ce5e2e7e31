//! Every verb that waits, as init of a pid namespace: the kernel drops signals there that end any other process.

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually, signal};
use crate::waiting::TABLE;

/// Calls that wait besides those of the table, with what sets them up, and the system call that they wait in.
const OTHERS: &[(&str, &str, i64)] = &[
    ("signal join 1", "", libc::SYS_ppoll),
    ("signal run --reap -- sleep 100", "", libc::SYS_ppoll),
    ("signal send 0 1 --wait 1h", "", libc::SYS_ppoll),
    ("signal send USR1 1 --when-caught 1h", "", libc::SYS_clock_nanosleep),
    ("ipcs-lite --watch=1h", "", libc::SYS_ppoll),
    ("ipcs-lite --leaks -- sleep 100", "", libc::SYS_ppoll),
    ("msgq call @q x", "msgq create @q", libc::SYS_msgrcv),
    ("fifo read f -c 1", "fifo create f", libc::SYS_ppoll),
    ("pipe meter f", "fifo create f", libc::SYS_openat),
    ("pipe run -- sleep 100 ::: sleep 100", "", libc::SYS_ppoll),
    ("pipe merge -- sleep 100 ::: sleep 100", "", libc::SYS_ppoll),
    ("pipe duplex -- sleep 100 ::: sleep 100", "", libc::SYS_ppoll),
    ("pipe tee -o out -- sleep 100", "", libc::SYS_ppoll),
];

/// Starts a call as init, and waits until it blocks in this system call: the pid that it has out here.
fn blocked(world: &World, words: &str, call: i64) -> Option<(Child, i32)> {
    let child = world.init(words)?.start();
    let mut pid = 0;
    eventually(&format!("{words} blocks in {call}"), || {
        let unshare = child.pid();
        let text = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        pid = text(format!("/proc/{unshare}/task/{unshare}/children")).trim().parse().unwrap_or(0);
        let is_box = text(format!("/proc/{pid}/comm")) == "ipcbox\n";
        is_box && text(format!("/proc/{pid}/syscall")).starts_with(&format!("{call} "))
    });
    Some((child, pid))
}

#[test]
fn init_exits_with_128_and_the_signal() {
    let rows = TABLE.iter().map(|row| (row.world(), row.call, row.blocks_in));
    let others = OTHERS.iter().map(|(call, setup, blocks_in)| {
        let world = World::new();
        if !setup.is_empty() {
            world.call(setup).ok();
        }
        ((world, None), *call, *blocks_in)
    });
    for ((world, _blocker), call, blocks_in) in rows.chain(others) {
        // What is held for another process is held for ipcbox itself.
        let words = call.replace("PID", "1");
        for which in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            let Some((child, pid)) = blocked(&world, &words, blocks_in) else { return };
            signal(pid, which);
            assert_eq!(child.code(), 128 + which as i32, "{words} {which}");
        }
    }
}

/// A signal that is ignored from outside stays ignored, and CMD finds what ipcbox was given.
#[test]
fn init_hands_on_what_it_was_given() {
    let world = World::new();
    let Some(call) = world.init("sem run @s --slots 1 -- cat /proc/thread-self/status") else {
        return;
    };
    let ignores_hangup = || {
        // SAFETY: ignoring calls no code of ours.
        #[allow(unsafe_code)]
        unsafe { nix::sys::signal::signal(Signal::SIGHUP, nix::sys::signal::SigHandler::SigIgn) }?;
        Ok(())
    };
    let status = call.before(ignores_hangup).ok();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap_or_default().trim(), 16).unwrap()
    };
    assert_eq!((set("SigIgn:") & 1, set("SigCgt:")), (1, 0), "{status}");
}

/// The kernel drops its own signals to init, too.
#[test]
fn init_is_ended_by_a_closed_standard_output() {
    let world = World::new();
    let Some(call) = world.init("signal list") else { return };
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let output = call.onto(writer);
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}
