//! First come, first served.

use std::fs;

use super::{awaited, holder};
use crate::support::{Child, World, eventually};

/// Starts callers one after the other, each of which waits before the next one starts.
fn queued(world: &World, target: &str, lines: &[String]) -> Vec<Child> {
    let mut children = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        children.push(world.call(line).args(["--", "sh", "-c"]).arg(format!("echo {n} >>order")).start());
        awaited(world, target, n + 1);
    }
    children
}

/// Returns how many locks the child process of a waiter waits for.
fn requests_of(waiter: i32) -> usize {
    let list = |path: String| fs::read_to_string(path).unwrap_or_default();
    let watchers = list(format!("/proc/{waiter}/task/{waiter}/children"));
    let tasks =
        watchers.split_whitespace().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten());
    let call = format!("{} ", nix::libc::SYS_fcntl);
    tasks.flatten().filter(|task| list(format!("{}/syscall", task.path().display())).starts_with(&call)).count()
}

fn order(world: &World) -> String {
    fs::read_to_string(world.dir().join("order")).unwrap().replace('\n', " ")
}

#[test]
fn waiters_are_served_in_order() {
    // One slot, few slots, many slots, and a lock.
    for (line, target) in [
        ("sem run ./one --slots 1 --take 1", "./one"),
        ("sem run ./few --slots 3 --take 3", "./few"),
        ("sem run ./many --slots 17 --take 17", "./many"),
        ("sem lock ./lock", "./lock"),
    ] {
        let world = World::new();
        let holder = holder(&world, line);
        // Each takes all, so that the order is that of their turns.
        let lines: Vec<String> = (0..20).map(|_| format!("{line} -q")).collect();
        let children = queued(&world, target, &lines);
        drop(holder);
        for child in children {
            assert_eq!(child.code(), 0, "{line}");
        }
        let expected: Vec<String> = (0..20).map(|n| format!("{n} ")).collect();
        assert_eq!(order(&world), expected.concat(), "{line}");
    }
}

#[test]
fn waiters_of_single_slots_are_served_in_order() {
    for slots in [2, 20] {
        let world = World::new();
        let first = holder(&world, &format!("sem run ./s --slots {slots} --take {}", slots - 1));
        let second = holder(&world, "sem run ./s");
        let mut children: Vec<Child> = Vec::new();
        for n in 0..12 {
            children.push(world.call("sem run ./s -q -- sh -c").arg(format!("echo {n} >>order")).start());
            // Few slots: a request for each. Many: the first waiter has them, the others wait for their turn.
            let requests = if slots == 2 || n == 0 { slots } else { 1 };
            let all_made = || requests_of(children[n].pid()) == requests;
            eventually("it has made all requests", all_made);
        }
        // The one slot goes from one to the next.
        drop(second);
        for child in children {
            assert_eq!(child.code(), 0);
        }
        let expected: Vec<String> = (0..12).map(|n| format!("{n} ")).collect();
        assert_eq!(order(&world), expected.concat(), "{slots}");
        drop(first);
    }
}

#[test]
fn taker_of_two_is_served_among_takers_of_one() {
    // If those that come first keep their slots, not one of the later ones may take a slot before the taker of two.
    for (slots, first, job) in [
        (2, 10, "echo one >>order; sleep 0.02"),
        (12, 10, "until [ -e order ]; do sleep 0.01; done"),
        (20, 18, "until [ -e order ]; do sleep 0.01; done"),
    ] {
        let world = World::new();
        let all = holder(&world, &format!("sem run ./s --slots {slots} --take {slots}"));
        let one = || world.call("sem run ./s -q -- sh -c").arg(job).start();
        let mut others: Vec<Child> = (0..first).map(|_| one()).collect();
        awaited(&world, "./s", first);
        let mut two = world.call("sem run ./s --take 2 -q -- sh -c").arg("echo two >>order").start();
        awaited(&world, "./s", first + 1);
        others.extend((first..50).map(|_| one()));
        awaited(&world, "./s", 51);
        drop(all);
        // As many come as are served.
        eventually("the taker of two is served", || {
            let before = others.len();
            others.retain_mut(Child::runs);
            for _ in others.len()..before {
                others.push(one());
            }
            !two.runs()
        });
        assert_eq!(two.code(), 0);
        let order = order(&world);
        let before = order.split(' ').take_while(|word| *word != "two").count();
        assert!(before <= first, "{slots}: {order}");
    }
}

#[test]
fn takers_of_two_do_not_overtake_a_waiter() {
    let world = World::new();
    let first = holder(&world, "sem run ./s --slots 2");
    let second = holder(&world, "sem run ./s");
    let lines = ["", "--take 2", "--take 2"].map(|take| format!("sem run ./s -q {take}"));
    let mut children = queued(&world, "./s", &lines);
    drop(first);
    // The others still lack a slot, and one of them has its turn.
    assert_eq!(children.remove(0).code(), 0);
    drop(second);
    for child in children {
        assert_eq!(child.code(), 0);
    }
    assert_eq!(order(&world), "0 1 2 ");
}

#[test]
fn newcomer_finds_a_free_slot_among_others() {
    let world = World::new();
    let _most = holder(&world, "sem run ./s --slots 256 --take 240");
    let at_once = |line: &str, count: usize| -> Vec<Child> {
        (0..count).map(|_| world.call(&format!("sem run ./s -n {line} -- true")).start()).collect()
    };
    for _ in 0..10 {
        for (line, count) in [("", 8), ("--take 4", 4)] {
            for child in at_once(line, count) {
                assert_eq!(child.code(), 0, "{line}");
            }
        }
        // These hold all free slots for a moment, and release them.
        let others = at_once("--take 17", 4);
        world.call("sem run ./s -n -- true").ok();
        for child in others {
            assert_eq!(child.code(), 124);
        }
    }
}

#[test]
fn sharer_does_not_overtake_an_exclusive_waiter() {
    let world = World::new();
    let reader = holder(&world, "sem lock ./l -s");
    let writer = world.call("sem lock ./l -- sh -c").arg("echo w >>order").start();
    awaited(&world, "./l", 1);
    world.call("sem lock ./l -s -n -- true").fails(124, "; an exclusive waiter comes first\n");
    let late: Vec<Child> = (0..3)
        .map(|n| {
            let child =
                world.call("sem lock ./l -s -- sh -c").arg("echo r >>order; echo >ready; exec sleep 1000").start();
            awaited(&world, "./l", 2 + n);
            child
        })
        .collect();
    drop(reader);
    assert_eq!(writer.code(), 0);
    eventually("all sharers share", || world.call("sem stat ./l --columns used --no-header").ok() == "3 shared\n");
    eventually("all of them run", || order(&world) == "w r r r ");
    drop(late);
}
