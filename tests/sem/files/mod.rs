//! Slots and locks in files.

mod bad_input;
mod containers;
mod hold;
mod order;
mod replaced;
mod stat;
mod stopped;
mod storm;
mod take;
mod users;

use std::fs;

use crate::support::{Child, World, eventually};

/// Starts a call and waits until its CMD, which creates the file `ready`, runs. Then the file is removed.
fn holder(world: &World, line: &str) -> Child {
    let ready = world.dir().join("ready");
    let child = world.call(line).args(["--", "sh", "-c", "echo >ready; exec sleep 1000"]).start();
    eventually("CMD runs", || ready.exists());
    fs::remove_file(ready).unwrap();
    child
}

/// Returns the only child of a process.
fn child_of(pid: i32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

/// Waits until this number of calls waits for the file.
fn awaited(world: &World, target: &str, count: usize) {
    eventually("calls wait", || {
        world.call(&format!("sem stat {target} --columns waiting --no-header")).ok().trim() == count.to_string()
    });
}
