//! Stopped waiters: a process that only waits holds nothing.

use std::fs;

use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setpgid};

use super::barrier::assert_at_rest_for;
use super::lock::assert_at_rest;
use crate::support::{Call, Child, World, eventually, holds, signal};

fn continued(child: Child) -> Child {
    child.signal(Signal::SIGCONT);
    child
}

fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Starts a waiter in its own process group, because the kernel stops no process of an orphaned one.
fn waiter(call: Call) -> Child {
    let own_group = || Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?);
    call.before(own_group).start().blocked_in(libc::SYS_semtimedop)
}

const MODES: [&str; 2] = ["", "--shared"];

#[test]
fn stopped_waiter_does_not_block_a_free_lock() {
    let world = World::new();
    world.call("shm write /@o x --create").ok();
    for holds in MODES {
        for waits in ["sem lock @l -- true", "shm write /@o x --lock @l"] {
            let holder = world.call(&format!("sem lock @l {holds} -- sleep 100")).start();
            let holder = holder.became("sleep");
            let waiting = waiter(world.call(waits)).stopped();
            drop(holder);
            for mode in MODES {
                world.call(&format!("sem lock @l {mode} -w 60 -- true")).ok();
            }
            assert_eq!(continued(waiting).code(), 0, "{holds} {waits}");
        }
    }
    for waits in ["sem lock @l --shared -- true", "shm read /@o --lock @l"] {
        let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
        let waiting = waiter(world.call(waits)).stopped();
        drop(holder);
        for mode in MODES {
            world.call(&format!("sem lock @l {mode} -w 60 -- true")).ok();
        }
        assert_eq!(continued(waiting).code(), 0, "{waits}");
    }
    assert_at_rest(&world.call("sem get @l --all").ok());
}

#[test]
fn sharers_overtake_a_stopped_waiter() {
    let world = World::new();
    let _holder = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let stopped = waiter(world.call("sem lock @l -- true"));
    let behind = waiter(world.call("sem lock -s @l -- true"));
    let stopped = stopped.stopped();
    // The next sharer opens the gate, also for the one that sleeps behind it.
    world.call("sem lock -s @l -n -- true").ok();
    assert_eq!(behind.code(), 0);
    // A waiter that runs still keeps later sharers out.
    let awake = waiter(world.call("sem lock @l -- true"));
    world.call("sem lock -s @l -n -- true").fails(124, "; an exclusive waiter comes first\n");
    drop((stopped, awake));
    world.call("sem lock -s @l -n -- true").ok();
}

#[test]
fn waiter_leaves_the_queue_before_sigtstp_stops_it() {
    let world = World::new();
    for which in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        let holder = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
        let stopped = waiter(world.call("sem lock @l -- echo done"));
        let behind = waiter(world.call("sem lock -s @l -- true"));
        let mut stopped = stopped.stopped_by(which);
        // No other caller arrives.
        assert_eq!(behind.code(), 0, "{which}");
        drop(holder);
        world.call("sem lock @l -w 60 -- true").ok();
        assert!(stopped.runs());
        assert_eq!(continued(stopped).end().stdout, b"done\n", "{which}");
        assert_at_rest(&world.call("sem get @l --all").ok());
    }
}

#[test]
fn stop_followed_by_continue_does_not_stop() {
    let world = World::new();
    let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let waiting = waiter(world.call("sem lock @l -- true"));
    for _ in 0..200 {
        waiting.signal(Signal::SIGTSTP);
        waiting.signal(Signal::SIGCONT);
    }
    assert!(holds(|| state(waiting.pid()) == Some('S')) || state(waiting.pid()) != Some('T'));
    drop(holder);
    assert_eq!(waiting.code(), 0);
}

#[test]
fn command_after_a_wait_has_the_original_signals() {
    let world = World::new();
    let script = "trap '' TTIN; ipcbox sem lock $NAME-l -- grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status";
    let free = world.shell(script).ok();
    let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let waiting = waiter(world.shell(&script.replace("ipcbox", "exec ipcbox")));
    drop(holder);
    assert_eq!(String::from_utf8(waiting.end().stdout).unwrap(), free);
}

#[test]
fn ignored_stop_signal_stays_ignored() {
    let world = World::new();
    let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let script = "trap '' TSTP; exec ipcbox sem lock $NAME-l -- true";
    let waiting = waiter(world.shell(script));
    waiting.signal(Signal::SIGTSTP);
    assert!(holds(|| state(waiting.pid()) == Some('S')));
    drop(holder);
    assert_eq!(waiting.code(), 0);
}

#[test]
fn stat_shows_a_stopped_waiter() {
    let world = World::new();
    let _holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    for (mode, what) in [("", "exclusive lock"), ("--shared", "shared lock")] {
        let waiting = waiter(world.call(&format!("sem lock @l {mode} -- true")));
        let row = |state: &str| format!("waiter  {state}  {}  {what}\n", waiting.pid());
        let columns = "--columns role,state,pid,operations --no-header";
        let shown = || world.call(&format!("sem stat @l --waiters {columns}"));
        shown().stdout(row("asleep")).ok();
        let waiting = waiting.stopped();
        let row = format!("waiter  stopped  {}  {what}\n", waiting.pid());
        shown().stdout(row).ok();
        let counts = "sem stat @l --columns waiters,stopped --no-header";
        world.call(counts).stdout("0  1\n").ok();
        world.call("ipcs-lite --leaks").output();
        drop(waiting);
        world.call(counts).stdout("0  0\n").ok();
    }
}

#[test]
fn waiter_is_not_listed_as_holder() {
    let world = World::new();
    let holder = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let waiting = waiter(world.call("sem lock @l -- true")).stopped();
    let row = format!("{}  sleep 100\n", holder.pid());
    let columns = "--columns pid,command --no-header";
    world.call(&format!("sem stat @l --holders {columns}")).stdout(row).ok();
    drop(waiting);
}

#[test]
fn rm_spares_a_set_with_a_stopped_waiter() {
    let world = World::new();
    let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let waiting = waiter(world.call("sem lock @l -- true")).stopped();
    drop(holder);
    let pid = waiting.pid();
    world.call("sem rm @l").fails(1, &format!("waited on by {pid} ("));
    drop(waiting);
    world.call("sem rm @l").ok();
    let waiting = waiter(world.call("sem barrier @b 2")).stopped();
    let pid = waiting.pid();
    world.call("sem rm @b").fails(1, &format!("waited on by {pid} ("));
    world.call("sem rm @b --force").ok();
}

#[test]
fn stopped_party_does_not_block_the_next_round() {
    let world = World::new();
    // One for each round but the open one.
    let mut stopped = Vec::new();
    for _ in 0..15 {
        let party = waiter(world.call("sem barrier @b 2")).stopped();
        // It has arrived, so it counts.
        world.call("sem barrier @b 2 -w 60").ok();
        stopped.push(party);
    }
    let first = waiter(world.call("sem barrier @b 2"));
    // No round is empty: the last caller waits until one is.
    let last = waiter(world.call("sem barrier @b 2"));
    assert_eq!(continued(stopped.swap_remove(7)).code(), 0);
    assert_eq!((first.code(), last.code()), (0, 0));
    for party in stopped {
        assert_eq!(continued(party).code(), 0);
    }
    assert_at_rest_for(2, &world.call("sem get @b --all").ok());
}

#[test]
fn hold_stopped_by_sigtstp_takes_nothing() {
    let world = World::new();
    for take in ["--lock", "--lock --shared", "--slots 1"] {
        let kind = if take == "--slots 1" { "run" } else { "lock" };
        let first = match kind {
            "run" => world.call("sem run @n --slots 1 -- sleep 100"),
            _ => world.call("sem lock @l -- sleep 100"),
        };
        let first = first.start().became("sleep");
        let target = if kind == "run" { "@n" } else { "@l" };
        let script = world.call(&format!("sem hold {target} {} {take}", std::process::id()));
        let caller = script.before(|| Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?)).start();
        let caller = caller.blocked_in(libc::SYS_ppoll);
        let holder = child_of(caller.pid());
        let file = format!("/proc/{holder}/syscall");
        eventually("its holder waits", || fs::read_to_string(&file).is_ok_and(|line| line.starts_with("220 ")));
        killpg(Pid::from_raw(caller.pid()), Signal::SIGTSTP).unwrap();
        eventually("both stop", || state(caller.pid()) == Some('T') && state(holder) == Some('T'));
        drop(first);
        match kind {
            "run" => world.call("sem run @n -w 60 -- true").ok(),
            _ => world.call("sem lock @l -w 60 -- true").ok(),
        };
        killpg(Pid::from_raw(caller.pid()), Signal::SIGCONT).unwrap();
        let pid = String::from_utf8(caller.end().stdout).unwrap();
        assert_eq!(pid, format!("{holder}\n"));
        signal(holder, Signal::SIGTERM);
        eventually("it releases", || state(holder).is_none());
    }
}

fn child_of(pid: i32) -> i32 {
    let file = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[test]
fn other_stopped_waiters_hold_nothing() {
    let world = World::new();
    world.call("sem create @a").ok();
    world.call("msgq create @q").ok();
    world.call("msgq create /@q").ok();
    world.call("shm create /@w --size 4").ok();
    let cases = [
        ("sem wait @a", "sem post @a", libc::SYS_semtimedop),
        ("msgq recv @q", "msgq send @q x", libc::SYS_msgrcv),
        ("msgq recv /@q", "msgq send /@q x", libc::SYS_mq_timedreceive),
        ("shm wait /@w 1 --until ge", "shm add /@w", libc::SYS_futex),
    ];
    for (wait, give, call) in cases {
        let stopped = world.call(wait).start().blocked_in(call).stopped();
        world.call(give).ok();
        world.call(&format!("{wait} -w 60")).ok();
        world.call(give).ok();
        assert_eq!(continued(stopped).code(), 0, "{wait}");
    }
}

#[test]
fn lock_is_first_come_first_served() {
    let world = World::new();
    let holder = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let waiters: Vec<Child> = (0..24)
        .map(|n| {
            // Two sharers after each exclusive one.
            let mode = if n % 3 == 0 { "" } else { "--shared" };
            let call = world.call(&format!("sem lock @l {mode} -- sh -c"));
            waiter(call.arg(format!("echo {} >>order", n / 3 * 2 + n.min(n % 3).min(1))))
        })
        .collect();
    drop(holder);
    for waiter in waiters {
        assert_eq!(waiter.code(), 0);
    }
    let order = fs::read_to_string(world.dir().join("order")).unwrap();
    let order: Vec<u32> = order.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(order.len(), 24);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn waiter_that_gives_up_lets_sharers_in() {
    let world = World::new();
    let _holder = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let first = waiter(world.call("sem lock @l -- true"));
    let late = waiter(world.call("sem lock @l -w 0.3 -- true"));
    let behind = waiter(world.call("sem lock -s @l -w 60 -- true"));
    assert_eq!(late.code(), 124);
    // The first waiter still comes first.
    assert!(holds(|| state(behind.pid()) == Some('S')));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.code(), 143);
    assert_eq!(behind.code(), 0);
}

#[test]
fn more_waiters_than_gates_are_served() {
    let world = World::new();
    let holder = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let mut waiters: Vec<Child> = (0..36).map(|_| waiter(world.call("sem lock @l -- true"))).collect();
    let sharer = waiter(world.call("sem lock -s @l -- true"));
    // Every second one stays stopped.
    let stopped: Vec<Child> = (0..18).map(|n| waiters.remove(n).stopped()).collect();
    drop(holder);
    for waiter in waiters {
        assert_eq!(waiter.code(), 0);
    }
    assert_eq!(sharer.code(), 0);
    world.call("sem lock @l -w 60 -- true").ok();
    for waiter in stopped {
        assert_eq!(continued(waiter).code(), 0);
    }
    assert_at_rest(&world.call("sem get @l --all").ok());
}

#[test]
fn old_layout_is_refused_by_name() {
    let world = World::new();
    let hint = "hint: use another name\n";
    world.call("sem create @l --value 0,0,0,18764").ok();
    world.call("sem create @b --value 2,2,0,0,1,0,18754").ok();
    world.call("sem create @o --value 1").ok();
    let lock = |call: &str, doing: &str, code: i32| {
        let l = world.name("l");
        let words = format!("{doing} {l}: {l} is a lock created by an older ipcbox\n");
        world.call(call).stderr(words + hint).status(code);
    };
    lock("sem lock @l -- true", "sem: cannot lock", 125);
    lock("sem hold @l 1 --lock", "sem: cannot hold", 4);
    lock("shm write /@x y --create --lock @l", &format!("shm: cannot write to {}: cannot lock", world.posix("x")), 4);
    let barrier =
        format!("sem: cannot meet at {}: {0} is a barrier created by an older ipcbox\n{hint}", world.name("b"));
    world.call("sem barrier @b 2").stderr(barrier).status(4);
    // It is not a plain set, and it can be removed.
    world.call("sem post @l").fails(4, "is a lock, not a plain semaphore");
    world.call("sem stat @l @b --columns purpose,held --no-header").stdout("lock     0\nbarrier  0\n").ok();
    world.call("sem rm @l @b").ok();
    world.call("sem lock @l -- true").ok();
    world.call("sem barrier @b 1").ok();
}
