//! `sem rm`: refuses objects in use, and `--unused` removes those that no process uses.

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{World, eventually, lines, signal, skip};

fn process_runs(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

/// Returns the messages of a call that must succeed.
fn kept(world: &World, line: &str) -> Vec<String> {
    let output = world.call(line).output();
    assert_eq!(output.status.code(), Some(0), "{line}: {:?}", lines(&output.stderr));
    lines(&output.stderr)
}

#[test]
fn unused_removes_idle_slots_and_locks() {
    let world = World::new();
    world.call("sem create @s --slots 2").ok();
    world.call("sem lock @l -- true").ok();
    assert!(kept(&world, "sem rm @s @l --unused").is_empty());
    for target in ["@s", "@l"] {
        world.call(&format!("sem get {target}")).fails(3, "no such semaphore set");
    }
    world.call("sem rm @s --unused").fails(3, "no such semaphore set");
    world.call("sem rm @s --unused --missing-ok").ok();
}

#[test]
fn unused_reports_why_it_keeps_a_set() {
    let world = World::new();
    let _slot = world.call("sem run @s --slots 2 -- sleep 100").start().became("sleep");
    let _lock = world.call("sem lock @l -s -- sleep 100").start().became("sleep");
    world.call("sem run @f --slots 1 -- true").ok();
    world.call("sem create @p --value 1").ok();
    world.call("sem barrier @b 2 -n -E 0").ok();
    world.call("sem create /@x").ok();
    for (target, why) in [
        ("@s", "held by "),
        ("@l", "held by "),
        ("@p", "the kernel does not record which processes use a plain set of semaphores"),
        ("@b", "it is a barrier for 2"),
        ("/@x", "the kernel does not record which processes use a POSIX semaphore"),
        ("@f --older-than 1h", "last used "),
    ] {
        let printed = kept(&world, &format!("sem rm {target} --unused"));
        assert!(printed.len() == 1 && printed[0].starts_with("sem: kept "), "{printed:?}");
        assert!(printed[0].contains(why), "{printed:?}");
        world.call(&format!("sem get {}", target.split(' ').next().unwrap())).ok();
    }
    // With a waiter for more slots than are free.
    let waiter = world.call("sem run @w --slots 2 -- sleep 100").start().became("sleep");
    let _waits = world.call("sem run @w --take 2 -- true").start().blocked_in(libc::SYS_semtimedop);
    assert!(kept(&world, "sem rm @w --unused")[0].contains("held by"));
    drop(waiter);
}

#[test]
fn unused_alone_removes_sets_of_the_caller() {
    let world = World::new();
    if !world.is_own() {
        return skip("the sets of this user are not the test's alone");
    }
    world.call("sem create @s --slots 2").ok();
    world.call("sem lock @l -- true").ok();
    world.call("sem create @p --value 1").ok();
    let _held = world.call("sem run @h --slots 1 -- sleep 100").start().became("sleep");
    world.call("sem rm").fails(2, "TARGET");
    world.call("sem rm --yes").fails(2, "--unused");
    world.call("sem rm --older-than 1d @s").fails(2, "--unused");
    world.call("sem rm @s --unused --force").fails(2, "cannot be used together");
    // Without a terminal it cannot ask, and removes nothing.
    let printed = lines(&world.call("sem rm --unused").output().stderr).join("\n");
    assert!(printed.contains("cannot remove 2 objects") && printed.contains("--yes"), "{printed}");
    world.call("sem get @s").ok();
    let printed = kept(&world, "sem rm --unused --older-than 1d --yes");
    assert_eq!(printed.len(), 3, "{printed:?}");
    let printed = kept(&world, "sem rm --unused --yes");
    assert!(printed.len() == 1 && printed[0].contains("held by"), "{printed:?}");
    for (target, is_left) in [("@s", false), ("@l", false), ("@p", true), ("@h", true)] {
        let found = world.call(&format!("sem get {target}")).output().status.success();
        assert_eq!(found, is_left, "{target}");
    }
}

#[test]
fn unused_leaves_other_users_sets_alone() {
    let world = World::new();
    let (Some(stranger), true) = (world.stranger(), world.is_own()) else {
        return skip("this user cannot be another one");
    };
    world.call("sem create @s --slots 2 -m 666").user(stranger).ok();
    world.call("sem create @t --slots 2 -m 666").ok();
    world.call("sem rm --unused --yes").user(stranger).ok();
    world.call("sem get @s").fails(3, "no such semaphore set");
    world.call("sem get @t").ok();
}

#[test]
fn holder_of_an_exited_process_is_no_use() {
    let world = World::new();
    for (line, options) in [("sem rm @s", "--slots 1"), ("sem rm @s --unused", "--lock --shared")] {
        let served = world.program("sleep").arg("100").start().became("sleep");
        let holder = world.call(&format!("sem hold @s {} {options}", served.pid())).ok();
        let holder: i32 = holder.trim().parse().unwrap();
        world.call("sem rm @s").fails(1, "held by ");
        signal(holder, Signal::SIGSTOP);
        eventually("the holder stops", || {
            let stat = std::fs::read_to_string(format!("/proc/{holder}/stat"));
            stat.is_ok_and(|stat| stat.contains(") T "))
        });
        drop(served);
        assert!(kept(&world, line).is_empty());
        world.call("sem get @s").fails(3, "no such semaphore set");
    }
}

#[test]
fn forced_removal_kills_the_holders() {
    let world = World::new();
    let served = world.program("sleep").arg("1000").start().became("sleep");
    let hold = |target: &str, options: &str| -> i32 {
        world.call(&format!("sem hold {target} {} {options}", served.pid())).ok().trim().parse().unwrap()
    };
    let other = hold("@o", "--slots 1");
    for options in ["--slots 2 --take 2", "--lock", "--lock --shared"] {
        let holders = if options.contains("shared") { 2 } else { 1 };
        let holders: Vec<i32> = (0..holders).map(|_| hold("@s", options)).collect();
        world.call("sem rm @s --force").ok();
        world.call("sem get @s").fails(3, "no such semaphore set");
        for holder in holders {
            eventually("the holder exits", || !process_runs(holder));
        }
    }
    // No other process: the one served, the holder of another set, and a command that has a slot.
    let mut command = world.call("sem run @s --slots 2 -- sleep 1000").start().became("sleep");
    let holder = hold("@s", "");
    world.call("sem rm @s --force").ok();
    eventually("the holder exits", || !process_runs(holder));
    assert!(command.runs() && process_runs(served.pid()) && process_runs(other));
    world.call(&format!("sem hold @o {} --release", served.pid())).ok();
}

#[test]
fn forced_removal_leaves_another_users_holder() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return skip("this user cannot be another one") };
    let served = world.program("sleep").arg("1000").start().became("sleep");
    world.call("sem create @s --slots 1 -m 666").user(stranger).ok();
    let holder: i32 = world.call(&format!("sem hold @s {}", served.pid())).ok().trim().parse().unwrap();
    world.call("sem rm @s --force").user(stranger).ok();
    world.call("sem get @s").fails(3, "no such semaphore set");
    assert!(process_runs(holder));
    drop(served);
    eventually("the holder exits", || !process_runs(holder));
}

#[test]
fn denied_user_gets_the_command_for_the_owner() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return skip("this user cannot be another one") };
    world.call("sem create @s --slots 2").ok();
    world.call("sem lock @l -- true").ok();
    world.call("sem lock @k -- true").ok();
    world.call("msgq create @q").ok();
    world.call("shm create @m --size 8").ok();
    world.call("shm create @n --size 8 -m 666").ok();
    for (line, applet, target) in [
        ("sem run @s -- true", "sem", "s"),
        ("sem lock @l -- true", "sem", "l"),
        ("msgq send @q x", "msgq", "q"),
        ("shm read @m", "shm", "m"),
        ("shm write @n x --lock @k", "sem", "k"),
    ] {
        let printed = lines(&world.call(line).user(stranger).output().stderr);
        let set = format!("ipcbox {applet} set {} --mode 666", world.name(target));
        assert_eq!(printed.len(), 2, "{line}: {printed:?}");
        assert!(printed[0].contains("permission denied; owned by root (EACCES)"), "{printed:?}");
        assert_eq!(printed[1], format!("hint: run as root: {set}"), "{line}");
        // The hint works as printed.
        world.shell(&set).ok();
        assert_ne!(lines(&world.call(line).user(stranger).output().stderr).first(), printed.first());
    }
}
