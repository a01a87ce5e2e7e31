//! `sem hold` and `sem rm` on files.

use nix::sys::signal::Signal;

use crate::support::{World, eventually, signal};

#[test]
fn hold_lasts_until_the_process_exits() {
    for (options, take, words) in [
        ("--slots 1", "sem run ./s -n", "the only slot is in use by "),
        ("--slots 3 --take 3", "sem run ./s -n", "all 3 slots are in use by "),
        ("--lock", "sem lock ./s -n", "it is locked by "),
        ("--lock --shared", "sem lock ./s -n", "it is locked by "),
    ] {
        let world = World::new();
        let served = world.program("sleep").arg("1000").start().became("sleep");
        let holder = world.call(&format!("sem hold ./s {} {options}", served.pid())).ok();
        let holder: i32 = holder.trim().parse().unwrap();
        world.call(take).args(["--", "true"]).fails(124, words);
        let shown = format!("{holder} hold for {} sleep\n", served.pid());
        world.call("sem stat ./s --columns holders --no-header").stdout(shown).ok();
        // Even a stopped holder is released when its process exits.
        signal(holder, Signal::SIGSTOP);
        drop(served);
        world.call(&take.replace(" -n", " -w 60")).args(["--", "true"]).ok();
    }
}

#[test]
fn held_slots_are_released_on_request() {
    let world = World::new();
    let served = world.program("sleep").arg("1000").start().became("sleep");
    let pid = served.pid();
    world.call(&format!("sem hold ./s {pid} --slots 2 -q")).stdout("").ok();
    world.call(&format!("sem hold ./s {pid} -q")).ok();
    world.call(&format!("sem hold ./s {pid} -n")).fails(124, "all 2 slots are in use by ");
    world.call(&format!("sem hold ./s {pid} --release")).ok();
    world.call("sem run ./s --take 2 -n -- true").ok();
    world.call(&format!("sem hold ./s {pid} --release")).fails(3, "nothing is held for process ");
    world.call(&format!("sem hold ./s {pid} --lock")).fails(4, &format!("hint: ipcbox sem hold ./s {pid}\n"));
    world.call("sem create ./l --lock -q").ok();
    world.call(&format!("sem hold ./l {pid}")).fails(4, &format!("hint: ipcbox sem hold ./l {pid} --lock\n"));
    world.call(&format!("sem hold ./none {pid}")).fails(3, "no such file (ENOENT)\nhint: add --slots N");
}

#[test]
fn hold_joins_the_file_that_replaced_its_own() {
    let world = World::new();
    let served = world.program("sleep").arg("1000").start().became("sleep");
    let old = super::holder(&world, "sem run ./s --slots 1");
    let waiting = world.call(&format!("sem hold ./s {} --slots 1", served.pid())).start();
    super::awaited(&world, "./s", 1);
    world.call("sem rm --force ./s").ok();
    let new = super::holder(&world, "sem run ./s --slots 1");
    drop(old);
    super::awaited(&world, "./s", 1);
    drop(new);
    let holder = String::from_utf8(waiting.end().stdout).unwrap();
    world.call("sem run ./s -n -- true").fails(124, holder.trim());
}

#[test]
fn killed_call_leaves_no_holder() {
    let world = World::new();
    let served = world.program("sleep").arg("1000").start().became("sleep");
    for slots in [1, 3, 20] {
        let target = format!("./s{slots}");
        let busy = super::holder(&world, &format!("sem run {target} --slots {slots} --take {slots}"));
        let waiting = world.call(&format!("sem hold {target} {}", served.pid())).start();
        super::awaited(&world, &target, 1);
        waiting.signal(Signal::SIGKILL);
        assert_eq!(waiting.code(), 137);
        drop(busy);
        eventually("nothing is held", || {
            world.call(&format!("sem run {target} --take {slots} -n -- true")).output().status.success()
        });
    }
}

#[test]
fn rm_removes_what_is_not_in_use() {
    let world = World::new();
    world.call("sem create ./s --slots 2 -q").ok();
    let holder = super::holder(&world, "sem run ./s");
    let cmd = super::child_of(holder.pid());
    world.call("sem rm ./s").fails(1, &format!("held by {cmd} (sleep 1000)\nhint: use --force"));
    let kept = format!("sem: kept ./s: held by {cmd} (sleep 1000)\n");
    world.call("sem rm ./s --unused").stderr(kept).ok();
    assert!(world.dir().join("s").exists());
    drop(holder);
    eventually("it is free", || world.call("sem rm ./s").output().status.success());
    assert!(!world.dir().join("s").exists());
    world.call("sem rm ./s").fails(3, "no such file (ENOENT)");
    world.call("sem rm ./s --missing-ok").ok();
    world.call("sem create ./s --slots 2 -q").ok();
    let kept = "sem: kept ./s: the kernel does not record when slots in a file were last used\n";
    world.call("sem rm ./s --unused --older-than 1s").stderr(kept).ok();
    world.call("sem rm ./s --unused").ok();
    assert!(!world.dir().join("s").exists());
}
