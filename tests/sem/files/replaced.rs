//! The file is removed, replaced or truncated while it is in use.

use std::fs;

use super::{awaited, holder};
use crate::support::{Child, World, eventually};

#[test]
fn waiter_joins_the_file_that_replaced_its_own() {
    for (line, target, command) in [
        ("sem run ./s --slots 1", "./s", "run"),
        ("sem run ./s --slots 3 --take 3", "./s", "run"),
        ("sem lock ./s", "./s", "lock"),
    ] {
        let world = World::new();
        let old = holder(&world, line);
        let waiting = world.call(line).args(["-q", "--", "sh", "-c", "echo >late"]).start();
        awaited(&world, target, 1);
        world.call("sem rm ./s").fails(1, "held by ");
        world.call("sem rm --force ./s").ok();
        let new = holder(&world, line);
        // The old file is free, but not the new one.
        drop(old);
        awaited(&world, target, 1);
        assert!(!world.dir().join("late").exists());
        world.call(&format!("sem {command} ./s -n -- true")).status(124);
        drop(new);
        assert_eq!(waiting.code(), 0, "{line}");
        assert!(world.dir().join("late").exists());
    }
}

#[test]
fn truncated_file_is_written_again() {
    let world = World::new();
    let old = holder(&world, "sem run ./s --slots 1");
    let waiting = world.call("sem run ./s --slots 1 -q -- true").start();
    awaited(&world, "./s", 1);
    fs::write(world.dir().join("s"), "").unwrap();
    drop(old);
    assert_eq!(waiting.code(), 0);
    assert_eq!(fs::read_to_string(world.dir().join("s")).unwrap(), "ipcbox slots 1\n");
    // Without a number it cannot be written.
    fs::write(world.dir().join("s"), "").unwrap();
    world.call("sem run ./s -- true").fails(125, "the file is empty (ENOENT)\nhint: add --slots N");
    world.call("sem stat ./s").fails(3, "the file is empty (ENOENT)");
}

#[test]
fn waiter_reads_a_line_of_the_same_length_again() {
    let world = World::new();
    let old = holder(&world, "sem run ./s --slots 4 --take 4");
    let waiting = world.call("sem run ./s -q --take 3 -- true").start();
    awaited(&world, "./s", 1);
    fs::write(world.dir().join("s"), "ipcbox slots 2\n").unwrap();
    drop(old);
    let output = waiting.end();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{printed}");
    assert!(printed.contains("--take 3 can never succeed: there are only 2 slots\n"), "{printed}");
}

#[test]
fn truncated_file_is_written_while_others_wait() {
    let world = World::new();
    let _holder = holder(&world, "sem run ./s --slots 17 --take 17");
    let _next = world.call("sem run ./s -q -- true").start();
    awaited(&world, "./s", 1);
    fs::write(world.dir().join("s"), "").unwrap();
    world.call("sem run ./s --slots 17 -n -- true").fails(124, "17 slots");
    assert_eq!(fs::read_to_string(world.dir().join("s")).unwrap(), "ipcbox slots 17\n");
}

#[test]
fn waiter_names_the_owner_of_the_new_file() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let run = "sem run ./s --slots 1 -m 666 --foreign";
    let old = holder(&world, run);
    let waiting = world.call(run).args(["-q", "--", "true"]).user(stranger).start();
    awaited(&world, "./s", 1);
    fs::remove_file(world.dir().join("s")).unwrap();
    world.call("sem create ./s --slots 1 -q").ok();
    drop(old);
    let output = waiting.end();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{printed}");
    let words = "no write permission; owned by root, mode 0600 (EACCES)\nhint: create the file with -m 666";
    assert!(printed.contains(words), "{printed}");
}

#[test]
fn first_callers_create_one_file() {
    let world = World::new();
    for _ in 0..20 {
        let children: Vec<_> = (0..8)
            .map(|_| world.call("sem run ./s --slots 8 -q -w 60 -- sh -c").arg("echo $IPCBOX_SLOT >>ran").start())
            .collect();
        for child in children {
            assert_eq!(child.code(), 0);
        }
        assert_eq!(fs::read_to_string(world.dir().join("s")).unwrap(), "ipcbox slots 8\n");
        world.call("sem rm ./s").ok();
    }
}

#[test]
fn removal_under_load_blocks_no_caller() {
    let world = World::new();
    let mut children = Vec::new();
    let mut done = 0;
    while done < 200 {
        let _ = fs::remove_file(world.dir().join("s"));
        while children.len() < 8 {
            children.push(world.call("sem run ./s --slots 2 -q -w 60 -- sh -c").arg("sleep 0.01").start());
        }
        children.retain_mut(Child::runs);
        done += 8 - children.len();
    }
    for child in children {
        assert_eq!(child.code(), 0);
    }
    eventually("the last file is free", || {
        world.call("sem run ./s --slots 2 --take 2 -n -- true").output().status.success()
    });
}
