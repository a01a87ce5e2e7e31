//! Slots and locks of `sem hold` are free for the next caller after PID has exited or the holder was asked to release.
//!
//! The holder is stopped, so that it cannot release by itself first.

use std::fs;
use std::io::Read;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::signal::contained;
use crate::support::{Call, Child, World, eventually, signal, skip};

/// Options of `hold`, and callers that find everything taken.
const HELD: [(&str, &[&str]); 3] = [
    ("@s --slots 1", &["run @s -n -- true", "hold @s 1 -nq", "run @s -w 60 -- true"]),
    ("@l --lock", &["lock @l -n -- true", "lock @l -sn -- true", "hold @l 1 --lock -nq"]),
    ("@l --lock -s", &["lock @l -n -- true", "hold @l 1 --lock -nq", "lock @l -w 60 -- true"]),
];

fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn stop(pid: i32) {
    signal(pid, Signal::SIGSTOP);
    eventually("the holder stops", || state(pid) == Some('T'));
}

/// Whether a process runs: it has neither been reaped nor is it a zombie.
fn lives(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Holds for `pid` with `options`, and returns the holder, which is stopped.
fn stopped_holder(world: &World, options: &str, pid: i32) -> i32 {
    let (target, rest) = options.split_once(' ').unwrap();
    let holder = world.call(&format!("sem hold {target} {pid} {rest}")).ok().trim().parse().unwrap();
    stop(holder);
    holder
}

/// Starts a process to hold something for.
fn process(world: &World) -> Child {
    world.program("sleep").arg("100").start().became("sleep")
}

/// A call of `sem`; `hold` is for the process of this test.
fn taker(world: &World, line: &str) -> Call {
    world.call(&format!("sem {}", line.replace(" 1 ", &format!(" {} ", std::process::id()))))
}

#[test]
fn stopped_holder_of_an_exited_process_releases() {
    for (options, takers) in HELD {
        for line in takers {
            let world = World::new();
            let served = process(&world);
            let holder = stopped_holder(&world, options, served.pid());
            drop(served);
            taker(&world, line).ok();
            assert!(!lives(holder), "{options}: {line}");
        }
    }
}

#[test]
fn stopped_holder_of_a_zombie_releases() {
    for (options, takers) in HELD {
        let world = World::new();
        let served = process(&world);
        let holder = stopped_holder(&world, options, served.pid());
        served.signal(Signal::SIGKILL);
        let _zombie = served.became_zombie();
        taker(&world, takers[0]).ok();
        assert!(!lives(holder), "{options}");
    }
}

#[test]
fn subshell_releases_when_it_exits() {
    for (options, takers) in HELD {
        let world = World::new();
        let options = options.replace('@', "$NAME-");
        let (target, rest) = options.split_once(' ').unwrap();
        // $$ is the shell itself, also in its subshells.
        let script = format!(
            "( own=$(exec sh -c 'echo $PPID'); ipcbox sem hold {target} $own {rest} >pid
               kill -STOP $(cat pid); until grep -q ') T ' /proc/$(cat pid)/stat; do :; done )
             ipcbox sem {}",
            takers[0].replace('@', "$NAME-").replace(" 1 ", " $$ ")
        );
        world.shell(&script).ok();
    }
}

#[test]
fn stopped_holder_of_a_live_process_is_left_alone() {
    for (options, takers) in HELD {
        let world = World::new();
        let served = process(&world);
        let holder = stopped_holder(&world, options, served.pid());
        let nonblocking = takers.iter().filter(|line| !line.contains("-w"));
        nonblocking.for_each(|line| taker(&world, line).fails(124, " by "));
        assert!(lives(holder), "{options}");
        drop(served);
        taker(&world, takers[0]).ok();
    }
}

#[test]
fn stopped_holder_that_got_sigterm_releases() {
    for (options, takers) in HELD {
        let world = World::new();
        let served = process(&world);
        let holder = stopped_holder(&world, options, served.pid());
        signal(holder, Signal::SIGTERM);
        assert_eq!(state(holder), Some('T'));
        taker(&world, takers[0]).ok();
    }
}

#[test]
fn slots_of_several_stopped_holders_are_released() {
    let world = World::new();
    let served = process(&world);
    let line = format!("sem hold @s {} --slots 3", served.pid());
    for take in [1, 2] {
        let holder = world.call(&format!("{line} --take {take}")).ok().trim().parse().unwrap();
        stop(holder);
    }
    drop(served);
    world.call("sem run @s --take 3 -n -- true").ok();
}

#[test]
fn resize_gets_the_slots_of_stopped_holders() {
    let world = World::new();
    let served = process(&world);
    stopped_holder(&world, "@s --slots 2 --take 2", served.pid());
    drop(served);
    world.call("sem run @s --slots 1 --resize -n -- true").ok();
    world.call("sem stat @s --no-header --columns capacity,free").stdout("1  1\n").ok();
}

#[test]
fn shm_lock_gets_what_a_stopped_holder_holds() {
    let world = World::new();
    world.call("shm create @m --size 8").ok();
    for shared in ["", "-s"] {
        for line in ["write @m x --lock @l -n", "read @m --lock @l -n"] {
            // A reader shares the lock with the holder.
            let is_shared = !shared.is_empty() && line.starts_with("read");
            let served = process(&world);
            let holder = stopped_holder(&world, &format!("@l --lock {shared}"), served.pid());
            drop(served);
            world.call(&format!("shm {line}")).ok();
            assert!(lives(holder) == is_shared, "{shared} {line}");
            signal(holder, Signal::SIGKILL);
        }
    }
}

#[test]
fn release_returns_when_it_is_released() {
    let world = World::new();
    let pid = std::process::id();
    for (options, takers) in HELD {
        let holder = stopped_holder(&world, options, pid.cast_signed());
        let target = options.split_once(' ').unwrap().0;
        world.call(&format!("sem hold {target} {pid} --release")).stdout("").ok();
        assert!(!lives(holder), "{options}");
        world.call(&format!("sem {} ", takers[0])).ok();
    }
}

#[test]
fn release_frees_it_for_the_next_caller() {
    let world = World::new();
    for (options, ends) in [
        ("$NAME-s $$ --slots 1", "ipcbox sem hold $NAME-s $$ --release"),
        ("$NAME-l $$ --lock", "ipcbox sem hold $NAME-l $$ --release"),
        ("$NAME-s $$ --slots 1", "kill $h"),
        ("$NAME-l $$ --lock", "kill $h"),
    ] {
        let script =
            format!("n=0; while [ $n -lt 100 ]; do h=$(ipcbox sem hold {options} -n); {ends}; n=$((n + 1)); done");
        on_one_cpu(world.shell(&script)).ok();
    }
}

#[test]
fn runs_in_a_row_on_one_cpu_skip_none() {
    let world = World::new();
    let count = if std::env::var_os("IPCBOX_FULL").is_some() { 1000 } else { 100 };
    for options in ["$NAME-s \\$\\$ --slots 1", "$NAME-l \\$\\$ --lock"] {
        let script =
            format!("n=0; while [ $n -lt {count} ]; do sh -c \"ipcbox sem hold {options} -nq\"; n=$((n + 1)); done");
        on_one_cpu(world.shell(&script)).ok();
    }
}

fn on_one_cpu(call: Call) -> Call {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut only = CpuSet::new();
    only.set(first).unwrap();
    call.before(move || Ok(sched_setaffinity(Pid::from_raw(0), &only)?))
}

#[test]
fn release_without_a_holder_is_status_3() {
    let world = World::new();
    world.call("sem create @s --slots 1").ok();
    world.call("sem lock @l -- true").ok();
    let pid = std::process::id();
    let none = format!("nothing is held for process {pid} (ESRCH)");
    for target in ["@s", "@l"] {
        world.call(&format!("sem hold {target} {pid} --release")).fails(3, &none);
    }
    // A slot of CMD, or one held for another process, does not count.
    let _run = world.call("sem run @s -- sleep 100").start().became("sleep");
    world.call(&format!("sem hold @s {pid} --release")).fails(3, &none);
    let other = process(&world);
    let holder = world.call(&format!("sem hold @l {} --lock", other.pid())).ok();
    world.call(&format!("sem hold @l {pid} --release")).fails(3, &none);
    assert!(lives(holder.trim().parse().unwrap()));
    world.call(&format!("sem hold @x {pid} --release")).fails(3, "no such semaphore set");
    world.call(&format!("sem hold @s {pid} --release --take 2")).fails(2, "cannot be used together");
}

#[test]
fn release_ends_the_holders_of_one_process_only() {
    let world = World::new();
    let (one, other) = (process(&world), process(&world));
    for _ in 0..2 {
        world.call(&format!("sem hold @s {} --slots 3 -q", one.pid())).ok();
    }
    world.call(&format!("sem hold @s {} -q", other.pid())).ok();
    world.call(&format!("sem hold @s {} --release", one.pid())).ok();
    world.call("sem stat @s --no-header --columns held").stdout("1\n").ok();
}

#[test]
fn reused_pid_is_not_served() {
    let world = World::new();
    let set = world.name("s");
    // Reusing a pid at once needs permission to set the last pid of the namespace.
    let script = format!(
        "sleep 100 & pid=$!
         h=$($BOX sem hold {set} $pid --slots 1)
         kill -STOP $h; until grep -q ') T ' /proc/$h/stat; do :; done
         kill -KILL $pid; wait $pid 2>/dev/null || :
         [ $($PUPPET reuse $pid) = $pid ]
         [ $(cat /proc/$pid/comm) = puppet ]
         $BOX sem run {set} -n -- true
         [ $(cat /proc/$pid/comm) = puppet ]
         $BOX signal send TERM $pid"
    );
    let Some(call) = contained(&world, 100, true, &script) else { return };
    call.ok();
}

#[test]
fn holder_in_a_nested_pid_namespace_is_released() {
    let world = World::new();
    let set = world.name("s");
    // The pid inside means another process, or none, outside.
    let script = format!(
        "sleep 100 & pid=$!
         h=$($BOX sem hold {set} $pid --slots 1)
         kill -STOP $h; until grep -q ') T ' /proc/$h/stat; do :; done
         echo held; read go <go; kill -KILL $pid; wait $pid 2>/dev/null || :
         echo gone >gone; sleep 100"
    );
    world.shell("mkfifo go").ok();
    let Some(call) = contained(&world, 100, true, &script) else { return };
    let mut inside = call.start();
    let mut line = [0; 5];
    inside.output().read_exact(&mut line).unwrap();
    world.call("sem run @s -n -- true").fails(124, " by ");
    world.shell("echo >go").ok();
    eventually("the process is gone", || world.dir().join("gone").exists());
    world.call("sem run @s -n -- true").ok();
}

/// The name alone does not identify a holder.
#[test]
fn command_named_like_a_holder_is_left_alone() {
    let world = World::new();
    let id = world.call("sem create @s --slots 1").ok();
    let sleep = world.copy("/bin/sleep", &format!("hold {}", id.trim()));
    let name = format!("hold {}", id.trim());
    // It has no pidfd.
    let mut run = world.call("sem run @s --").arg(sleep).arg("100").start().became(&name);
    world.call("sem run @s -n -- true").fails(124, " by ");
    assert!(run.runs());
}

#[test]
fn holder_of_another_user_is_left_alone() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return skip("this user cannot be another one") };
    let served = process(&world);
    let holder = stopped_holder(&world, "@s --slots 1 -m 666", served.pid());
    drop(served);
    let call = "sem run @s -n --foreign -- true";
    world.call(call).user(stranger).fails(124, " by ");
    assert!(lives(holder));
    // Root can kill the holder of any user.
    world.call("sem run @s -n -- true").ok();
    let served = world.program("sleep").arg("100").user(stranger).start().became("sleep");
    let line = format!("sem hold @s {} ", served.pid());
    let holder = world.call(&line).user(stranger).ok().trim().parse().unwrap();
    stop(holder);
    drop(served);
    world.call("sem run @s -n -- true").ok();
}

#[test]
fn without_proc_a_taker_fails_as_before() {
    let world = World::new();
    let served = process(&world);
    let holder = stopped_holder(&world, "@s --slots 1", served.pid());
    drop(served);
    let Some(call) = world.injected("readlink:error=ENOENT") else { return };
    let call = call.args(["sem", "run", &world.name("s"), "-n", "--", "true"]);
    call.fails(124, " by ");
    assert!(lives(holder));
    signal(holder, Signal::SIGKILL);
}
