//! Every verb that waits, as init of a PID namespace, where the kernel drops signals without a handler.

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually, signal, skip};
use crate::waiting::TABLE;

/// Further calls that wait: the call, its setup, and the system call in which it blocks.
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

/// Starts a call as init, waits until it blocks in this system call, and returns its pid in the outer namespace.
fn blocked(world: &World, words: &str, call: i64) -> Option<(Child, i32)> {
    Some(blocks(world.init(words)?.start(), words, call))
}

/// The same for the child of unshare(1).
fn blocks(child: Child, words: &str, call: i64) -> (Child, i32) {
    let mut pid = 0;
    eventually(&format!("{words} blocks in {call}"), || {
        let unshare = child.pid();
        let text = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        pid = text(format!("/proc/{unshare}/task/{unshare}/children")).trim().parse().unwrap_or(0);
        let is_ipcbox = text(format!("/proc/{pid}/comm")) == "ipcbox\n";
        is_ipcbox && text(format!("/proc/{pid}/syscall")).starts_with(&format!("{call} "))
    });
    (child, pid)
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
        // The process to hold it for is ipcbox itself.
        let words = call.replace("PID", "1");
        for which in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            let Some((child, pid)) = blocked(&world, &words, blocks_in) else { return };
            signal(pid, which);
            assert_eq!(child.code(), 128 + which as i32, "{words} {which}");
        }
    }
}

/// It serves clients that are connected, and exits.
#[test]
fn socket_server_as_init_stops() {
    let world = World::new();
    for (which, status) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let Some((child, pid)) = blocked(&world, "sock serve ./s -- cat", libc::SYS_ppoll) else { return };
        let mut client = std::os::unix::net::UnixStream::connect(world.dir().join("s")).unwrap();
        signal(pid, which);
        std::io::Write::write_all(&mut client, b"served").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(std::io::read_to_string(client).unwrap(), "served", "{which}");
        assert_eq!(child.code(), status, "{which}");
        assert!(!world.dir().join("s").exists(), "{which}");
    }
}

/// It reads /proc of its own namespace.
#[test]
fn with_as_init_ends_with_its_server() {
    let user = if nix::unistd::geteuid().is_root() { "" } else { "--user --map-root-user" };
    let unshare = format!("exec unshare {user} --pid --fork --kill-child --mount-proc");
    let world = World::new();
    if !world.shell(&format!("{unshare} true")).output().status.success() {
        return skip("needs permission to create a pid namespace");
    }
    for which in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let words = "ipcbox sock with ./s -- sleep 100 ::: true";
        let (child, pid) = blocks(world.shell(&format!("{unshare} {words}")).start(), words, libc::SYS_ppoll);
        signal(pid, which);
        assert_eq!(child.code(), 128 + which as i32, "{which}");
    }
}

/// A signal that was ignored stays ignored, and CMD inherits the original dispositions.
#[test]
fn command_of_init_inherits_dispositions() {
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

/// The kernel drops SIGPIPE to init, too.
#[test]
fn init_exits_if_standard_output_is_closed() {
    let world = World::new();
    let Some(call) = world.init("signal list") else { return };
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let output = call.onto(writer);
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}
