//! A stopped waiter holds nothing that others need.

use nix::sys::signal::Signal;
use nix::unistd::{Pid, setpgid};

use super::{awaited, child_of, holder};
use crate::support::{Call, Child, World, eventually, signal, skip};

const DEBUGGER: &str = "
import ctypes, os, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
pid = int(sys.argv[1])
denied = any(ptrace(request, pid, None, None) < 0 for request in (SEIZE, INTERRUPT))
if not denied:
    os.waitpid(pid, WALL)
print('denied' if denied else 'stopped', file=sys.stderr, flush=True)
sys.stdin.read()
";

fn waiter(call: Call) -> Child {
    let own_group = || Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?);
    call.before(own_group).start()
}

#[test]
fn stopped_waiter_blocks_no_other_caller() {
    for (hold, wait, others) in [
        ("sem run ./s --slots 1", "sem run ./s", &["sem run ./s"][..]),
        ("sem run ./s --slots 2 --take 2", "sem run ./s", &["sem run ./s --take 2", "sem run ./s"]),
        ("sem run ./s --slots 3 --take 3", "sem run ./s --take 2", &["sem run ./s --take 3", "sem run ./s"]),
        ("sem run ./s --slots 20 --take 20", "sem run ./s", &["sem run ./s --take 20", "sem run ./s"]),
        ("sem lock ./l", "sem lock ./l", &["sem lock ./l", "sem lock ./l -s"]),
        ("sem lock ./l -s", "sem lock ./l", &["sem lock ./l -s", "sem lock ./l"]),
        ("sem lock ./l", "sem lock ./l -s", &["sem lock ./l", "sem lock ./l -s"]),
    ] {
        for which in [Signal::SIGSTOP, Signal::SIGTSTP] {
            let world = World::new();
            let target = if hold.contains("./s") { "./s" } else { "./l" };
            let holder = holder(&world, hold);
            let stopped = waiter(world.call(wait).args(["-q", "--", "true"]));
            awaited(&world, target, 1);
            let mut stopped = stopped.stopped_by(which);
            drop(holder);
            for other in others {
                world.call(other).args(["-w", "60", "--", "true"]).ok();
            }
            assert!(stopped.runs(), "{wait}");
            stopped.signal(Signal::SIGCONT);
            assert_eq!(stopped.code(), 0, "{hold} {wait}");
        }
    }
}

#[test]
fn stopped_sharer_behind_a_waiter_blocks_no_other() {
    let world = World::new();
    let reader = holder(&world, "sem lock ./l -s");
    let writer = world.call("sem lock ./l -- true").start();
    awaited(&world, "./l", 1);
    let stopped = waiter(world.call("sem lock ./l -s -- true"));
    awaited(&world, "./l", 2);
    let stopped = stopped.stopped();
    drop(reader);
    assert_eq!(writer.code(), 0);
    for mode in ["", "-s"] {
        world.call(&format!("sem lock ./l {mode} -w 60 -- true")).ok();
    }
    stopped.signal(Signal::SIGCONT);
    assert_eq!(stopped.code(), 0);
}

#[test]
fn stopped_exclusive_waiter_lets_sharers_share() {
    let world = World::new();
    let _reader = holder(&world, "sem lock ./l -s");
    let writer = waiter(world.call("sem lock ./l -- true"));
    awaited(&world, "./l", 1);
    // One waits behind the writer, and one behind that one.
    let behind: Vec<Child> = (0..2)
        .map(|n| {
            let child = world.call("sem lock ./l -s -q -- true").start();
            awaited(&world, "./l", 2 + n);
            child
        })
        .collect();
    let writer = writer.stopped();
    for child in behind {
        assert_eq!(child.code(), 0);
    }
    let _late = holder(&world, "sem lock ./l -s -n");
    world.call("sem lock ./l -s -n -- true").ok();
    // It is counted again once it goes on.
    writer.signal(Signal::SIGCONT);
    awaited(&world, "./l", 1);
    world.call("sem lock ./l -s -n -- true").fails(124, "; an exclusive waiter comes first\n");
}

/// CMD is not killed together with ipcbox.
const ORPHAN: &str = "
import ctypes, os, time
ctypes.CDLL(None).prctl(1, 0)
os.closerange(0, 3)
open('ready', 'w')
time.sleep(1000)
";

#[test]
fn stopped_waiter_for_an_orphan_blocks_no_other() {
    for (hold, wait, target) in [
        ("sem run ./s --slots 1", "sem run ./s", "./s"),
        ("sem run ./s --slots 2 --take 2", "sem run ./s", "./s"),
        ("sem lock ./l", "sem lock ./l", "./l"),
        ("sem lock ./l", "sem lock ./l -s", "./l"),
        ("sem lock ./l -s", "sem lock ./l", "./l"),
    ] {
        let world = World::new();
        let parent = world.call(hold).args(["--", "python3", "-c", ORPHAN]).start();
        eventually("CMD runs", || world.dir().join("ready").exists());
        let orphan = child_of(parent.pid());
        parent.signal(Signal::SIGKILL);
        assert_eq!(parent.code(), 137);
        let stopped = waiter(world.call(wait).args(["-q", "--", "true"]));
        awaited(&world, target, 1);
        let mut stopped = stopped.stopped();
        world.call(&format!("{wait} -n -- true")).status(124);
        let other = world.call(wait).args(["-q", "-w", "60", "--", "true"]).start();
        // The child process of the stopped one still waits.
        awaited(&world, target, 2);
        signal(orphan, Signal::SIGKILL);
        assert_eq!(other.code(), 0, "{wait}");
        assert!(stopped.runs(), "{wait}");
        stopped.signal(Signal::SIGCONT);
        assert_eq!(stopped.code(), 0, "{wait}");
    }
}

#[test]
fn waiter_in_a_debugger_blocks_no_other() {
    let world = World::new();
    let holder = holder(&world, "sem run ./s --slots 2 --take 2");
    let waiting = world.call("sem run ./s -q -- true").start();
    awaited(&world, "./s", 1);
    let (stdin, _open) = std::io::pipe().unwrap();
    let call = world.program("python3").args(["-c", DEBUGGER, &waiting.pid().to_string()]).passing(&stdin, 0);
    let mut debugger = call.start();
    if debugger.message() != "stopped\n" {
        return skip("needs permission to trace");
    }
    drop(holder);
    world.call("sem run ./s --take 2 -w 60 -- true").ok();
    drop(debugger);
    assert_eq!(waiting.code(), 0);
}

#[test]
fn stat_shows_a_stopped_waiter() {
    let world = World::new();
    let _holder = holder(&world, "sem run ./s --slots 20 --take 20");
    let waiting = waiter(world.call("sem run ./s -- true"));
    awaited(&world, "./s", 1);
    let waiting = waiting.stopped();
    let shown = format!("waiter  stopped  {}\n", waiting.pid());
    eventually("it is shown as stopped", || {
        let call = world.call("sem stat ./s --waiters --columns role,state,pid --no-header");
        call.ok() == shown
    });
    world.call("sem stat ./s --columns stopped --no-header").stdout("1\n").ok();
}
