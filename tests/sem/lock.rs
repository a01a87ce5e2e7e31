//! `sem lock`.

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{World, eventually};

/// Checks the values of an unused lock: after the number of the last gate no holder, the mark, and free gates.
pub fn assert_at_rest(values: &str) {
    let rest = format!("0 0 19506{} 0\n", " 32767".repeat(32));
    assert_eq!(values.split_once(' ').unwrap().1, rest);
}

#[test]
fn missing_lock_is_created_and_command_runs() {
    let world = World::new();
    world.call("sem lock @l -- sh -c").arg("echo in; exit 3").stdout("in\n").status(3);
    assert_at_rest(&world.call("sem get --all @l").ok());
    world.call("sem lock --shared @l -- echo shared").stdout("shared\n").ok();
}

#[test]
fn exclusive_lock_excludes_sharers() {
    let world = World::new();
    let readers: Vec<_> = (0..3).map(|_| world.call("sem lock -s @l -- sleep 100").start().became("sleep")).collect();
    world.call("sem lock @l -n -- true").fails(124, "it is locked by pid ");
    world.call("sem lock -s @l -n -- true").ok();
    drop(readers);
    let _writer = world.call("sem lock @l -w 60 -- sleep 100").start().became("sleep");
    world.call("sem lock @l -n -- true").fails(124, "it is locked by pid ");
    world.call("sem lock -s @l -n -- true").fails(124, "it is locked by pid ");
}

#[test]
fn timeout_names_a_sharer_and_counts_the_others() {
    let world = World::new();
    let shared = || world.call("sem lock -s @l -w 60 -- sleep 100").start().became("sleep");
    let (first, second, third) = (shared(), shared(), shared());
    let held = format!("it is locked by pid {} (sleep 100) and 2 other holders\n", third.pid());
    world.call("sem lock @l -n -- true").fails(124, &held);
    let held = format!("sem: waiting for {}: held by {} (sleep) and 2 other holders\n", world.name("l"), third.pid());
    let mut waiting = world.call("sem lock @l -v -w 60 -- true").start();
    assert_eq!(waiting.message(), held);
    waiting.signal(Signal::SIGTERM);
    waiting.end();
    // The kernel does not know the pids of the others.
    drop(third);
    eventually("two sharers are left", || world.call("sem stat @l --columns held --no-header").ok() == "2\n");
    world.call("sem lock @l -n -- true").fails(124, "it is locked by 2 holders\n");
    drop((first, second));
}

#[test]
fn sharer_learns_that_an_exclusive_waiter_comes_first() {
    let world = World::new();
    let _reader = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let _writer = world.call("sem lock @l -- true").start().blocked_in(libc::SYS_semtimedop);
    world.call("sem lock -s @l -n -- true").fails(124, "(sleep 100); an exclusive waiter comes first\n");
}

#[test]
fn killed_holder_releases_the_lock() {
    let world = World::new();
    for mode in ["", "--shared"] {
        let holder = world.call(&format!("sem lock @l {mode} -- sleep 100")).start().became("sleep");
        holder.signal(Signal::SIGKILL);
        assert_eq!(holder.code(), 137);
        world.call("sem lock @l -w 60 -- true").ok();
        assert_at_rest(&world.call("sem get --all @l").ok());
    }
}

#[test]
fn waiting_writer_is_not_overtaken_by_readers() {
    let world = World::new();
    let reader = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let writer = world.call("sem lock @l -- echo written").start().blocked_in(libc::SYS_semtimedop);
    // Later sharers wait behind the writer, although the lock is shared.
    world.call("sem lock -s @l -n -- true").fails(124, "it is locked by pid ");
    let late = world.call("sem lock -s @l -- echo late").start().blocked_in(libc::SYS_semtimedop);
    drop(reader);
    assert_eq!(writer.end().stdout, b"written\n");
    assert_eq!(late.end().stdout, b"late\n");
}

#[test]
fn killed_waiter_lets_the_next_one_in() {
    let world = World::new();
    let reader = world.call("sem lock -s @l -- sleep 100").start().became("sleep");
    let writer = world.call("sem lock @l -- true").start().blocked_in(libc::SYS_semtimedop);
    let late = world.call("sem lock -s @l -- true").start().blocked_in(libc::SYS_semtimedop);
    writer.signal(Signal::SIGKILL);
    assert_eq!(writer.code(), 137);
    assert_eq!(late.code(), 0);
    drop(reader);
    eventually("it is free", || world.call("sem stat @l --columns held --no-header").ok() == "0\n");
    assert_at_rest(&world.call("sem get --all @l").ok());
}
